"""Law 1, the control at step t acts between frame t and frame t + 1: through recorder, reader and replay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paracosm.collect.games.counting import CountingWorld, read_control, read_step
from paracosm.collect.record import RecordConfig, record
from paracosm.core.controls import Control
from paracosm.data import Dataset
from paracosm.worlds import make_policy, open_world

KEYS = CountingWorld().info.controls.keys


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    config = RecordConfig(
        world="game:counting",
        out=tmp_path_factory.mktemp("law"),
        num_episodes=3,
        max_steps=60,
        policy="sticky",
        workers=1,
    )
    return record(config, open_world, make_policy)


@settings(max_examples=50, deadline=None)
@given(
    st.sets(st.sampled_from(KEYS)),
    st.integers(-30_000, 30_000),
    st.integers(-20_000, 20_000),
)
def test_the_world_shows_the_control_it_received_in_the_next_frame(
    keys: set[str], yaw: int, pitch: int
) -> None:
    world = CountingWorld()
    assert read_control(world.reset(4).image) == Control()
    control = Control(keys, (yaw / 1000, pitch / 1000))
    frame = world.step(control)
    assert read_control(frame.image) == control
    assert read_step(frame.image) == frame.index == 1


def test_row_i_of_a_recording_is_frame_i_and_the_control_that_led_to_frame_i_plus_1(
    recorded: Dataset,
) -> None:
    for episode in recorded.episodes:
        frames, controls = episode.frames, episode.controls
        assert len(controls) == len(frames) - 1 == 60
        assert [read_step(image) for image in frames] == list(range(61))
        assert [read_control(image) for image in frames[1:]] == controls


def test_vectors_for_training_are_aligned_with_frames(recorded: Dataset) -> None:
    episode = recorded.episodes[0]
    shown = [read_control(image) for image in episode.read_frames(11, 21)]
    assert np.array_equal(episode.control_vectors[10:20], episode.info.controls.to_vectors(shown))


def test_truth_stands_in_the_row_of_its_frame(recorded: Dataset) -> None:
    episode = recorded.episodes[1]
    assert episode.truth("truth_step").tolist() == list(range(61))
    attacked = episode.truth("key_attack")[:-1].astype(bool)
    assert [list(events) == ["shot"] for events in episode.truth("events")[1:]] == attacked.tolist()


def test_a_replay_shows_each_frame_after_its_own_control(recorded: Dataset) -> None:
    world = open_world(f"replay:{recorded.path}#2")
    frame = world.reset()
    for control in recorded.episodes[2].controls:
        frame = world.step(control)
        assert read_control(frame.image) == control
        assert read_step(frame.image) == frame.index
        assert frame.truth["followed"]
    assert frame.truth["ended"]
