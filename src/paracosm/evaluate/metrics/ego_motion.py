"""How the camera moved between two frames: direct alignment of brightness through known depth and lens.

Small frames hold too few corners for features; all pixels together hold enough. The four motions of a walking
camera (forward, right, up, turn to the right) are sought by Gauss-Newton from the best of a grid, under
weights that forget what moves by itself or is painted on the lens (a weapon). For a game seen from the side
there are two: right and up. This file does NOT know where depth comes from.

Source: Kerl et al., "Robust odometry estimation for RGB-D cameras", 2013; our own plain version.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError

BLURS = (1.5, 0.7)
"""Standard deviations in pixels, coarse to fine."""
ROUNDS = 6
"""Gauss-Newton steps at each blur."""
STARTS = 2
"""Best points of the grid from which they begin."""
LEAST_OVERLAP = 0.2
"""Share of pixels that must still be in view."""
LEAST_NOISE = 2.0
"""Grey levels below which a difference says nothing."""
UNIT_TURN_RAD = 0.05
"""Turn that moves a picture about as far as a unit of translation does: balances the equations."""
EXPLAINED = 0.5
"""A step is valid when the motion found leaves at most this share of the difference without motion..."""
SMALL_RESIDUAL = 6.0
"""...or no more than this many grey levels of it."""


@dataclass(frozen=True, kw_only=True)
class Lens:
    """How a frame was projected.

    Attributes:
        kind: "pinhole" (walking camera) or "flat" (seen from the side: no depth, no turn).
        fx: focal length in pixels, or pixels for one unit of length when flat.
        fy: the same for rows.
        cx: column of the centre, pixel edges counting from 0.
        cy: row of the centre.
        unit: length of a usual step in units of length; the grid and the equations scale by it.
        most_turn_deg: largest turn of one step that is looked for.
    """

    kind: str
    fx: float
    fy: float
    cx: float
    cy: float
    unit: float
    most_turn_deg: float = 8.0


@dataclass(frozen=True, kw_only=True)
class EgoMotion:
    """What the camera did in one step.

    Attributes:
        forward: units of length, as the camera saw it before the step.
        right: the same.
        up: the same.
        turn_rad: turn to the right.
        residual: mean difference of brightness left after the motion, grey levels.
        still_residual: the same without any motion.
    """

    forward: float
    right: float
    up: float
    turn_rad: float
    residual: float
    still_residual: float

    @property
    def valid(self) -> bool:
        """Whether the motion explains the change well enough to be believed."""
        return self.residual <= max(SMALL_RESIDUAL, EXPLAINED * self.still_residual)

    def matrix(self) -> np.ndarray:
        """Pose (4, 4) of the camera after the step as the one before sees it: x right, y down, z ahead."""
        return motion_matrix(self.forward, self.right, self.up, self.turn_rad)


def motion_matrix(forward: float, right: float, up: float, turn_rad: float) -> np.ndarray:
    """Pose (4, 4) of a camera that moved and then turned to the right, in the frame it had before."""
    pose = np.eye(4)
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    pose[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
    pose[:3, 3] = (right, -up, forward)
    return pose


def estimate_motion(before: np.ndarray, after: np.ndarray, depth: np.ndarray | None, lens: Lens) -> EgoMotion:
    """Find the motion between two frames.

    Args:
        before: float (h, w), brightness 0 to 255.
        after: float (h, w).
        depth: (h, w), distance of each pixel of ``before`` along the view, in units of length; None for a
            flat lens.
        lens: how both were projected.

    Returns:
        The motion with the least difference found; ask its ``valid``.

    Raises:
        DataError: when a pinhole has no depth or shapes differ.
    """
    if before.shape != after.shape or (
        lens.kind == "pinhole" and (depth is None or depth.shape != before.shape)
    ):
        given = "no depth" if depth is None else f"depth {depth.shape}"
        raise DataError(
            f"motion between frames {before.shape} and {after.shape} with {given} cannot be found; "
            "give equal shapes, and depth for a pinhole"
        )
    scene = _Scene(before, depth, lens)
    pairs = [(_blur(before, sigma), _blur(after, sigma)) for sigma in BLURS]
    coarse = [(scene.difference(start, *pairs[0]), index) for index, start in enumerate(_grid(lens))]
    starts = [_grid(lens)[index] for _, index in sorted(coarse)[:STARTS]]
    found = []
    for start in [np.zeros(len(scene.scale)), *starts]:
        motion = start
        for one, two in pairs:
            motion = _refine(scene, motion, one, two)
        found.append((scene.difference(motion, *pairs[-1]), tuple(motion)))
    residual, best = min(found)
    still = scene.difference(np.zeros(len(scene.scale)), *pairs[-1])
    forward, right, up, turn = best if lens.kind == "pinhole" else (0.0, *best, 0.0)
    return EgoMotion(
        forward=float(forward), right=float(right), up=float(up), turn_rad=float(turn),
        residual=residual, still_residual=still,
    )  # fmt: skip


class _Scene:
    """The pixels of the first frame as points, and where a motion takes them."""

    def __init__(self, before: np.ndarray, depth: np.ndarray | None, lens: Lens) -> None:
        height, width = before.shape
        columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        self.lens, self.columns, self.rows = lens, columns - 0.5, rows - 0.5
        self.aside, self.above = (columns - lens.cx) / lens.fx, (lens.cy - rows) / lens.fy
        self.depth = depth
        unit = lens.unit
        self.scale = np.array([unit, unit, unit, UNIT_TURN_RAD] if lens.kind == "pinhole" else [unit, unit])

    def project(self, motion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns and rows in the second frame, and which points are before the camera."""
        lens = self.lens
        if self.depth is None or lens.kind == "flat":
            right, up = motion
            return self.columns - lens.fx * right, self.rows + lens.fy * up, np.ones(self.rows.shape, bool)
        forward, right, up, turn = motion
        ahead, aside = self.depth - forward, self.aside * self.depth - right
        above = self.above * self.depth - up
        cos, sin = np.cos(turn), np.sin(turn)
        distance, across = ahead * cos + aside * sin, aside * cos - ahead * sin
        before = distance > 1e-3 * lens.unit
        distance = np.where(before, distance, 1.0)
        columns = lens.cx + lens.fx * across / distance - 0.5
        return columns, lens.cy - lens.fy * above / distance - 0.5, before

    def difference(self, motion: np.ndarray, one: np.ndarray, two: np.ndarray) -> float:
        """Mean absolute difference over the pixels that stay in view; infinite when too few do."""
        columns, rows, seen = self.project(motion)
        values, inside = _sample(two, columns, rows)
        seen = seen & inside
        if seen.mean() < LEAST_OVERLAP:
            return float("inf")
        return float(np.abs(values - one)[seen].mean())


