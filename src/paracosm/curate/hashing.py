"""A 64-bit hash of what a picture looks like: two near-identical pictures differ in few bits.

The low frequencies of a small grey picture, each compared with their median (the family of pHash). This file
does NOT compare clips: ``duplicates`` does.
"""

from __future__ import annotations

import functools

import numpy as np

SIDE = 32
"""Side of the grey picture that is transformed."""
KEPT = 8
"""Frequencies kept each way; the constant one says only how bright the picture is, and is left out."""
FLAT = 2.0
"""Standard deviation, of 255, below which a picture is too plain to be told from others."""


def perceptual_hash(grey: np.ndarray) -> int | None:
    """Hash a grey picture.

    Args:
        grey: uint8 or float (h, w), any size.

    Returns:
        64 bits as an integer; None for a picture so plain that its hash would be noise.

    Source: the pHash family (DCT against its median), written anew.
    """
    square = _shrink_square(grey.astype(np.float32))
    if square.std() < FLAT:
        return None
    basis = _basis()
    low = basis @ square @ basis.T
    values = low.ravel()[1:]
    bits = np.concatenate([[low[0, 1] > 0], values > np.median(values)])
    return int(np.packbits(bits).view(">u8")[0])


def count_different(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Count the bits in which hashes differ; uint64 arrays that broadcast."""
    return (
        np.bitwise_count(np.bitwise_xor(first, second))
        if hasattr(np, "bitwise_count")
        else _popcount(np.bitwise_xor(first, second))
    )


def _popcount(values: np.ndarray) -> np.ndarray:
    parts = np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, 8)
    return np.unpackbits(parts, axis=-1).sum(axis=-1, dtype=np.uint8)


def _shrink_square(grey: np.ndarray) -> np.ndarray:
    """Average the picture down (or repeat it up) to SIDE x SIDE."""
    rows, columns = grey.shape
    tops = np.arange(SIDE) * rows // SIDE
    lefts = np.arange(SIDE) * columns // SIDE
    sums = np.add.reduceat(np.add.reduceat(grey, tops, axis=0), lefts, axis=1)
    heights = np.maximum(np.diff([*tops, rows]), 1)
    widths = np.maximum(np.diff([*lefts, columns]), 1)
    return sums / (heights[:, None] * widths[None, :])


@functools.cache
def _basis() -> np.ndarray:
    """The first KEPT rows of the cosine transform of SIDE points."""
    frequency, place = np.mgrid[:KEPT, :SIDE]
    return np.cos(np.pi * (2 * place + 1) * frequency / (2 * SIDE)).astype(np.float32)
