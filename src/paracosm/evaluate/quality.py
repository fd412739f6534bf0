"""What one picture, or one pair of pictures, measures: error, sharpness, brightness, colour, motion.

Pure functions on uint8 frames. This file does NOT know worlds, cases or models.
"""

from __future__ import annotations

import numpy as np

from paracosm.core.errors import DataError

PSNR_CAP_DB = 60.0
"""Equal frames have no error and no finite PSNR; they count as 60 dB, about the rounding error of 8 bits
(58.9 dB)."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 weights of red, green and blue in brightness."""

STATISTICS = ("sharpness", "brightness", "chroma", "red_green", "yellow_blue", "motion")
"""Columns of :func:`frame_statistics`; colour is three of them, so that a tint cannot hide behind its
mean."""


def psnr_db(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each frame, 10 log10(255^2 / MSE), at most :data:`PSNR_CAP_DB`.

    Args:
        image: uint8 (..., h, w, c).
        truth: uint8 of the same shape.

    Returns:
        float64 (...), dB, higher is better.

    Raises:
        DataError: when the shapes differ.
    """
    if image.shape != truth.shape:
        raise DataError(
            f"frames of shape {image.shape} cannot be compared with {truth.shape}; give equal shapes"
        )
    error = image.astype(np.float32) - truth.astype(np.float32)
    mse = np.mean(np.square(error), axis=(-3, -2, -1), dtype=np.float64)
    floor = 255.0**2 / 10 ** (PSNR_CAP_DB / 10)
    return 10 * np.log10(255.0**2 / np.maximum(mse, floor))


def luma(frames: np.ndarray) -> np.ndarray:
    """Brightness of each pixel.

    Args:
        frames: uint8 (..., h, w, 3).

    Returns:
        float32 (..., h, w), 0 to 255.
    """
    return frames.astype(np.float32) @ LUMA


def sharpness(frames: np.ndarray) -> np.ndarray:
    """Mean absolute difference of neighbouring pixels' brightness, rows and columns averaged.

    Args:
        frames: uint8 (..., h, w, 3).

    Returns:
        float64 (...), grey levels; 0 for a plain picture. Blur lowers it; noise raises it.
    """
    grey = luma(frames)
    across = np.abs(np.diff(grey, axis=-1)).mean(axis=(-2, -1), dtype=np.float64)
    down = np.abs(np.diff(grey, axis=-2)).mean(axis=(-2, -1), dtype=np.float64)
    return (across + down) / 2


def motion(frames: np.ndarray) -> np.ndarray:
    """Mean absolute change of brightness from each frame to the next.

    Args:
        frames: uint8 (t, h, w, 3), t >= 2.

    Returns:
        float64 (t - 1,), grey levels.
    """
    return np.abs(np.diff(luma(frames), axis=0)).mean(axis=(-2, -1), dtype=np.float64)


def frame_statistics(frames: np.ndarray) -> np.ndarray:
    """The six numbers by which a frame is told to look like the game: see :data:`STATISTICS`.

    Args:
        frames: uint8 (t, h, w, 3) in playing order, t >= 2.

    Returns:
        float64 (t - 1, 6), one row for each frame but the first (motion needs the frame before).
    """
    rest = frames[1:].astype(np.float32)
    red, green, blue = rest[..., 0], rest[..., 1], rest[..., 2]
    columns = [
        sharpness(frames[1:]),
        luma(frames[1:]).mean(axis=(-2, -1), dtype=np.float64),
        (rest.max(axis=-1) - rest.min(axis=-1)).mean(axis=(-2, -1), dtype=np.float64),
        (red - green).mean(axis=(-2, -1), dtype=np.float64),
        ((red + green) / 2 - blue).mean(axis=(-2, -1), dtype=np.float64),
        motion(frames),
    ]
    return np.stack(columns, axis=-1)
