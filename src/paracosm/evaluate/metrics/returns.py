"""Walks that should lead back to the first view, and how much of it is still there.

The scripts are made here from what a world's controls offer; the true game under the same script is the
ceiling, since momentum and walls keep it, too, from coming back exactly. This file does NOT play worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import IDLE, Control, ControlSpace
from paracosm.evaluate.drift import coarse_views

LEFT_SHARE = 0.5
"""A world has left when its view changed by at least this share of what the true game's did."""
OPPOSITES = (("forward", "back"), ("right", "left"), ("up", "down"))
"""Keys that undo each other, where a world has both."""
LOOP_TURN_DEG = 90.0
"""Turn at each corner of a loop."""
SETTLE_SECONDS = 1.0
"""A player of Doom who ran has slid to a stop by then."""
REST_SECONDS = 0.5
"""Standing still between the legs of a walk."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Controls that lead away and back.

    Attributes:
        name: stable, e.g. "turn_90deg_wait_1s".
        family: "turn" (away and back), "full_turn", "walk" (out and back) or "loop".
        controls: all of them.
        settle: idle steps before the walk, until momentum is gone; the frame after them is the first view.
        farthest: how many controls lead to the farthest point.
        seconds_away: from leaving to coming back.
    """

    name: str
    family: str
    controls: tuple[Control, ...]
    settle: int
    farthest: int
    seconds_away: float


def make_walks(space: ControlSpace, fps: float) -> list[Walk]:
    """Make the walks that a world's controls allow, several times away of each family.

    Args:
        space: the controls.
        fps: steps a second.

    Returns:
        Turns by 45 and 90 degrees at once and with waits of 1 and 4 seconds, a full turn, walks of 0.5, 1 and
        2 seconds along each pair of opposite keys, and a square loop; empty when nothing undoes anything.
    """
    walks: list[Walk] = []
    if space.look_limit[0]:
        walks += [turn_away(space, fps, angle, wait) for angle, wait in ((45, 0), (90, 0), (90, 1), (90, 4))]
        walks.append(full_turn(space, fps))
    for out, back in OPPOSITES:
        if out in space.keys and back in space.keys:
            walks += [out_and_back(out, back, seconds, fps) for seconds in (0.5, 1.0, 2.0)]
    if space.look_limit[0] and "forward" in space.keys:
        walks.append(square_loop(space, fps))
    return walks


def turn_away(space: ControlSpace, fps: float, angle_deg: float, wait_seconds: float) -> Walk:
    """Turn right by an angle, wait, turn back by as much."""
    turns = _turn(space, angle_deg)
    wait = round(wait_seconds * fps)
    back = tuple(Control(look=(-turn.look[0], 0.0)) for turn in turns)
    name = f"turn_{angle_deg:g}deg" + (f"_wait_{wait_seconds:g}s" if wait else "")
    return _walk(name, "turn", (*turns, *(IDLE,) * wait, *back), len(turns), fps)


def full_turn(space: ControlSpace, fps: float) -> Walk:
    """Turn right by 360 degrees."""
    turns = _turn(space, 360.0)
    return _walk("turn_360deg", "full_turn", turns, len(turns) // 2, fps)


def out_and_back(out: str, back: str, seconds: float, fps: float) -> Walk:
    """Hold a key, stand still for half a second, hold its opposite as long, stand still again."""
    steps, rest = max(1, round(seconds * fps)), max(1, round(REST_SECONDS * fps))
    controls = (*(Control({out}),) * steps, *(IDLE,) * rest, *(Control({back}),) * steps, *(IDLE,) * rest)
    return _walk(f"{out}_{back}_{seconds:g}s", "walk", controls, steps + rest, fps)


def square_loop(space: ControlSpace, fps: float, seconds: float = 0.5) -> Walk:
    """Walk four equal sides with a right angle after each: back at the start, looking as before."""
    steps, rest = max(1, round(seconds * fps)), max(1, round(REST_SECONDS * fps))
    side = (*(Control({"forward"}),) * steps, *(IDLE,) * rest, *_turn(space, LOOP_TURN_DEG))
    return _walk(f"loop_{seconds:g}s", "loop", side * 4, 2 * len(side), fps)


def view_gap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distance of two views in coarse colours and edges: root mean square over a grid of 6 x 8 cells.

    Coarse on purpose: a return that is a pixel off is a return.

    Args:
        one: uint8 (n, h, w, 3).
        other: uint8 of the same shape.

    Returns:
        float64 (n,), 0 to about 1.
    """
    difference = coarse_views(one).astype(np.float64) - coarse_views(other)
    return np.sqrt(np.square(difference).mean(axis=1))


def return_ratio(gap: float, random_gap: float) -> float:
    """Distance of the return view to the first view, over that of two random views of the game.

    0 is a perfect return, 1 no better than chance.
    """
    return gap / random_gap if random_gap > 0 else float("nan")


def leaving_gate(gap_away: float, true_gap_away: float) -> float:
    """How far a world left at all: 0 for a frozen one, 1 from half of the true game's change of view on."""
    return min(1.0, gap_away / (LEFT_SHARE * true_gap_away)) if true_gap_away > 0 else 0.0


def memory_score(gap_back: float, gap_away: float, true_gap_away: float, random_gap: float) -> float:
    """Memory of a view: gate times (1 - return ratio), never below 0.

    Args:
        gap_back: distance of the return view to the first view.
        gap_away: distance of the farthest view to the first view.
        true_gap_away: the same in the true game under the same script.
        random_gap: mean distance of two random views of the game.

    Returns:
        0 to 1, higher is better. A world that never leaves has gate 0: standing still is no memory.
    """
    return leaving_gate(gap_away, true_gap_away) * max(0.0, 1.0 - return_ratio(gap_back, random_gap))


def random_view_gap(views: Sequence[np.ndarray]) -> float:
    """Mean distance of two random views: each of the list with that half a list away.

    Args:
        views: frames uint8 (h, w, 3) of different places, two or more.
    """
    stack = np.stack(list(views))
    return float(view_gap(stack, np.roll(stack, len(stack) // 2, axis=0)).mean())


def _turn(space: ControlSpace, angle_deg: float) -> tuple[Control, ...]:
    """Equal turns to the right that add up to the angle, none above the limit."""
    count = int(np.ceil(angle_deg / space.look_limit[0] - 1e-9))
    return (Control(look=(angle_deg / count, 0.0)),) * count


def _walk(name: str, family: str, controls: tuple[Control, ...], farthest: int, fps: float) -> Walk:
    settle = max(1, round(SETTLE_SECONDS * fps))
    return Walk(
        name=name,
        family=family,
        controls=((IDLE,) * settle + controls),
        settle=settle,
        farthest=settle + farthest,
        seconds_away=len(controls) / fps,
    )
