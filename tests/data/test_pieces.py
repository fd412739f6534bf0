"""Cuts are found and no clip crosses one."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.videos import ImportConfig, import_videos
from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.data.pieces import FrameClips, find_cuts
from paracosm.data.reader import Dataset
from paracosm.data.video import VideoWriter, iterate_video


def shot(seed: int, count: int) -> np.ndarray:
    """A picture of coarse blocks that slides one pixel a frame."""
    blocks = stream(seed, "shot").integers(0, 256, (4, 8, 3), np.uint8)
    wide = blocks.repeat(16, 0).repeat(16, 1)
    return np.stack([wide[:, i : i + 64] for i in range(count)])


def test_cuts_are_found_between_shots_and_not_in_motion() -> None:
    frames = np.concatenate([shot(0, 20), shot(1, 9), shot(2, 30)])
    assert find_cuts(frames) == [20, 29]
    assert find_cuts(shot(3, 40)) == []
    assert find_cuts(frames[:1]) == []


def test_a_flash_of_motion_that_all_frames_have_is_no_cut() -> None:
    noise = stream(0, "noise").integers(0, 256, (20, 8, 8, 3), np.uint8)
    assert find_cuts(noise.repeat(8, 1).repeat(8, 2)) == []


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two imported videos: shots of 20, 9 and 12 frames, and one of 11."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in (
        ("long", np.concatenate([shot(0, 20), shot(1, 9), shot(2, 12)])),
        ("short", shot(3, 11)),
    ):
        writer = VideoWriter(folder / f"{name}.mkv", 10.0, 64, 64, "ffv1")
        for frame in frames:
            writer.add(frame)
        writer.close()
    config = ImportConfig(folder=folder, out=folder / "data", height=64, width=64, fps=10.0)
    import_videos(config)
    return folder / "data"


def test_no_clip_crosses_a_cut(videos: Path) -> None:
    clips = FrameClips(Dataset(videos).episodes, 10, 0, "find")
    assert [piece.num_frames for piece in clips.pieces] == [20, 9, 12, 11]
    places = clips.places(0, 0, 300)
    assert {place for place in places if place[0] == 0} == {(0, i) for i in [*range(11), 29, 30, 31]}
    assert clips.draw(0, 0, 3).shape == (3, 10, 64, 64, 3)
    for episode, first in places[:5]:
        expected = Dataset(videos).episodes[episode].read_frames(first, first + 10)
        assert np.array_equal(clips.cut([(episode, first)])[0], expected)


def test_pieces_are_drawn_by_the_weight_of_their_episode(videos: Path) -> None:
    long, short = Dataset(videos).episodes
    plain = FrameClips([long, short], 10, 0, "find").places(0, 0, 2000)
    heavy = FrameClips([long, replace(short, weight=9.0)], 10, 0, "find").places(0, 0, 2000)
    assert np.mean([episode for episode, _ in plain]) == pytest.approx(2 / 16, abs=0.04)
    assert np.mean([episode for episode, _ in heavy]) == pytest.approx(18 / 32, abs=0.06)


def test_videos_without_a_long_enough_stretch_are_refused_with_the_longest(videos: Path) -> None:
    episodes = Dataset(videos).episodes
    with pytest.raises(
        DataError, match=r"no stretch without a cut has the 21 frames of a clip \(the longest of 4 has 20\)"
    ):
        FrameClips(episodes, 21, 0, "find")
    with pytest.raises(
        DataError,
        match=r"no episode has the 42 frames of a clip \(the longest of 2 has 41\); set clip_frames",
    ):
        FrameClips(episodes, 42, 0)


def transport_stream(side: int) -> bytes:
    """A few frames in a container whose files may be joined end to end."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width = stream.height = side  # pyright: ignore[reportAttributeAccessIssue]
        stream.pix_fmt = "yuv420p"  # pyright: ignore[reportAttributeAccessIssue]
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))  # pyright: ignore[reportAttributeAccessIssue]
        container.mux(stream.encode(None))  # pyright: ignore[reportAttributeAccessIssue]
    return buffer.getvalue()


def test_a_video_of_varying_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    file = tmp_path / "varied.mp4"
    file.write_bytes(transport_stream(64) + transport_stream(96))
    with pytest.raises(
        DataError,
        match=r"varied\.mp4 changes its picture from 64 x 64 to 96 x 96 at frame \d; split it there",
    ):
        list(iterate_video(file))
