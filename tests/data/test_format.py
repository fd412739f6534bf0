import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paracosm.core.controls import Control
from paracosm.core.episode import Recipe
from paracosm.core.errors import DataError
from paracosm.core.world import Frame
from paracosm.data.format import flatten_truth, info_from_json, info_to_json

from .recordings import INFO, SPACE, make_frames, write_episode

ANGLES = st.tuples(st.floats(-30, 30), st.floats(-10, 10))
TEXTS = (
    st.none() | st.text(max_size=8) | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)
)
CONTROLS = st.builds(
    Control,
    keys=st.sets(st.sampled_from(SPACE.keys)),
    look=ANGLES,
    text=TEXTS,
    latent=st.none() | st.integers(0, 3),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(CONTROLS, max_size=6))
def test_every_control_comes_back_as_it_was_given(controls: list[Control]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        episode = write_episode(Path(folder), controls)
        assert episode.controls == controls
        assert np.array_equal(episode.control_vectors, SPACE.to_vectors(controls))
        assert episode.control_vectors.dtype == np.float32


@pytest.mark.parametrize("frames", ["raw", "ffv1"])
def test_frames_come_back_to_the_bit(tmp_path: Path, frames: str) -> None:
    episode = write_episode(tmp_path, [Control()] * 7, frames=frames)
    expected = np.stack([frame.image for frame in make_frames(8)])
    assert np.array_equal(episode.frames, expected)
    assert np.array_equal(episode.read_frames(2, 5), expected[2:5])
    episode.verify()


def test_raw_frames_are_a_plain_numpy_file(tmp_path: Path) -> None:
    episode = write_episode(tmp_path, [Control()] * 3)
    assert np.array_equal(np.load(episode.path / "frames.npy", mmap_mode="r"), episode.frames)


def test_row_i_is_frame_i_and_the_last_row_has_no_control(tmp_path: Path) -> None:
    episode = write_episode(tmp_path, [Control({"forward"}, (index, 0)) for index in range(4)])
    rows = episode.table.to_pylist()
    assert [row["frame"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["look_yaw"] for row in rows] == [0, 1, 2, 3, None]
    assert [row["key_forward"] for row in rows] == [True] * 4 + [None]


def test_truth_comes_back_by_column(tmp_path: Path) -> None:
    episode = write_episode(tmp_path, [Control()] * 3)
    assert episode.truth("pose_x").tolist() == [0, 0.5, 1, 1.5]
    assert episode.truth("reward").tolist() == [0, 1, 2, 3]
    assert episode.truth("truth_health").tolist() == [9] * 4
    assert episode.truth("ended").tolist() == [False] * 4
    assert list(episode.truth("events")[0]) == ["shot"]
    with pytest.raises(DataError, match=r'has no column "depth"; it has frame, key_forward'):
        episode.truth("depth")


def test_truth_that_no_row_can_take_is_named(tmp_path: Path) -> None:
    frame = Frame(
        image=np.zeros((6, 10, 3), np.uint8),
        index=0,
        truth={"depth": np.zeros((6, 100)), "near": {"wall": 3}},
    )
    row, left_out = flatten_truth(frame)
    assert row == {"truth_near.wall": 3}
    assert left_out == ["truth_depth"]


def test_guides_and_start_clips_are_stored_beside_the_table(tmp_path: Path) -> None:
    clip = np.arange(2 * 6 * 10 * 3, dtype=np.uint8).reshape(2, 6, 10, 3)
    recipe = Recipe(world=INFO.name, start=clip, start_controls=(Control({"attack"}),), prompt="a red room")
    episode = write_episode(tmp_path, [Control(), Control(guide=clip)], recipe=recipe)
    guide = episode.controls[1].guide
    assert guide is not None
    assert np.array_equal(guide, clip)
    assert episode.recipe.start is not None
    assert np.array_equal(episode.recipe.start, clip)
    assert dataclasses.replace(episode.recipe, start=None) == dataclasses.replace(recipe, start=None)


def test_the_world_description_survives(tmp_path: Path) -> None:
    assert info_from_json(info_to_json(INFO), tmp_path) == INFO


def test_a_recording_without_controls_says_so(tmp_path: Path) -> None:
    episode = write_episode(tmp_path, [None, None])
    assert not episode.has_controls
    with pytest.raises(
        DataError, match=r"is an imported video without controls; label it by an inverse-dynamics model first"
    ):
        _ = episode.control_vectors
    with pytest.raises(
        DataError, match=r"controls for some steps only; give one for every step or None for every step"
    ):
        write_episode(tmp_path, [Control(), None], name="half")


def test_a_video_for_people_has_every_frame(tmp_path: Path) -> None:
    from paracosm.data.video import read_video

    episode = write_episode(tmp_path, [Control()] * 20, video=True)
    assert episode.video is not None
    shown = read_video(episode.video, 21, 6, 10)
    # Noise is the hardest picture for a video; frames in another order would differ by 85 on average.
    assert np.abs(shown.astype(int) - episode.frames).mean() < 10
