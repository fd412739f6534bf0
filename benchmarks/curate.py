"""Measures the curator: cuts found in spliced and in uncut play, and what each stage costs.

    python -m benchmarks.curate record --recordings runs/cuts
    python -m benchmarks.curate cuts --recordings runs/cuts/*/data/cuts_test
    python -m benchmarks.curate speed --minutes 10 --workers 2

``record`` plays held-out episodes of both games, of seeds that no recipe uses; nothing was tuned on them.
Spliced videos are made from recordings, so that every cut is known to the frame; uncut ones are episodes
as they were played, fast made turns, and flashes. ``speed`` curates a video of Doom, or with --video one of
your own, and scales the wall time to an hour. Figures go to benchmarks/curate_cuts.json and
benchmarks/curate_speed.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from paracosm.collect.games.doom import DoomConfig
from paracosm.collect.record import record
from paracosm.core.figures import Figure, make_report, show_report, write_report
from paracosm.core.rng import stream, sub_seed
from paracosm.curate.cuts import CutsConfig, find_cuts
from paracosm.curate.footage import find_sources
from paracosm.curate.measure import MeasureConfig, measure
from paracosm.curate.pipeline import run, stage_speeds
from paracosm.curate.stages import CurateConfig
from paracosm.data.reader import Dataset
from paracosm.evaluate.intervals import percentile_interval
from paracosm.recipes import coinrun, doom
from paracosm.worlds import make_policy, open_world

FOLDER = Path(__file__).parent
SEGMENTS, SEGMENT_FRAMES = 6, (20, 45)
FPS = 20
HOUR_FRAMES = 3600 * FPS
TEST_SEEDS = {"doom": 71, "coinrun": 72}
FIRST_TEST_WORLD_SEED = 1_500_000_000
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Video:
    """What was found in one video; ``known`` is empty where nothing was spliced."""

    kind: str
    num_frames: int
    known: frozenset[int]
    told: frozenset[int]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Cuts found, false ones and missed ones; a cut that is a frame off is both of the latter."""
        right = len(self.known & self.told)
        return right, len(self.told) - right, len(self.known) - right


def record_tests(out: Path) -> None:
    """Play the episodes that cuts are measured on: games of the recipes, seeds of their own."""
    games = {
        "doom": (doom.recordings, doom.games()["held_out"]),
        "coinrun": (coinrun.recordings, coinrun.game()),
    }
    for name, (recordings, game) in games.items():
        config = replace(
            recordings(out / name)["held_out"],
            out=out / name / "data" / "cuts_test",
            num_episodes=40 if name == "doom" else 60,
            max_steps=320,
            seed=TEST_SEEDS[name],
            first_world_seed=FIRST_TEST_WORLD_SEED,
            workers=1,
        )
        dataset = record(config, open_world, make_policy, world_config=game)
        print(f"{config.out}: {len(dataset)} episodes, {dataset.num_frames:,} frames")


