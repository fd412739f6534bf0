"""Still frames are left out without loss, and a recording proves that its controls were those applied."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paracosm.cli.commands_look import info
from paracosm.collect.games.counting import CountingConfig, CountingWorld
from paracosm.collect.record import RecordConfig, record
from paracosm.collect.replay_check import check_replay, replay_figures
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.world import Frame
from paracosm.data import Dataset
from paracosm.worlds import make_policy, open_world


class Lazy(CountingWorld):
    """Moves only in steps with a key, and shows nothing of the others."""

    def step(self, control: Control) -> Frame:
        before = self._frame
        frame = super().step(control)
        if not control.keys and before is not None and not frame.truth["ended"]:
            frame = dataclasses.replace(frame, image=before.image)
            self._frame = frame
        return frame


def open_lazy(name: str, config: Any = None) -> Lazy:
    return Lazy(CountingConfig(**config) if isinstance(config, dict) else config or CountingConfig())


def make_config(out: Path, **changes: Any) -> RecordConfig:
    config = RecordConfig(
        world="game:counting", out=out, num_episodes=3, max_steps=40, policy="sticky", seed=5, workers=1
    )
    return dataclasses.replace(config, **changes)


def test_a_recording_comes_out_the_same_and_a_late_control_does_not(tmp_path: Path) -> None:
    checks = check_replay(record(make_config(tmp_path), open_world, make_policy), 2, open_world)
    assert [check.name for check in checks] == ["episode-000000", "episode-000002"]
    figures = replay_figures(checks)
    assert figures["replay.frames_equal_share"].value == figures["replay.controls_agree_share"].value == 1.0
    assert figures["replay.frames_equal_share"].n == 80
    assert (figures["replay.one_step_late_share"].value or 0) < 0.9


def test_a_control_that_was_not_applied_is_found(tmp_path: Path) -> None:
    class Deaf(CountingWorld):
        def step(self, control: Control) -> Frame:
            return super().step(Control() if self._frame and self._frame.index == 6 else control)

    dataset = record(make_config(tmp_path), lambda name, config=None: Deaf(), make_policy)
    check = check_replay(dataset, 1, open_world)[0]
    assert check.equal < check.steps
    assert check.first_difference == 7


def test_still_frames_are_left_out_and_the_rest_bears_its_numbers(tmp_path: Path) -> None:
    whole = record(make_config(tmp_path / "whole"), open_lazy, make_policy)
    kept = record(make_config(tmp_path / "kept", stills="drop"), open_lazy, make_policy)
    dropped = 0
    for one, other in zip(whole.episodes, kept.episodes, strict=True):
        sources = other.truth("truth_source_frame").tolist()
        assert np.array_equal(one.frames[sources], other.frames)
        assert not (np.diff(other.frames.astype(int), axis=0) == 0).all(axis=(1, 2, 3)).any()
        controls = one.controls
        assert [controls[source] for source in sources[:-1]] == other.controls
        dropped += one.num_frames - other.num_frames
    assert dropped > 5


def test_a_recording_without_its_still_frames_is_drawn_again(tmp_path: Path) -> None:
    dataset = record(make_config(tmp_path, stills="drop"), open_lazy, make_policy)
    for check in check_replay(dataset, 3, open_lazy):
        assert check.equal == check.agreeing == check.steps
        assert check.first_difference is None


def test_small_changes_are_still_on_request(tmp_path: Path) -> None:
    exact = record(make_config(tmp_path / "a", stills="drop"), open_lazy, make_policy)
    rough = record(make_config(tmp_path / "b", stills="drop", still_change=200.0), open_lazy, make_policy)
    assert rough.num_frames < exact.num_frames


def test_what_proves_nothing_is_refused(tmp_path: Path) -> None:
    dataset = record(make_config(tmp_path), open_world, make_policy)
    with pytest.raises(ConfigError, match="0 episodes prove nothing"):
        check_replay(dataset, 0, open_world)
    with pytest.raises(ConfigError, match="still_change 3 with stills keep drops nothing"):
        make_config(tmp_path, still_change=3.0)
    file = tmp_path / "episodes" / "episode-000000" / "episode.json"
    file.write_text(file.read_text().replace("counting 1", "counting 0"))
    with pytest.raises(DataError, match="was recorded with counting 0, here is counting 1"):
        check_replay(Dataset(tmp_path), 1, open_world)


def test_the_command_tells_and_stores_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(make_config(tmp_path / "data"), open_world, make_policy)
    info([str(tmp_path / "data"), "--replay", "2", "--json", str(tmp_path / "out.json")])
    assert "episode-000000: 40 of 40 steps lead to the same bytes" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out.json").read_text())["figures"]
    assert figures["replay.controls_agree_share"]["value"] == 1.0
    with pytest.raises(DataError, match="--replay draws episodes of a dataset again"):
        info(["game:counting", "--replay", "2"])
