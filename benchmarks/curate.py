"""Measures the curator: cuts found in spliced and in uncut play, and what each stage costs.

    python -m benchmarks.curate cuts --recordings runs/doom/data/held_out runs/coinrun/data/held_out
    python -m benchmarks.curate speed

Spliced videos are made from recordings, so that every cut is known to the frame; uncut ones are episodes
as they were played, fast made turns, and flashes. Figures go to benchmarks/curate_cuts.json and
benchmarks/curate_speed.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from paracosm.core.figures import Figure, make_report, show_report, write_report
from paracosm.core.rng import stream
from paracosm.curate.cuts import CutsConfig, find_cuts
from paracosm.curate.footage import find_sources
from paracosm.curate.measure import MeasureConfig, measure
from paracosm.curate.pipeline import run, stage_speeds
from paracosm.curate.stages import CurateConfig
from paracosm.data.reader import Dataset

FOLDER = Path(__file__).parent
SEGMENTS, SEGMENT_FRAMES = 6, (20, 45)
FPS = 20


def write_video(path: Path, frames: Any, height: int, width: int) -> None:
    with av.open(str(path), "w") as out:
        track: Any = out.add_stream(
            "libx264", rate=Fraction(FPS), options={"crf": "23", "preset": "veryfast"}
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


def cuts(recordings: list[Path], videos: int, judge: Any) -> dict[str, Figure]:
    config, found, false_by_kind, frames_by_kind = CutsConfig(judge=judge), [0, 0, 0], {}, {}
    with tempfile.TemporaryDirectory() as place:
        for kind, name, frames, known in material(recordings, videos):
            folder = Path(place) / name
            folder.mkdir()
            write_video(folder / f"{name}.mp4", frames, 192, 256)
            source = find_sources(folder)[0]
            measured = measure(source, FPS, MeasureConfig())
            told = find_cuts(source, measured, config)
            proposed = int(np.sum(measured["proposed"].to_numpy(zero_copy_only=False)))
            right = len(set(told) & set(known))
            found[0] += right
            found[1] += len(told) - right
            found[2] += len(known) - right
            if not known:
                false_by_kind[kind] = false_by_kind.get(kind, 0) + len(told)
                frames_by_kind[kind] = frames_by_kind.get(kind, 0) + len(frames)
            wrong = {index: measured["cut_chance"][index].as_py() for index in sorted(set(told) ^ set(known))}
            print(
                name,
                len(frames),
                "proposed",
                proposed,
                "known",
                len(known),
                "right",
                right,
                wrong,
                flush=True,
            )
    hit, false, missed = found
    figures = {
        "curate.cuts.f1": Figure(value=2 * hit / (2 * hit + false + missed), unit="share", n=hit + missed),
        "curate.cuts.precision": Figure(value=hit / max(hit + false, 1), unit="share", n=hit + false),
        "curate.cuts.recall": Figure(value=hit / max(hit + missed, 1), unit="share", n=hit + missed),
    }
    for kind, count in false_by_kind.items():
        name = f"curate.cuts.false_on_uncut.{kind}"
        figures[name] = Figure(value=count, unit="cuts", n=frames_by_kind[kind], higher_is_better=False)
    return figures


def material(recordings: list[Path], videos: int) -> Any:
    """Yield (kind, name, frames, known cuts)."""
    for path in recordings:
        dataset, generator = Dataset(path), stream(0, "splice", path.parts[-3])
        kind = dataset.info.name.partition(":")[2]
        for number in range(videos):
            yield kind, f"spliced-{kind}-{number}", *splice(dataset, generator)
        for number in generator.permutation(len(dataset))[:videos].tolist():
            yield kind, f"uncut-{kind}-{number}", list(np.asarray(dataset.episodes[number].frames[:300])), []
    for number in range(max(2, videos // 2)):
        yield "fast_turns", f"turns-{number}", fast_turn(number, 150, False), []
        yield "flashes", f"flashes-{number}", fast_turn(100 + number, 150, True), []


def speed(seconds: int, workers: int) -> dict[str, Figure]:
    """Curate two made videos of 640 x 360 and tell what each stage costs."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "videos"
        folder.mkdir()
        for number in range(2):
            small = fast_turn(number, seconds * FPS // 2, False)
            grain = stream(number, "grain").normal(0, 4, (360, 640, 1))
            frames = (
                np.clip(cv2.resize(np.ascontiguousarray(image), (640, 360)) + grain, 0, 255).astype(np.uint8)
                for image in small
            )
            write_video(folder / f"{number}.mp4", frames, 360, 640)
        config = CurateConfig(folder=folder, out=Path(place) / "out", workers=workers)
        begun = time.perf_counter()
        outcomes = run(config)
        wall = time.perf_counter() - begun
        speeds = stage_speeds(config)
    num_frames = sum(outcome.num_frames for outcome in outcomes)
    spent = sum(sum(outcome.seconds.values()) for outcome in outcomes)
    hour = 3600 * FPS / num_frames
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
            value=wall * hour / 60, unit="min, on this machine as busy as it was", n=num_frames,
            higher_is_better=False,
        ),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("cuts", "speed"))
    parser.add_argument("--recordings", type=Path, nargs="*", default=[])
    parser.add_argument("--videos", type=int, default=10, help="spliced and uncut videos of each recording")
    parser.add_argument("--judge", choices=("evidence", "transnet"), default="evidence")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.what == "cuts":
        figures = cuts(given.recordings, given.videos, given.judge)
    else:
        figures = speed(given.seconds, given.workers)
    name = given.what if given.judge == "evidence" else f"{given.what}_{given.judge}"
    report = make_report(f"python -m benchmarks.curate {given.what}", figures, seeds=(0,))
    write_report(report, FOLDER / f"curate_{name}.json")
    print(show_report(report))


if __name__ == "__main__":
    main()
