"""An agent cloned from labelled video: its network, its training stage, and how it acts.

It sees four frames and names a label: a real action (the oracle), or a learnt one, which is turned into a
real action by what a few labelled steps of that learnt action did. This file does NOT know where labels or
videos come from.

Source: Genie 2402.15391, section 3.3 and appendix E.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Pixels
from paracosm.models.base import Model
from paracosm.models.pixels import to_pixels
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train

SEES = 4
"""Frames that the agent sees, the present one last: the paper's sequence length."""


@dataclass(frozen=True, kw_only=True)
class CloneConfig:
    """Sizes of the agent."""

    side: int
    """rows and columns of a frame in pixels, a multiple of 8"""
    num_labels: int
    """labels that it chooses among"""
    channels: tuple[int, int, int]
    """channels at 1/2, 1/4 and 1/8 of the frame size"""
    hidden: int
    """width of the last hidden layer"""

    def __post_init__(self) -> None:
        """Refuse sizes that do not divide."""
        if self.side % 8:
            raise ConfigError(f"frames of {self.side} pixels a side do not divide by 8; choose another size")


class Clone(Model):
    """Frames in, one label out."""

    kind = "clone"
    config_class = CloneConfig
    config: CloneConfig

    def __init__(self, config: CloneConfig) -> None:
        super().__init__(config)
        counts = (3 * SEES, *config.channels)
        self.eye = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in itertools.pairwise(counts)
        )
        self.hidden = nn.Linear(config.channels[-1] * (config.side // 8) ** 2, config.hidden)
        self.leave = nn.Linear(config.hidden, config.num_labels)

    def forward(self, frames: Pixels) -> Tensor:
        """Logits (b, labels) of the step after frames (b, SEES, c, h, w)."""
        x = rearrange(frames, "b t c h w -> b (t c) h w")
        for layer in self.eye:
            x = functional.relu(layer(x))
        return self.leave(functional.relu(self.hidden(rearrange(x, "b c h w -> b (c h w)"))))


@dataclass(frozen=True, kw_only=True)
class CloneStageConfig:
    """What is cloned and how."""

    run: Path
    """run folder; the agent lands in RUN/clone"""
    labels: str
    """whose labels they are, e.g. oracle"""
    model: CloneConfig
    """sizes"""
    loop: LoopConfig
    """length, optimiser, logging"""
    batch_size: int
    """steps of video a batch"""


class CloneStage:
    """Network and loss for the training loop.

    Args:
        config: of the stage.
        frames: videos, each uint8 (t, h, w, 3).
        labels: of each step of each video, int (t - 1,).
    """

    def __init__(
        self, config: CloneStageConfig, frames: Sequence[np.ndarray], labels: Sequence[np.ndarray]
    ) -> None:
        lengths = [len(one) for one in labels]
        if not sum(lengths) or [len(one) - 1 for one in frames] != lengths:
            raise DataError(
                f"videos of {[len(one) for one in frames][:3]} frames and labels of {lengths[:3]} steps do "
                "not go together; give one label for each step between two frames"
            )
        self.config, self._frames, self._labels = config, frames, labels
        self._ends = np.cumsum(lengths)
        with first_weights(config.loop.seed, "clone"):
            self.networks: dict[str, nn.Module] = {"clone": Clone(config.model)}
        self.blocks: Sequence[nn.Module] = ()

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        draws = stream(self.config.loop.seed, "clone", step, part)
        picks = draws.integers(0, self._ends[-1], self.config.batch_size)
        videos = np.searchsorted(self._ends, picks, side="right")
        steps = picks - np.concatenate([[0], self._ends])[videos]
        seen = np.stack([see(self._frames[video], int(t)) for video, t in zip(videos, steps, strict=True)])
        told = torch.tensor([int(self._labels[video][t]) for video, t in zip(videos, steps, strict=True)])
        logits = self.networks["clone"](to_pixels(torch.from_numpy(seen)))
        loss = functional.cross_entropy(logits, told)
        return loss, {"labels_right": (logits.detach().argmax(-1) == told).float().mean()}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing: labels are numbers."""
        return None


def see(frames: np.ndarray, index: int) -> np.ndarray:
    """The SEES frames up to one, uint8 (SEES, h, w, 3); before the first stands the first."""
    return frames[np.maximum(np.arange(index - SEES + 1, index + 1), 0)]


def train_clone(
    config: CloneStageConfig,
    frames: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    progress: ProgressMaker = no_progress,
) -> Clone:
    """Train to the end, going on where an earlier run stopped; one that is finished is only loaded."""
    folder = config.run / "clone"
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        if not (folder / "config.json").exists():
            stage = CloneStage(config, frames, labels)
            averages = train(stage, config.loop, run, progress, f"clone {config.run.name}")
            cast("Clone", averages["clone"]).save(folder)
    return Clone.load(folder)


class Translator:
    """Turns labels into real actions: a label stands for the real actions that went with it in a few steps.

    Args:
        labels: int (n,), of the labelled steps.
        actions: int (n,), real actions of the same steps.

    A label that occurs in none of them stands for any of their actions.
    """

    def __init__(self, labels: np.ndarray, actions: np.ndarray) -> None:
        if not len(labels) or len(labels) != len(actions):
            raise DataError(
                f"{len(labels)} labels and {len(actions)} real actions make no dictionary; "
                "give one of each for every labelled step, and at least one"
            )
        self._all = actions
        self._by_label = {int(label): actions[labels == label] for label in np.unique(labels)}

    def translate(self, label: int, draws: np.random.Generator) -> int:
        """Draw one of the real actions that the label stands for."""
        return int(draws.choice(self._by_label.get(label, self._all)))


@dataclass(frozen=True, kw_only=True)
class ClonedAgent:
    """Draws labels from the network, as the paper does, and translates them."""

    clone: Clone
    translator: Translator | None
    """None when labels are real actions"""

    @torch.inference_mode()
    def act(self, seen: np.ndarray, draws: Sequence[np.random.Generator]) -> list[int]:
        """See ``genie_levels.Agent``."""
        shares = self.clone(to_pixels(torch.from_numpy(seen))).double().softmax(-1).numpy()
        labels = [int(one.choice(len(share), p=share)) for one, share in zip(draws, shares, strict=True)]
        if self.translator is None:
            return labels
        return [self.translator.translate(label, one) for label, one in zip(labels, draws, strict=True)]
