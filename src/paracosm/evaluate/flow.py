"""Optical flow by block matching, and the motion of a whole picture read from it.

Plain numpy on small frames. This file does NOT know controls; which motion a control should cause is told
elsewhere.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError

from .quality import luma

BLOCK = 8
"""Side of a matched block in pixels: at 64 x 48 smaller ones find false friends, larger ones blur
parallax."""
REACH = 8
"""Largest motion looked for, in pixels a step; a turn of 6 degrees moves a 64-pixel wide 90-degree view by
about 5."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Where the blocks of one frame went in the next.

    Attributes:
        shift: float32 (rows, columns, 2), (down, right) in pixels.
        weight: float32 (rows, columns), how distinct the match is in grey levels; 0 for a block without
            texture.
        place: float32 (rows, columns, 2), block centres relative to the picture's centre, (down, right) in
            pixels.
    """

    shift: np.ndarray
    weight: np.ndarray
    place: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Motion:
    """What a whole picture did in one step, or in several when added up.

    Attributes:
        right: mean motion of the content to the right, in pixels; a turn to the right makes it negative.
        down: mean motion of the content downward, in pixels.
        growth: relative growth of the content away from the centre; walking forward makes it positive.
    """

    right: float
    down: float
    growth: float


def block_flow(before: np.ndarray, after: np.ndarray, block: int = BLOCK, reach: int = REACH) -> Flow:
    """Match each inner block of ``before`` in ``after`` by the least mean absolute difference, to sub-pixels.

    Blocks nearer to the border than ``reach`` are left out: their match may lie outside the picture.

    Args:
        before: uint8 (h, w, 3).
        after: uint8 (h, w, 3).
        block: side of a block in pixels.
        reach: largest shift tried, in pixels along each axis.

    Raises:
        DataError: when the frames are too small to hold one inner block or differ in shape.
    """
    height, width = before.shape[:2]
    rows, columns = (height - 2 * reach) // block, (width - 2 * reach) // block
    if before.shape != after.shape or rows < 1 or columns < 1:
        raise DataError(
            f"flow needs two equal frames of at least {block + 2 * reach} x {block + 2 * reach} pixels; "
            f"{before.shape[:2]} and {after.shape[:2]} were given"
        )
    top, left = (height - rows * block) // 2, (width - columns * block) // 2
    first, second = luma(before), luma(after)
    inner = first[top : top + rows * block, left : left + columns * block]
    side = 2 * reach + 1
    cost = np.empty((side, side, rows, columns), np.float32)
    for down in range(side):
        band = second[top + down - reach :][: rows * block, left - reach : left + columns * block + reach]
        shifted = np.lib.stride_tricks.sliding_window_view(band, columns * block, axis=1).swapaxes(0, 1)
        difference = np.abs(shifted - inner).reshape(side, rows, block, columns, block)
        cost[down] = difference.mean(axis=(2, 4))
    return _best_match(cost, reach, _places(rows, columns, block))


def picture_motion(flow: Flow) -> Motion:
    """Read shift and growth of the whole picture from its blocks, weighted by how distinct they match."""
    total = float(flow.weight.sum())
    if total <= 0:
        return Motion(right=0.0, down=0.0, growth=0.0)
    weight = flow.weight[..., None] / total
    mean_shift = (weight * flow.shift).sum(axis=(0, 1))
    mean_place = (weight * flow.place).sum(axis=(0, 1))
    place, shift = flow.place - mean_place, flow.shift - mean_shift
    spread = float((weight * place**2).sum())
    growth = float((weight * place * shift).sum()) / spread if spread > 0 else 0.0
    return Motion(right=float(mean_shift[1]), down=float(mean_shift[0]), growth=growth)


def clip_motion(frames: np.ndarray) -> Motion:
    """Add up the motion over a clip.

    Args:
        frames: uint8 (t, h, w, 3), t >= 2.
    """
    steps = [picture_motion(block_flow(a, b)) for a, b in itertools.pairwise(frames)]
    return Motion(
        right=sum(step.right for step in steps),
        down=sum(step.down for step in steps),
        growth=sum(step.growth for step in steps),
    )


def _places(rows: int, columns: int, block: int) -> np.ndarray:
    down = (np.arange(rows, dtype=np.float32) - (rows - 1) / 2) * block
    right = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * block
    return np.stack(np.meshgrid(down, right, indexing="ij"), axis=-1)


def _best_match(cost: np.ndarray, reach: int, place: np.ndarray) -> Flow:
    """Pick the least cost of each block; among equals the smallest shift: a plain block stands still."""
    side, _, rows, columns = cost.shape
    steps = np.arange(-reach, reach + 1)
    length = (steps[:, None] ** 2 + steps[None, :] ** 2).ravel()
    order = np.argsort(length, kind="stable")
    flat = cost.reshape(side * side, rows, columns)
    chosen = order[np.argmin(flat[order], axis=0)]
    down, right = chosen // side, chosen % side
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    best = cost[down, right, row, column]
    fine_down = _parabola(cost, down, right, row, column, axis=0)
    fine_right = _parabola(cost, down, right, row, column, axis=1)
    shift = np.stack([down - reach + fine_down, right - reach + fine_right], axis=-1).astype(np.float32)
    return Flow(shift=shift, weight=flat.mean(axis=0) - best, place=place)


def _parabola(
    cost: np.ndarray, down: np.ndarray, right: np.ndarray, row: np.ndarray, column: np.ndarray, axis: int
) -> np.ndarray:
    """Offset in [-0.5, 0.5] of the minimum of the parabola through the best cost and its neighbours."""
    side = cost.shape[0]
    at = down if axis == 0 else right
    inside = (at > 0) & (at < side - 1)
    before, after = np.clip(at - 1, 0, side - 1), np.clip(at + 1, 0, side - 1)
    if axis == 0:
        low, high = cost[before, right, row, column], cost[after, right, row, column]
    else:
        low, high = cost[down, before, row, column], cost[down, after, row, column]
    middle = cost[down, right, row, column]
    bend = low - 2 * middle + high
    offset = np.where(bend > 1e-6, (low - high) / np.where(bend > 1e-6, 2 * bend, 1.0), 0.0)
    return np.where(inside, np.clip(offset, -0.5, 0.5), 0.0)
