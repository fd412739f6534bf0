"""Stage: frames to a continuous tokenizer.

Reconstruction is absolute error plus squared error plus edge error; a light KL term and posterior noise
keep the latents smooth, so that the dynamics may be slightly wrong without a broken picture. This file does
NOT know dynamics.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.run_dir import RunDir
from paracosm.data.clips import ClipSampler, select_episodes
from paracosm.data.reader import Dataset
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.tokenizer_vae import TokenizerVAE, TokenizerVAEConfig, inflate
from paracosm.train.first_weights import begin_with, first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.losses import edge_loss, kl_to_normal, psnr_db
from paracosm.train.previews import contact_sheet

logger = logging.getLogger(__name__)

SCALE_FRAMES = 4096
"""Frames over which the mean and deviation of latents are measured: their standard error is then under 2
%."""


@dataclass(frozen=True, kw_only=True)
class TokenizerStageConfig:
    """What the tokenizer is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/tokenizer"""
    data: Path
    """dataset folder"""
    model: TokenizerVAEConfig
    """sizes of the tokenizer"""
    loop: LoopConfig
    """length, optimiser, logging"""
    initial: Path | None = None
    """tokenizer folder whose weights the run begins with, e.g. that of a like game; one of single frames
    may begin one with a time kernel; nothing begins from random weights"""
    tune: Literal["all", "decoder"] = "all"
    """what learns; decoder keeps the encoder and the scale of latents as they are, to the byte: a world's
    look is tuned to a new game while its latents keep their meaning"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    batch_size: int = 64
    """clips a batch"""
    clip_frames: int = 1
    """frames a clip; more than 1 only makes sense with time_kernel > 1"""
    squared_weight: float = 5.0
    """weight of the squared error beside the absolute one"""
    edge_weight: float = 1.0
    """weight of the error of differences between neighbouring pixels"""
    kl_weight: float = 1e-3
    """weight of the mean KL of a latent"""


class TokenizerStage:
    """Networks and loss of the stage."""

    def __init__(self, config: TokenizerStageConfig) -> None:
        dataset = Dataset(config.data)
        _check_size(dataset, config)
        self.config = config
        with first_weights(config.loop.seed, "tokenizer"):
            tokenizer = TokenizerVAE(config.model)
        if config.initial is not None:
            _begin(tokenizer, config.initial)
        if config.tune == "decoder":
            if config.initial is None:
                raise ConfigError("tune decoder needs a tokenizer to tune; set initial to its folder")
            tokenizer.encoder.requires_grad_(False)
        self.networks: dict[str, nn.Module] = {"tokenizer": tokenizer}
        self.blocks: Sequence[nn.Module] = ()
        episodes = select_episodes(dataset, config.split)
        self.clips = tuple(np.ascontiguousarray(episode.frames) for episode in episodes)
        lengths, weights = [len(clip) for clip in self.clips], [episode.weight for episode in episodes]
        self.sampler = ClipSampler(lengths, config.clip_frames, config.loop.seed, weights=weights)

    def batch(self, step: int, part: int) -> Tensor:
        """Return pixels (b, t, c, h, w) of one step."""
        places = self.sampler.draw(step, part, self.config.batch_size)
        frames = np.stack([self.clips[i][first : first + self.config.clip_frames] for i, first in places])
        return to_pixels(torch.from_numpy(frames)).to(self.config.loop.device)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        tokenizer = cast("TokenizerVAE", self.networks["tokenizer"])
        pixels = self.batch(step, part)
        mean, log_variance = tokenizer.posterior(pixels)
        mean, log_variance = mean.float(), log_variance.float().clamp(-12, 4)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        made, _ = tokenizer.decoder(mean + (0.5 * log_variance).exp() * noise, None)
        made = made.float()
        absolute, squared = (made - pixels).abs().mean(), (made - pixels).square().mean()
        edges, kl = edge_loss(made, pixels), kl_to_normal(mean, log_variance)
        config = self.config
        loss = absolute + config.squared_weight * squared + config.edge_weight * edges + config.kl_weight * kl
        return loss, {"psnr_db": psnr_db(made, pixels).detach(), "edges": edges.detach(), "kl": kl.detach()}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        """Real frames above their reconstructions."""
        tokenizer = cast("TokenizerVAE", averages["tokenizer"])
        pixels = self.batch(0, 0)[:10, :1]
        mean, _ = tokenizer.posterior(pixels)
        made, _ = tokenizer.decoder(mean, None)
        rows = [rearrange(to_frames(part), "b 1 h w c -> b h w c").cpu().numpy() for part in (pixels, made)]
        return contact_sheet(rows)


def _begin(tokenizer: TokenizerVAE, folder: Path) -> None:
    given = TokenizerVAE.load(folder)
    if given.config.time_kernel == 1 and tokenizer.config.time_kernel > 1:
        inflate(given, tokenizer)
    else:
        begin_with(tokenizer, folder, ("height", "width"))


def _check_size(dataset: Dataset, config: TokenizerStageConfig) -> None:
    recorded = (dataset.info.height, dataset.info.width)
    made_for = (config.model.height, config.model.width)
    if recorded != made_for:
        raise ConfigError(
            f"{config.data} has frames of {recorded[0]} x {recorded[1]}, the tokenizer is for "
            f"{made_for[0]} x {made_for[1]}; set model.height and model.width to the recording's"
        )


def main(config: TokenizerStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the tokenizer and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = TokenizerStage(config)
        averages = train(stage, config.loop, run, progress, "train tokenizer")
        tokenizer = cast("TokenizerVAE", averages["tokenizer"])
        if config.tune == "all":
            tokenizer.set_scale(*measure_scale(tokenizer, stage.clips, config.loop.seed))
        folder = config.run / "tokenizer"
        tokenizer.save(folder)
    return folder


@torch.no_grad()
def measure_scale(tokenizer: TokenizerVAE, clips: tuple[np.ndarray, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Measure mean and standard deviation (z) of raw latents over random training frames."""
    sampler = ClipSampler([len(clip) for clip in clips], 1, seed)
    places = sampler.draw(0, 0, SCALE_FRAMES)
    parts = []
    for first in range(0, len(places), 256):
        frames = np.stack([clips[i][j : j + 1] for i, j in places[first : first + 256]])
        mean, log_variance = tokenizer.posterior(
            to_pixels(torch.from_numpy(frames)).to(tokenizer.shift.device)
        )
        noise = stream(seed, "scale", first).standard_normal(mean.shape, np.float32)
        parts.append(mean + (0.5 * log_variance).exp() * torch.from_numpy(noise).to(mean))
    latents = rearrange(torch.cat(parts), "b t z h w -> z (b t h w)")
    return latents.mean(1), latents.std(1)