def write_video(path: Path, frames: Any, height: int, width: int, fps: float = FPS) -> None:
    with av.open(str(path), "w") as out:
        track: Any = out.add_stream(
            "libx264", rate=Fraction(fps), options={"crf": "23", "preset": "veryfast"}
        )
        track.height, track.width, track.pix_fmt, track.thread_count = height, width, "yuv420p", 1
        for image in frames:
            if image.shape[:2] != (height, width):
                image = cv2.resize(
                    np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_CUBIC
                )
            out.mux(track.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        out.mux(track.encode(None))


def splice(dataset: Dataset, generator: np.random.Generator) -> tuple[list[np.ndarray], list[int]]:
    """Join pieces of different episodes; return the frames and where each piece but the first begins."""
    frames: list[np.ndarray] = []
    cuts = []
    for index in generator.permutation(len(dataset))[:SEGMENTS]:
        episode = dataset.episodes[int(index)]
        count = int(generator.integers(*SEGMENT_FRAMES))
        start = int(generator.integers(max(1, episode.num_frames - count)))
        if frames:
            cuts.append(len(frames))
        frames += list(np.asarray(episode.frames[start : start + count]))
    return frames, cuts


def fast_turn(seed: int, num_frames: int, flash: bool) -> list[np.ndarray]:
    """A mouse that jerks left and right over a scene, by up to a tenth of the picture a frame."""
    generator = stream(seed, "turn")
    scene = cv2.GaussianBlur(generator.integers(0, 255, (300, 2400, 3), np.uint8), (0, 0), 6)
    scene = cv2.normalize(scene, np.empty_like(scene), 0, 255, cv2.NORM_MINMAX)
    for _ in range(160):
        left, top = int(generator.integers(2350)), int(generator.integers(280))
        size, colour = generator.integers(10, 90, 2), generator.integers(0, 255, 3)
        scene[top : top + size[0], left : left + size[1]] = colour
    place, frames = 1000, []
    for step in range(num_frames):
        if step % 6 == 0:
            speed = int(generator.integers(-26, 27))
        place = int(np.clip(place + speed, 0, 2100))
        frames.append(scene[50:242, place : place + 256])
        if flash and step % 25 == 12:
            frames[-1] = np.minimum(frames[-1].astype(int) + 150, 255).astype(np.uint8)
    return frames


def cuts(given: argparse.Namespace) -> dict[str, Figure]:
    """Find the cuts of all videos, several at the same time."""
    context = multiprocessing.get_context("spawn")
    items = (
        (*item, given.judge, given.look) for item in material(given.recordings, given.videos, given.uncut)
    )
    found = []
    with ProcessPoolExecutor(given.workers, mp_context=context) as pool:
        for video, text in pool.map(find, items):
            print(text, flush=True)
            found.append(video)
    return cut_figures(found)


def find(item: tuple[str, str, list[np.ndarray], list[int], Any, Path | None]) -> tuple[Video, str]:
    """Find the cuts of one video; say what was found, and with what chance every wrong or missed one."""
    kind, name, frames, known, judge, look = item
    with tempfile.TemporaryDirectory() as place:
        write_video(Path(place) / "video.mp4", frames, 192, 256)
        source = find_sources(Path(place))[0]
        measured = measure(source, FPS, MeasureConfig())
        told = find_cuts(source, measured, CutsConfig(judge=judge))
    video = Video(kind=kind, num_frames=len(frames), known=frozenset(known), told=frozenset(told))
    wrong = sorted(video.known ^ video.told)
    if look is not None:
        for index in wrong:
            what = "missed" if index in known else "false"
            write_strip(look / f"{name}-{what}-{index}.png", frames, index)
    chances = {index: measured["cut_chance"][index].as_py() for index in wrong}
    proposed = int(np.sum(measured["proposed"].to_numpy(zero_copy_only=False)))
    counts = f"{video.num_frames} frames, {proposed} proposed, right false missed {video.counts}"
    return video, f"{name}: {counts} {chances}"


def cut_figures(found: list[Video]) -> dict[str, Figure]:
    """F1, precision and recall, with intervals over videos; false cuts of uncut ones by kind."""
    counts = np.array([video.counts for video in found])
    generator = stream(0, "videos")
    draws = [counts[generator.integers(0, len(counts), len(counts))].sum(axis=0) for _ in range(DRAWS)]
    right, false, missed = counts.sum(axis=0).tolist()
    ratios = {
        "f1": (lambda r, f, m: 2 * r / (2 * r + f + m), right + missed),
        "precision": (lambda r, f, m: r / (r + f), right + false),
        "recall": (lambda r, f, m: r / (r + m), right + missed),
    }
    figures = {
        f"curate.cuts.{name}": Figure(
            value=float(ratio(right, false, missed)),
            unit="share",
            n=n,
            ci95=percentile_interval(np.array([ratio(*draw) for draw in draws])),
        )
        for name, (ratio, n) in ratios.items()
    }
    for kind in dict.fromkeys(video.kind for video in found):
        uncut = [video for video in found if video.kind == kind and not video.known]
        figures[f"curate.cuts.false_on_uncut.{kind}"] = Figure(
            value=sum(len(video.told) for video in uncut),
            unit="cuts",
            n=sum(video.num_frames for video in uncut),
            higher_is_better=False,
        )
    return figures


def write_strip(path: Path, frames: list[np.ndarray], index: int) -> None:
    """Write the four frames before a place and the four from it on, side by side, with a gap between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [frames[min(max(place, 0), len(frames) - 1)] for place in range(index - 4, index + 4)]
    big = [
        cv2.resize(np.ascontiguousarray(image), (192, 144), interpolation=cv2.INTER_NEAREST)
        for image in shown
    ]
    gap = np.full((144, 12, 3), 255, np.uint8)
    cv2.imwrite(str(path), np.hstack([*big[:4], gap, *big[4:]])[..., ::-1])


def material(
    recordings: list[Path], videos: int, uncut: int
) -> Iterator[tuple[str, str, list[np.ndarray], list[int]]]:
    """Yield (kind, name, frames, known cuts)."""
    for path in recordings:
        dataset, generator = Dataset(path), stream(0, "splice", path.parts[-3])
        kind = dataset.info.name.partition(":")[2]
        for number in range(videos):
            yield kind, f"spliced-{kind}-{number}", *splice(dataset, generator)
        for number in generator.permutation(len(dataset))[:uncut].tolist():
            yield kind, f"uncut-{kind}-{number}", list(np.asarray(dataset.episodes[number].frames[:300])), []
    for number in range(max(2, uncut // 4)):
        yield "fast_turns", f"turns-{number}", fast_turn(number, 150, False), []
        yield "flashes", f"flashes-{number}", fast_turn(100 + number, 150, True), []


def play(seed: int, num_frames: int) -> Iterator[np.ndarray]:
    """Play Doom at 640 x 360 on levels that differ by seed; an episode of a minute, then the next."""
    game = DoomConfig(height=360, width=640, render_width=640, level_seeds=(seed % 99 + 1,))
    world, episode = open_world("game:doom", game), 0
    try:
        for index in range(num_frames):
            if index % (60 * FPS) == 0:
                frame = world.reset(seed=sub_seed(seed, "speed", episode))
                player = make_policy("game:doom", "explorer")
                player.reset(world, frame, episode)
                episode += 1
            yield frame.image
            frame = world.step(player.act(frame))
    finally:
        world.close()


def speed(minutes: float, workers: int, video: list[Path]) -> dict[str, Figure]:
    """Curate videos and tell what each stage costs, and how long an hour would take by the clock."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "videos"
        folder.mkdir()
        for number, path in enumerate(video):
            (folder / f"{number}{path.suffix}").symlink_to(path.resolve())
        for number in range(0 if video else workers):
            frames = play(number, round(minutes * 60 * FPS / workers))
            write_video(folder / f"{number}.mp4", frames, 360, 640)
            print(f"video {number + 1} of {workers} is written", flush=True)
        config = CurateConfig(folder=folder, out=Path(place) / "out", workers=workers)
        begun = time.perf_counter()
        outcomes = run(config)
        wall = time.perf_counter() - begun
        speeds = stage_speeds(config)
    return speed_figures(
        speeds,
        num_frames=sum(outcome.num_frames for outcome in outcomes),
        spent=sum(sum(outcome.seconds.values()) for outcome in outcomes),
        wall=wall,
        workers=workers,
    )


def speed_figures(
    speeds: dict[str, float], *, num_frames: int, spent: float, wall: float, workers: int
) -> dict[str, Figure]:
    """Frames a second of each stage, and an hour of 20 frames/s by processor time and by the clock."""
    hour = HOUR_FRAMES / num_frames
    print(
        f"{num_frames / FPS / 60:.1f} minutes of video took {wall:.0f} s by the clock on {workers} workers, "
        f"their start included: {wall * hour / 60:.1f} minutes for an hour"
    )
    figures = {
        f"curate.speed.{name}": Figure(value=value, unit="frames/processor s", n=num_frames)
        for name, value in speeds.items()
    }
    return figures | {
        "curate.speed.all": Figure(value=num_frames / spent, unit="frames/processor s", n=num_frames),
        "curate.hour_on_two_cores_min": Figure(
            value=spent * hour / 60 / 2, unit="min, from processor time", n=num_frames, higher_is_better=False
        ),
        "curate.hour_wall_min": Figure(
            value=wall * hour / 60, unit=f"min, by the clock, {workers} workers", n=num_frames,
            higher_is_better=False,
        ),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("record", "cuts", "speed"))
    parser.add_argument("--recordings", type=Path, nargs="*", default=[], help="of cuts; of record where to")
    parser.add_argument("--videos", type=int, default=20, help="spliced videos of each recording")
    parser.add_argument("--uncut", type=int, default=10, help="uncut videos of each recording")
    parser.add_argument("--judge", choices=("evidence", "transnet"), default="evidence")
    parser.add_argument("--look", type=Path, help="folder for pictures of what was missed and false")
    parser.add_argument("--minutes", type=float, default=10.0, help="of Doom that speed curates")
    parser.add_argument("--video", type=Path, nargs="*", default=[], help="videos that speed curates instead")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.what == "record":
        record_tests(given.recordings[0])
        return
    figures = cuts(given) if given.what == "cuts" else speed(given.minutes, given.workers, given.video)
    name = given.what if given.judge == "evidence" else f"{given.what}_{given.judge}"
    command = shlex.join(["python", "-m", "benchmarks.curate", *sys.argv[1:]])
    report = make_report(command, figures, seeds=(0,))
    write_report(report, FOLDER / f"curate_{name}.json")
    print(show_report(report))


if __name__ == "__main__":
    main()
