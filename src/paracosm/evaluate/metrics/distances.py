"""How far two sets of clips are apart, by features of each: Fréchet and unbiased kernel distance.

Both are distances of distributions, not of pairs: a set of real clips in another order is at distance 0. Both
are refused for few clips, and the Fréchet distance for wide features, because its bias grows with the width
and shrinks only with the number; the same distance between two sets of real clips of the same number is the
floor, and stands beside every value. This file does NOT know how features are made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paracosm.core.errors import DataError

MOST_FEATURES = 64
"""Widest features: two samples of one Gaussian of this width, 1,024 each, are 2.2 apart by bias alone."""
LEAST_CLIPS = 1024
"""Fewest clips on each side."""
KERNEL_DEGREE = 3
"""Degree of the polynomial kernel."""


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of two Gaussians fitted to features: |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½).

    Args:
        first: (n, d) features of one set, n >= 1,024, d <= 64.
        second: (n, d) of the other, of the same number.

    Returns:
        0 and up, squared feature units; lower is better. Biased upward: compare with the floor.

    Raises:
        DataError: for too few clips, too wide features, unequal sets, or numbers that are not finite.

    Source: Heusel et al., "GANs trained by a two time-scale update rule", 2017, equation 6.
    """
    one, two = _check_sets(first, second)
    gap = one.mean(axis=0) - two.mean(axis=0)
    cov_one, cov_two = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = _square_root(cov_one)
    # tr((S1 S2)^½) = tr((S1^½ S2 S1^½)^½), whose inside is symmetric: real eigenvalues, no complex residue
    crossed = np.linalg.eigvalsh(root @ cov_two @ root)
    cross = np.sqrt(np.maximum(crossed, 0)).sum()
    value = gap @ gap + np.trace(cov_one) + np.trace(cov_two) - 2 * cross
    return max(0.0, float(value))


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel (x·y / d + 1)³, unbiased: 0 on average for equal sets.

    Args:
        first: (n, d) features of one set, n >= 1,024, d <= 64; best of about unit variance.
        second: (n, d) of the other, of the same number.

    Returns:
        Lower is better; equal distributions give 0 on average, so that values slightly below 0 happen.

    Raises:
        DataError: as for :func:`frechet_distance`.

    Source: Bińkowski et al., "Demystifying MMD GANs", 2018, equation 4 and section 4.
    """
    one, two = _check_sets(first, second)
    return _unbiased(_kernel(one, one), _kernel(two, two), _kernel(one, two))


def kernel_interval(
    first: np.ndarray, second: np.ndarray, groups: Sequence[str]
) -> tuple[float, float] | None:
    """95 % interval of :func:`kernel_distance` by the jackknife over groups of clips (episodes).

    A bootstrap would put equal clips into one set and so bias the unbiased; leaving groups out does not.

    Args:
        first: (n, d) features.
        second: (n, d) features; row i belongs to the same group as row i of ``first``.
        groups: n names.

    Returns:
        The interval, or None for fewer than four groups.

    Raises:
        DataError: as for :func:`frechet_distance`.
    """
    one, two = _check_sets(first, second)
    names = np.asarray(groups)
    unique = np.unique(names)
    if len(unique) < 4:
        return None
    inner, outer, cross = _kernel(one, one), _kernel(two, two), _kernel(one, two)
    values = np.empty(len(unique))
    for index, name in enumerate(unique):
        kept = np.flatnonzero(names != name)
        pick = np.ix_(kept, kept)
        values[index] = _unbiased(inner[pick], outer[pick], cross[pick])
    count = len(unique)
    error = float(np.sqrt((count - 1) / count * np.square(values - values.mean()).sum()))
    value = _unbiased(inner, outer, cross)
    return value - 1.96 * error, value + 1.96 * error


def _kernel(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return (one @ two.T / one.shape[1] + 1) ** KERNEL_DEGREE


def _unbiased(inner: np.ndarray, outer: np.ndarray, cross: np.ndarray) -> float:
    n, m = len(inner), len(outer)
    within = (inner.sum() - np.trace(inner)) / (n * (n - 1)) + (outer.sum() - np.trace(outer)) / (m * (m - 1))
    return float(within - 2 * cross.mean())


def _square_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _check_sets(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if first.ndim != 2 or first.shape != second.shape:
        raise DataError(
            f"features of shape {first.shape} and {second.shape} cannot be compared; "
            "give two sets (clips, features) of one number and width"
        )
    clips, width = first.shape
    if clips < LEAST_CLIPS:
        raise DataError(
            f"{clips} clips are too few for a distance of distributions, "
            f"whose bias would drown the difference; give at least {LEAST_CLIPS} on each side"
        )
    if width > MOST_FEATURES:
        raise DataError(
            f"{width} features a clip are too many for {clips} clips; project to at most {MOST_FEATURES}"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("features hold numbers that are not finite; a clip was damaged, or the encoder broke")
    return first.astype(np.float64), second.astype(np.float64)
