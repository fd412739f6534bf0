"""From what each case contributed to a figure: its value, interval and anchors, and paired differences.

This file does NOT know what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from paracosm.core.figures import Figure, not_computed
from paracosm.core.rng import stream

from .intervals import percentile_interval
from .part import Tally, mean_of, ratio_of

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
        ci95=_interval(len(tally.cases), tally.draws, lambda units: resample(tally, tally.world, units)),
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
        ci95=_interval(
            len(shared),
            min(one.draws, other.draws),
            lambda units: resample(one, first, units) - resample(other, second, units),
        ),
        higher_is_better=one.higher_is_better,
    )


def resample(tally: Tally, rows: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Combine resampled rows; means and ratios of sums all at once, anything else one by one.

    Args:
        tally: says how rows are combined.
        rows: (cases, ...).
        units: (draws, cases), which rows each draw takes.

    Returns:
        float64 (draws,), nan where a draw has no value.
    """
    if tally.combine is mean_of and rows.ndim == 1:
        return rows[units].mean(axis=1, dtype=np.float64)
    if tally.combine is ratio_of and rows.ndim == 2:
        above, below = np.moveaxis(rows[units].sum(axis=1, dtype=np.float64), -1, 0)
        return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
    return np.array([tally.combine(rows[draw]) for draw in units])


def _interval(
    num_cases: int, draws: int, values: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float] | None:
    if num_cases < 2 or draws < 1:
        return None
    units = stream(0, "interval").integers(0, num_cases, (draws, num_cases))
    return percentile_interval(values(units))


def _in_order(tally: Tally, cases: Sequence[str]) -> np.ndarray:
    place = {case: index for index, case in enumerate(tally.cases)}
    return tally.world[[place[case] for case in cases]]


def _anchor(tally: Tally, rows: np.ndarray | float | None) -> float | None:
    if rows is None:
        return None
    value = tally.combine(rows) if isinstance(rows, np.ndarray) else rows
    return value if math.isfinite(value) else None
