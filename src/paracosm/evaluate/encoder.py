"""The world's own frozen tokenizer as a judge: how well it reconstructs, and features that tell views apart.

This file does NOT know dynamics, cases or worlds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from einops import rearrange

from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.tokenizer_vae import TokenizerVAE

BATCH = 128
"""Frames encoded at a time: keeps the activations of 64 x 64 frames under 300 MB."""


class TokenizerJudge:
    """A tokenizer loaded for measuring; frames are treated one by one.

    Args:
        folder: model folder of the tokenizer.

    Raises:
        DataError: when the folder is missing or corrupt.
        ConfigError: when it holds another kind of model.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = TokenizerVAE.load(folder)

    @torch.inference_mode()
    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Features of each frame.

        Args:
            frames: uint8 (t, h, w, 3).

        Returns:
            float32 (t, z x h x w), latents of about unit variance.
        """
        parts = []
        for first in range(0, len(frames), BATCH):
            latents, _ = self._tokenizer.encode(_singles(frames[first : first + BATCH]))
            parts.append(rearrange(latents, "b 1 z h w -> b (z h w)").numpy())
        return np.concatenate(parts)

    @torch.inference_mode()
    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        """Encode and decode frames uint8 (t, h, w, 3); the same shape and type come back."""
        parts = []
        for first in range(0, len(frames), BATCH):
            latents, _ = self._tokenizer.encode(_singles(frames[first : first + BATCH]))
            pixels, _ = self._tokenizer.decode(latents)
            parts.append(rearrange(to_frames(pixels), "b 1 h w c -> b h w c").numpy())
        return np.concatenate(parts)


def _singles(frames: np.ndarray) -> torch.Tensor:
    return to_pixels(torch.from_numpy(np.array(frames))[:, None])
