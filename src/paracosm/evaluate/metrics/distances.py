"""How far two sets of clips are apart, by features of each: Fréchet and unbiased kernel distance.

Both are distances of distributions, not of pairs: a set of real clips in another order is at distance 0. Both
are refused for few clips, and the Fréchet distance for wide features, because its bias grows with the width
and shrinks only with the number; the same distance between two sets of real clips of the same number is the
floor, and stands beside every value. This file does NOT know how features are made.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from paracosm.core.errors import DataError

MOST_FEATURES = 64
"""Widest features: two samples of one Gaussian of this width, 1,024 each, are 2.2 apart by bias alone."""
LEAST_CLIPS = 1024
"""Fewest clips on each side."""
KERNEL_DEGREE = 3
"""Degree of the polynomial kernel."""


def frechet_distance(
    first: np.ndarray,
    second: np.ndarray,
    most_features: int | None = MOST_FEATURES,
    least_clips: int | None = None,
) -> float:
    """Fréchet distance of two Gaussians fitted to features: |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½).

    Args:
        first: (n, d) features of one set, n >= 1,024, d <= 64.
        second: (n, d) of the other, of the same number.
        most_features: widest features taken; None for any, where the floor stands beside the value and the
            measure is known by its width (FVD).
        least_clips: fewest clips taken, LEAST_CLIPS without it; fewer are for a look that nobody cites.

    Returns:
        0 and up, squared feature units; lower is better. Biased upward: compare with the floor.

    Raises:
        DataError: for too few clips, too wide features, unequal sets, or numbers that are not finite.

    Source: Heusel et al., "GANs trained by a two time-scale update rule", 2017, equation 6.
    """
    one, two = _check_sets(first, second, most_features, least_clips)
    gap = one.mean(axis=0) - two.mean(axis=0)
    cov_one, cov_two = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = _square_root(cov_one)
    # tr((S1 S2)^½) = tr((S1^½ S2 S1^½)^½), whose inside is symmetric: real eigenvalues, no complex residue
    crossed = np.linalg.eigvalsh(root @ cov_two @ root)
    cross = np.sqrt(np.maximum(crossed, 0)).sum()
    value = gap @ gap + np.trace(cov_one) + np.trace(cov_two) - 2 * cross
    return max(0.0, float(value))


def kernel_distance(first: np.ndarray, second: np.ndarray, least_clips: int | None = None) -> float:
    """Squared maximum mean discrepancy with the kernel (x·y / d + 1)³, unbiased: 0 on average for equal sets.

    Args:
        first: (n, d) features of one set, n >= 1,024, d <= 64; best of about unit variance.
        second: (n, d) of the other, of the same number.
        least_clips: as for :func:`frechet_distance`.

    Returns:
        Lower is better; equal distributions give 0 on average, so that values slightly below 0 happen.

    Raises:
        DataError: as for :func:`frechet_distance`.

    Source: Bińkowski et al., "Demystifying MMD GANs", 2018, equation 4 and section 4.
    """
    one, two = _check_sets(first, second, MOST_FEATURES, least_clips)
    return _unbiased(_kernel(one, one), _kernel(two, two), _kernel(one, two))


class ResampledKernel:
    """The kernel distance of resampled clips to one reference, for bootstrap intervals.

    A clip drawn twice would stand beside itself, at the kernel's maximum, and bias the unbiased; such pairs
    are left out. Rows are numbers of clips, so that a resample costs sums and no kernel.

    Args:
        sets: (n, d) features of each set, by name.
        reference: (n, d).

    Raises:
        DataError: as for :func:`frechet_distance`.
    """

    def __init__(self, sets: Mapping[str, np.ndarray], reference: np.ndarray) -> None:
        self._inner, self._cross = [], []
        self._names = tuple(sets)
        for features in sets.values():
            one, two = _check_sets(features, reference)
            self._inner.append(_kernel(one, one))
            self._cross.append(_kernel(one, two).mean(axis=1))
        outer = _kernel(*[reference.astype(np.float64)] * 2)
        count = self._count = len(reference)
        self._outer = float((outer.sum() - np.trace(outer)) / (count * (count - 1)))

    def rows(self, name: str) -> np.ndarray:
        """Rows (n, 1) that stand for the clips of a set."""
        return (self._names.index(name) * self._count + np.arange(self._count, dtype=np.float64))[:, None]

    def __call__(self, rows: np.ndarray) -> float:
        """Distance of the clips that rows name, with repeats, all of one set; nan for fewer than 1,024."""
        if len(rows) < LEAST_CLIPS:
            return float("nan")
        which, clips = np.divmod(rows[:, 0].astype(int), self._count)
        inner, cross = self._inner[which[0]], self._cross[which[0]]
        times = np.bincount(clips, minlength=self._count).astype(np.float64)
        same = np.square(times)
        within = (times @ inner @ times - same @ np.diag(inner)) / (times.sum() ** 2 - same.sum())
        return float(within + self._outer - 2 * (times @ cross) / times.sum())


def _kernel(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return (one @ two.T / one.shape[1] + 1) ** KERNEL_DEGREE


def _unbiased(inner: np.ndarray, outer: np.ndarray, cross: np.ndarray) -> float:
    n, m = len(inner), len(outer)
    within = (inner.sum() - np.trace(inner)) / (n * (n - 1)) + (outer.sum() - np.trace(outer)) / (m * (m - 1))
    return float(within - 2 * cross.mean())


def _square_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _check_sets(
    first: np.ndarray,
    second: np.ndarray,
    most_features: int | None = MOST_FEATURES,
    least_clips: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    if first.ndim != 2 or first.shape != second.shape:
        raise DataError(
            f"features of shape {first.shape} and {second.shape} cannot be compared; "
            "give two sets (clips, features) of one number and width"
        )
    clips, width = first.shape
    least = LEAST_CLIPS if least_clips is None else least_clips
    if clips < least:
        raise DataError(
            f"{clips} clips are too few for a distance of distributions, "
            f"whose bias would drown the difference; give at least {least} on each side"
        )
    if most_features is not None and width > most_features:
        raise DataError(
            f"{width} features a clip are too many for {clips} clips; project to at most {most_features}"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("features hold numbers that are not finite; a clip was damaged, or the encoder broke")
    return first.astype(np.float64), second.astype(np.float64)
