"""Fidelity beyond PSNR: structural similarity, and the error where the true game moved, by horizon.

This file does NOT play worlds; it reads what the part "short" kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.metrics.structure import moving_psnr_db, ssim
from paracosm.evaluate.part import Measured, Result, Tally, Unit, UnitResult, units_after

from .short import VARIANTS, shown

KINDS = {"ssim": "SSIM", "moving_psnr_db": "dB"}
"""Figures and their units."""
STILL = "in no case did the true game change the picture"
"""Why the error of the moving region is undefined."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """SSIM and moving-region PSNR after some numbers of steps."""

    num_cases: int
    """as for the short runs"""
    steps: int
    """as for the short runs"""
    horizons: tuple[int, ...]
    """steps after which frames are compared"""

    name: ClassVar[str] = "structure"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("short",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a case that was played."""
        return units_after(bench.results("short"))

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one case at every horizon that it reaches."""
        case = bench.cases(self.num_cases, self.steps)[unit.case]
        rows = [horizon - 1 for horizon in self.horizons if horizon <= self.steps]
        frames = {name: clip[rows] for name, clip in shown(case, bench.result("short", unit.key)).items()}
        truth = case.truth[rows]
        start = np.repeat(case.rollout.start[-1:], len(rows), axis=0)
        return UnitResult(
            numbers={
                "ssim": {name: ssim(clip, truth).tolist() for name, clip in frames.items()},
                "moving_psnr_db": {
                    name: [
                        float(value) if np.isfinite(value) else None
                        for value in moving_psnr_db(clip, truth, start)
                    ]
                    for name, clip in frames.items()
                },
            }
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Two figures a horizon; those beyond the cases' length are skipped."""
        figures = {}
        reached = [horizon for horizon in self.horizons if horizon <= self.steps]
        for kind, unit in KINDS.items():
            for horizon in self.horizons:
                name = f"fidelity.{kind}@{horizon}"
                if horizon in reached:
                    figures[name] = _tally(results, kind, reached.index(horizon), unit)
                else:
                    figures[name] = not_computed("skipped", f"the cases are {self.steps} steps long", unit)
        return figures


def _tally(results: Sequence[Result], kind: str, index: int, unit: str) -> Tally:
    judged = [one for one in results if one.numbers[kind]["world"][index] is not None]

    def column(name: str) -> np.ndarray:
        return np.array([one.numbers[kind][name][index] for one in judged], float)

    return Tally(
        cases=tuple(one.unit.case for one in judged),
        world=column("world"),
        anchors={name: column(name) for name in VARIANTS},
        unit=unit,
        reason=STILL,
    )
