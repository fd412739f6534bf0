"""Bootstrap intervals of figures that are no plain mean; units (cases, runs) are resampled whole.

This file does NOT know what was measured.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paracosm.core.rng import stream
from paracosm.core.stats import BOOTSTRAP_DRAWS


def interval_of(
    statistic: Callable[[np.ndarray], float], num_units: int, seed: int = 0, draws: int = BOOTSTRAP_DRAWS
) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval of a statistic of resampled units.

    Args:
        statistic: takes unit indices (with repeats) and returns the figure; nan where a resample has no
            value.
        num_units: how many units there are.
        seed: seed of the resampling.
        draws: resamples; 0 gives no interval.

    Returns:
        The interval, or None when there are no draws, fewer than two units, or fewer than half of the
        resamples have a value.
    """
    if num_units < 2 or draws < 1:
        return None
    generator = stream(seed, "interval")
    found = [statistic(generator.integers(0, num_units, num_units)) for _ in range(draws)]
    values = np.array([value for value in found if np.isfinite(value)])
    if len(values) < draws / 2:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def ratio(above: np.ndarray, below: np.ndarray) -> float:
    """Return sum(above) / sum(below), nan when the sum below is not above 0.

    A ratio of sums is steadier than a mean of ratios: one unit with a tiny denominator cannot rule it.
    """
    total = float(np.sum(below))
    return float(np.sum(above)) / total if total > 0 else float("nan")
