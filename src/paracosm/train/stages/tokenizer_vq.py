"""Stage: frames to a discrete tokenizer, by reconstruction, from clips that cross no cut.

The codebook follows the vectors after each batch; codes that nobody chooses are put where vectors are. This
file does NOT know dynamics or controls.

Source: Genie 2402.15391, section 2.1 and tables 7 and 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.data.clips import select_episodes
from paracosm.data.pieces import CutKind, FrameClips
from paracosm.data.reader import Dataset
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.tokenizer_vq import TokenizerVQ, TokenizerVQConfig
from paracosm.nn.quantize import code_usage
from paracosm.nn.stack import SpaceTimeStack
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.losses import edge_loss, psnr_db
from paracosm.train.previews import contact_sheet

PREVIEW_CLIPS = 4
"""Clips in a preview picture; each has the true frames above the decoded ones."""


@dataclass(frozen=True, kw_only=True)
class TokenizerVQStageConfig:
    """What the tokenizer is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/tokenizer"""
    data: Path
    """dataset folder; controls are not read"""
    model: TokenizerVQConfig
    """sizes of the tokenizer"""
    loop: LoopConfig
    """length, optimiser, logging"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    cuts: CutKind = "none"
    """whether the episodes have cuts: none in a world's recordings, find in videos"""
    batch_size: int = 16
    """clips a batch"""
    clip_frames: int = 16
    """frames a clip"""
    absolute_weight: float = 1.0
    """weight of the absolute error"""
    squared_weight: float = 5.0
    """weight of the squared error"""
    edge_weight: float = 1.0
    """weight of the error of differences between neighbouring pixels"""


class TokenizerVQStage:
    """Networks and loss of the stage."""

    def __init__(self, config: TokenizerVQStageConfig) -> None:
        dataset = Dataset(config.data)
        check_frame_size(dataset, config.model.height, config.model.width, "the tokenizer")
        self.config = config
        episodes = select_episodes(dataset, config.split)
        self.clips = FrameClips(episodes, config.clip_frames, config.loop.seed, config.cuts)
        with first_weights(config.loop.seed, "tokenizer"):
            tokenizer = TokenizerVQ(config.model)
        self.networks: dict[str, nn.Module] = {"tokenizer": tokenizer}
        self.blocks: Sequence[nn.Module] = stack_blocks(tokenizer.encoder, tokenizer.decoder)

    def batch(self, step: int, part: int) -> Tensor:
        """Return pixels (b, t, c, h, w) of one step."""
        frames = self.clips.draw(step, part, self.config.batch_size)
        return to_pixels(torch.from_numpy(frames)).to(self.config.loop.device)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config = self.config
        tokenizer = cast("TokenizerVQ", self.networks["tokenizer"])
        pixels = self.batch(step, part)
        made, vectors, quantized = tokenizer(pixels)
        tokenizer.quantizer.update(vectors, quantized.codes, generator)
        made = made.float()
        difference = made - pixels
        loss = config.squared_weight * difference.square().mean() + quantized.loss
        if config.absolute_weight:
            loss = loss + config.absolute_weight * difference.abs().mean()
        if config.edge_weight:
            loss = loss + config.edge_weight * edge_loss(made, pixels)
        used, perplexity = code_usage(quantized.codes, config.model.num_codes)
        return loss, {
            "psnr_db": psnr_db(made, pixels).detach(),
            "codes_used": used,
            "code_perplexity": perplexity,
            "quantizer_loss": quantized.loss.detach(),
        }

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        """Real clips above what the decoder makes of their codes."""
        tokenizer = cast("TokenizerVQ", averages["tokenizer"])
        frames = self.clips.draw(0, 0, PREVIEW_CLIPS)
        pixels = to_pixels(torch.from_numpy(frames)).to(self.config.loop.device)
        made = to_frames(tokenizer(pixels)[0]).cpu().numpy()
        return contact_sheet([clip[i, ::2] for i in range(len(frames)) for clip in (frames, made)])


def main(config: TokenizerVQStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the tokenizer and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = TokenizerVQStage(config)
        averages = train(stage, config.loop, run, progress, "train tokenizer")
        folder = config.run / "tokenizer"
        cast("TokenizerVQ", averages["tokenizer"]).save(folder)
    return folder


def check_frame_size(dataset: Dataset, height: int, width: int, who: str) -> None:
    """Refuse recordings of another frame size.

    Raises:
        ConfigError: says both sizes.
    """
    if (dataset.info.height, dataset.info.width) != (height, width):
        raise ConfigError(
            f"{dataset.path} has frames of {dataset.info.height} x {dataset.info.width}, {who} is for "
            f"{height} x {width}; set its height and width to the recording's"
        )


def stack_blocks(*stacks: SpaceTimeStack) -> tuple[nn.Module, ...]:
    """Blocks of some stacks, as the loop compiles them."""
    return tuple(block for stack in stacks for block in stack.blocks)
