"""How likely a proposed cut is one: twelve measurements around it, weighed by a logistic regression.

A true cut changes much where the frames around it change little, and neither flow, nor one shift of the whole
picture, nor a later frame explains it; a fast turn or a jump changes much before or after too, and a shift
explains it; a flash is taken back, or changes a small part only. The weights were learnt from splices of
recordings of Doom and CoinRun beside their uncut play; benchmarks/curate.py measures them on others. This
file does NOT propose cuts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from paracosm.core.extras import need

from .motion_field import aligned_residual, slid_difference

FLOW_LATER = (1, 3, 5)
"""Frames behind a proposal that the frame before it may return in, after a flash, bent along the flow."""
LATER = (2, 4, 6)
"""The same for colours and shifts, which are cheaper to look at."""
BINS = 12
LITTLE_WIDTH = 64
"""Columns at which shifts of the whole picture are tried, all of them."""

WEIGHTS = {
    "change": 6.363, "change_around": -6.251, "colours": 0.384, "colours_around": -0.524, "residual": 3.257,
    "residual_around": -2.629, "slid": 0.499, "slid_around": -8.237, "slid_later": -1.191,
    "slid_across": -1.592, "replaced": 4.304, "replaced_later": 1.252,
}  # fmt: skip
CONSTANT = -16.56
"""0.8 below the fit's own: of two mistakes, a false cut is the worse one."""
RETURNED = 0.2
"""Share of the difference below which a frame behind a proposal is the frame before it again, and no cut
lies between; the least of a true cut that was seen is 0.37."""
FLOOR = {"residual": 0.15, "change": 0.02, "colours": 0.01, "slid": 0.04, "replaced": 0.03}
"""Added before the logarithm: below it lies what codecs, rounding and small things that move do."""


def cut_chance(smalls: Sequence[np.ndarray], greys: Sequence[np.ndarray], place: int) -> float:
    """Return how likely a new shot begins at ``place``.

    Args:
        smalls: uint8 (h, w, 3) each, neighbouring frames in order.
        greys: the same frames in grey, uint8 (h, w).
        place: which of them may begin the shot; 1 or more. Six frames behind it and three before it are
            looked at, as far as they are there.

    Returns:
        0 to 1.
    """
    measured = measure_evidence(smalls, greys, place)
    if measured["slid_later"] < RETURNED * measured["slid"]:
        return 0.0
    total = CONSTANT + sum(
        WEIGHTS[name] * math.log(value + FLOOR[name.partition("_")[0]]) for name, value in measured.items()
    )
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def measure_evidence(
    smalls: Sequence[np.ndarray], greys: Sequence[np.ndarray], place: int
) -> dict[str, float]:
    """Measure what ``cut_chance`` weighs, each 0 or more; takes the same arguments.

    ``_around`` is the largest of the neighbouring pairs that lie on one side of the proposal, ``_later`` the
    least of the frame before and of the proposal or a frame behind it, ``_across`` from two before to one
    behind.
    """
    last = len(greys) - 1
    near = [index for index in (place - 1, place + 1) if 1 <= index <= last]
    ring = [index for index in (place - 2, place - 1, place + 1, place + 2) if 1 <= index <= last]
    littles = {
        index: _little(smalls[index]) for index in range(max(0, place - 3), min(last, place + LATER[-1]) + 1)
    }
    slid, replaced = slid_difference(littles[place - 1], littles[place])
    later = [(slid, replaced)]
    later += [slid_difference(littles[place - 1], littles[place + k]) for k in LATER if place + k <= last]
    return {
        "change": _change(greys[place - 1], greys[place]),
        "change_around": _largest(_change, greys, ring),
        "colours": _least_later(_colour_distance, smalls, place, LATER),
        "colours_around": _largest(_colour_distance, smalls, near),
        "residual": _least_later(aligned_residual, greys, place, FLOW_LATER),
        "residual_around": _largest(aligned_residual, greys, near),
        "slid": slid,
        "slid_around": max(
            (slid_difference(littles[index - 1], littles[index])[0] for index in ring), default=0.0
        ),
        "slid_later": min(value for value, _ in later),
        "slid_across": slid_difference(littles[place - 2], littles[place + 1])[0]
        if 2 <= place < last
        else slid,
        "replaced": replaced,
        "replaced_later": min(value for _, value in later),
    }


Measure = Callable[[np.ndarray, np.ndarray], float]


def _largest(measure: Measure, frames: Sequence[np.ndarray], places: Sequence[int]) -> float:
    return max((measure(frames[index - 1], frames[index]) for index in places), default=0.0)


def _least_later(measure: Measure, frames: Sequence[np.ndarray], place: int, later: Sequence[int]) -> float:
    """The least of the proposal's own pair and of the pairs with later frames that are there."""
    ends = [place, *(place + k for k in later if place + k < len(frames))]
    return min(measure(frames[place - 1], frames[end]) for end in ends)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    return float(need("cv2", "curate").absdiff(before, after).mean()) / 255


def _little(small: np.ndarray) -> np.ndarray:
    rows, columns = small.shape[:2]
    if columns <= LITTLE_WIDTH:
        return small
    size = (LITTLE_WIDTH, max(5, round(rows * LITTLE_WIDTH / columns)))
    return need("cv2", "curate").resize(small, size, interpolation=need("cv2", "curate").INTER_AREA)


def _colour_distance(one: np.ndarray, two: np.ndarray) -> float:
    """Share of the picture whose colours would have to change, channel by channel."""
    count = need("cv2", "curate").calcHist
    parts = [
        np.abs(count([one], [c], None, [BINS], [0, 256]) - count([two], [c], None, [BINS], [0, 256])).sum()
        for c in range(3)
    ]
    return float(sum(parts)) / (6 * one[..., 0].size)
