"""Structural similarity, and errors where something moved: what PSNR of a whole picture cannot say.

Pure functions on uint8 frames. This file does NOT know worlds, cases or models.
"""

from __future__ import annotations

import numpy as np

from paracosm.core.errors import DataError
from paracosm.evaluate.quality import PSNR_CAP_DB, luma

WINDOW = 11
"""Side of the window of SSIM in pixels."""
SIGMA = 1.5
"""Standard deviation of its Gaussian weights in pixels."""
STABILISERS = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)
"""C1 and C2 of SSIM for 8 bits."""
CHANGED_GREY_LEVELS = 8.0
"""A pixel changed when one of its channels did by more than this: above rounding and dithering."""
LEAST_CHANGED = 16
"""Changed pixels below which a picture has no moving region worth an error."""


def ssim(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Structural similarity on brightness: Gaussian window 11 x 11, sigma 1.5, whole windows only.

    Args:
        image: uint8 (..., h, w, 3), h and w at least 11.
        truth: uint8 of the same shape.

    Returns:
        float64 (...), -1 to 1, higher is better; 1 for equal frames.

    Raises:
        DataError: when the shapes differ or the frames are smaller than the window.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004,
        equation 13.
    """
    _check_pair(image, truth)
    if min(image.shape[-3:-1]) < WINDOW:
        size = f"{image.shape[-3]} x {image.shape[-2]}"
        raise DataError(f"SSIM needs frames of at least {WINDOW} x {WINDOW} pixels; these are {size}")
    x, y = luma(image).astype(np.float64), luma(truth).astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    cov = _blur(x * y) - mean_x * mean_y
    c1, c2 = STABILISERS
    above = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return (above / below).mean(axis=(-2, -1))


def changed_pixels(truth: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Tell which pixels the true game itself changed since the start, grown by one pixel all round.

    Args:
        truth: uint8 (..., h, w, 3), true frames.
        start: uint8 (..., h, w, 3), the true frame that each run began from.

    Returns:
        bool (..., h, w).
    """
    _check_pair(truth, start)
    difference = np.abs(truth.astype(np.int16) - start.astype(np.int16)).max(axis=-1)
    changed = difference > CHANGED_GREY_LEVELS
    padded = np.pad(changed, [(0, 0)] * (changed.ndim - 2) + [(1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(-2, -1))
    return np.asarray(windows.any(axis=(-2, -1)))


def moving_psnr_db(image: np.ndarray, truth: np.ndarray, start: np.ndarray) -> np.ndarray:
    """PSNR over the pixels that the true game changed since the start: a still background earns nothing.

    Args:
        image: uint8 (..., h, w, 3), frames of the world.
        truth: uint8 of the same shape, true frames.
        start: uint8 of the same shape, the true frame that each run began from.

    Returns:
        float64 (...), dB up to ``PSNR_CAP_DB``, higher is better; nan where fewer than
        :data:`LEAST_CHANGED` pixels changed.
    """
    _check_pair(image, truth)
    mask = changed_pixels(truth, start)
    squares = np.square(image.astype(np.float32) - truth.astype(np.float32)).mean(axis=-1)
    count = mask.sum(axis=(-2, -1))
    total = np.where(mask, squares, 0.0).sum(axis=(-2, -1), dtype=np.float64)
    mse = total / np.maximum(count, 1)
    floor = 255.0**2 / 10 ** (PSNR_CAP_DB / 10)
    return np.where(count >= LEAST_CHANGED, 10 * np.log10(255.0**2 / np.maximum(mse, floor)), np.nan)


def _blur(planes: np.ndarray) -> np.ndarray:
    """Weighted means over all whole windows: (..., h, w) to (..., h - 10, w - 10)."""
    place = np.arange(WINDOW) - (WINDOW - 1) / 2
    weight = np.exp(-(place**2) / (2 * SIGMA**2))
    weight /= weight.sum()
    rows = np.lib.stride_tricks.sliding_window_view(planes, WINDOW, axis=-2) @ weight
    return np.lib.stride_tricks.sliding_window_view(rows, WINDOW, axis=-1) @ weight


def _check_pair(image: np.ndarray, truth: np.ndarray) -> None:
    if image.shape != truth.shape:
        raise DataError(
            f"frames of shape {image.shape} cannot be compared with {truth.shape}; give equal shapes"
        )
