"""The frozen encoder of clips: statistics of space and time at several scales, then principal directions.

No weight was ever learnt from a world: the statistics are formulas, and the directions are those in which
real clips of the game at hand vary. How they compare with random convolutions and shrunken pixels stands in
``benchmarks/clip_encoders.md``. This file does NOT know distances.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError
from paracosm.evaluate.drift import coarse_views
from paracosm.evaluate.quality import luma

NAME = "clip-statistics-1"
"""Name and version; raised with every change that moves a feature."""
CLIP_FRAMES = 8
"""Frames of a clip: about half a second, enough for speed, jerk and flicker."""
SCALES = 4
"""Octaves of the pyramid."""
MOVING_SCALES = 3
"""Octaves in which change over time is measured too."""
LAGS = (1, 2, 4)
"""Frames between pictures that are compared."""
JUMP_GREY_LEVELS = 12
"""Change of brightness that counts as a pixel having changed."""
DIRECTIONS = 64
"""Principal directions kept, as the Fréchet distance allows at most."""


def clip_statistics(clips: np.ndarray) -> np.ndarray:
    """Describe clips: layout and its change, detail by octave, change by lag and octave, jerk.

    Args:
        clips: uint8 (n, CLIP_FRAMES, h, w, 3), h and w at least 16.

    Returns:
        float32 (n, 427).

    Raises:
        DataError: for clips of another length or smaller frames.
    """
    if clips.ndim != 5 or clips.shape[1] != CLIP_FRAMES or min(clips.shape[2:4]) < 2**SCALES:
        raise DataError(
            f"clips of shape {clips.shape} cannot be described; "
            f"give uint8 (n, {CLIP_FRAMES}, h, w, 3) with frames of at least {2**SCALES} x {2**SCALES}"
        )
    return np.stack([_describe(clip) for clip in clips])


@dataclass(frozen=True, kw_only=True)
class ClipEncoder:
    """Statistics brought to the principal directions of real clips.

    Attributes:
        name: of the statistics and of the clips that the directions come from; part of every figure's record.
        mean: (statistics,) of real clips.
        directions: (statistics, DIRECTIONS), scaled so that real clips have unit variance on average.
    """

    name: str
    mean: np.ndarray
    directions: np.ndarray

    def encode(self, statistics: np.ndarray) -> np.ndarray:
        """Project statistics (n, 427) to features float64 (n, DIRECTIONS)."""
        return (statistics.astype(np.float64) - self.mean) @ self.directions


def fit_encoder(statistics: np.ndarray) -> ClipEncoder:
    """Find the principal directions of real clips, each statistic first brought to unit variance.

    Args:
        statistics: (n, 427) of real clips that nothing is measured on, n at least twice DIRECTIONS.

    Raises:
        DataError: for fewer clips.
    """
    if len(statistics) < 2 * DIRECTIONS:
        raise DataError(
            f"{len(statistics)} real clips are too few for {DIRECTIONS} directions; "
            f"give {2 * DIRECTIONS} or more"
        )
    values = statistics.astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    scale = np.where(deviation > 1e-9, 1 / np.maximum(deviation, 1e-9), 0.0)
    _, strengths, axes = np.linalg.svd((values - mean) * scale, full_matrices=False)
    kept = strengths[:DIRECTIONS] ** 2 / len(values)
    directions = (scale[:, None] * axes[:DIRECTIONS].T) / np.sqrt(kept.mean())
    return ClipEncoder(name=f"{NAME}:{_digest(statistics)}", mean=mean, directions=directions)


def _describe(clip: np.ndarray) -> np.ndarray:
    views, grey = coarse_views(clip), luma(clip)
    parts = [views.mean(axis=0), views.std(axis=0)]
    for lag in LAGS:
        change = np.abs(grey[lag:] - grey[:-lag])
        jumps = 100 * float((change > JUMP_GREY_LEVELS).mean())
        parts.append(np.log1p([change.mean(), change.std(), jumps]))
    parts.append(np.log1p([np.abs(grey[2:] - 2 * grey[1:-1] + grey[:-2]).mean()]))
    picture = clip.astype(np.float32)
    for scale in range(SCALES):
        height, width = picture.shape[1] // 2 * 2, picture.shape[2] // 2 * 2
        picture = picture[:, :height, :width]
        cells = picture.reshape(len(clip), height // 2, 2, width // 2, 2, 3)
        coarse = cells.mean(axis=(2, 4))
        detail = cells - coarse[:, :, None, :, None]
        axes = (0, 1, 2, 3, 4)
        parts += [np.log1p(np.abs(detail).mean(axis=axes)), np.log1p(detail.std(axis=axes))]
        if scale < MOVING_SCALES:
            parts.append(np.log1p(np.abs(np.diff(coarse, axis=0)).mean(axis=(0, 1, 2))))
        picture = coarse
    return np.concatenate(parts).astype(np.float32)


def _digest(statistics: np.ndarray) -> str:
    # rounded, since the last bits of a mean differ between machines
    return hashlib.sha256(np.round(statistics.astype(np.float64), 2).tobytes()).hexdigest()[:12]
