from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paracosm.collect.pictures import crop_centre, shrink
from paracosm.collect.videos import ImportConfig, choose_frames, import_videos
from paracosm.core.errors import ConfigError, DataError
from paracosm.data.video import VideoWriter

av = pytest.importorskip("av")


def write_video(file: Path, num_frames: int, fps: float, size: tuple[int, int] = (48, 96)) -> None:
    """Write frames whose brightness tells their number."""
    writer = VideoWriter(file, fps, *size, "h264")
    for index in range(num_frames):
        writer.add(np.full((*size, 3), index * 8, np.uint8))
    writer.close()


def write_uneven_video(file: Path, stamps: list[int]) -> None:
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv444p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(np.full((48, 96, 3), index * 8, np.uint8), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def make_config(folder: Path, **changes: Any) -> ImportConfig:
    return ImportConfig(
        **({"folder": folder / "in", "out": folder / "out", "height": 16, "width": 16, "fps": 30.0} | changes)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def shades(frames: np.ndarray) -> list[int]:
    return [round(float(frame.mean()) / 8) for frame in frames]


def test_every_frame_comes_once_and_in_order(folder: Path) -> None:
    write_video(folder / "in" / "walk.mp4", 20, 30)
    dataset = import_videos(make_config(folder))
    episode = dataset.episode("walk")
    assert shades(episode.frames) == list(range(20))
    assert not episode.has_controls
    assert episode.recipe.config is not None
    assert episode.recipe.config["selection"] == "every frame"
    assert dataset.info.name == "video:in"
    episode.verify()


def test_a_lower_rate_takes_every_nth_frame_and_notes_it(folder: Path) -> None:
    write_video(folder / "in" / "walk.mp4", 20, 30)
    episode = import_videos(make_config(folder, fps=10.0)).episodes[0]
    assert shades(episode.frames) == list(range(0, 20, 3))
    assert episode.truth("truth_source_frame").tolist() == list(range(0, 20, 3))
    assert episode.stored_recipe["config"]["selection"] == "every 3th frame"


def test_a_rate_that_does_not_divide_is_refused_or_resampled_with_a_note(folder: Path) -> None:
    write_video(folder / "in" / "walk.mp4", 20, 30)
    with pytest.raises(
        DataError, match=r"walk.mp4 has frames at 30.000 a second, which does not give 20 a second"
    ):
        import_videos(make_config(folder, fps=20.0))
    episode = import_videos(make_config(folder, fps=20.0, variable_rate="resample")).episodes[0]
    assert shades(episode.frames) == [0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18]
    assert episode.stored_recipe["config"]["selection"].startswith(
        "resampled to 20 a second from frames at 30.000"
    )


def test_uneven_frames_are_refused_or_resampled(folder: Path) -> None:
    write_uneven_video(folder / "in" / "screen.mp4", [0, 33, 66, 200, 233, 266])
    with pytest.raises(
        DataError, match=r'frames unevenly spaced \(0.0330 to 0.1340 s\).*set variable_rate to "resample"'
    ):
        import_videos(make_config(folder))
    episode = import_videos(
        make_config(folder, out=folder / "slow", variable_rate="resample", fps=15.0)
    ).episodes[0]
    assert shades(episode.frames) == [0, 2, 2, 3]


def test_import_goes_on_where_it_stopped(folder: Path) -> None:
    write_video(folder / "in" / "a.mp4", 5, 30)
    import_videos(make_config(folder))
    before = (folder / "out/episodes/a/episode.json").stat().st_mtime_ns
    write_video(folder / "in" / "b.mp4", 5, 30)
    assert len(import_videos(make_config(folder))) == 2
    assert (folder / "out/episodes/a/episode.json").stat().st_mtime_ns == before


def test_bad_videos_are_refused_by_name(folder: Path) -> None:
    with pytest.raises(DataError, match=r"in holds no video; put files ending in .mp4"):
        import_videos(make_config(folder))
    (folder / "in" / "broken.mp4").write_bytes(b"no video at all")
    with pytest.raises(DataError, match=r"broken.mp4 cannot be decoded .*; fetch it anew or remove it"):
        import_videos(make_config(folder))
    (folder / "in" / "broken.mkv").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"broken.mkv and broken.mp4 would become one episode; rename one of them"
    ):
        import_videos(make_config(folder))
    said = "0 x 16 at 30.0 frames/s makes no video; use finite numbers above 0"
    with pytest.raises(ConfigError, match=said):
        make_config(folder, height=0)
    with pytest.raises(ConfigError, match="at inf frames/s makes no video"):
        make_config(folder, fps=float("inf"))


def test_frames_are_chosen_by_number() -> None:
    even = [Fraction(index, 30) for index in range(10)]
    assert choose_frames(even, 30, "refuse", Path("x"))[0] == list(range(10))
    assert choose_frames(even, 15, "refuse", Path("x"))[0] == [0, 2, 4, 6, 8]
    # Matroska rounds to milliseconds; that is no variable rate.
    rounded = [Fraction(round(index * 1000 / 30), 1000) for index in range(100)]
    assert choose_frames(rounded, 30, "refuse", Path("x"))[0] == list(range(100))
    assert choose_frames(even[:1], 30, "refuse", Path("x"))[0] == [0]


def test_pictures_are_averaged_in_whole_numbers() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    small = shrink(image, 2, 3)
    expected = image.reshape(2, 2, 3, 2, 3).mean(axis=(1, 3))
    assert np.array_equal(small, np.floor(expected + 0.5).astype(np.uint8))
    assert np.array_equal(shrink(image, 8, 12), image.repeat(2, axis=0).repeat(2, axis=1))
    assert shrink(image, 4, 6) is image
    assert shrink(image, 3, 5).shape == (3, 5, 3)
    with pytest.raises(DataError, match=r"of shape \(4, 6\) and type uint8 cannot be resized; pass uint8"):
        shrink(image[..., 0], 2, 2)


def test_the_crop_is_centred_and_has_the_wanted_shape() -> None:
    image = np.zeros((48, 96, 3), np.uint8)
    image[:, 24:72] = 255
    assert crop_centre(image, 16, 16).shape == (48, 48, 3)
    assert crop_centre(image, 16, 16).min() == 255
    assert crop_centre(image, 10, 40).shape == (24, 96, 3)
