"""Opposite controls from the same start must give opposite motion: left and right, forward and back.

The true game, put into the same state, says where they can (not against a wall) and which way the picture
moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np

from paracosm.core.figures import Figure
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.flow import Motion, clip_motion
from paracosm.evaluate.opposites import HELD_STEPS, opposite_pairs, opposite_tally
from paracosm.evaluate.part import Measured, Result, Tally, Unit, UnitResult


@dataclass(frozen=True, kw_only=True)
class Opposites:
    """Share of starts from which both controls of a pair go the true way."""

    num_cases: int
    """starts"""

    name: ClassVar[str] = "opposites"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a start."""
        pairs = len(opposite_pairs(bench.info.controls))
        return [
            Unit(key=name, case=name, steps=4 * pairs * HELD_STEPS)
            for name in bench.cases(self.num_cases, HELD_STEPS, near=True)
            if pairs
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Play both controls of each pair from one start, in the world and in the true game."""
        rollout = bench.cases(self.num_cases, HELD_STEPS, near=True)[unit.case].rollout
        numbers = {}
        for pair in opposite_pairs(bench.info.controls):
            for side, control in (("one", pair.one), ("other", pair.other)):
                asked = replace(rollout, controls=(control,) * HELD_STEPS)
                for who, frames in (("world", bench.play(asked)), ("true_game", bench.play_true(asked)[0])):
                    clip = np.concatenate([rollout.start[-1:], frames])
                    numbers[f"{pair.name}.{side}.{who}"] = asdict(clip_motion(clip))
        return UnitResult(numbers=numbers)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """One figure a pair."""
        cases = tuple(result.unit.case for result in results)
        figures: dict[str, Tally | Figure] = {}
        for pair in opposite_pairs(bench.info.controls):
            world, truth = (
                tuple(
                    [Motion(**result.numbers[f"{pair.name}.{side}.{who}"]) for result in results]
                    for side in ("one", "other")
                )
                for who in ("world", "true_game")
            )
            figures[f"control.opposite_share.{pair.name}"] = opposite_tally(cases, world, truth, pair.axis)
        return figures
