"""Stage: video prompts of every frame to latents beside the dataset, by the tokenizer that made the frames'.

This file does NOT know dynamics.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.curate.guides import GUIDE_KINDS, GuideKind, draw_guide
from paracosm.data.latents import LatentStore
from paracosm.data.reader import Dataset
from paracosm.models.base import weights_hash
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.precision import Precision, autocast

from .encode import encode_clip


@dataclass(frozen=True, kw_only=True)
class EncodeGuidesStageConfig:
    """What is drawn and encoded with which tokenizer."""

    data: Path
    """dataset folder; the latents land in DATA/latents/HASH-KIND"""
    tokenizer: Path
    """tokenizer folder"""
    kinds: tuple[GuideKind, ...] = GUIDE_KINDS
    """video prompts to draw"""
    batch_size: int = 256
    """frames encoded at once"""
    num_threads: int = 0
    """torch threads; 0 leaves them as they are"""
    precision: Precision = "auto"
    """type of matrix products"""


def open_guides(dataset: Dataset, tokenizer: Path, kind: GuideKind) -> LatentStore:
    """Open the latents of one kind of video prompt."""
    config = TokenizerVAE.load(tokenizer).config
    shape = (config.latent_channels, config.latent_height, config.latent_width)
    return LatentStore(dataset, f"{weights_hash(tokenizer)}-{kind}", shape)


@torch.no_grad()
def main(config: EncodeGuidesStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Draw and encode the prompts of every episode that has none yet; return the dataset's folder."""
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    dataset = Dataset(config.data)
    tokenizer = TokenizerVAE.load(config.tokenizer)
    line = progress("encode guides", len(config.kinds) * len(dataset.episodes), unit="episode")
    done = 0
    for kind in config.kinds:
        store = open_guides(dataset, config.tokenizer, kind)
        for episode in dataset.episodes:
            if not store.has(episode):
                drawn = draw_guide(kind, np.ascontiguousarray(episode.frames))
                with autocast(config.precision, "cpu"):
                    latents = encode_clip(tokenizer, drawn, config.batch_size)
                store.write(episode, latents)
            done += 1
            line.update(done)
    line.close()
    return dataset.path
