"""Worlds begun from pictures unlike any they learnt from: drawings, photos, frames of other games.

The question is not whether the dream looks right, which nobody can say of a drawing, but whether the learnt
actions still mean what they meant: two actions that move the picture in opposite directions from the world's
own starts are held from each far start, and must move it apart there too. Figures are kept by kind of start
and apart from those of the world's own starts. This file does NOT know networks or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ControlError
from paracosm.core.figures import Figure, not_computed
from paracosm.core.stats import bootstrap_ci95
from paracosm.core.world import World

from .flow import clip_motion

HELD_STEPS = 8
"""Steps for which an action is held."""
SMALLEST = 1.0
"""Pixels over all steps by which a picture must move, and two pictures apart, to count."""
OWN_STARTS = 8
"""The world's own starts from which opposite actions are found."""
OWN = "own"
"""Kind of the world's own starts: what the others are held against."""


@dataclass(frozen=True, kw_only=True)
class FarStart:
    """A picture to begin from.

    Attributes:
        kind: what it is, e.g. "sketch"; figures are kept by kind.
        name: of the picture, with its source where it is not made here.
        picture: uint8 (h, w, 3).
    """

    kind: str
    name: str
    picture: np.ndarray


@dataclass(frozen=True, kw_only=True)
class OppositeActions:
    """Two learnt actions that move the world's own pictures in opposite directions.

    Attributes:
        one: moves the picture right, or down.
        other: moves it left, or up.
        axis: "right" or "down".
        motions: mean motion of every action along the axis, in pixels over HELD_STEPS.
    """

    one: int
    other: int
    axis: str
    motions: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FarResult:
    """What two opposite actions did from one start, in pixels along their axis."""

    kind: str
    name: str
    one: float
    other: float

    @property
    def opposite(self) -> bool:
        """Whether both moved the picture, the way they do from the world's own starts."""
        return self.one >= SMALLEST and self.other <= -SMALLEST

    @property
    def apart(self) -> bool:
        """Whether the first moved it further along the axis than the second, by a pixel or more."""
        return self.one - self.other >= SMALLEST


def find_opposites(world: World, num_starts: int = OWN_STARTS) -> OppositeActions | None:
    """Find the two learnt actions whose motions are most opposed, from the world's own starts.

    Returns:
        The actions, or None when no two move the picture in opposite directions.

    Raises:
        ControlError: when the world offers no learnt actions.
    """
    count = world.info.controls.num_latents
    if not count:
        raise ControlError(
            f"{world.info.name} offers no learnt actions; open a world that was trained on some"
        )
    best: OppositeActions | None = None
    motions = np.array(
        [[_hold(world, action, seed=seed) for action in range(count)] for seed in range(num_starts)]
    ).mean(0)
    for index, axis in enumerate(("right", "down")):
        along = motions[:, index]
        one, other = int(along.argmax()), int(along.argmin())
        if along[one] < SMALLEST or along[other] > -SMALLEST:
            continue
        if best is None or along[one] - along[other] > best.motions[best.one] - best.motions[best.other]:
            best = OppositeActions(one=one, other=other, axis=axis, motions=tuple(float(x) for x in along))
    return best


def play_starts(world: World, pair: OppositeActions, starts: Sequence[FarStart]) -> list[FarResult]:
    """Hold both actions from every start; the world's own are played beside them.

    Raises:
        WorldError: for a picture of another size.
    """
    index = ("right", "down").index(pair.axis)
    results = []
    for seed in range(OWN_STARTS, 2 * OWN_STARTS):  # others than the actions were found from
        one, other = (_hold(world, action, seed=seed)[index] for action in (pair.one, pair.other))
        results.append(FarResult(kind=OWN, name=f"seed {seed}", one=one, other=other))
    for start in starts:
        one, other = (_hold(world, action, start=start.picture)[index] for action in (pair.one, pair.other))
        results.append(FarResult(kind=start.kind, name=start.name, one=one, other=other))
    return results


def far_figures(results: Sequence[FarResult], kinds: Sequence[str]) -> Mapping[str, Figure]:
    """Share of starts from which actions stay opposite: of each kind, and of all but the world's own.

    Args:
        results: of :func:`play_starts`; empty when no two actions are opposite.
        kinds: every kind that was asked for; one without a start says so.
    """
    figures: dict[str, Figure] = {}
    groups = {kind: [one for one in results if one.kind == kind] for kind in (OWN, *kinds)}
    groups["all"] = [one for one in results if one.kind != OWN]
    for kind, group in groups.items():
        for name, values in (
            ("opposite_share", [one.opposite for one in group]),
            ("apart_share", [one.apart for one in group]),
        ):
            figures[f"far_starts.{name}.{kind}"] = _share(values, kind, bool(results))
    return figures


def _share(values: Sequence[bool], kind: str, any_pair: bool) -> Figure:
    if not any_pair:
        return not_computed(
            "undefined", "no two learnt actions move the world's own starts in opposite directions", "share"
        )
    if not values:
        return not_computed("skipped", f"no start of kind {kind} was given", "share")
    numbers = np.asarray(values, float)
    interval = bootstrap_ci95(numbers) if len(numbers) > 1 else None
    return Figure(
        value=float(numbers.mean()),
        unit="share",
        n=len(numbers),
        ci95=interval,
        # a frozen picture moves nowhere, and a world blind to its actions moves one way for both
        anchors={"copy_last": 0.0, "no_control": 0.0},
    )


def _hold(
    world: World, action: int, *, seed: int = 0, start: np.ndarray | None = None
) -> tuple[float, float]:
    """Motion (right, down) of the picture in pixels while an action is held."""
    frames = [world.reset(seed=seed, start=start).image]
    frames += [world.step(Control(latent=action)).image for _ in range(HELD_STEPS)]
    motion = clip_motion(np.stack(frames))
    return motion.right, motion.down
