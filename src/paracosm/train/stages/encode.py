"""Stage: frames to latents beside the dataset, once, so that training the dynamics never runs the tokenizer.

It resumes by episode: what is encoded stays. This file does NOT train anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange

from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.data.latents import LatentStore
from paracosm.data.reader import Dataset
from paracosm.models.base import weights_hash
from paracosm.models.pixels import to_pixels
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.precision import Precision, autocast


@dataclass(frozen=True, kw_only=True)
class EncodeStageConfig:
    """What is encoded with which tokenizer."""

    data: Path
    """dataset folder; the latents land in DATA/latents/HASH"""
    tokenizer: Path
    """tokenizer folder"""
    batch_size: int = 256
    """frames encoded at once"""
    num_threads: int = 0
    """torch threads; 0 leaves them as they are"""
    precision: Precision = "auto"
    """type of matrix products; the error of bf16 is far below the noise of training"""


def open_store(dataset: Dataset, tokenizer: Path) -> LatentStore:
    """Open the latents of a dataset under a tokenizer folder."""
    config = TokenizerVAE.load(tokenizer).config
    shape = (config.latent_channels, config.latent_height, config.latent_width)
    return LatentStore(dataset, weights_hash(tokenizer), shape)


@torch.no_grad()
def main(config: EncodeStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Encode every episode that is not yet encoded; return the folder of the latents."""
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    dataset = Dataset(config.data)
    tokenizer = TokenizerVAE.load(config.tokenizer)
    store = open_store(dataset, config.tokenizer)
    line = progress("encode", len(dataset.episodes), unit="episode")
    for done, episode in enumerate(dataset.episodes, 1):
        if not store.has(episode):
            with autocast(config.precision, "cpu"):
                latents = encode_clip(tokenizer, np.ascontiguousarray(episode.frames), config.batch_size)
            store.write(episode, latents)
        line.update(done)
    line.close()
    return store.folder


@torch.no_grad()
def encode_clip(tokenizer: TokenizerVAE, frames: np.ndarray, batch_size: int) -> np.ndarray:
    """Encode a whole clip piece by piece, carrying the streaming state.

    Args:
        tokenizer: in eval mode.
        frames: uint8 (t, h, w, 3).
        batch_size: frames a piece.

    Returns:
        float32 (t, z, h, w).
    """
    parts, state = [], None
    for first in range(0, len(frames), batch_size):
        piece = torch.from_numpy(frames[first : first + batch_size].copy())
        latents, state = tokenizer.encode(to_pixels(rearrange(piece, "t h w c -> 1 t h w c")), state)
        parts.append(rearrange(latents, "1 t z h w -> t z h w").float().numpy())
    return np.concatenate(parts)
