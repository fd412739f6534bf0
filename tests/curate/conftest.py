"""One curated folder for all tests that only read: three clips that pan, stand still, and pan again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paracosm.curate.cuts import CutsConfig
from paracosm.curate.pipeline import run
from paracosm.curate.stages import CurateConfig
from tests.curate.made import pan, with_display, write_video

CUTS = CutsConfig(least_s=2.0, most_s=4.0)
"""Short clips, so that short videos hold several."""


@pytest.fixture(scope="session")
def curated_once(tmp_path_factory: pytest.TempPathFactory) -> CurateConfig:
    """A folder of two games: game/a has two shots and game/b repeats one of them; other/c stands still."""
    folder = tmp_path_factory.mktemp("curated")
    videos = folder / "videos"
    write_video(videos / "game" / "a.mp4", [*pan(1, 40), *with_display(pan(2, 40, step=-4))])
    write_video(videos / "game" / "b.mp4", pan(1, 40))
    write_video(videos / "other" / "c.mp4", pan(3, 1) * 40)
    config = CurateConfig(folder=videos, out=folder / "out", workers=1, cuts=CUTS)
    run(config)
    return config


@pytest.fixture
def curated(curated_once: CurateConfig, tmp_path: Path) -> Path:
    """A copy of its scores that a test may write into."""
    shutil.copytree(curated_once.out, tmp_path / "out")
    return tmp_path / "out"
