"""Clips and strips as pictures in a page: moving PNG, lossless, shown at whole multiples of their pixels.

This file does NOT know figures or cases.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

GAP = 2
"""Grey pixels between two pictures."""
GREY = 128
"""Their level."""


def strip(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Lay clips under each other, their frames side by side, with a gap.

    Args:
        rows: uint8 (t, h, w, 3) each, of equal h and w; shorter ones end early.

    Returns:
        uint8 (height, width, 3).
    """
    height, width = rows[0].shape[1:3]
    columns = max(len(row) for row in rows)
    size = (len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    sheet = np.full(size, GREY, np.uint8)
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            top, left = y * (height + GAP), x * (width + GAP)
            sheet[top : top + height, left : left + width] = frame
    return sheet


def difference_of(shown: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Difference of two clips uint8 (t, h, w, 3), doubled, around middle grey: grey is no difference."""
    gap = shown.astype(np.int16) - truth.astype(np.int16)
    return np.clip(GREY + 2 * gap, 0, 255).astype(np.uint8)


def picture(image: np.ndarray, scale: int, alt: str) -> str:
    """A picture uint8 (h, w, 3) as an image element, ``scale`` screen pixels for each of its own."""
    return _element(_encode([Image.fromarray(image)]), image.shape[1] * scale, alt)


def animation(clips: Sequence[np.ndarray], fps: float, scale: int, alt: str) -> str:
    """Clips uint8 (t, h, w, 3) side by side, moving for ever; at least one is shorter than no other."""
    frames = [Image.fromarray(strip([np.stack(row)])) for row in zip(*clips, strict=True)]
    return _element(_encode(frames, round(1000 / fps)), frames[0].width * scale, alt)


def _encode(frames: Sequence[Image.Image], duration_ms: int = 0) -> str:
    buffer = io.BytesIO()
    if len(frames) == 1:
        frames[0].save(buffer, "png", optimize=True)
    else:
        frames[0].save(buffer, "png", save_all=True, append_images=frames[1:], duration=duration_ms, loop=0)
    return base64.b64encode(buffer.getvalue()).decode()


def _element(data: str, width: int, alt: str) -> str:
    return f"<img alt='{html.escape(alt)}' style='width:{width}px' src='data:image/png;base64,{data}'>"
