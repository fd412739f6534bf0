"""Stage: frames to a latent action model, from clips that cross no cut and without a single control.

The decoder must draw the next frame from the past and one of a few codes; the encoder learns to put into the
code what the past does not tell. This file does NOT know controls, and the dynamics only by their codes.

Source: Genie 2402.15391, section 2.1 and appendix C.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.data.clips import select_episodes
from paracosm.data.pieces import CutKind, FrameClips
from paracosm.data.reader import Dataset
from paracosm.models.latent_actions import CodeInput, LatentActions, LatentActionsConfig
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.nn.quantize import FSQConfig, VectorQuantizer, code_usage
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.losses import psnr_db
from paracosm.train.previews import contact_sheet

from .tokenizer_vq import check_frame_size, stack_blocks

PREVIEW_CLIPS = 3
"""Clips in a preview picture."""
LEAST_CHANGE = 1e-4
"""Mean squared change between frames below which a batch counts as still."""
LEAST_STEP_CHANGE = 3e-3
"""The same of one step, where errors are counted by step: a still one would else outweigh all others."""
SETTLE_BATCHES = 12
"""Batches whose vectors the codebook is laid among."""
FREE_NOISE, FREE_PULL = 0.15, 0.02
"""Deviation of the noise on vectors that are not quantized, and weight of their mean square."""


@dataclass(frozen=True, kw_only=True)
class LatentActionsStageConfig:
    """What the latent action model is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/latent_actions"""
    data: Path
    """dataset folder; controls are not read"""
    model: LatentActionsConfig
    """sizes of the model"""
    loop: LoopConfig
    """length, optimiser, logging"""
    tokenizer: Path | None = None
    """discrete tokenizer whose codes the model sees, when its input is codes; nothing for pixels"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    cuts: CutKind = "none"
    """whether the episodes have cuts: none in a world's recordings, find in videos"""
    batch_size: int = 16
    """clips a batch"""
    clip_frames: int = 16
    """frames a clip, more than the span of an action"""
    errors: Literal["batch", "step"] = "batch"
    """in units of what the error of copying is counted: of the batch's, or of each step's own, so that large
    motions do not hide small ones"""
    free_steps: int = 0
    """training steps before vectors are quantized, under a little noise instead; the codebook is then laid
    where the vectors are. Codes that come before vectors mean anything take up the largest change alone"""

    def __post_init__(self) -> None:
        """Refuse clips without a next frame, and codes without a tokenizer."""
        if self.clip_frames <= self.model.span:
            raise ConfigError(
                f"clip_frames {self.clip_frames} leaves no frame {self.model.span} after another; "
                f"use {self.model.span + 1} or more"
            )
        if self.free_steps and isinstance(self.model.quantizer, FSQConfig):
            raise ConfigError(
                "free_steps are for a codebook that can be laid later; a grid (fsq) has free_steps 0"
            )
        if self.free_steps and self.free_steps >= self.loop.num_steps:
            raise ConfigError(
                f"free_steps {self.free_steps} of {self.loop.num_steps} steps leave none to learn codes; "
                "use about half of them"
            )
        if self.errors == "step" and isinstance(self.model.input, CodeInput):
            raise ConfigError(
                'errors "step" are of pixels; codes are counted by cross-entropy: use errors "batch"'
            )
        if (self.tokenizer is not None) != isinstance(self.model.input, CodeInput):
            raise ConfigError(
                f"the model's input is {self.model.input.kind} and tokenizer is {self.tokenizer}; "
                "give a tokenizer for codes and none for pixels"
            )


class LatentActionsStage:
    """Networks and loss of the stage."""

    def __init__(self, config: LatentActionsStageConfig) -> None:
        dataset = Dataset(config.data)
        self.config = config
        self.tokenizer = TokenizerVQ.load(config.tokenizer) if config.tokenizer is not None else None
        _check_input(dataset, config, self.tokenizer)
        episodes = select_episodes(dataset, config.split)
        self.clips = FrameClips(episodes, config.clip_frames, config.loop.seed, config.cuts)
        with first_weights(config.loop.seed, "latent actions"):
            model = LatentActions(config.model)
        self.networks: dict[str, nn.Module] = {"latent_actions": model}
        self.blocks: Sequence[nn.Module] = stack_blocks(model.encoder, model.decoder)

    def batch(self, step: int, part: int, count: int) -> Tensor:
        """Return pixels (b, t, c, h, w) of one step."""
        frames = self.clips.draw(step, part, count)
        return to_pixels(torch.from_numpy(frames)).to(self.config.loop.device)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        model = cast("LatentActions", self.networks["latent_actions"])
        pixels = self.batch(step, part, self.config.batch_size)
        frames = pixels
        if self.tokenizer is not None:
            with torch.no_grad():
                frames = self.tokenizer.encode(pixels)
        if step < self.config.free_steps:
            return _free_loss(model, frames, generator, self.config.errors)
        if step == self.config.free_steps > 0 == part:
            self._settle(model, step, generator)
        return latent_action_loss(model, frames, generator, self.config.errors)

    @torch.no_grad()
    def _settle(self, model: LatentActions, step: int, generator: torch.Generator) -> None:
        """Lay the codebook where the vectors of some batches are."""
        found = []
        for ahead in range(SETTLE_BATCHES):
            frames = self.batch(step + ahead, 0, self.config.batch_size)
            found.append(model.find(self.tokenizer.encode(frames) if self.tokenizer is not None else frames))
        cast("VectorQuantizer", model.quantizer).settle(torch.cat(found), generator)

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Clips, the next frames as drawn with their actions, and as drawn with another clip's actions."""
        if self.tokenizer is not None:
            return None
        model = cast("LatentActions", averages["latent_actions"])
        pixels = self.batch(0, 0, PREVIEW_CLIPS)
        made, _, quantized = model(pixels)
        span = model.config.span
        other = model.draw(pixels[:, :-span], quantized.vectors.roll(1, 0))
        rows = []
        for i in range(len(pixels)):
            rows += [
                to_frames(part)[i, ::2].cpu().numpy() for part in (model.seen(pixels)[:, span:], made, other)
            ]
        return contact_sheet(rows)


