"""Fidelity by horizon: PSNR, how far above the copied frame and shuffled controls, sharpness.

This file does NOT play worlds; it reads what the part "short" kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paracosm.evaluate.bench import Bench
from paracosm.evaluate.part import Measured, Result, Tally, Unit, UnitResult, ratio_of
from paracosm.evaluate.quality import psnr_db, sharpness

from .at_horizons import AtHorizons, column, tally_at
from .short import VARIANTS

KINDS = {
    "psnr_db": "dB",
    "gain_over_copy_db": "dB",
    "gain_over_shuffled_db": "dB",
    "sharpness_share": "share",
}
"""Figures of a horizon and their units."""


@dataclass(frozen=True, kw_only=True)
class Fidelity(AtHorizons):
    """Error and sharpness of the frames after some numbers of steps."""

    name: ClassVar[str] = "fidelity"
    version: ClassVar[int] = 1

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one case at every horizon that it reaches."""
        at = self.moments(bench, unit)
        return UnitResult(
            numbers={
                "psnr_db": {name: psnr_db(clip, at.truth).tolist() for name, clip in at.shown.items()},
                "sharpness": {name: sharpness(clip).tolist() for name, clip in at.shown.items()},
            }
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Four figures a horizon."""
        reached, figures = self.reached, {}
        for horizon in self.horizons:
            if horizon in reached:
                figures |= _at(results, reached.index(horizon), horizon)
            else:
                figures |= {f"fidelity.{name}@{horizon}": self.too_far(unit) for name, unit in KINDS.items()}
        return figures


def _at(results: Sequence[Result], index: int, horizon: int) -> dict[str, Tally]:
    cases = tuple(result.unit.case for result in results)
    whole = tally_at(results, "psnr_db", index, "dB")
    gains = {
        f"fidelity.gain_over_{word}_db@{horizon}": whole.world - column(results, "psnr_db", name, index)
        for word, name in (("copy", "copy_last"), ("shuffled", "shuffled"))
    }
    sharp = {name: column(results, "sharpness", name, index) for name in ("world", *VARIANTS)}
    shares = {name: np.stack([values, sharp["true_game"]], axis=1) for name, values in sharp.items()}
    return {
        f"fidelity.psnr_db@{horizon}": whole,
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
