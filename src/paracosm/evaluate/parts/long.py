"""Plays minutes freely under controls that players really gave; others measure what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from paracosm.evaluate.bench import Bench
from paracosm.evaluate.long_runs import long_steps
from paracosm.evaluate.part import Measured, Result, Unit, UnitResult


@dataclass(frozen=True, kw_only=True)
class Long:
    """Long free runs; keeps "world", uint8 (steps, h, w, 3)."""

    num_runs: int
    """runs"""
    steps: int
    """steps of a run; 0 takes two minutes, and at least 2,000"""

    name: ClassVar[str] = "long"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a run."""
        steps = self.steps or long_steps(bench.info.fps)
        return [
            Unit(key=name, case=name, steps=steps, data={"steps": steps})
            for name in bench.runs(self.num_runs, steps)
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Play one run."""
        run = bench.runs(self.num_runs, unit.data["steps"])[unit.case]
        return UnitResult(arrays={"world": bench.play(run.rollout)})

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Nothing: other parts measure these frames."""
        return {}
