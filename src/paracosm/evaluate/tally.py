"""From what each case contributed to a figure: its value, interval and anchors, and paired differences.

This file does NOT know what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from paracosm.core.figures import Figure, not_computed

from .intervals import interval_of
from .part import Tally

UNSEEN = "unseen."
"""Begins the names of figures measured on levels that the world never saw, where it has both splits."""


def figure_of_tally(tally: Tally) -> Figure:
    """Make one figure; undefined, with the tally's reason, when it has no value."""
    value = tally.combine(tally.world) if len(tally.world) else math.nan
    if not math.isfinite(value):
        return not_computed("undefined", tally.reason, tally.unit)
    return Figure(
        value=value,
        unit=tally.unit,
        n=len(tally.cases),
        ci95=interval_of(
            lambda units: tally.combine(tally.world[units]), len(tally.cases), draws=tally.draws
        ),
        higher_is_better=tally.higher_is_better,
        anchors={name: _anchor(tally, rows) for name, rows in tally.anchors.items()},
    )


def difference(one: Tally, other: Tally) -> Figure:
    """Subtract: the figure of ``one`` minus that of ``other``, on the cases that both judged.

    The interval resamples cases whole, the same ones on both sides, so that hard cases weigh on both alike.
    """
    shared = [case for case in one.cases if case in set(other.cases)]
    first, second = _in_order(one, shared), _in_order(other, shared)
    value = one.combine(first) - other.combine(second) if shared else math.nan
    if not math.isfinite(value):
        reason = f"{one.reason}; {len(shared)} cases were judged in both"
        return not_computed("undefined", reason, one.unit)
    return Figure(
        value=value,
        unit=one.unit,
        n=len(shared),
        ci95=interval_of(
            lambda units: one.combine(first[units]) - other.combine(second[units]),
            len(shared),
            draws=min(one.draws, other.draws),
        ),
        higher_is_better=one.higher_is_better,
    )


def _in_order(tally: Tally, cases: Sequence[str]) -> np.ndarray:
    place = {case: index for index, case in enumerate(tally.cases)}
    return tally.world[[place[case] for case in cases]]


def _anchor(tally: Tally, rows: np.ndarray | float | None) -> float | None:
    if rows is None:
        return None
    value = tally.combine(rows) if isinstance(rows, np.ndarray) else rows
    return value if math.isfinite(value) else None
