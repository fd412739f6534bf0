"""Genie 2's list of emergent things, each read off pictures the same way in the true game and in a dream.

Where the effect of a key stands, how the view rises and falls in a jump, and what moves by itself (parallax
stands in ``reprojection.py``). Pure functions on frames. This file does NOT play worlds.

Source: the list is that of the Genie 2 announcement (deepmind.google, December 2024); the formulas are this
project's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .interaction_effect import CELL_GREY_LEVELS, Effect, Quartet, measure_effect, strength, to_cells

SMALLEST_ARC_PX = 1.0
"""A true arc that moves the picture by less cannot be read."""
LEAST_ARC_FIT = 0.9
"""Correlation of the true arc, as read from pictures, with the true height: the reader's own proof."""
LEAST_MOVING_CELLS = 0.004
"""Share of cells that must move by themselves in the true game: 3 of 24 x 32, a torch."""


@dataclass(frozen=True, kw_only=True)
class Arc:
    """A jump as the picture shows it.

    Attributes:
        explained: 1 - |dream - truth|^2 / |truth|^2 of the two curves; 1 equal, 0 as good as no jump.
        height_share: highest point over the true one.
        apex_error: steps that the highest point is late (or early, negative).
        gravity_share: downward acceleration over the true one, both fitted by a parabola to the air time.
    """

    explained: float
    height_share: float
    apex_error: int
    gravity_share: float


def standing(clips: Quartet) -> tuple[float, float]:
    """Where the dream stands between the true clip without the key (0) and with it (1).

    Taken where and when the true effect shows, at its own time: a late dream stands lower.

    Returns:
        Under the key, and without it.
    """
    effect = measure_effect(clips, 0)
    idle = effect.unasked()
    acted = Effect(lag=0, own=effect.own, true=effect.true, idle_gap=effect.own + effect.idle_gap).unasked()
    return acted, idle


def rise_curve(acted: np.ndarray, idle: np.ndarray) -> np.ndarray:
    """How far a jump moves the picture down against the picture without it, at each step.

    Args:
        acted: uint8 (t, h, w, 3), with the jump.
        idle: uint8 (t, h, w, 3), without it.

    Returns:
        float64 (t,), pixels, positive while the player is higher; at most half the picture's height.
    """
    return np.array([vertical_shift(one, other) for one, other in zip(idle, acted, strict=True)])


def vertical_shift(one: np.ndarray, other: np.ndarray) -> float:
    """How many rows further down the second picture shows what the first shows.

    Every shift up to half the height is tried: a jump of CoinRun moves the view by half of its picture, far
    beyond where optical flow reaches. The shift under which the common rows differ least is taken; of several
    that are equally good, the smallest.

    Args:
        one: uint8 (h, w, 3).
        other: uint8 (h, w, 3).
    """
    first, second = one.astype(np.float32), other.astype(np.float32)
    rows = len(first)
    errors = {
        down: np.abs(
            second[max(down, 0) : rows + min(down, 0)] - first[max(-down, 0) : rows - max(down, 0)]
        ).mean()
        for down in sorted(range(-(rows // 2), rows // 2 + 1), key=abs)
    }
    return float(min(errors, key=errors.__getitem__))


def compare_arcs(own: np.ndarray, true: np.ndarray, heights: np.ndarray) -> Arc | None:
    """Compare the arc of a dream's jump with the true one.

    Args:
        own: (t,) curve of the dream, as :func:`rise_curve` reads it.
        true: (t,) curve of the true game, read the same way.
        heights: (t,) true heights of the player above where he stood, in the game's units.

    Returns:
        None when the true arc cannot be read from the pictures.
    """
    air = heights > 0.02 * heights.max()
    if true.max() < SMALLEST_ARC_PX or air.sum() < 4 or np.corrcoef(true, heights)[0, 1] < LEAST_ARC_FIT:
        return None
    return Arc(
        explained=float(1 - ((own - true) ** 2).sum() / (true**2).sum()),
        height_share=float(own.max() / true.max()),
        apex_error=int(own.argmax()) - int(true.argmax()) if own.max() > 0 else len(true),
        gravity_share=_bend(own[air]) / _bend(true[air]),
    )


def own_motion(dream: np.ndarray, true: np.ndarray) -> tuple[float, float] | None:
    """How much moves by itself where things truly do, while the player does nothing.

    Args:
        dream: uint8 (t, h, w, 3), the dream without control.
        true: uint8 (t, h, w, 3), the true game without control, the player at rest.

    Returns:
        Mean change from step to step inside the region where the true game moves, of the dream and of the
        truth, in grey levels; None when nothing moves by itself.
    """
    real, own = to_cells(true), to_cells(dream)
    moves = (strength(real.max(axis=0) - real.min(axis=0)) > CELL_GREY_LEVELS)[None]
    if moves.mean() < LEAST_MOVING_CELLS:
        return None
    sizes = [(strength(np.diff(part, axis=0)) * moves).sum() / moves.sum() / (len(part) - 1) for part in
             (own, real)]  # fmt: skip
    return float(sizes[0]), float(sizes[1])


def _bend(curve: np.ndarray) -> float:
    """Downward acceleration of the parabola through a curve, pixels / step^2."""
    return float(-2 * np.polyfit(np.arange(len(curve)), curve, 2)[0])
