"""Train the reader of controls on real recordings: keys by cross-entropy, turns by a smooth error.

Pixel noise, contrast and a light blur are drawn anew for each clip, so that the reader judges motion and not
the finest texture; sharpness is measured by a figure of its own. This file does NOT know how readings are
scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.core.world import WorldInfo
from paracosm.data.clips import ClipSampler, select_episodes
from paracosm.data.reader import Dataset
from paracosm.models.inverse_dynamics import FRAMES_BEFORE, WINDOW, InverseDynamics, InverseDynamicsConfig
from paracosm.models.pixels import to_pixels
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train

LOOK_WEIGHT = 2.0
"""Weight of the turn's loss beside the keys': both then fall at about the same pace on Doom."""


@dataclass(frozen=True, kw_only=True)
class InverseDynamicsStageConfig:
    """What is read, from where, and for how long."""

    data: Path
    """folder of the recordings"""
    run: Path
    """run folder; the finished model lands in RUN/inverse_dynamics"""
    model: InverseDynamicsConfig
    """sizes and controls; see :func:`describe_reader`"""
    loop: LoopConfig
    """length, optimiser, logging"""
    split: str = "train"
    """episodes used; "" takes all"""
    batch_size: int = 64
    """windows of one step"""
    largest_noise: float = 0.06
    """standard deviation of pixel noise is drawn from 0 to this, where black is -1 and white 1"""
    largest_contrast: float = 0.2
    """contrast is multiplied by a number drawn from 1 minus this to 1 plus this"""
    blur_share: float = 0.3
    """share of windows blurred by a 3 x 3 binomial filter"""


class InverseDynamicsStage:
    """Networks and loss for the training loop."""

    def __init__(self, config: InverseDynamicsStageConfig) -> None:
        """Open the recordings and draw the first weights.

        Raises:
            DataError: when the recordings are missing, too short or of another size.
            ConfigError: when the recordings' world lacks a key that the model should read.
        """
        dataset = Dataset(config.data)
        _check_fit(dataset.info, config.model, config.data)
        self.config = config
        self._episodes = select_episodes(dataset, config.split)
        self._frames = [episode.frames for episode in self._episodes]
        self._controls = [
            _targets(dataset.info, episode.control_vectors, config.model) for episode in self._episodes
        ]
        self._sampler = ClipSampler(
            [episode.num_frames for episode in self._episodes],
            WINDOW,
            config.loop.seed,
            weights=[episode.weight for episode in self._episodes],
        )
        with first_weights(config.loop.seed, "inverse dynamics"):
            self.networks: dict[str, nn.Module] = {"reader": InverseDynamics(config.model)}
        self.blocks: Sequence[nn.Module] = ()

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of the batch of one step, and its two parts."""
        places = self._sampler.draw(step, part, self.config.batch_size)
        clips = np.stack([self._frames[episode][first : first + WINDOW] for episode, first in places])
        targets = torch.from_numpy(
            np.stack([self._controls[episode][first + FRAMES_BEFORE] for episode, first in places])
        )
        pixels = disturb(
            to_pixels(torch.from_numpy(clips)),
            generator,
            largest_noise=self.config.largest_noise,
            largest_contrast=self.config.largest_contrast,
            blur_share=self.config.blur_share,
        )
        device = next(self.networks["reader"].parameters()).device
        logits, look = self.networks["reader"](pixels.to(device))
        targets = targets.to(device)
        num_keys = len(self.config.model.keys)
        keys_loss = (
            functional.binary_cross_entropy_with_logits(logits.float(), targets[:, :num_keys])
            if num_keys
            else 0
        )
        look_loss = (
            functional.smooth_l1_loss(look.float(), targets[:, num_keys:], beta=0.1) if look.shape[1] else 0
        )
        parts = {
            "keys_loss": torch.as_tensor(keys_loss).detach(),
            "look_loss": torch.as_tensor(look_loss).detach(),
        }
        return torch.as_tensor(keys_loss + LOOK_WEIGHT * look_loss), parts

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing: readings are numbers."""
        return None


def disturb(
    pixels: Tensor,
    generator: torch.Generator,
    *,
    largest_noise: float,
    largest_contrast: float,
    blur_share: float,
) -> Tensor:
    """Blur some windows (b, t, c, h, w), change the contrast of each, and add pixel noise to all.

    Args:
        pixels: in [-1, 1].
        generator: of the draws.
        largest_noise: standard deviations are drawn from 0 to this.
        largest_contrast: factors are drawn from 1 minus this to 1 plus this.
        blur_share: of the windows.
    """
    draws = torch.rand(len(pixels), 3, generator=generator)
    chosen = torch.nonzero(draws[:, 0] < blur_share)[:, 0]
    if len(chosen):
        pixels = pixels.index_copy(0, chosen, _blur(pixels[chosen]))
    contrast = 1 + largest_contrast * (2 * draws[:, 1] - 1)
    strength = largest_noise * draws[:, 2]
    noise = torch.randn(pixels.shape, generator=generator)
    return pixels * contrast[:, None, None, None, None] + noise * strength[:, None, None, None, None]


def describe_reader(info: WorldInfo) -> InverseDynamicsConfig:
    """Describe the reader of a world: its frame size, all its keys and each axis that it can turn."""
    yaw, pitch = info.controls.look_limit
    axes: list[Literal["yaw", "pitch"]] = []
    if yaw:
        axes.append("yaw")
    if pitch:
        axes.append("pitch")
    return InverseDynamicsConfig(
        height=info.height,
        width=info.width,
        keys=info.controls.keys,
        look=tuple(axes),
        look_scale=max(yaw, pitch) or 1.0,
        channels=(32, 64, 96),
        blocks=1,
        features=128,
    )


def main(config: InverseDynamicsStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train to the end, going on where an earlier run stopped.

    Returns:
        The folder of the finished model.

    Raises:
        BusyError: when another process trains in this run folder.
        ConfigError: when the run was begun with another config.
        DataError: when recordings or checkpoints cannot be read or the disk is full.
    """
    stage = InverseDynamicsStage(config)
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        averages = train(stage, config.loop, run, progress, "train inverse dynamics")
        reader = averages["reader"]
        assert isinstance(reader, InverseDynamics), type(reader)
        folder = config.run / "inverse_dynamics"
        reader.save(folder, "float16")
    return folder


