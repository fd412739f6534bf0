"""Opposite controls from the same start must give opposite motion: left and right, forward and back.

The true game, put into the same state, says where they can (not against a wall) and which way the picture
moves. This file does NOT know networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.figures import Figure, not_computed

from .flow import Motion
from .part import Tally

HELD_STEPS = 8
"""Steps for which each control is held: half a second."""
SMALLEST = {"right": 1.0, "growth": 0.02}
"""Motion of the true game, in pixels or relative growth over all steps, below which a case is not judged."""
SMALLEST_SHARE = 0.25
"""Share of the true game's motion that the world must show."""
MIN_JUDGED = 4
"""Cases that the true game must be able to judge."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two opposite controls.

    Attributes:
        name: end of the figure's name.
        one: a control.
        other: its opposite.
        axis: which motion they move, a field of ``flow.Motion``.
    """

    name: str
    one: Control
    other: Control
    axis: str


def opposite_pairs(space: ControlSpace) -> list[Pair]:
    """List the pairs that a world offers, known by the names of its keys."""
    pairs = []
    yaw = space.look_limit[0]
    if yaw:
        angle = min(yaw, 4.0)
        one, other = Control(look=(angle, 0.0)), Control(look=(-angle, 0.0))
        pairs.append(Pair(name="turn", one=one, other=other, axis="right"))
    for name, first, second, axis in (
        ("forward_back", "forward", "back", "growth"),
        ("right_left", "right", "left", "right"),
    ):
        if first in space.keys and second in space.keys:
            pairs.append(Pair(name=name, one=Control({first}), other=Control({second}), axis=axis))
    return pairs


def opposite_tally(
    cases: Sequence[str],
    world: Sequence[Sequence[Motion]],
    truth: Sequence[Sequence[Motion]],
    axis: str,
) -> Tally | Figure:
    """Share of judged cases whose motions both go the true way.

    Args:
        cases: their names.
        world: motions of each case under one control and under its opposite.
        truth: the same in the true game.
        axis: which motion counts, a field of ``flow.Motion``.
    """
    one, other = (np.array([getattr(motion, axis) for motion in part]) for part in world)
    true_one, true_other = (np.array([getattr(motion, axis) for motion in part]) for part in truth)
    smallest = SMALLEST[axis]
    judged = (true_one * true_other < 0) & (np.abs(true_one) >= smallest) & (np.abs(true_other) >= smallest)
    if judged.sum() < MIN_JUDGED:
        found = f"{judged.sum()} of {len(judged)} starts give opposite motion in the true game"
        reason = f"{found}; {MIN_JUDGED} are needed"
        return not_computed("undefined", reason, "share")
    good = (_follows(one, true_one) & _follows(other, true_other))[judged]
    swapped = (_follows(other, true_one) & _follows(one, true_other))[judged]
    return Tally(
        cases=tuple(case for case, counts in zip(cases, judged, strict=True) if counts),
        world=good.astype(float),
        # A still picture does not move, and a world blind to controls moves one way for both: neither can
        # ever pass.
        anchors={
            "true_game": 1.0,
            "copy_last": 0.0,
            "shuffled": swapped.astype(float),
            "no_control": 0.0,
        },
        unit="share",
    )


def _follows(motion: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (motion * truth > 0) & (np.abs(motion) >= SMALLEST_SHARE * np.abs(truth))
