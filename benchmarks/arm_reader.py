"""Reads where the hand of the simulated arm is from a picture: its network and its training stage.

A spatial softmax turns each channel into the place where it is strongest, so that a few thousand pictures
teach places and not textures. This file does NOT know worlds or what is made of the places.

Source: Finn et al. 1509.06113, section IV (spatial softmax).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.run_dir import RunDir
from paracosm.models.base import Model
from paracosm.models.pixels import to_pixels
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.optim import OptimConfig

READ_AT_ONCE = 256
"""Pictures in one pass."""
SHIFT = 0.05
"""Spread of brightness and of noise that is added in training, since dreamt pictures are not quite true."""


@dataclass(frozen=True, kw_only=True)
class HandReaderConfig:
    """Sizes of the reader."""

    channels: tuple[int, ...] = (32, 48, 64)
    """of each convolution, the first two of which halve the picture"""
    hidden: int = 96
    """width between places of channels and the place of the hand"""


class HandReader(Model):
    """Pictures in, places out."""

    kind = "hand_reader"
    config_class = HandReaderConfig
    config: HandReaderConfig

    def __init__(self, config: HandReaderConfig) -> None:
        super().__init__(config)
        counts = (3, *config.channels)
        self.eye = nn.ModuleList(
            nn.Conv2d(before, after, 5, stride=2 if i < 2 else 1, padding=2)
            for i, (before, after) in enumerate(itertools.pairwise(counts))
        )
        self.sharpness = nn.Parameter(torch.ones(()))
        self.hidden = nn.Linear(2 * config.channels[-1], config.hidden)
        self.leave = nn.Linear(config.hidden, 3)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("spread", torch.ones(3))
        self.centre: Tensor
        self.spread: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """Place (b, 3) in spreads from the centre, of pictures (b, c, h, w) in [-1, 1]."""
        x = pixels
        for layer in self.eye[:-1]:
            x = functional.relu(layer(x))
        x = self.eye[-1](x)
        share = torch.softmax(self.sharpness * x.flatten(2), -1).view_as(x)
        rows, columns = (torch.linspace(-1, 1, count, device=x.device) for count in x.shape[2:])
        places = torch.cat([(share.sum(3) * rows).sum(2), (share.sum(2) * columns).sum(2)], 1)
        return self.leave(functional.relu(self.hidden(places)))

    @torch.inference_mode()
    def read(self, pictures: np.ndarray) -> np.ndarray:
        """Return the place of the hand in metres, float64 (n, 3), of uint8 (n, h, w, 3)."""
        found = [
            self(_pixels(part)) * self.spread + self.centre
            for part in np.array_split(pictures, max(1, len(pictures) // READ_AT_ONCE))
        ]
        return torch.cat(found).double().numpy()


def hand_loop() -> LoopConfig:
    """Minutes of one core."""
    optim = OptimConfig(learning_rate=1e-3, warmup_steps=50, decay_steps=700)
    return LoopConfig(num_steps=1500, optim=optim, precision="fp32", num_threads=1, preview_every=0)


@dataclass(frozen=True, kw_only=True)
class HandStageConfig:
    """What is learnt and how long."""

    run: Path
    """run folder; the reader lands in RUN/reader"""
    model: HandReaderConfig = HandReaderConfig()
    """sizes"""
    loop: LoopConfig = field(default_factory=hand_loop)
    """length, optimiser, logging"""
    batch_size: int = 64
    """pictures a batch"""


class HandStage:
    """Network and loss for the training loop.

    Args:
        config: of the stage.
        pictures: uint8 (n, h, w, 3).
        places: of the hand in metres, float64 (n, 3).
    """

    def __init__(self, config: HandStageConfig, pictures: np.ndarray, places: np.ndarray) -> None:
        self.config, self._pictures = config, pictures
        with first_weights(config.loop.seed, "hand reader"):
            reader = HandReader(config.model)
        reader.centre.copy_(torch.from_numpy(places.mean(0)))
        reader.spread.copy_(torch.from_numpy(places.std(0)))
        self._places = ((torch.from_numpy(places) - reader.centre) / reader.spread).float()
        self.networks: dict[str, nn.Module] = {"reader": reader}
        self.blocks: Sequence[nn.Module] = ()

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        draws = stream(self.config.loop.seed, "hand reader", step, part)
        picks = draws.integers(0, len(self._pictures), self.config.batch_size)
        pixels = _pixels(self._pictures[picks])
        light = SHIFT * torch.randn(len(picks), 1, 1, 1, generator=generator)
        noise = SHIFT * torch.randn(pixels.shape, generator=generator)
        errors = self.networks["reader"](pixels + light + noise) - self._places[torch.from_numpy(picks)]
        return errors.square().mean(), {"absolute_error": errors.detach().abs().mean()}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing: places are numbers."""
        return None


def _pixels(pictures: np.ndarray) -> Tensor:
    """Pixels (n, c, h, w) in [-1, 1] of uint8 (n, h, w, 3)."""
    return to_pixels(torch.from_numpy(np.ascontiguousarray(pictures))[:, None])[:, 0]


def train_reader(
    config: HandStageConfig, pictures: np.ndarray, places: np.ndarray, progress: ProgressMaker = no_progress
) -> HandReader:
    """Train to the end, going on where an earlier run stopped; one that is finished is only loaded.

    Raises:
        ConfigError: when there is nothing to learn from.
    """
    if not len(pictures):
        raise ConfigError("no recordings to learn from; walk the recipe genie.robotics_tiny first")
    folder = config.run / "reader"
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        if not (folder / "config.json").exists():
            averages = train(HandStage(config, pictures, places), config.loop, run, progress, "read the hand")
            cast("HandReader", averages["reader"]).save(folder)
    return HandReader.load(folder)
