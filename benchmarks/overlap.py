"""What writing the cache behind the frame on show is worth: ``python -m benchmarks.overlap --json FILE``.

A world is played with ``overlap`` "none" and "behind" in turns of a few steps, so that a machine that slows
down slows both. Unpaced for frames a second, the picture compressed after each step as the player does; paced
at the world's own rate for the time from a control to its picture. A streamed world's folder may be measured
as well: ``--worlds FOLDER``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import get_args

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.figures import Figure, make_report, write_report
from paracosm.core.stats import estimate
from paracosm.core.world import World
from paracosm.play.engine import EngineConfig, open_model_world
from paracosm.play.neural_base import Overlap
from paracosm.play.pictures import encode_jpeg
from paracosm.zoo import bundled_worlds

TURN_STEPS = 20
"""Steps before the other way has its turn; a multiple of a streamed world's block would hide its end."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", nargs="*", default=list(bundled_worlds()))
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = {"cores": Figure(value=len(os.sched_getaffinity(0)), higher_is_better=None)}
    for name in options.worlds:
        figures |= measure(name, options.turns, options.threads)
    for name, figure in figures.items():
        print(f"{name:44} {figure.value:10.4g} {figure.unit}")
    if options.json:
        write_report(make_report("python -m benchmarks.overlap", figures), options.json)


def measure(name: str, turns: int, num_threads: int) -> dict[str, Figure]:
    """Frames a second and answer times of both ways, and their ratios."""
    worlds = {
        kind: open_model_world(name, EngineConfig(overlap=kind, num_threads=num_threads))
        for kind in get_args(Overlap)
    }
    for world in worlds.values():
        world.reset(0)
    rates: dict[str, list[float]] = {kind: [] for kind in worlds}
    answers: dict[str, list[float]] = {kind: [] for kind in worlds}
    for turn in range(turns + 1):
        for kind, world in worlds.items():
            rate, answer = unpaced(world), paced(world)
            if turn:  # the first turn warms up
                rates[kind].append(rate)
                answers[kind].append(answer)
    short = Path(name).name
    figures = {}
    for kind in worlds:
        figures[f"{short}.frames_per_second.{kind}"] = of_many(rates[kind], "frames/s", better=True)
        figures[f"{short}.answer_ms.{kind}"] = of_many(answers[kind], "ms", better=False)
    gains = np.array(rates["behind"]) / np.array(rates["none"])
    saved = np.array(answers["none"]) - np.array(answers["behind"])
    figures[f"{short}.speed_up"] = of_many(gains, "ratio", better=True)
    figures[f"{short}.saved_ms"] = of_many(saved, "ms", better=True)
    return figures


def unpaced(world: World) -> float:
    """Frames a second with nothing between steps but the compression of the picture."""
    control = Control(keys={world.info.controls.keys[0]})
    began = time.perf_counter()
    for _ in range(TURN_STEPS):
        encode_jpeg(world.step(control).image)
    return TURN_STEPS / (time.perf_counter() - began)


def paced(world: World) -> float:
    """Mean milliseconds from a control to its picture, at the world's own pace where the machine keeps it."""
    control, period = Control(keys={world.info.controls.keys[0]}), 1 / world.info.fps
    spent = []
    for _ in range(TURN_STEPS):
        began = time.perf_counter()
        encode_jpeg(world.step(control).image)
        spent.append(time.perf_counter() - began)
        time.sleep(max(0.0, period - spent[-1]))
    return 1000 * float(np.mean(spent))


def of_many(values: list[float] | np.ndarray, unit: str, *, better: bool) -> Figure:
    """Mean of measurements with its interval."""
    numbers = np.asarray(values)
    return Figure(
        value=float(numbers.mean()),
        unit=unit,
        n=len(numbers),
        ci95=estimate(numbers).ci95,
        higher_is_better=better,
    )


if __name__ == "__main__":
    main()