def latent_action_loss(
    model: LatentActions,
    frames: Tensor,
    generator: torch.Generator,
    errors: Literal["batch", "step"] = "batch",
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and metrics of a batch, with the codebook's update.

    Args:
        model: in training.
        frames: what the model's input says.
        generator: chooses where dead codes go.
        errors: in whose units errors of pixels are counted; see the config.
    """
    made, vectors, quantized = model(frames)
    model.quantizer.update(vectors, quantized.codes, generator)
    used, perplexity = code_usage(quantized.codes, model.config.num_actions)
    drawn, metrics = _drawn_error(model, made, frames, errors)
    return drawn + quantized.loss, metrics | {
        "actions_used": used,
        "action_perplexity": perplexity,
        "vector_deviation": vectors.detach().reshape(-1, vectors.shape[-1]).std(0).mean(),
    }


def _free_loss(
    model: LatentActions, frames: Tensor, generator: torch.Generator, errors: Literal["batch", "step"]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and metrics of vectors not quantized yet: noise and a pull to zero bound what they tell."""
    vectors = model.find(frames)
    noise = torch.randn(vectors.shape, generator=generator).to(vectors)
    made = model.draw(frames[:, : -model.config.span], vectors + FREE_NOISE * noise)
    drawn, metrics = _drawn_error(model, made, frames, errors)
    return drawn + FREE_PULL * vectors.square().mean(), metrics | {
        "vector_deviation": vectors.detach().reshape(-1, vectors.shape[-1]).std(0).mean()
    }


def _drawn_error(
    model: LatentActions, made: Tensor, frames: Tensor, errors: Literal["batch", "step"]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Error of the drawn frames, and its metrics."""
    span, seen = model.config.span, model.seen(frames)
    target = seen[:, span:]
    if isinstance(model.config.input, CodeInput):
        drawn = functional.cross_entropy(rearrange(made, "b t s v -> (b t s) v"), target.reshape(-1))
        return drawn, {"cross_entropy": drawn.detach()}
    # In units of what copying the present frame costs, so that quiet and busy games weigh codes alike; the
    # paper does not say how its errors are weighed.
    error = (made - target).square().mean((2, 3, 4))
    change = (target - seen[:, :-span]).square().mean((2, 3, 4))
    share = error.mean() / change.mean().clamp_min(LEAST_CHANGE)
    drawn = share if errors == "batch" else (error / change.clamp_min(LEAST_STEP_CHANGE)).mean()
    return drawn, {"error_share": share.detach(), "next_psnr_db": psnr_db(made, target).detach()}


def main(config: LatentActionsStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the latent action model and return its folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = LatentActionsStage(config)
        averages = train(stage, config.loop, run, progress, "train latent actions")
        folder = config.run / "latent_actions"
        cast("LatentActions", averages["latent_actions"]).save(folder)
    return folder


def _check_input(dataset: Dataset, config: LatentActionsStageConfig, tokenizer: TokenizerVQ | None) -> None:
    seen = config.model.input
    if not isinstance(seen, CodeInput):
        check_frame_size(dataset, seen.height, seen.width, "the latent action model")
        return
    assert tokenizer is not None, config
    made = tokenizer.config
    if (made.rows, made.columns, made.num_codes) != (seen.rows, seen.columns, seen.num_codes):
        raise ConfigError(
            f"{config.tokenizer} makes {made.num_codes} codes on a grid of {made.rows} x {made.columns}, the "
            f"latent action model is for {seen.num_codes} on {seen.rows} x {seen.columns}; "
            "set model.input to the tokenizer's"
        )