def _grid(lens: Lens) -> list[np.ndarray]:
    steps = (-1.5 * lens.unit, 0.0, 1.5 * lens.unit)
    if lens.kind == "flat":
        side = np.linspace(-3, 3, 13) * lens.unit
        return [np.array(pair) for pair in itertools.product(side, side)]
    turns = np.radians(np.arange(-lens.most_turn_deg, lens.most_turn_deg + 0.5, 1.0))
    return [
        np.array([forward, right, 0.0, turn])
        for forward, right, turn in itertools.product(steps, steps, turns)
        if not (forward and right)
    ]


def _refine(scene: _Scene, motion: np.ndarray, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Gauss-Newton with Geman-McClure weights."""
    slope_down, slope_right = np.gradient(two)
    small = 1e-2
    for _ in range(ROUNDS):
        columns, rows, seen = scene.project(motion)
        values, inside = _sample(two, columns, rows)
        seen = seen & inside
        if seen.mean() < LEAST_OVERLAP:
            break
        columns_in, rows_in = columns[seen], rows[seen]
        across, down = (
            _sample(slope_right, columns_in, rows_in)[0],
            _sample(slope_down, columns_in, rows_in)[0],
        )
        slopes = np.empty((len(motion), len(columns_in)))
        for index, size in enumerate(scene.scale):
            moved = motion.copy()
            moved[index] += size * small
            new_columns, new_rows, _ = scene.project(moved)
            slopes[index] = (
                across * (new_columns[seen] - columns_in) + down * (new_rows[seen] - rows_in)
            ) / small
        error = (values - one)[seen]
        noise = 2 * max(LEAST_NOISE, 1.4826 * float(np.median(np.abs(error))))
        weight = 1 / (1 + (error / noise) ** 2) ** 2
        normal = (slopes * weight) @ slopes.T
        normal += 1e-3 * np.diag(np.diag(normal)) + 1e-6 * np.eye(len(motion))
        step = -np.linalg.solve(normal, (slopes * weight) @ error)
        motion = motion + step * scene.scale
        if np.abs(step).max() < 2e-3:
            break
    return motion


def _sample(image: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear values, and which places lie inside the picture."""
    height, width = image.shape
    inside = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    x, y = np.clip(columns, 0, width - 1.001), np.clip(rows, 0, height - 1.001)
    left, top = x.astype(np.intp), y.astype(np.intp)
    a, b = x - left, y - top
    flat, at = image.ravel(), top * width + left
    upper = flat[at] * (1 - a) + flat[at + 1] * a
    lower = flat[at + width] * (1 - a) + flat[at + width + 1] * a
    return upper * (1 - b) + lower * b, inside


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    reach = int(np.ceil(3 * sigma))
    weight = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weight /= weight.sum()
    padded = np.pad(image.astype(np.float64), reach, mode="edge")
    rows = np.lib.stride_tricks.sliding_window_view(padded, len(weight), axis=0) @ weight
    return np.lib.stride_tricks.sliding_window_view(rows, len(weight), axis=1) @ weight