def _targets(info: WorldInfo, vectors: np.ndarray, model: InverseDynamicsConfig) -> np.ndarray:
    """Columns that the model reads: keys as 0 or 1, then the turn in units of ``look_scale``."""
    columns = [info.controls.keys.index(key) for key in model.keys]
    axes = [{"yaw": -2, "pitch": -1}[axis] for axis in model.look]
    return np.concatenate([vectors[:, columns], vectors[:, axes] / model.look_scale], axis=1).astype(
        np.float32
    )


def _check_fit(info: WorldInfo, model: InverseDynamicsConfig, data: Path) -> None:
    if (info.height, info.width) != (model.height, model.width):
        raise DataError(
            f"{data} has frames of {info.height} x {info.width}, "
            f"the model reads {model.height} x {model.width}; "
            "set the model's height and width to those of the recordings"
        )
    unknown = [key for key in model.keys if key not in info.controls.keys]
    if unknown:
        raise ConfigError(f"model.keys {unknown} are no keys of {data}; it has {list(info.controls.keys)}")


def _blur(pixels: Tensor) -> Tensor:
    """Average each pixel with its neighbours by weights 1/4, 1/2, 1/4 along both axes."""
    across = functional.pad(pixels.flatten(0, 2), (1, 1, 0, 0), mode="replicate")
    across = (across[..., :-2] + 2 * across[..., 1:-1] + across[..., 2:]) / 4
    down = functional.pad(across, (0, 0, 1, 1), mode="replicate")
    return ((down[..., :-2, :] + 2 * down[..., 1:-1, :] + down[..., 2:, :]) / 4).reshape(pixels.shape)
