"""How good a picture looks, by a plain formula: a deterministic proxy, and named so.

Packages with learnt aesthetic weights fetch them from a hub; a judge of one's own is handed in as a
``FrameJudge`` instead. This file does NOT know taste: the proxy rewards colour, contrast, light in the middle
of its range and detail, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .clip import Clip, evenly

VERSION = 1

COLUMNS: dict[str, pa.DataType] = {
    "aesthetic_proxy": pa.float64(),
    "colourfulness": pa.float64(),
}
"""aesthetic_proxy from 0 to 10, comparable within one dataset only; colourfulness after Hasler and Süsstrunk,
0 for grey, about 60 for a bright game."""


@dataclass(frozen=True, kw_only=True)
class AestheticConfig:
    """What the proxy looks at."""

    pictures: int = 4
    """Pictures of each clip, evenly spread."""


def score_aesthetic(clip: Clip, config: AestheticConfig) -> dict[str, Any]:
    """Score a clip; the columns are COLUMNS, None for a clip without pictures."""
    pictures = evenly(clip.pictures, config.pictures)
    if not pictures:
        return {"aesthetic_proxy": None, "colourfulness": None}
    judged = [(aesthetic_proxy(picture), colourfulness(picture)) for picture in pictures]
    return {
        "aesthetic_proxy": float(np.mean([proxy for proxy, _ in judged])),
        "colourfulness": float(np.mean([colour for _, colour in judged])),
    }


def aesthetic_proxy(picture: np.ndarray) -> float:
    """Judge one picture from 0 to 10: the geometric mean of four parts, so that none can be missing.

    Args:
        picture: uint8 (h, w, 3).
    """
    grey = picture.mean(axis=-1) / 255
    detail = (np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2
    parts = np.array(
        [
            min(colourfulness(picture) / 60, 1.0),
            min(float(grey.std()) / 0.22, 1.0),
            1 - abs(float(grey.mean()) - 0.45) / 0.55,
            min(float(detail) / 0.04, 1.0),
        ]
    )
    return float(10 * np.exp(np.log(np.maximum(parts, 0.01)).mean()))


def colourfulness(picture: np.ndarray) -> float:
    """Return how colourful a picture is, 0 for grey.

    Source: Hasler and Süsstrunk, Measuring colourfulness in natural images (2003).
    """
    red, green, blue = np.moveaxis(picture.astype(np.float32), -1, 0)
    one, two = red - green, (red + green) / 2 - blue
    return float(np.hypot(one.std(), two.std()) + 0.3 * np.hypot(one.mean(), two.mean()))
