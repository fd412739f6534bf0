"""Bootstrap intervals: the ends of a set of resampled values.

This file does NOT know what was measured, nor how it was resampled.
"""

from __future__ import annotations

import numpy as np

LEAST_SHARE = 0.5
"""Share of the resamples that must have a value, else there is no interval."""


def percentile_interval(values: np.ndarray) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of resampled values.

    Args:
        values: (draws,); nan where a resample has no value.

    Returns:
        The interval, or None when fewer than half of the resamples have a value.
    """
    finite = values[np.isfinite(values)]
    if not len(finite) or len(finite) < LEAST_SHARE * len(values):
        return None
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)
