"""Plays every short case three times: under its own controls, under another case's, and under none.

Others measure what it keeps. This file does NOT measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from paracosm.core.controls import IDLE
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.cases import Case
from paracosm.evaluate.part import Measured, Result, Unit, UnitResult

VARIANTS = ("true_game", "copy_last", "shuffled", "no_control")
"""The four anchors, in the order in which they are shown."""


@dataclass(frozen=True, kw_only=True)
class Short:
    """Short free runs; keeps "world", "shuffled" and "no_control", uint8 (steps, h, w, 3)."""

    num_cases: int
    """cases of the main split; half as many of the other, where there is one"""
    steps: int
    """steps of a case"""

    name: ClassVar[str] = "short"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a case, which knows the case whose controls it borrows."""
        cases = bench.cases(self.num_cases, self.steps)
        return [
            Unit(key=name, case=name, steps=3 * self.steps, data={"partner": partner})
            for name, partner in pair_up(cases).items()
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Play one case."""
        cases = bench.cases(self.num_cases, self.steps)
        own, other = cases[unit.case].rollout, cases[unit.data["partner"]].rollout
        idle = (IDLE,) * len(own.controls)
        return UnitResult(
            arrays={
                "world": bench.play(own),
                "shuffled": bench.play(replace(own, controls=other.controls)),
                "no_control": bench.play(replace(own, controls=idle)),
            }
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Nothing: other parts measure these frames."""
        return {}


def pair_up(cases: Mapping[str, Case]) -> dict[str, str]:
    """Pair each case with one of its split half the list away: neighbours may come from one episode."""
    pairs = {}
    for split in dict.fromkeys(case.split for case in cases.values()):
        names = [name for name, case in cases.items() if case.split == split]
        away = max(1, len(names) // 2)
        pairs |= {name: names[(index + away) % len(names)] for index, name in enumerate(names)}
    return {name: pairs[name] for name in cases}


def shown(case: Case, result: Result) -> dict[str, np.ndarray]:
    """Frames of a case: of the world, and of the four anchors, uint8 (steps, h, w, 3) each."""
    return {
        "world": result.array("world"),
        "true_game": case.truth,
        "copy_last": np.repeat(case.rollout.start[-1:], len(case.truth), axis=0),
        "shuffled": result.array("shuffled"),
        "no_control": result.array("no_control"),
    }
