"""Motion between two frames in eight numbers, from the codec's own vectors or from optical flow.

Codec vectors cost nothing, since the decoder has them; where the codec keeps none (recordings, VP9, AV1, HEVC
and keyframes) OpenCV's fast dense flow stands in. Both are measured in picture widths a frame. This file does
NOT name camera moves: ``motion`` does.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from paracosm.core.extras import need

from .footage import Vectors

LEAST_COVERED = 0.2
"""Share of the picture that vectors must cover to speak for it: fewer and most blocks were drawn anew."""

REPLACED = 48
"""Levels of 255 by which a pixel must differ, in any colour, to show another thing."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What moved between a frame and the one before, in picture widths.

    Attributes:
        mean: mean length of the motion.
        x, y: median motion, right and down positive: the picture's, so the camera turns the other way.
        zoom: growth of the picture away from its centre, as a share of itself; negative when it shrinks.
        centre: mean length in the middle, where a third-person hero stands.
        border: mean length along the left and right border.
        source: "codec" or "dis".
    """

    mean: float
    x: float
    y: float
    zoom: float
    centre: float
    border: float
    source: str


def flow_of_vectors(vectors: Vectors) -> Flow | None:
    """Sum up codec vectors; None when they cover too little of the picture."""
    if vectors.area.sum() < LEAST_COVERED:
        return None
    return _sum_up(vectors.centre, vectors.motion, vectors.area, "codec")


def flow_between(before: np.ndarray, after: np.ndarray) -> Flow:
    """Measure dense flow between two grey pictures.

    Args:
        before: uint8 (h, w).
        after: uint8 (h, w).
    """
    field = dense_flow(before, after)
    rows, columns = field.shape[:2]
    step = max(1, columns // 40)
    y, x = np.mgrid[0:rows:step, 0:columns:step]
    centre = np.stack([(x.ravel() + 0.5) / columns, (y.ravel() + 0.5) / rows], axis=1).astype(np.float32)
    motion = field[::step, ::step].reshape(-1, 2) / columns
    return _sum_up(centre, motion, np.full(len(motion), 1 / len(motion), np.float32), "dis")


def dense_flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return float32 (h, w, 2): where each pixel of ``before`` is found in ``after``, in pixels.

    A whole-picture shift is found first, since a fast turn moves further than dense flow can follow.
    """
    cv2 = need("cv2", "curate")
    one, two = before.astype(np.float32), after.astype(np.float32)
    (shift_x, shift_y), trust = cv2.phaseCorrelate(one, two, _window(before.shape))
    start = np.zeros((*before.shape, 2), np.float32)
    if trust > 0.15:
        start[:] = (shift_x, shift_y)
    return _dis().calc(before, after, start)


def aligned_residual(before: np.ndarray, after: np.ndarray) -> float:
    """Return what of a frame the one before cannot explain, as a share of the frame's own contrast.

    The frame before is bent along the flow; pixels that came from outside it do not count. About 0 where the
    camera moved, near or above 1 where another shot begins.
    """
    cv2 = need("cv2", "curate")
    rows, columns = after.shape
    # From the later frame back: then every pixel of it says where it would have to come from.
    back = dense_flow(after, before)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    from_x, from_y = x + back[..., 0], y + back[..., 1]
    bent = cv2.remap(before, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (from_x >= 0) & (from_x <= columns - 1) & (from_y >= 0) & (from_y <= rows - 1)
    if inside.mean() < 0.25:
        return 1.0
    difference = np.abs(bent.astype(np.float32) - after)[inside].mean()
    return float(difference / contrast_of(before, after))


def slid_difference(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Return what no shift of the whole picture can explain; every shift of up to a fifth of it is tried.

    The middle of each frame is looked for in the other, so that plain pictures, in which neither flow nor
    phases find a hold, are compared as well.

    Args:
        before: uint8 (h, w, 3), small: the work grows with the square of its pixels.
        after: uint8 (h, w, 3).

    Returns:
        The root of the mean square difference at the best shift, 0 to 1, and the share of pixels that differ
        there by more than REPLACED levels; the mean of both directions.
    """
    one, two = _slide(before, after), _slide(after, before)
    return (one[0] + two[0]) / 2, (one[1] + two[1]) / 2


def _slide(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    cv2 = need("cv2", "curate")
    rows, columns = after.shape[:2]
    middle = after[rows // 5 : rows - rows // 5, columns // 5 : columns - columns // 5]
    error, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(before, middle, cv2.TM_SQDIFF))
    there = before[top : top + middle.shape[0], left : left + middle.shape[1]]
    replaced = float((cv2.absdiff(there, middle).max(axis=2) > REPLACED).mean())
    return float(np.sqrt(max(error, 0.0) / middle.size)) / 255, replaced


def contrast_of(before: np.ndarray, after: np.ndarray) -> float:
    """Return the mean distance of both frames' pixels from their medians, in levels of 255; at least 1."""
    spread = np.abs(after - np.median(after)).mean() + np.abs(before - np.median(before)).mean()
    return max(float(spread) / 2, 1.0)


def _sum_up(centre: np.ndarray, motion: np.ndarray, area: np.ndarray, source: str) -> Flow:
    length = np.hypot(motion[:, 0], motion[:, 1])
    from_middle = centre - 0.5
    in_middle = (np.abs(from_middle[:, 0]) < 0.1) & (np.abs(centre[:, 1] - 0.62) < 0.22)
    at_border = np.abs(from_middle[:, 0]) > 0.3
    x, y = _median(motion[:, 0], area), _median(motion[:, 1], area)
    rest = motion - np.array([x, y], motion.dtype)
    weight = float((area * (from_middle**2).sum(axis=1)).sum())
    return Flow(
        mean=_mean(length, area),
        x=x,
        y=y,
        zoom=float((area * (rest * from_middle).sum(axis=1)).sum()) / max(weight, 1e-9),
        centre=_mean(length[in_middle], area[in_middle]),
        border=_mean(length[at_border], area[at_border]),
        source=source,
    )


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total > 0 else 0.0


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    running = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(running, running[-1] / 2)])


@functools.cache
def _dis() -> Any:
    cv2 = need("cv2", "curate")
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)


@functools.cache
def _window(shape: tuple[int, int]) -> np.ndarray:
    """Fades to the border, so that what leaves the picture does not count as a shift."""
    return need("cv2", "curate").createHanningWindow(shape[::-1], 5)
