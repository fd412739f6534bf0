"""What every recipe of Genie is made of: sizes, and the three stages that they describe.

This file does NOT know any recipe.

Source: Genie 2402.15391.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paracosm.collect.record import RecordConfig
from paracosm.models.dynamics_maskgit import MaskGITDynamicsConfig
from paracosm.models.latent_actions import LatentActionsConfig, PixelInput
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.models.tokenizer_vq import TokenizerVQConfig
from paracosm.nn.quantize import VQConfig
from paracosm.nn.stack import StackConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.stages.latent_actions import LatentActionsStageConfig
from paracosm.train.stages.maskgit import MaskGITStageConfig, ParallelActions
from paracosm.train.stages.tokenizer_vq import TokenizerVQStageConfig

CLIP_FRAMES, LATENT_WIDTH = 16, 32
"""Everywhere in the paper: frames of a clip and of memory; numbers of a token's and of an action's vector."""


@dataclass(frozen=True, kw_only=True)
class GenieRecipe:
    """One pipeline: what is recorded or imported, what is trained on it, and how it is sampled."""

    run: Path
    """run folder; every stage has a folder of its own in it"""
    name: str
    """short name of the world"""
    description: str
    """one or two sentences for people"""
    recordings: Mapping[str, RecordConfig]
    """recording of each split; none when the data is brought along; recorded controls are never read"""
    games: Mapping[str, Any] = field(default_factory=dict)
    """config of the recorded game, for each split"""
    tokenizer: TokenizerVQStageConfig
    """frames to codes"""
    latent_actions: LatentActionsStageConfig
    """frames to latent actions; trained inside the dynamics stage when that says parallel"""
    dynamics: MaskGITStageConfig
    """codes and latent actions to the next codes"""
    sampler: SamplerConfig
    """passes and temperature of play"""

    @property
    def stages(self) -> Mapping[str, Any]:
        """Config of each network's stage by name, in order."""
        return {
            "tokenizer": self.tokenizer,
            "latent_actions": self.latent_actions,
            "dynamics": self.dynamics,
        }


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the recipes differ in."""

    height: int
    """rows of a frame in pixels"""
    width: int
    """columns of a frame in pixels"""
    patch: int
    """pixels a side of a tokenizer's token"""
    action_patch: int
    """pixels a side of a token of the latent action model"""
    num_codes: int
    """codes of the tokenizer"""
    num_actions: int
    """latent actions"""
    encoder: StackConfig
    """encoder of the tokenizer"""
    decoder: StackConfig
    """decoder of the tokenizer"""
    action_encoder: StackConfig
    """encoder of the latent action model"""
    action_decoder: StackConfig
    """decoder of the latent action model"""
    dynamics: StackConfig
    """the dynamics"""


def stack(width: int, depth: int, heads: int, head_width: int, hidden: int) -> StackConfig:
    """A stack in one line."""
    return StackConfig(width=width, depth=depth, heads=heads, head_width=head_width, hidden=hidden)


def describe(
    run: Path,
    sizes: Sizes,
    *,
    data: Path,
    tokenizer_loop: LoopConfig,
    actions_loop: LoopConfig,
    dynamics_loop: LoopConfig,
    batches: tuple[int, int, int],
) -> dict[str, Any]:
    """The three stages of a recipe as in the paper: the actions are learnt beside the dynamics.

    Args:
        run: run folder.
        sizes: of all networks.
        data: folder of the training recordings.
        tokenizer_loop: how long the tokenizer trains.
        actions_loop: how long the latent action model trains.
        dynamics_loop: how long the dynamics trains.
        batches: clips a step of the three stages.
    """
    return {
        "run": run,
        "tokenizer": TokenizerVQStageConfig(
            run=run / "tokenizer",
            data=data,
            model=_tokenizer(sizes),
            loop=tokenizer_loop,
            batch_size=batches[0],
            clip_frames=CLIP_FRAMES,
            # The paper names a VQ-VAE objective and no weights: squared error alone, as in 1711.00937.
            absolute_weight=0.0,
            squared_weight=1.0,
            edge_weight=0.0,
        ),
        "latent_actions": LatentActionsStageConfig(
            run=run / "latent_actions",
            data=data,
            model=_actions(sizes),
            loop=actions_loop,
            batch_size=batches[1],
            clip_frames=CLIP_FRAMES,
        ),
        "dynamics": MaskGITStageConfig(
            run=run / "dynamics",
            data=data,
            tokenizer=run / "tokenizer" / "tokenizer",
            actions=ParallelActions(model=_actions(sizes)),
            model=_dynamics(sizes),
            loop=dynamics_loop,
            batch_size=batches[2],
            clip_frames=CLIP_FRAMES,
        ),
    }


def _tokenizer(sizes: Sizes) -> TokenizerVQConfig:
    return TokenizerVQConfig(
        height=sizes.height,
        width=sizes.width,
        patch=sizes.patch,
        encoder=sizes.encoder,
        decoder=sizes.decoder,
        quantizer=VQConfig(codes=sizes.num_codes, width=LATENT_WIDTH),
        window=CLIP_FRAMES - 1,
        attention="factorised",
    )


def _actions(sizes: Sizes) -> LatentActionsConfig:
    return LatentActionsConfig(
        input=PixelInput(height=sizes.height, width=sizes.width, patch=sizes.action_patch),
        encoder=sizes.action_encoder,
        decoder=sizes.action_decoder,
        quantizer=VQConfig(codes=sizes.num_actions, width=LATENT_WIDTH),
        window=CLIP_FRAMES - 1,
        draws="frame",
    )


def _dynamics(sizes: Sizes) -> MaskGITDynamicsConfig:
    return MaskGITDynamicsConfig(
        num_codes=sizes.num_codes,
        rows=-(-sizes.height // sizes.patch),
        columns=-(-sizes.width // sizes.patch),
        stack=sizes.dynamics,
        window=CLIP_FRAMES - 1,
        control_width=LATENT_WIDTH,
        look_limit=(1.0, 1.0),
        num_actions=sizes.num_actions,
        conditioning="add",
    )
