"""Fidelity by horizon: PSNR, how far above the copied frame and shuffled controls, sharpness.

This file does NOT play worlds; it reads what the part "short" kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.part import Measured, Result, Tally, Unit, UnitResult, ratio_of, units_after
from paracosm.evaluate.quality import psnr_db, sharpness

from .short import VARIANTS, shown


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Error and sharpness of the frames after some numbers of steps."""

    num_cases: int
    """as for the short runs"""
    steps: int
    """as for the short runs"""
    horizons: tuple[int, ...]
    """steps after which it is measured"""

    name: ClassVar[str] = "fidelity"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("short",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a case that was played."""
        return units_after(bench.results("short"))

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one case at every horizon that it reaches."""
        case = bench.cases(self.num_cases, self.steps)[unit.case]
        frames = shown(case, bench.result("short", unit.key))
        rows = [horizon - 1 for horizon in self.horizons if horizon <= self.steps]
        truth = case.truth[rows]
        return UnitResult(
            numbers={
                "psnr_db": {name: psnr_db(clip[rows], truth).tolist() for name, clip in frames.items()},
                "sharpness": {name: sharpness(clip[rows]).tolist() for name, clip in frames.items()},
            }
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Four figures a horizon; those beyond the cases' length are skipped."""
        figures = {}
        for index, horizon in enumerate(self.horizons):
            if horizon <= self.steps:
                figures |= _at(results, index, horizon)
                continue
            reason = f"the cases are {self.steps} steps long"
            for name in ("psnr_db", "gain_over_copy_db", "gain_over_shuffled_db"):
                figures[f"fidelity.{name}@{horizon}"] = not_computed("skipped", reason, "dB")
            figures[f"fidelity.sharpness_share@{horizon}"] = not_computed("skipped", reason, "share")
        return figures


def _at(results: Sequence[Result], index: int, horizon: int) -> dict[str, Tally]:
    cases = tuple(result.unit.case for result in results)

    def column(kind: str, name: str) -> np.ndarray:
        return np.array([result.numbers[kind][name][index] for result in results], float)

    psnr = {name: column("psnr_db", name) for name in ("world", *VARIANTS)}
    sharp = {name: column("sharpness", name) for name in ("world", *VARIANTS)}
    shares = {name: np.stack([values, sharp["true_game"]], axis=1) for name, values in sharp.items()}
    gains = {
        f"fidelity.gain_over_{word}_db@{horizon}": psnr["world"] - psnr[name]
        for word, name in (("copy", "copy_last"), ("shuffled", "shuffled"))
    }
    return {
        f"fidelity.psnr_db@{horizon}": Tally(
            cases=cases, world=psnr["world"], anchors={name: psnr[name] for name in VARIANTS}, unit="dB"
        ),
        **{name: Tally(cases=cases, world=rows, unit="dB") for name, rows in gains.items()},
        f"fidelity.sharpness_share@{horizon}": Tally(
            cases=cases,
            world=shares["world"],
            combine=ratio_of,
            anchors={name: shares[name] for name in VARIANTS},
            unit="share",
            higher_is_better=None,
            reason="the true frames are plain",
        ),
    }
