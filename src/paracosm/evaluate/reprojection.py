"""Frames laid over later ones by true depth and the true camera's motion, and what that says of a dream.

Things keep their place where the overlay fits (object consistency); near things move faster than far ones
where it fits better than any shift of the whole picture (parallax). Pure functions. This file does NOT play
worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cameras import View, true_step
from .quality import luma

PAIR_STEPS = 4
"""Steps between two frames that are laid over each other by true depth."""
DEPTH_TOLERANCE = 0.1
"""Relative difference of depth from which a pixel counts as hidden in the other frame."""
SPEEDS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Shares of the true motion that are tried before parallax is judged: speed is another figure's business."""
LARGEST_SHIFT_PX = 24
"""Largest shift of a whole picture that is tried against them."""
LEAST_TRUE_GAIN = 0.25
"""Gain that the true game itself must reach, else the moment cannot judge: fine textures, a wall at hand."""


@dataclass(frozen=True, kw_only=True)
class Reprojection:
    """Errors of a clip laid over itself, mean over pixels seen in both frames, squared grey levels.

    Attributes:
        warped: after moving pixels by true depth and true camera motion.
        still: without moving them.
        pixels: how many pixels were compared.
    """

    warped: float
    still: float
    pixels: int


def reprojection(clip: np.ndarray, views: Sequence[View]) -> Reprojection | None:
    """Lay frames over those PAIR_STEPS later by true depth and the true camera's motion.

    Args:
        clip: uint8 (t, h, w, 3), a dream or the true game.
        views: t true views under the same controls, with depth.

    Returns:
        None when no pixel is seen in both frames of any pair.
    """
    grey = luma(clip)
    warped = still = 0.0
    pixels = 0
    for first in range(0, min(len(clip), len(views)) - PAIR_STEPS, PAIR_STEPS):
        second = first + PAIR_STEPS
        rows, columns, seen = where_to(views[first], views[second])
        moved = sample_at(grey[second], rows, columns)
        warped += float(((grey[first] - moved) ** 2)[seen].sum(dtype=np.float64))
        still += float(((grey[first] - grey[second]) ** 2)[seen].sum(dtype=np.float64))
        pixels += int(seen.sum())
    return Reprojection(warped=warped / pixels, still=still / pixels, pixels=pixels) if pixels else None


def reprojection_gain(rows: np.ndarray) -> float:
    """1 - warped / still, at least 0, times the gate min(1, still / true still); sums over cases first.

    Args:
        rows: (cases, 3): warped and still error of the clip, still error of the true game.
    """
    warped, still, true_still = rows.sum(axis=0, dtype=np.float64).tolist()
    if true_still <= 0:
        return float("nan")
    return max(0.0, 1 - warped / still) * min(1.0, still / true_still) if still > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Parallax:
    """How well layers and how well a flat picture explain a clip, mean squared error in grey levels.

    Attributes:
        layered: of true depth, at the best share of the true speed.
        flat: of the best shift of the whole picture.
        still: without any motion.
        speed: the best share of the true speed.
    """

    layered: float
    flat: float
    still: float
    speed: float


def parallax(clip: np.ndarray, views: Sequence[View]) -> Parallax | None:
    """Ask whether layers move by their depth, or the picture as one, while the player steps aside.

    Both explanations fit one number to the clip, the speed or the shift.

    Args:
        clip: uint8 (t, h, w, 3).
        views: t true views with depth; the camera moves across its view and does not turn.

    Returns:
        None when no pixel is seen in both frames of any pair.
    """
    grey = luma(clip)
    layered = np.zeros(len(SPEEDS))
    shifts = np.arange(-LARGEST_SHIFT_PX, LARGEST_SHIFT_PX + 1)
    flat = np.zeros(len(shifts))
    pixels = 0
    height, width = grey.shape[1:]
    own_rows, own_columns = np.mgrid[:height, :width].astype(np.float64)
    for first in range(0, min(len(clip), len(views)) - PAIR_STEPS, PAIR_STEPS):
        second = first + PAIR_STEPS
        rows, columns, seen = where_to(views[first], views[second])

        def error(
            at_rows: np.ndarray, at_columns: np.ndarray, first: int = first, seen: np.ndarray = seen
        ) -> float:
            moved = sample_at(grey[first + PAIR_STEPS], at_rows, at_columns)
            return float(((grey[first] - moved) ** 2)[seen].sum(dtype=np.float64))

        layered += [
            error(own_rows + share * (rows - own_rows), own_columns + share * (columns - own_columns))
            for share in SPEEDS
        ]
        flat += [error(own_rows, own_columns + shift) for shift in shifts]
        pixels += int(seen.sum())
    if not pixels:
        return None
    best = int(layered.argmin())
    return Parallax(
        layered=float(layered[best] / pixels),
        flat=float(flat.min() / pixels),
        still=float(layered[0] / pixels),
        speed=SPEEDS[best],
    )


def parallax_gain(rows: np.ndarray) -> float:
    """1 - layered / flat, at least 0, times the gate min(1, still / true still); sums over cases first.

    Args:
        rows: (cases, 4): layered, flat and still error of the clip, still error of the true game.
    """
    layered, flat, still, true_still = rows.sum(axis=0, dtype=np.float64).tolist()
    if true_still <= 0:
        return float("nan")
    return max(0.0, 1 - layered / flat) * min(1.0, still / true_still) if flat > 0 else 0.0


def where_to(before: View, after: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns at which pixels of one true view stand in another, and which are seen in both."""
    assert before.depth is not None
    assert after.depth is not None
    height, width = before.depth.shape
    lens, other = before.lens, after.lens
    across = (np.arange(width)[None] + 0.5 - lens.cx) / lens.fx
    down = (np.arange(height)[:, None] + 0.5 - lens.cy) / lens.fy
    depth = before.depth.astype(np.float64)
    points = np.stack([across * depth, down * depth, depth, np.ones_like(depth)])
    moved = np.linalg.inv(true_step(before, after)) @ points.reshape(4, -1)
    right, below, ahead = moved[:3].reshape(3, height, width)
    front = np.maximum(ahead, 1e-3)
    columns = other.cx + other.fx * right / front - 0.5
    rows = other.cy + other.fy * below / front - 0.5
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1) & (ahead > 1)
    there = after.depth[
        np.clip(np.rint(rows), 0, height - 1).astype(int), np.clip(np.rint(columns), 0, width - 1).astype(int)
    ]
    return rows, columns, inside & (np.abs(there - ahead) <= DEPTH_TOLERANCE * np.maximum(there, 1.0))


def sample_at(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear values of an image (h, w) at places that may lie outside, where the border is repeated."""
    height, width = image.shape
    y, x = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    down, aside = y - top, x - left
    upper = image[top, left] * (1 - aside) + image[top, left + 1] * aside
    lower = image[top + 1, left] * (1 - aside) + image[top + 1, left + 1] * aside
    return upper * (1 - down) + lower * down
