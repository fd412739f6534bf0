"""Opposite controls from the same start must give opposite motion: left and right, forward and back.

The true game, put into the same state, says where they can (not against a wall) and which way the picture
moves. This file does NOT know networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.figures import Figure, not_computed
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.stats import estimate

from .cases import Case
from .flow import Motion, clip_motion
from .rollouts import Subject, play_all

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


def measure_opposites(
    subject: Subject,
    true_game: Subject,
    cases: Sequence[Case],
    space: ControlSpace,
    workers: int,
    progress: ProgressMaker = no_progress,
) -> dict[str, Figure]:
    """Play both controls of each pair in the world and in the true game and compare the motions.

    Args:
        subject: the world.
        true_game: the game that recorded the cases.
        cases: starts; their own controls are not used.
        space: the controls of both.
        workers: processes.
        progress: makes the progress line.
    """
    pairs = opposite_pairs(space)
    rollouts = [
        replace(case.rollout, controls=(control,) * HELD_STEPS)
        for pair in pairs
        for control in (pair.one, pair.other)
        for case in cases
    ]
    starts = [rollout.start[-1:] for rollout in rollouts]
    motions = []
    for who, what in ((subject, "play opposite controls"), (true_game, "play them in the true game")):
        played = play_all(who, rollouts, workers, progress, what)
        motions.append([clip_motion(np.concatenate(pair)) for pair in zip(starts, played, strict=True)])
    figures = {}
    for index, pair in enumerate(pairs):
        begin, count = 2 * index * len(cases), len(cases)
        parts = [(part[begin : begin + count], part[begin + count : begin + 2 * count]) for part in motions]
        figures[f"control.opposite_share.{pair.name}"] = opposite_figure(parts[0], parts[1], pair.axis)
    return figures


def opposite_figure(
    world: tuple[Sequence[Motion], Sequence[Motion]],
    truth: tuple[Sequence[Motion], Sequence[Motion]],
    axis: str,
) -> Figure:
    """Share of judged cases whose motions both go the true way.

    Args:
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
    measured = estimate(good.astype(float))
    # A still picture does not move, and a world blind to controls moves one way for both: neither can ever
    # pass.
    anchors = {"true_game": 1.0, "copy_last": 0.0, "shuffled": float(swapped.mean()), "no_control": 0.0}
    return Figure(value=measured.mean, unit="share", n=measured.n, ci95=measured.ci95, anchors=anchors)


def _follows(motion: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (motion * truth > 0) & (np.abs(motion) >= SMALLEST_SHARE * np.abs(truth))
