"""What free play for minutes drifts into: frames out of band, a frozen picture, few views, lost places.

Pure functions on frame statistics and features. This file does NOT know worlds or recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.rng import stream

from .quality import luma

BAND_PERCENTILES = (1.0, 99.0)
"""Ends of the band, in per cent of real frames."""
FROZEN_SPELL = 8
"""Still steps in a row, with a movement control held, that count as frozen: about half a second."""
STILL_GREY_LEVELS = 0.5
"""Mean change of brightness below which a step is still; one pixel in two changing by one level."""
VIEW_GRID = (6, 8)
"""Rows and columns of the coarse picture by which views are told apart."""
NUM_PLACES = 64
"""Clusters of real views; a room seen from one side is about one."""
PLACE_RADIUS_PERCENTILE = 95.0
"""A view is recognised when it is no farther from its place than this share of real views are from theirs."""
MIN_VISIT = 3
"""Frames in a place that count as having been there."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where each statistic of real frames lies.

    Attributes:
        low: float64 (statistics,), 1st percentile.
        high: float64 (statistics,), 99th percentile.
    """

    low: np.ndarray
    high: np.ndarray


def fit_band(statistics: np.ndarray) -> Band:
    """Measure the band of real frames.

    Args:
        statistics: (frames, statistics), rows of ``quality.frame_statistics``.

    Raises:
        DataError: for fewer than 100 frames, whose percentiles say nothing.
    """
    if len(statistics) < 100:
        raise DataError(
            f"{len(statistics)} real frames are too few for 1st and 99th percentiles; give at least 100"
        )
    low, high = np.percentile(statistics, BAND_PERCENTILES, axis=0)
    return Band(low=low, high=high)


def in_band(statistics: np.ndarray, band: Band) -> np.ndarray:
    """Tell for each frame whether all its statistics lie in the band, ends included.

    Returns:
        bool (frames,).
    """
    return np.all((statistics >= band.low) & (statistics <= band.high), axis=-1)


def still_threshold(motion: np.ndarray, moving: np.ndarray) -> float:
    """Motion below which a step is still: the 1st percentile of real steps with a movement control held.

    Never above :data:`STILL_GREY_LEVELS`, so that a slow game is not called frozen.

    Args:
        motion: (steps,) grey levels of real steps.
        moving: bool (steps,).
    """
    real = motion[moving]
    return min(STILL_GREY_LEVELS, float(np.percentile(real, 1.0))) if len(real) else STILL_GREY_LEVELS


def frozen_steps(motion: np.ndarray, moving: np.ndarray, threshold: float) -> np.ndarray:
    """Tell which steps belong to a spell of FROZEN_SPELL or more still ones with a movement control held.

    Args:
        motion: (steps,) mean change of brightness of each step.
        moving: bool (steps,), whether a movement control was held.
        threshold: a step at or below it is still.

    Returns:
        bool (steps,).
    """
    still = (motion <= threshold) & moving
    frozen = np.zeros(len(still), bool)
    begin = 0
    for end in range(len(still) + 1):
        if end == len(still) or not still[end]:
            if end - begin >= FROZEN_SPELL:
                frozen[begin:end] = True
            begin = end + 1
    return frozen


def spread(features: np.ndarray) -> float:
    """Mean squared distance of the views of one run from their mean: trace of the covariance.

    Args:
        features: (frames, d).

    Returns:
        0 when all views are one; in squared feature units.
    """
    return float(np.var(features.astype(np.float64), axis=0).sum())


def coarse_views(frames: np.ndarray) -> np.ndarray:
    """Describe views by their coarse colours and where they have edges; no network, equal for every world.

    Args:
        frames: uint8 (t, h, w, 3), h and w at least the grid.

    Returns:
        float32 (t, 4 x cells): red, green, blue and mean edge strength (times 2) of each cell, in [0, about
        1].
    """
    rows, columns = VIEW_GRID
    grey = luma(frames)
    edges = np.zeros_like(grey)
    edges[:, :-1, :-1] = np.abs(np.diff(grey, axis=1))[:, :, :-1] + np.abs(np.diff(grey, axis=2))[:, :-1, :]
    planes = np.concatenate([frames.astype(np.float32), 2 * edges[..., None]], axis=-1) / 255
    top = np.linspace(0, frames.shape[1], rows + 1).astype(int)[:-1]
    left = np.linspace(0, frames.shape[2], columns + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(planes, top, axis=1), left, axis=2)
    areas = np.outer(np.diff([*top, frames.shape[1]]), np.diff([*left, frames.shape[2]]))
    return (sums / areas[..., None]).reshape(len(frames), -1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Clusters of real views.

    Attributes:
        centres: float32 (places, d).
        radius: largest distance at which a view is recognised.
    """

    centres: np.ndarray
    radius: float


def fit_places(views: np.ndarray, num_places: int = NUM_PLACES, seed: int = 0, rounds: int = 20) -> Places:
    """Cluster real views by k-means.

    Args:
        views: (frames, d), at least one for each place.
        num_places: clusters.
        seed: seed of the first centres.
        rounds: Lloyd steps.

    Raises:
        DataError: when there are fewer views than places.
    """
    if len(views) < num_places:
        raise DataError(f"{len(views)} real views are too few for {num_places} places; give more frames")
    generator = stream(seed, "places")
    views = views.astype(np.float32)
    centres = views[generator.choice(len(views), num_places, replace=False)]
    for _ in range(rounds):
        nearest = _distances(views, centres).argmin(axis=1)
        for place in np.unique(nearest):
            centres[place] = views[nearest == place].mean(axis=0)
    distance = np.sqrt(_distances(views, centres).min(axis=1))
    return Places(centres=centres, radius=float(np.percentile(distance, PLACE_RADIUS_PERCENTILE)))


def recognise(views: np.ndarray, places: Places) -> np.ndarray:
    """Name the place of each view.

    Returns:
        int64 (frames,), index of the nearest place, -1 where it is too far away to be recognised.
    """
    distance = _distances(views.astype(np.float32), places.centres)
    nearest = distance.argmin(axis=1)
    close = np.sqrt(distance[np.arange(len(views)), nearest]) <= places.radius
    return np.where(close, nearest, -1)


def count_places(labels: np.ndarray) -> int:
    """Count the places in which at least :data:`MIN_VISIT` frames were recognised."""
    return int((np.bincount(labels[labels >= 0], minlength=1) >= MIN_VISIT).sum())


def _distances(views: np.ndarray, centres: np.ndarray) -> np.ndarray:
    squares = (views**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)[None, :] - 2 * views @ centres.T
    return np.maximum(squares, 0)
