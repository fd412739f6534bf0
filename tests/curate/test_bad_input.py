"""Every file of a folder gets its row and its reason; the rest goes on."""

import os
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from paracosm.core import files
from paracosm.core.errors import DataError, MissingPackageError
from paracosm.curate import pipeline
from paracosm.curate.footage import Source, find_sources, iterate_pictures
from paracosm.curate.pipeline import Outcome, run
from paracosm.curate.probe import ProbeConfig, as_row, probe
from paracosm.curate.scores import find_source, open_folder, read_scores
from paracosm.curate.stages import CurateConfig
from tests.curate.made import pan, write_video


def only(folder: Path, name: str) -> Source:
    return next(source for source in find_sources(folder) if source.name == name)


def probed(folder: Path, name: str) -> dict[str, Any]:
    return as_row(probe(only(folder, name), ProbeConfig()))


def reason_of(folder: Path, name: str) -> str:
    with pytest.raises(DataError) as caught:
        probe(only(folder, name), ProbeConfig())
    return str(caught.value)


def test_text_that_calls_itself_a_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("#EXTM3U\nhttp://127.0.0.1:1/secret\n")
    assert "a.mp4 cannot be opened as a video" in reason_of(tmp_path, "a.mp4")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.mkv").touch()
    assert reason_of(tmp_path, "a.mkv") == "a.mkv is empty; fetch it anew"


def test_a_truncated_video_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", pan(0, 20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be opened" in reason_of(tmp_path, "a.mp4")


def test_sound_alone_is_refused(tmp_path):
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000))
    with av.open(str(tmp_path / "a.mkv"), "w") as out, av.open(str(tmp_path / "tone.wav")) as sound:
        track: Any = out.add_stream("pcm_s16le", rate=8000)
        for frame in sound.decode(audio=0):
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    assert reason_of(tmp_path, "a.mkv") == "a.mkv holds only sound; leave it out"


def test_a_single_frame_is_refused(tmp_path):
    write_video(tmp_path / "a.mp4", pan(0, 1))
    assert "1 frame(s), two are needed" in reason_of(tmp_path, "a.mp4")


def test_a_tiny_picture_is_refused(tmp_path):
    write_video(tmp_path / "a.mp4", [frame[:16, :16] for frame in pan(0, 5)])
    assert "a.mp4 is 16 x 16, 32 each way are needed" in reason_of(tmp_path, "a.mp4")


def test_a_video_with_a_wrong_ending_is_told_which_ending_it_needs(tmp_path):
    write_video(tmp_path / "a.dat", pan(0, 5), container="matroska")
    assert 'holds a video but ends in ".dat"; rename it to end in .mkv' in reason_of(tmp_path, "a.dat")


def test_a_container_under_another_ending_is_read_and_noted(tmp_path):
    write_video(tmp_path / "a.mp4", pan(0, 5), container="matroska")
    assert probed(tmp_path, "a.mp4")["notes"] == "the ending says mp4, the file is matroska,webm"


def test_what_is_no_video_and_does_not_say_so_is_passed_over(tmp_path):
    (tmp_path / "notes.txt").write_text("where these come from")
    assert reason_of(tmp_path, "notes.txt") == "notes.txt is no video and was passed over"


