from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.record import RecordConfig, record
from paracosm.collect.replay import ReplayWorld
from paracosm.core.controls import Control
from paracosm.core.errors import ControlError, DataError, WorldError
from paracosm.core.world import World
from paracosm.data import Dataset
from paracosm.worlds import make_policy, open_world


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    config = RecordConfig(
        world="game:counting",
        out=tmp_path_factory.mktemp("replay"),
        num_episodes=2,
        max_steps=6,
        policy="sticky",
        workers=1,
    )
    return record(config, open_world, make_policy)


def test_it_shows_the_recorded_frames_whatever_is_pressed_and_says_so(recorded: Dataset) -> None:
    world = ReplayWorld(recorded.path, 1)
    assert isinstance(world, World)
    frames = recorded.episodes[1].frames
    frame = world.reset(seed=8)
    assert np.array_equal(frame.image, frames[0])
    assert "pose" in frame.truth
    for index in range(1, 7):
        frame = world.step(Control({"forward", "back"}))
        assert np.array_equal(frame.image, frames[index])
        assert not frame.truth["followed"]
        recorded_control = recorded.episodes[1].controls[index - 1]
        assert frame.truth["recorded_control"]["keys"] == tuple(sorted(recorded_control.keys))
    assert frame.truth["ended"]
    with pytest.raises(WorldError, match=r"is at its last frame; call reset\(\) to see it again"):
        world.step(Control())


def test_it_goes_back_to_a_snapshot(recorded: Dataset) -> None:
    world = ReplayWorld(recorded.path)
    world.reset()
    saved_frame = world.step(Control())
    saved = world.snapshot()
    expected = world.step(Control())
    assert world.restore(saved) is saved_frame
    assert np.array_equal(world.step(Control()).image, expected.image)


def test_it_refuses_what_it_cannot_do(recorded: Dataset) -> None:
    world = ReplayWorld(recorded.path)
    with pytest.raises(WorldError, match=r"was stepped before it was reset"):
        world.step(Control())
    with pytest.raises(WorldError, match=r"has not begun; call reset first"):
        world.snapshot()
    with pytest.raises(WorldError, match=r"cannot start from an image; it starts from seed"):
        world.reset(start=np.zeros((32, 64, 3), np.uint8))
    world.reset()
    with pytest.raises(ControlError, match=r"keys .'fly'. are not offered"):
        world.step(Control({"fly"}))
    world.close()
    with pytest.raises(WorldError, match=r"is closed; open it again"):
        world.reset()
    with pytest.raises(DataError, match=r"has no episode 9; it has 2, counted from 0"):
        open_world(f"replay:{recorded.path}#9")


def test_a_recording_can_be_recorded_again(recorded: Dataset, tmp_path: Path) -> None:
    config = RecordConfig(
        world=f"replay:{recorded.path}#0", out=tmp_path, num_episodes=1, policy="idle", workers=1
    )
    copied = record(config, open_world, make_policy)
    assert np.array_equal(copied.episodes[0].frames, recorded.episodes[0].frames)
