"""A world of your own game: from a Gymnasium environment with pixels, or a folder of recordings or videos.

The same street as the bundled worlds, with sizes from the game's own picture. Videos without controls make a
world that plays but cannot be steered; the street says so.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from paracosm.collect.gym_games import GymConfig
from paracosm.collect.record import RecordConfig
from paracosm.collect.videos import ImportConfig, import_videos
from paracosm.core.errors import DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import WorldInfo
from paracosm.data.format import DATASET_FILE
from paracosm.data.reader import Dataset
from paracosm.worlds import open_world

from . import small
from .street import Street, small_street

LARGEST_SIDE = 64
"""Pixels of the longer side of a frame: what two cores can train within hours."""
VIDEO_FPS = 15.0
"""Frames a second kept of videos."""
HELD_OUT_SHARE = 8
"""One recorded episode in this many is held out."""


def street(run: Path, source: str, progress: ProgressMaker = no_progress) -> Street:
    """Describe the street from a source of frames.

    Args:
        run: run folder.
        source: "gym:ID", a folder recorded by this project, or a folder of videos.
        progress: begins a progress line, for importing videos.

    Raises:
        WorldError: when the environment does not exist.
        DataError: when the folder holds neither recordings nor videos.
    """
    if source.startswith("gym:"):
        return _from_environment(run, source)
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(
            f'"{source}" is neither gym:ID nor a folder; give e.g. gym:CartPole-v1 or a folder of recordings'
        )
    if not (folder / DATASET_FILE).exists():
        folder = _import_videos(run, folder, progress)
    return _from_recordings(run, folder)


def short_name(source: str) -> str:
    """Name of a source: the last part of the environment's id, or of the folder's path."""
    if source.startswith("gym:"):
        return Path(source.removeprefix("gym:")).name
    return Path(source).resolve().name


def frame_size(height: int, width: int) -> tuple[int, int]:
    """Choose a frame size near the game's own shape: at most 64 pixels a side, in steps of 16."""
    scale = LARGEST_SIDE / max(height, width)
    grain = small.GRAIN
    rows, columns = (max(grain, round(side * scale / grain) * grain) for side in (height, width))
    return rows, columns


def _from_environment(run: Path, source: str) -> Street:
    world = open_world(source)
    try:
        height, width = frame_size(world.info.height, world.info.width)
    finally:
        world.close()
    game = GymConfig(height=height, width=width)
    world = open_world(source, game)
    info = world.info
    world.close()
    train = RecordConfig(
        world=source,
        out=run / "data" / "train",
        num_episodes=400,
        max_steps=400,
        policy="sticky",
        num_world_seeds=1_000_000,
        split="train",
    )
    held_out = replace(
        train,
        out=run / "data" / "held_out",
        num_episodes=400 // HELD_OUT_SHARE,
        seed=1,
        first_world_seed=1_000_000_000,
        split="held_out",
    )
    made = _describe(run, info, short_name(source))
    recordings = {"train": train, "held_out": held_out}
    return replace(made, recordings=recordings, games=dict.fromkeys(recordings, game))


def _from_recordings(run: Path, folder: Path) -> Street:
    dataset = Dataset(folder)
    if not dataset.select("train"):
        raise DataError(f"{folder} has no episode of split train; record with --split train")
    made = _describe(run, dataset.info, folder.name)
    return replace(
        made,
        tokenizer=replace(made.tokenizer, data=folder),
        dynamics=replace(made.dynamics, data=folder),
        reader=replace(made.reader, data=folder) if made.reader is not None else None,
    )


def _import_videos(run: Path, folder: Path, progress: ProgressMaker) -> Path:
    out = run / "data" / "train"
    config = ImportConfig(
        folder=folder, out=out, height=48, width=64, fps=VIDEO_FPS, variable_rate="resample", split="train"
    )
    import_videos(config, progress=progress)
    logging.getLogger(__name__).warning(
        "%s holds videos without controls: the world will play, but nothing in it can be steered", folder
    )
    return out


def _describe(run: Path, info: WorldInfo, name: str) -> Street:
    shape = small.Shape(height=info.height, width=info.width, controls=info.controls)
    return small_street(
        run, shape, name=name, description=f"A neural world of {name}, trained on recordings of it."
    )
