"""Whether a view is still there after looking away: walks that come back, beside the true game on them.

Only walks that the true game itself comes back from are judged, and a world that never leaves scores nothing.
This file does NOT know how views are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from paracosm.evaluate.bench import Bench
from paracosm.evaluate.metrics.returns import (
    Walk,
    make_walks,
    memory_score,
    random_view_gap,
    return_ratio,
    view_gap,
)
from paracosm.evaluate.part import Measured, Result, SkippedUnitError, Tally, Unit, UnitResult, ratio_of

COMES_BACK = 0.5
"""Return ratio of the true game above which a walk does not come back (a wall, a fall) and is not judged."""
LEAVES = 0.25
"""Distance to the first view, as a share of that of two random views, that the true game must go."""
TIMES_AWAY = ((0, 2), (2, 5), (5, 60))
"""Seconds away, from and below, that the score is reported for apart."""
FAMILIES = ("turn", "full_turn", "walk", "loop")
"""Kinds of walks, reported apart."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Scores of return views, by kind of walk and by time away."""

    num_cases: int
    """starts; half as many of unseen levels, where there are both"""

    name: ClassVar[str] = "memory"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a start and walk: a walk of many steps should not be lost with another."""
        walks = make_walks(bench.info.controls, bench.info.fps)
        return [
            Unit(key=f"{name}/{walk.name}", case=name, steps=2 * len(walk.controls), data={"walk": walk.name})
            for name in bench.cases(self.num_cases, START_STEPS, near=True)
            for walk in walks
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Take one walk in both worlds."""
        cases = bench.cases(self.num_cases, START_STEPS, near=True)
        walks = {walk.name: walk for walk in make_walks(bench.info.controls, bench.info.fps)}
        walk = walks[unit.data["walk"]]
        rollout = replace(cases[unit.case].rollout, controls=walk.controls)
        real, told = bench.play_true(rollout)
        if any(one.get("ended") for one in told):
            raise SkippedUnitError("the episode ends on the way in the true game")
        apart = random_view_gap([case.rollout.start[-1] for case in cases.values()])
        gaps = {
            who: _gaps(clip, real, walk)
            for who, clip in (("world", bench.play(rollout)), ("true_game", real))
        }
        away, back = gaps["true_game"]
        judged = apart > 0 and back <= COMES_BACK * apart and away >= LEAVES * apart
        return UnitResult(
            numbers={
                "family": walk.family,
                "seconds_away": walk.seconds_away,
                "judged": bool(judged),
                "ratio": {
                    who: return_ratio(one, apart) if apart > 0 else None for who, (_, one) in gaps.items()
                },
                "score": {
                    who: memory_score(b, a, away, apart) if judged else None for who, (a, b) in gaps.items()
                },
            }
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """The score of all walks, by kind, and by time away; and the bare return ratio."""
        judged = [one for one in results if one.numbers["judged"]]
        figures = {
            "memory.score": _tally(judged, "score", better=True),
            "memory.return_ratio": _tally(judged, "ratio", better=False),
        }
        for family in FAMILIES:
            rows = [one for one in judged if one.numbers["family"] == family]
            figures[f"memory.score.{family}"] = _tally(rows, "score", better=True)
        for first, last in TIMES_AWAY:
            rows = [one for one in judged if first <= one.numbers["seconds_away"] < last]
            figures[f"memory.score@{first}_{last}s"] = _tally(rows, "score", better=True)
        return figures


START_STEPS = 8
"""Steps that a case must have behind its start; the walks bring their own controls."""


def _gaps(clip: np.ndarray, real: np.ndarray, walk: Walk) -> tuple[float, float]:
    """Distance of the farthest view to the first, and of the last view to the first or to the true first.

    The larger of the latter two counts: a world that has become noise or grey is always like itself.
    """
    first, true_first = clip[walk.settle - 1], real[walk.settle - 1]
    views = np.stack([clip[walk.farthest - 1], clip[-1], clip[-1]])
    away, back, true_back = view_gap(views, np.stack([first, first, true_first]))
    return float(away), float(max(back, true_back))


def _tally(results: Sequence[Result], kind: str, better: bool) -> Tally:
    """Mean over all walks of all cases: sums and counts of each case, so that cases resample whole."""
    cases = list(dict.fromkeys(one.unit.case for one in results))

    def rows(who: str) -> np.ndarray:
        values = [[one.numbers[kind][who] for one in results if one.unit.case == case] for case in cases]
        return np.array([[sum(part), len(part)] for part in values], float).reshape(-1, 2)

    anchors: dict[str, np.ndarray | float | None] = {"true_game": rows("true_game")}
    if kind == "score":
        anchors["copy_last"] = 0.0  # it never leaves
    return Tally(
        cases=tuple(cases),
        world=rows("world"),
        combine=ratio_of,
        anchors=anchors,
        unit="score" if kind == "score" else "ratio",
        higher_is_better=better,
        reason="from no start does the true game leave and come back",
    )
