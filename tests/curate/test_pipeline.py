"""Resumable and safe to kill: what was written stays, and what is missing is done."""

import gc
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from paracosm.core.errors import BusyError, ConfigError, DataError
from paracosm.core.files import TEMPORARY_PREFIX
from paracosm.curate.cuts import CutsConfig, Shot, lay_out, split_shot
from paracosm.curate.measure import MeasureConfig
from paracosm.curate.motion import MotionConfig
from paracosm.curate.pipeline import SOURCES_FILE, run, stage_speeds
from paracosm.curate.probe import find_gaps
from paracosm.curate.report import ReportConfig, build_page
from paracosm.curate.scores import add_up, read_scores, show_origin
from paracosm.curate.select import SelectConfig, decide, show_yields
from paracosm.curate.stages import SOURCE_STAGES, CurateConfig, stage_keys
from paracosm.curate.store import ScoreStore
from tests.curate.conftest import CUTS
from tests.curate.made import pan, write_video

KILLS = 20


def tables(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted((out / "scores").rglob("*"))
        if path.is_file()
    }


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in (out / "scores").rglob("*.parquet") if (out / "scores").exists() else []:
        if path.name.startswith(TEMPORARY_PREFIX):
            continue
        facts = path.stat()
        found[path.relative_to(out).as_posix()] = (facts.st_ino, facts.st_mtime_ns)
    return found


def test_a_second_run_does_nothing(curated_once):
    before = stamps(curated_once.out)
    outcomes = run(curated_once)
    assert all(outcome.seconds == {} for outcome in outcomes)
    assert stamps(curated_once.out) == before


def test_two_processes_find_what_one_finds(curated_once, tmp_path):
    config = CurateConfig(folder=curated_once.folder, out=tmp_path / "out", workers=2, cuts=CUTS)
    run(config)
    assert tables(config.out) == tables(curated_once.out)


def test_a_changed_threshold_decodes_nothing_again(curated_once, curated):
    config = CurateConfig(
        folder=curated_once.folder, out=curated, workers=1, cuts=CUTS, motion=MotionConfig(still=0.5)
    )
    outcomes = run(config)
    assert {name for outcome in outcomes for name in outcome.seconds} == {"motion"}
    assert read_scores(curated).clips["camera"].to_pylist()[0] == "still"


def test_a_changed_file_is_scored_anew(tmp_path):
    config = CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out", workers=1, cuts=CUTS)
    write_video(config.folder / "a.mp4", pan(1, 25))
    run(config)
    write_video(config.folder / "a.mp4", pan(1, 35))
    run(config)
    assert read_scores(config.out).clips["clip"].to_pylist() == ["a.mp4#0-35"]


def test_settings_of_an_early_stage_reach_the_keys_of_later_ones():
    first = stage_keys(CurateConfig(folder=Path("a")))
    second = stage_keys(CurateConfig(folder=Path("b"), measure=MeasureConfig(small_width=96)))
    assert first["probe"] == second["probe"]
    assert all(first[name] != second[name] for name in SOURCE_STAGES[1:])


def test_long_and_odd_names_have_files_of_their_own(tmp_path):
    store = ScoreStore(tmp_path)
    names = ["a/b.mp4", "a%2Fb.mp4", "ü" * 90 + "1", "ü" * 90 + "2", "a b\n.mp4"]
    paths = {store.table_path("cuts", "v1", name, "0").name for name in names}
    assert len(paths) == len(names)
    assert all(len(name.encode()) < 255 for name in paths)