def test_a_link_to_nothing_and_a_pipe_are_refused_and_nothing_waits(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    os.mkfifo(tmp_path / "b.mp4")
    assert reason_of(tmp_path, "a.mp4") == "a.mp4 is a link to nothing; restore what it points to"
    assert reason_of(tmp_path, "b.mp4") == "b.mp4 is no plain file; leave it out"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    write_video(tmp_path / "a.mp4", pan(0, 3)).chmod(0)
    assert "a.mp4 cannot be read (Permission denied)" in reason_of(tmp_path, "a.mp4")


def test_uneven_frames_are_noted(tmp_path):
    times = [0, 100, 150, 400, 500, 900]
    write_video(tmp_path / "a.mkv", pan(0, 6), times=times)
    row = probed(tmp_path, "a.mkv")
    assert row["variable_rate"]
    assert "frames are unevenly spaced" in row["notes"]


def test_ten_bits_are_read_as_eight_and_noted(tmp_path):
    write_video(tmp_path / "a.mkv", pan(0, 4), codec="ffv1", pix_fmt="yuv420p10le", options={})
    assert probed(tmp_path, "a.mkv")["notes"] == "10 bits a colour, read as 8"
    pictures = list(iterate_pictures(only(tmp_path, "a.mkv"), 64))
    assert pictures[0].small.dtype == np.uint8
    assert len(pictures) == 4


def test_a_turned_video_is_read_upright_and_noted(tmp_path):
    frames = pan(0, 4)
    write_turned(tmp_path / "a.mp4", frames)
    row = probed(tmp_path, "a.mp4")
    assert (row["width"], row["height"]) == (72, 128)
    assert "the picture is stored turned by" in row["notes"]
    whole = next(iterate_pictures(only(tmp_path, "a.mp4"), 64)).read_whole()
    near = [np.abs(np.rot90(frames[0], turns).astype(int) - whole).mean() for turns in (1, 3)]
    assert whole.shape == (128, 72, 3)
    assert min(near) < 12 < max(near)


def test_one_name_with_two_endings_makes_two_sources(tmp_path):
    write_video(tmp_path / "a.mp4", pan(0, 3))
    write_video(tmp_path / "a.mkv", pan(1, 3))
    write_video(tmp_path / "deep" / "a.mp4", pan(2, 3))
    assert [source.name for source in find_sources(tmp_path)] == ["a.mkv", "a.mp4", "deep/a.mp4"]


def test_bad_files_get_rows_and_good_ones_are_scored(tmp_path):
    folder, out = tmp_path / "videos", tmp_path / "out"
    write_video(folder / "good.mp4", pan(0, 50))
    (folder / "bad.mp4").write_bytes(b"\0" * 4000)
    outcomes = run(CurateConfig(folder=folder, out=out, workers=1))
    assert {outcome.source: outcome.status for outcome in outcomes} == {
        "bad.mp4": "refused",
        "good.mp4": "ok",
    }
    _, table = open_folder(out)
    rows = {row["source"]: row for row in table.to_pylist()}
    assert rows["bad.mp4"]["stage"] == "probe"
    assert "cannot be opened as a video" in rows["bad.mp4"]["reason"]


def test_a_full_disk_is_told_for_each_source_and_the_next_run_goes_on(tmp_path, monkeypatch):
    folder, out = tmp_path / "videos", tmp_path / "out"
    write_video(folder / "a.mp4", pan(0, 50))
    write_video(folder / "b.mp4", pan(1, 50))
    config = CurateConfig(folder=folder, out=out, workers=1)
    flush = files._flush

    def full(file: Path) -> None:
        if "scores/cuts" in file.as_posix() and "a.mp4" in file.name:
            raise OSError(28, "No space left on device")
        flush(file)

    monkeypatch.setattr(files, "_flush", full)
    outcomes = {outcome.source: outcome for outcome in run(config)}
    assert outcomes["a.mp4"].status == "not written"
    assert "No space left on device" in outcomes["a.mp4"].reason
    assert outcomes["b.mp4"].status == "ok"
    monkeypatch.setattr(files, "_flush", flush)
    again = {outcome.source: outcome for outcome in run(config)}
    assert again["a.mp4"].status == "ok"
    assert "measure" not in again["a.mp4"].seconds, (
        "what was written before the disk was full is not repeated"
    )


def test_a_file_that_ends_its_process_is_named_and_the_others_are_scored(tmp_path, monkeypatch):
    folder, out = tmp_path / "videos", tmp_path / "out"
    write_video(folder / "a.mp4", pan(0, 5))
    write_video(folder / "b.mp4", pan(1, 5))

    def pool(sources: list[Source], config: CurateConfig, workers: int):
        for source in sources:
            if source.name == "a.mp4":
                raise pipeline.BrokenProcessPool("a child died")
            yield Outcome(source=source.name, status="ok")

    monkeypatch.setattr(pipeline, "_run_pool", pool)
    outcomes = {outcome.source: outcome for outcome in run(CurateConfig(folder=folder, out=out))}
    assert outcomes["b.mp4"].status == "ok"
    assert outcomes["a.mp4"].reason == (
        "a.mp4 ended the process that read it, in the stage probe; convert it with ffmpeg first"
    )


def test_a_picture_that_changes_its_size_is_refused_and_the_rest_is_scored(tmp_path):
    folder = tmp_path / "videos"
    first = write_video(folder / "a.ts", pan(1, 20), container="mpegts").read_bytes()
    second = write_video(folder / "b.ts", pan(2, 20, height=96), container="mpegts").read_bytes()
    (folder / "both.ts").write_bytes(first + second)
    outcomes = {
        outcome.source: outcome for outcome in run(CurateConfig(folder=folder, out=tmp_path, workers=1))
    }
    assert [outcomes[name].status for name in ("a.ts", "b.ts", "both.ts")] == ["ok", "ok", "refused"]
    assert outcomes["both.ts"].reason == (
        f"{folder}/both.ts changes from 128 x 72 to 128 x 96 at frame 20; part it there, or "
        "convert it to one size"
    )


def test_a_name_that_is_not_utf8_is_scored_under_a_name_that_can_be_written(tmp_path):
    folder = tmp_path / "videos"
    write_video(folder / "a.mp4", pan(0, 50)).rename(os.fsdecode(os.fsencode(folder) + b"/\xff.mp4"))
    write_video(folder / "\\xff.mp4", pan(1, 50))
    (folder / os.fsdecode(b"\xfe.mp4")).write_bytes(b"nothing")
    config = CurateConfig(folder=folder, out=tmp_path / "out", workers=1)
    outcomes = run(config)
    assert {outcome.source: outcome.status for outcome in outcomes} == {
        "\\xfe.mp4": "refused", "\\xff.mp4": "ok", "\\\\xff.mp4": "ok",
    }  # fmt: skip
    assert [outcome.seconds for outcome in run(config)] == [{}, {}, {}]
    scores = read_scores(config.out)
    assert set(scores.clips["source"].to_pylist()) == {"\\xff.mp4", "\\\\xff.mp4"}
    assert find_source(scores, "\\xff.mp4").path.exists()


def test_our_own_fault_costs_one_source_is_told_apart_and_tried_again(tmp_path, monkeypatch):
    folder = tmp_path / "videos"
    write_video(folder / "a.mp4", pan(0, 50))
    write_video(folder / "b.mp4", pan(1, 50))
    config = CurateConfig(folder=folder, out=tmp_path / "out", workers=1)
    stage = pipeline.run_stage

    def break_once(name: str, source: Source, *rest: Any) -> Any:
        if (name, source.name) == ("motion", "a.mp4"):
            raise ZeroDivisionError("division\nby zero")
        return stage(name, source, *rest)

    monkeypatch.setattr(pipeline, "run_stage", break_once)
    outcomes = {outcome.source: outcome for outcome in run(config)}
    assert outcomes["b.mp4"].status == "ok"
    assert (outcomes["a.mp4"].status, outcomes["a.mp4"].stage) == ("failed", "motion")
    assert outcomes["a.mp4"].reason.startswith(
        "a.mp4: internal error in stage motion: ZeroDivisionError: division by zero (test_bad_input.py:"
    )
    assert [row["status"] for row in open_folder(config.out)[1].to_pylist()] == ["failed", "ok"]
    monkeypatch.setattr(pipeline, "run_stage", stage)
    assert [outcome.status for outcome in run(config)] == ["ok", "ok"]


def test_a_missing_package_still_ends_a_run(tmp_path, monkeypatch):
    write_video(tmp_path / "videos" / "a.mp4", pan(0, 5))

    def lack(*_: Any) -> Any:
        raise MissingPackageError("cv2 is not installed")

    monkeypatch.setattr(pipeline, "run_stage", lack)
    with pytest.raises(MissingPackageError):
        run(CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out", workers=1))


def write_turned(path: Path, frames: list[np.ndarray]) -> None:
    """Write an MP4 whose header says that it is shown turned by a quarter."""
    write_video(path, frames)
    content = bytearray(path.read_bytes())
    # The track header holds nine fixed-point numbers that map the picture to the screen.
    place = content.index(b"tkhd") + 4 + 40
    matrix = [0, 1 << 16, 0, -(1 << 16), 0, 0, frames[0].shape[0] << 16, 0, 1 << 30]
    content[place : place + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in matrix)
    path.write_bytes(content)
