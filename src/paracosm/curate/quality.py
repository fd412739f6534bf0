"""Is the picture there at all: black, frozen, wrongly exposed, blurred or flickering clips.

Scores only; ``select`` decides. This file does NOT decode: it reads measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .clip import Clip, mean_of

VERSION = 1

COLUMNS: dict[str, pa.DataType] = {
    "black": pa.float64(),
    "frozen": pa.float64(),
    "frozen_longest_s": pa.float64(),
    "luma": pa.float64(),
    "dark": pa.float64(),
    "bright": pa.float64(),
    "contrast": pa.float64(),
    "sharpness": pa.float64(),
    "flicker": pa.float64(),
}
"""black and frozen are shares of frames; luma, dark and bright means over the picture, 0 to 1; contrast the
standard deviation of light; sharpness that of the Laplacian at the source's own size; flicker the mean change
of light that the next frame takes back."""


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """What counts as black and as frozen."""

    black: float = 0.98
    """Share of dark pixels above which a frame is black."""
    still: float = 0.002
    """Share of changed pixels below which a frame repeats the one before."""


def score_quality(clip: Clip, config: QualityConfig) -> dict[str, Any]:
    """Score a clip; the columns are COLUMNS."""
    moved = clip.motion("moved")
    still = moved < config.still
    luma = clip.column("luma")
    steps = np.diff(luma)
    back = np.minimum(np.abs(steps[1:]), np.abs(steps[:-1])) * (steps[1:] * steps[:-1] < 0)
    return {
        "black": mean_of((clip.column("dark") > config.black).astype(float)),
        "frozen": float(still.mean()) if len(still) else None,
        "frozen_longest_s": longest_run(still) / clip.fps,
        "luma": mean_of(luma),
        "dark": mean_of(clip.column("dark")),
        "bright": mean_of(clip.column("bright")),
        "contrast": mean_of(clip.column("contrast")),
        "sharpness": mean_of(clip.column("sharpness")),
        "flicker": mean_of(back) if len(back) else None,
    }


def longest_run(flags: np.ndarray) -> int:
    """Return the length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