def test_two_runs_in_one_folder_are_refused(tmp_path):
    write_video(tmp_path / "videos" / "a.mp4", pan(1, 5))
    store = ScoreStore(tmp_path / "out")
    with store.lock(), pytest.raises(BusyError, match="is being curated by process"):
        run(CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out"))


def test_no_worker_is_refused():
    with pytest.raises(ConfigError, match="workers 0 would do nothing"):
        CurateConfig(folder=Path("a"), workers=0)


def test_speeds_are_told_for_each_stage(curated_once):
    assert set(stage_speeds(curated_once)) == set(SOURCE_STAGES)


def test_a_long_gap_parts_two_shots_and_clips_are_as_long_as_their_own_times_say(tmp_path):
    config = CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out", workers=1, cuts=CUTS)
    times = [index * 100 + (10_000_000 if index >= 40 else 0) for index in range(80)]
    write_video(config.folder / "a.mkv", pan(1, 80, step=2), times=times)
    run(config)
    clips = read_scores(config.out).clips.select(["start", "stop", "seconds", "begins", "fps"]).to_pylist()
    assert [(row["start"], row["stop"], row["begins"]) for row in clips] == [
        (0, 40, "source"),
        (40, 80, "gap"),
    ]
    assert [row["seconds"] for row in clips] == pytest.approx([4.0, 4.0])
    assert [row["fps"] for row in clips] == pytest.approx([10.0, 10.0], rel=1e-3)


def test_a_clock_that_begins_anew_parts_two_shots(tmp_path):
    config = CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out", workers=1, cuts=CUTS)
    once = write_video(config.folder / "a.ts", pan(1, 30), container="mpegts")
    once.write_bytes(once.read_bytes() * 2)
    run(config)
    clips = read_scores(config.out).clips.to_pylist()
    assert [(row["start"], row["stop"], row["begins"]) for row in clips] == [
        (0, 30, "source"),
        (30, 60, "gap"),
    ]
    assert {round(row["fps"], 3) for row in clips} == {10.0}


@pytest.mark.parametrize("fps", [10, 24, 23.976, 30, 59.94])
def test_an_even_rate_is_split_as_whole_frames_of_that_rate(fps):
    starts, step, gap_s = lay_out(np.arange(1500) / fps, fps)
    pieces = split_shot(Shot(start=7, stop=1450, begins="cut"), starts, step, CutsConfig())
    most = round(16 * fps)
    assert [stop - start for start, stop, _ in pieces[:-1]] == [most] * (1443 // most)
    assert (pieces[-1][2] == "") == (1443 % most < round(4 * fps))
    assert gap_s == 0


def test_what_is_in_no_clip_is_told_with_its_reason(tmp_path):
    config = CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out", workers=1, cuts=CUTS)
    black = [np.zeros((72, 128, 3), np.uint8)] * 20
    write_video(config.folder / "mixed.mp4", [*pan(1, 30), *black, *pan(2, 10), *black])
    write_video(config.folder / "short.mp4", pan(3, 12))
    (config.folder / "bad.mp4").write_bytes(b"no video")
    for _ in range(2):  # what an earlier run found is told as well
        outcomes = {outcome.source: outcome for outcome in run(config)}
        assert outcomes["short.mp4"].reason == "short.mp4 gave no clip: 1.2 s too short"
    scores = read_scores(config.out)
    rows = {row["source"]: row for row in scores.sources.to_pylist()}
    names = ("clips", "seconds", "clip_seconds", "too_short_seconds", "black_seconds", "gap_seconds")
    assert [rows["mixed.mp4"][name] for name in names] == pytest.approx([1, 8.0, 3.0, 1.0, 4.0, 0.0])
    assert [rows["bad.mp4"][name] for name in names] == [None] * 6
    assert show_origin(add_up(scores.sources)) == (
        "3 files, 2 scored; 1 gave no clip; 0.003 hours probed, 0.001 in clips; "
        "hours in no clip: 0.001 too short, 0.001 black"
    )
    selection = decide(scores, SelectConfig(out=config.out))
    assert show_yields(selection).startswith("3 files, 2 scored; 1 gave no clip")
    page = build_page(scores, selection, ReportConfig(out=config.out))
    assert page.count("3 files, 2 scored; 1 gave no clip") == 2
    assert "short.mp4 gave no clip: 1.2 s too short" in page


def test_a_folder_that_gave_no_clip_can_be_selected_and_reported(tmp_path):
    config = CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out", workers=1, cuts=CUTS)
    write_video(config.folder / "short.mp4", pan(3, 12))
    run(config)
    scores = read_scores(config.out)
    selection = decide(scores, SelectConfig(out=config.out, where="motion > 0.1"))
    assert "1 files, 1 scored; 1 gave no clip" in show_yields(selection)
    assert "gave no clip" in build_page(scores, selection, ReportConfig(out=config.out))


def test_a_folder_of_an_older_version_says_what_to_run(curated):
    path = curated / SOURCES_FILE
    pq.write_table(pq.read_table(path).drop_columns(["clips"]), path)
    with pytest.raises(DataError, match="was curated by an older version; run: paracosm curate run FOLDER"):
        read_scores(curated)


def test_slow_frames_are_no_gaps():
    spacing = np.array([2.0, 2.0, 9.0, 2.0, -1.0, 2.0])
    assert find_gaps(spacing).tolist() == [False, False, True, False, True, False]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path):
    folder, straight = tmp_path / "videos", tmp_path / "straight"
    for number in range(6):
        write_video(folder / f"{number}.mp4", pan(number, 25))
    (folder / "bad.mp4").write_bytes(b"no video")
    begun = time.monotonic()
    run(CurateConfig(folder=folder, out=straight, workers=1, cuts=CUTS))
    seconds, dice = time.monotonic() - begun, random.Random(0)
    # Only kills that met a run at work count; a run that was done first is compared, and another begun.
    kills = finished = 0
    while kills < KILLS:
        config = CurateConfig(folder=folder, out=tmp_path / f"out-{finished}", workers=1, cuts=CUTS)
        before = stamps(config.out)
        killed = _run_and_kill(config, dice.uniform(0.0, seconds / 3))
        after = stamps(config.out)
        assert {name: after.get(name) for name in before} == before, "a finished table was lost or made again"
        kills += killed
        if not killed:
            assert tables(config.out) == tables(straight)
            finished += 1
    before = stamps(config.out)
    run(config)
    after = stamps(config.out)
    assert {name: after[name] for name in before} == before
    assert tables(config.out) == tables(straight)


def _run_and_kill(config: CurateConfig, after_s: float) -> bool:
    """Run in a fork, which has everything imported, and kill it; say whether it was still at work."""
    child = os.fork()
    if child == 0:
        status = 1
        gc.disable()  # else it would tidy up games of other tests, whose threads a fork has not got
        try:
            run(config)
            status = 0
        finally:
            os._exit(status)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert os.WEXITSTATUS(status) == 0, "a run that goes on failed"
        return False
    assert os.WTERMSIG(status) == signal.SIGKILL, "a run that goes on crashed"
    return True


@pytest.mark.slow
def test_workers_end_when_their_run_is_killed(tmp_path):
    for number in range(4):
        write_video(tmp_path / "videos" / f"{number}.mp4", pan(number, 60))
    words = ["-c", "from paracosm.cli.main import main; import sys; main(sys.argv[1:])", "curate", "run"]
    process = subprocess.Popen(
        [sys.executable, *words, str(tmp_path / "videos"), "--out", str(tmp_path / "out")],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    children: list[int] = []
    deadline = time.monotonic() + 90
    while not children and time.monotonic() < deadline:
        time.sleep(0.1)
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        children = [int(child) for child in found]
    process.kill()
    process.wait()
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)
