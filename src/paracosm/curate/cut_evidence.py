"""How likely a proposed cut is one: ten measurements around it, weighed by a logistic regression.

A true cut changes much where the frames around it change little, and neither motion nor a later frame
explains it; a fast turn changes much before and after too; a flash is taken back. The weights were learnt
from splices of recordings of Doom and CoinRun beside their uncut play; benchmarks/curate.py measures them on
others. This file does NOT propose cuts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from paracosm.core.extras import need

from .motion_field import aligned_residual, dense_flow, shifted_residual

LATER = (1, 3, 5)
"""Frames behind a proposal that the frame before it may return in, after a flash."""
LATER_COLOURS = (2, 4, 6)
BINS = 12

WEIGHTS = {
    "residual": 3.103, "residual_around": -4.305, "change": 6.197, "change_around": -4.745, "colours": 1.648,
    "colours_around": -2.65, "shifted": 0.507, "shifted_around": 1.236, "roughness": 4.511,
    "roughness_around": -2.45,
}  # fmt: skip
CONSTANT = 5.141
FLOOR = {"residual": 0.05, "change": 0.003, "colours": 0.01, "shifted": 0.05, "roughness": 0.002}
"""Added before the logarithm: below it lies what codecs and rounding do."""


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
    measured = _measure(smalls, greys, place)
    total = CONSTANT + sum(
        WEIGHTS[name] * math.log(value + FLOOR[name.removesuffix("_around")])
        for name, value in measured.items()
    )
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def _measure(smalls: Sequence[np.ndarray], greys: Sequence[np.ndarray], place: int) -> dict[str, float]:
    last = len(greys) - 1
    before, after = greys[place - 1], greys[place]
    residuals = [aligned_residual(before, after)]
    residuals += [aligned_residual(before, greys[place + k]) for k in LATER if place + k <= last]
    colours = [_colour_distance(smalls[place - 1], smalls[place])]
    colours += [
        _colour_distance(smalls[place - 1], smalls[place + k]) for k in LATER_COLOURS if place + k <= last
    ]
    # Neighbouring pairs that lie on one side of the proposal, and the wider ring for the change alone.
    near = [index for index in (place - 1, place + 1) if 1 <= index <= last]
    ring = [index for index in (place - 2, place - 1, place + 1, place + 2) if 1 <= index <= last]
    pairs = [(greys[index - 1], greys[index]) for index in near]
    return {
        "residual": min(residuals),
        "residual_around": max((aligned_residual(*pair) for pair in pairs), default=0.0),
        "change": _change(before, after),
        "change_around": max((_change(greys[index - 1], greys[index]) for index in ring), default=0.0),
        "colours": min(colours),
        "colours_around": max(
            (_colour_distance(smalls[index - 1], smalls[index]) for index in near), default=0.0
        ),
        "shifted": shifted_residual(before, after),
        "shifted_around": max((shifted_residual(*pair) for pair in pairs), default=0.0),
        "roughness": _roughness(before, after),
        "roughness_around": max((_roughness(*pair) for pair in pairs), default=0.0),
    }


def _change(before: np.ndarray, after: np.ndarray) -> float:
    return float(need("cv2", "curate").absdiff(before, after).mean()) / 255


def _roughness(before: np.ndarray, after: np.ndarray) -> float:
    """How little the flow is of one piece, in picture widths: between two shots it points anywhere."""
    flow = dense_flow(before, after)
    side = max(3, before.shape[1] // 5 | 1)
    return float(np.abs(flow - need("cv2", "curate").blur(flow, (side, side))).mean()) / before.shape[1]


def _colour_distance(one: np.ndarray, two: np.ndarray) -> float:
    """Share of the picture whose colours would have to change, channel by channel."""
    parts = [
        np.abs(
            np.histogram(one[..., c], BINS, (0, 256))[0] - np.histogram(two[..., c], BINS, (0, 256))[0]
        ).sum()
        for c in range(3)
    ]
    return float(sum(parts)) / (6 * one[..., 0].size)
