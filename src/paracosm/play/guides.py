"""A video of the player's own to the video prompt of a world: its edges, its motion, or as it is.

This file does NOT know sockets; it refuses what is not a clip of the world's size and says why.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from paracosm.core.errors import DataError, WorldError
from paracosm.core.world import WorldInfo
from paracosm.curate.guides import GuideKind, draw_guide

DrawnKind = Literal[GuideKind, "drawn"]
"""What is drawn from the pictures; "drawn" takes them as they are, e.g. edges drawn by hand."""
DRAWN_KINDS: tuple[str, ...] = (*get_args(GuideKind), "drawn")


def read_guide(data: bytes, kind: DrawnKind, info: WorldInfo) -> np.ndarray:
    """Read an uploaded clip and draw the video prompt from it.

    Args:
        data: raw RGB bytes of whole frames of the world's size, one after the other.
        kind: what is drawn from them.
        info: the world that is to follow it.

    Returns:
        uint8 (t, h, w, 3).

    Raises:
        WorldError: when the world follows no video prompt.
        DataError: when it is no whole number of frames.
    """
    if not info.controls.guide:
        raise WorldError(f"{info.name} follows no video prompt; open a world that does")
    size = info.height * info.width * 3
    if not data or len(data) % size:
        raise DataError(
            f"a video prompt of {len(data)} bytes is no whole number of frames for {info.name}; "
            f"send raw RGB frames of {info.width} x {info.height}, {size} bytes each"
        )
    clip = np.frombuffer(data, np.uint8).reshape(-1, info.height, info.width, 3)
    return clip if kind == "drawn" else draw_guide(kind, clip)
