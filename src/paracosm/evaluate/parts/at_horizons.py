"""What the parts share that compare the frames of short cases with the true ones, at some horizons.

This file does NOT know any formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paracosm.core.figures import Figure, not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.part import Result, Tally, Unit, units_after

from .short import VARIANTS, shown


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Frames of one case at every horizon that it reaches.

    Attributes:
        shown: frames of the world and of each anchor, by name, each uint8 (horizons, h, w, 3).
        truth: frames of the true game, uint8 (horizons, h, w, 3).
        start: the last start frame, as often, uint8 (horizons, h, w, 3).
    """

    shown: dict[str, np.ndarray]
    truth: np.ndarray
    start: np.ndarray


@dataclass(frozen=True, kw_only=True)
class AtHorizons:
    """Base of parts that read what the part "short" kept, at some horizons."""

    num_cases: int
    """as for the short runs"""
    steps: int
    """as for the short runs"""
    horizons: tuple[int, ...]
    """steps after which frames are compared; those beyond the cases' length are skipped"""

    needs: ClassVar[tuple[str, ...]] = ("short",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a case that was played."""
        return units_after(bench.results("short"))

    @property
    def reached(self) -> list[int]:
        """Horizons within the cases' length."""
        return [horizon for horizon in self.horizons if horizon <= self.steps]

    def moments(self, bench: Bench, unit: Unit) -> Moments:
        """Look up the frames of a unit's case."""
        case = bench.cases(self.num_cases, self.steps)[unit.case]
        rows = [horizon - 1 for horizon in self.reached]
        frames = shown(case, bench.result("short", unit.key))
        return Moments(
            shown={name: clip[rows] for name, clip in frames.items()},
            truth=case.truth[rows],
            start=np.repeat(case.rollout.start[-1:], len(rows), axis=0),
        )

    def too_far(self, unit: str) -> Figure:
        """The figure of a horizon that the cases do not reach."""
        return not_computed("skipped", f"the cases are {self.steps} steps long", unit)


def column(results: Sequence[Result], kind: str, name: str, index: int) -> np.ndarray:
    """Numbers of one kind, of the world or an anchor, at one horizon: float (results,)."""
    return np.array([result.numbers[kind][name][index] for result in results], float)


def tally_at(
    results: Sequence[Result],
    kind: str,
    index: int,
    unit: str,
    *,
    higher_is_better: bool = True,
    reason: str = "no case could be judged",
) -> Tally:
    """Average one kind of number at one horizon, beside the four anchors.

    Args:
        results: units whose ``numbers[kind]`` give a list over horizons for the world and for each anchor.
        kind: which number.
        index: which of the horizons reached.
        unit: of the number.
        higher_is_better: its direction.
        reason: what is said when there is no case; cases whose number is None are left out.
    """
    judged = [one for one in results if one.numbers[kind]["world"][index] is not None]
    return Tally(
        cases=tuple(one.unit.case for one in judged),
        world=column(judged, kind, "world", index),
        anchors={name: column(judged, kind, name, index) for name in VARIANTS},
        unit=unit,
        higher_is_better=higher_is_better,
        reason=reason,
    )
