"""What a curator is handed from higher floors: something that turns pictures into vectors, or into a score.

This file does NOT know any network: a tokenizer, a public model or a plain formula may stand behind these.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


class FrameEncoder(Protocol):
    """Turns pictures into vectors whose angle tells how alike they are."""

    @property
    def name(self) -> str:
        """Name and version of what encodes; scores made by another one are not mixed with its own."""
        ...

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Encode pictures.

        Args:
            images: uint8 (n, h, w, 3), RGB.

        Returns:
            float32 (n, d).
        """
        ...


class FrameJudge(Protocol):
    """Gives each picture a number, higher for better."""

    @property
    def name(self) -> str:
        """Name and version of what judges; scores made by another one are not mixed with its own."""
        ...

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Judge pictures.

        Args:
            images: uint8 (n, h, w, 3), RGB.

        Returns:
            float32 (n,).
        """
        ...
