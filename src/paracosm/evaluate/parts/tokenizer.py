"""How well the world's tokenizer shows true frames: no dream of this tokenizer can be better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.part import Measured, Result, Tally, Unit, UnitResult
from paracosm.evaluate.quality import psnr_db


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """PSNR of true frames encoded and decoded."""

    num_cases: int
    """as for the short runs"""
    steps: int
    """as for the short runs"""

    name: ClassVar[str] = "tokenizer"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a case; none for a world without a tokenizer."""
        if bench.encoder is None:
            return []
        return [Unit(key=name, case=name) for name in bench.cases(self.num_cases, self.steps)]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Encode and decode four frames of a case."""
        truth = bench.cases(self.num_cases, self.steps)[unit.case].truth
        frames = truth[:: max(1, len(truth) // 4)]
        assert bench.encoder is not None
        return UnitResult(
            numbers={"psnr_db": float(psnr_db(bench.encoder.reconstruct(frames), frames).mean())}
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """One figure."""
        if bench.encoder is None:
            reason = "no tokenizer was given; name its model folder"
            return {"tokenizer.psnr_db": not_computed("skipped", reason, "dB")}
        values = np.array([result.numbers["psnr_db"] for result in results], float)
        cases = tuple(result.unit.case for result in results)
        return {"tokenizer.psnr_db": Tally(cases=cases, world=values, unit="dB")}
