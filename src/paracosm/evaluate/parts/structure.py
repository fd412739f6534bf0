"""Fidelity beyond PSNR: structural similarity, and the error where the true game moved, by horizon.

This file does NOT play worlds; it reads what the part "short" kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paracosm.evaluate.bench import Bench
from paracosm.evaluate.metrics.structure import moving_psnr_db, ssim
from paracosm.evaluate.part import Measured, Result, Unit, UnitResult

from .at_horizons import AtHorizons, tally_at

KINDS = {"ssim": "SSIM", "moving_psnr_db": "dB"}
"""Figures and their units."""
STILL = "in no case did the true game change the picture"
"""Why the error of the moving region is undefined."""


@dataclass(frozen=True, kw_only=True)
class Structure(AtHorizons):
    """SSIM and moving-region PSNR after some numbers of steps."""

    name: ClassVar[str] = "structure"
    version: ClassVar[int] = 1

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one case at every horizon that it reaches."""
        at = self.moments(bench, unit)
        moving = {name: moving_psnr_db(clip, at.truth, at.start) for name, clip in at.shown.items()}
        return UnitResult(
            numbers={
                "ssim": {name: ssim(clip, at.truth).tolist() for name, clip in at.shown.items()},
                "moving_psnr_db": {
                    name: [float(value) if np.isfinite(value) else None for value in values]
                    for name, values in moving.items()
                },
            }
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Two figures a horizon."""
        reached = self.reached
        return {
            f"fidelity.{kind}@{horizon}": tally_at(results, kind, reached.index(horizon), unit, reason=STILL)
            if horizon in reached
            else self.too_far(unit)
            for kind, unit in KINDS.items()
            for horizon in self.horizons
        }
