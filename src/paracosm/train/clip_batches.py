"""Batches of latent clips and their controls, drawn by step number; shared by the stages of a chain.

This file does NOT know networks or losses.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Controls, Latents
from paracosm.data.clips import ClipSampler, select_episodes
from paracosm.data.latents import read_latent_clips
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_flow import FlowDynamics, shift_controls
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.stages.encode import open_store


class ClipBatches:
    """Clips of a dataset that was encoded by a tokenizer.

    Args:
        data: dataset folder.
        tokenizer: tokenizer folder whose latents are read.
        split: episodes; "" takes all.
        clip_frames: frames of a clip.
        seed: run seed.
        device: where batches land.

    Raises:
        DataError: when latents are missing or no episode is long enough.
    """

    def __init__(
        self, *, data: Path, tokenizer: Path, split: str, clip_frames: int, seed: int, device: str
    ) -> None:
        dataset = Dataset(data)
        self.data, self.info = data, dataset.info
        self.tokenizer = TokenizerVAE.load(tokenizer)
        episodes = select_episodes(dataset, split)
        self._clips = read_latent_clips(open_store(dataset, tokenizer), episodes)
        weights = [episode.weight for episode in episodes]
        self._sampler = ClipSampler(self._clips.lengths, clip_frames, seed, weights=weights)
        self._clip_frames, self._device = clip_frames, device

    def draw(self, step: int, part: int, count: int) -> tuple[Latents, Controls]:
        """Return latents (b, t, z, h, w) and the controls that led to each frame (b, t, a)."""
        latents, controls = self._clips.cut(self._sampler.draw(step, part, count), self._clip_frames)
        moved = shift_controls(torch.from_numpy(controls).to(self._device))
        return torch.from_numpy(latents).float().to(self._device), moved

    def draw_controls(self, step: int, part: int, count: int, num_frames: int) -> Controls:
        """Return controls (b, num_frames, a) of any length: those of as many clips as it takes, in a row."""
        num_rows = self._clip_frames - 1
        pieces = -(-num_frames // num_rows)
        _, controls = self._clips.cut(self._sampler.draw(step, part, count * pieces), self._clip_frames)
        joined = torch.from_numpy(controls).reshape(count, pieces * num_rows, -1)
        return joined[:, :num_frames].to(self._device)

    def check(self, dynamics: FlowDynamics) -> None:
        """Refuse a network that was made for other controls or latents.

        Raises:
            ConfigError: says what the recording has and what the network takes.
        """
        recorded, config = self.info.controls.width, dynamics.config
        if recorded != config.control_width:
            raise ConfigError(
                f"{self.data} has {recorded} control numbers, the network takes {config.control_width}; "
                "choose the recording that it was trained on"
            )
        grid = (config.latent_channels, config.latent_height, config.latent_width)
        made = self.tokenizer.config
        if (made.latent_channels, made.latent_height, made.latent_width) != grid:
            raise ConfigError(
                f"the tokenizer makes latents of {made.latent_channels} x {made.latent_height} x "
                f"{made.latent_width}, the network takes {grid[0]} x {grid[1]} x {grid[2]}; choose the "
                "tokenizer that it was trained with"
            )


def known_controls(b: int, t: int, device: torch.device | str) -> Tensor:
    """Bool (b, t): nothing is known of what led to the first frame of a clip."""
    known = torch.ones(b, t, dtype=torch.bool, device=device)
    known[:, 0] = False
    return known
