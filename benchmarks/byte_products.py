"""What multiplying bytes is worth in play: ``python -m benchmarks.byte_products --json FILE``.

Each bundled world is played twice, from weights stored in half precision and multiplied in float32, and from
weights stored and multiplied as bytes, in turns of a few steps, so that a machine that slows down slows both.
Beside the speed stands the difference of the first frames after the same starts, since later ones drift apart
as any two rounding errors do.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.figures import Figure, make_report, write_report
from paracosm.core.stats import estimate
from paracosm.core.world_spec import kind_of
from paracosm.evaluate.quality import psnr_db
from paracosm.models.storage import Storage
from paracosm.models.world_model import WorldModel
from paracosm.play.engine import NeuralWorld, open_model_world
from paracosm.zoo import bundled_worlds

STORAGES: dict[str, Storage] = {"float32": "float16", "int8": "int8"}
"""Arithmetic to the storage that has it."""
TURN_STEPS = 20
"""Steps before the other world has its turn."""
NUM_STARTS = 16
"""Starts whose first frames are compared."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, folder in bundled_worlds().items():
            if kind_of(folder):  # worlds of tokens are built in bytes and not saved anew
                continue
            worlds = {}
            for arithmetic, storage in STORAGES.items():
                out = Path(place) / f"{name}-{arithmetic}"
                WorldModel.load(folder).save(out, storage)
                worlds[arithmetic] = open_model_world(str(out))
            figures |= measure(name, worlds, options.turns)
    for name, figure in figures.items():
        print(f"{name:44} {figure.value:10.4g} {figure.unit}")
    if options.json:
        write_report(make_report("python -m benchmarks.byte_products", figures), options.json)


def measure(name: str, worlds: dict[str, NeuralWorld], turns: int) -> dict[str, Figure]:
    """Frames a second of each arithmetic, their ratio, and how alike their first frames are."""
    control = Control(keys={worlds["int8"].info.controls.keys[0]})
    alike = [first_frames_psnr(worlds, seed, control) for seed in range(NUM_STARTS)]
    seconds: dict[str, list[float]] = {arithmetic: [] for arithmetic in worlds}
    for turn in range(turns + 1):
        for arithmetic, world in worlds.items():
            began = time.perf_counter()
            for _ in range(TURN_STEPS):
                world.step(control)
            if turn:  # the first turn warms up
                seconds[arithmetic].append(time.perf_counter() - began)
    rates = {arithmetic: TURN_STEPS / np.array(spent) for arithmetic, spent in seconds.items()}
    figures = {
        f"{name}.frames_per_second.{arithmetic}": of_many(values, "frames/s")
        for arithmetic, values in rates.items()
    }
    figures[f"{name}.speed_up"] = of_many(rates["int8"] / rates["float32"], "ratio")
    figures[f"{name}.first_frame_psnr_db"] = of_many(np.array(alike), "dB")
    return figures


def first_frames_psnr(worlds: dict[str, NeuralWorld], seed: int, control: Control) -> float:
    """PSNR of one arithmetic's first dreamt frame against the other's."""
    frames = []
    for world in worlds.values():
        world.reset(seed)
        frames.append(world.step(control).image)
    return float(psnr_db(frames[0], frames[1]))


def of_many(values: np.ndarray, unit: str) -> Figure:
    """Mean of measurements with its interval."""
    return Figure(value=float(values.mean()), unit=unit, n=len(values), ci95=estimate(values).ci95)


if __name__ == "__main__":
    main()
