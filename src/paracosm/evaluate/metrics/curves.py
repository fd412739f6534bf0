"""What minutes of play drift into, second by second: distance to real views, sharpness, colour, motion.

Pure functions on curves (one number a step). This file does NOT know worlds or recordings.
"""

from __future__ import annotations

import numpy as np

from paracosm.core.errors import DataError
from paracosm.evaluate.drift import Places, coarse_views
from paracosm.evaluate.quality import STATISTICS, frame_statistics

CURVES = ("view_distance", "sharpness", "brightness", "saturation", "motion")
"""Columns of :func:`drift_curves`. Saturation is the chroma of ``quality.STATISTICS``."""
SUSTAINED_SECONDS = 3
"""Seconds in a row out of bounds that count as having drifted: a look at a wall is no drift."""
FAR_VIEW = 1.0
"""View distance beyond which a view is unlike the real ones; 95 % of real views lie within it."""


def view_distance(frames: np.ndarray, places: Places) -> np.ndarray:
    """Distance of each view to the nearest place of the real game, in radii that hold 95 % of real views.

    Args:
        frames: uint8 (t, h, w, 3).
        places: clusters of real coarse views.

    Returns:
        float64 (t,), 0 and up, lower is better; real views are below 1 in 95 % of cases.
    """
    views = coarse_views(frames).astype(np.float64)
    centres = places.centres.astype(np.float64)
    squares = (views**2).sum(1)[:, None] + (centres**2).sum(1)[None] - 2 * views @ centres.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0)) / places.radius


def drift_curves(frames: np.ndarray, places: Places) -> np.ndarray:
    """The five curves of a run.

    Args:
        frames: uint8 (t, h, w, 3) in playing order, t >= 2.
        places: clusters of real coarse views.

    Returns:
        float64 (t - 1, 5), a row for each frame but the first; columns as :data:`CURVES`.
    """
    statistics = frame_statistics(frames)
    columns = [STATISTICS.index(name) for name in ("sharpness", "brightness", "chroma", "motion")]
    return np.column_stack([view_distance(frames[1:], places), statistics[:, columns]])


def per_second(curves: np.ndarray, fps: float) -> np.ndarray:
    """Mean of each second.

    Args:
        curves: (steps, ...), at least a second of them.
        fps: steps a second.

    Returns:
        float64 (seconds, ...); steps of a last, broken second are left out.

    Raises:
        DataError: when there is not one whole second.
    """
    ends = np.floor(np.arange(1, int(len(curves) / fps + 1e-9) + 1) * fps + 1e-9).astype(int)
    if not len(ends):
        raise DataError(f"{len(curves)} steps at {fps:g} a second are not one second; play longer")
    parts = np.split(np.asarray(curves, np.float64)[: ends[-1]], ends[:-1])
    return np.stack([part.mean(axis=0) for part in parts])


def seconds_until(out: np.ndarray) -> int:
    """Seconds of good play: until the first of SUSTAINED_SECONDS seconds in a row that are out of bounds.

    Args:
        out: bool (seconds,), whether a second is out of bounds.

    Returns:
        0 to the length of the curve; the length when it never drifts, so that runs of one length compare.
    """
    out = np.asarray(out, bool)
    for first in range(len(out) - SUSTAINED_SECONDS + 1):
        if out[first : first + SUSTAINED_SECONDS].all():
            return first
    return len(out)


def out_of_bounds(curves: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Tell which seconds are unlike the real game: any curve beyond its bounds.

    Args:
        curves: (seconds, k).
        low: (k,), lower bounds, -inf for none.
        high: (k,), upper bounds.

    Returns:
        bool (seconds,).
    """
    return np.asarray(((curves < low) | (curves > high)).any(axis=1))


def energy_distance(one: np.ndarray, other: np.ndarray) -> float:
    """How far two sets of views are apart: 2 E|x - y| - E|x - x'| - E|y - y'|.

    Unlike a distance to the nearest real view it cannot be won by one plain, average picture for ever, since
    variety counts.

    Args:
        one: (n, d) features.
        other: (m, d) features.

    Returns:
        0 and up, in units of the features; lower is better. Few views read too far: compare with as many real
        ones.

    Source: Székely and Rizzo, "Energy statistics", 2013, equation 5.
    """
    return max(0.0, 2 * _mean_gap(one, other) - _mean_gap(one, one) - _mean_gap(other, other))


def _mean_gap(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return float(np.sqrt(np.maximum(squares, 0)).mean())
