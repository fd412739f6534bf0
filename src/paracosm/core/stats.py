"""Few numbers that say how far a figure can be trusted: standard error, interval, paired difference.

This file does NOT know what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.rng import stream

BOOTSTRAP_DRAWS = 2000
"""Resamples of a bootstrap; the ends of a 95 % interval then move by about 1 % of its width between seeds."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and how far it can be trusted.

    Attributes:
        mean: mean of the values.
        standard_error: standard deviation of the mean; nan for a single value, which cannot tell.
        n: number of values.
        ci95: bootstrap 95 % interval of the mean; equal ends for a single value.
    """

    mean: float
    standard_error: float
    n: int
    ci95: tuple[float, float]


def estimate(values: Sequence[float] | np.ndarray, seed: int = 0) -> Estimate:
    """Return the mean of independent values with its standard error and its bootstrap interval.

    Args:
        values: finite numbers, one for each independent unit (usually an episode, not a frame).
        seed: seed of the resampling.

    Raises:
        ValueError: for no values, or for one that is not finite.
    """
    array = _checked(values)
    error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else float("nan")
    return Estimate(
        mean=float(array.mean()), standard_error=error, n=len(array), ci95=bootstrap_ci95(array, seed)
    )


def bootstrap_ci95(values: Sequence[float] | np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean; the same seed gives the same interval.

    Raises:
        ValueError: for no values, or for one that is not finite.
    """
    array = _checked(values)
    generator = stream(seed, "bootstrap")
    # one resample at a time: n may be large, and all of them at once would need BOOTSTRAP_DRAWS * n numbers
    means = [array[generator.integers(0, len(array), len(array))].mean() for _ in range(BOOTSTRAP_DRAWS)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def paired_difference(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, seed: int = 0
) -> Estimate:
    """Return the estimate of ``first - second`` on the same units; sharper than two estimates apart.

    Args:
        first: finite numbers.
        second: as many, of the same units in the same order.
        seed: seed of the resampling.

    Raises:
        ValueError: when the lengths differ.
    """
    one, two = _checked(first), _checked(second)
    if len(one) != len(two):
        raise ValueError(f"{len(one)} and {len(two)} values cannot be paired; measure both on the same units")
    return estimate(one - two, seed)


def percentiles(values: Sequence[float] | np.ndarray, at: Sequence[float] = (50, 95, 99)) -> dict[str, float]:
    """Return percentiles by name, e.g. {"p50": 41.0, "p95": 80.5}.

    Raises:
        ValueError: for no values, or for one that is not finite.
    """
    found = np.percentile(_checked(values), list(at))
    return {f"p{point:g}": float(value) for point, value in zip(at, found, strict=True)}


def _checked(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64).reshape(-1)
    if array.size == 0:
        raise ValueError("no values were given; a figure of nothing is not computed, never 0")
    if not np.isfinite(array).all():
        raise ValueError(f"{int((~np.isfinite(array)).sum())} of {array.size} values are not finite")
    return array
