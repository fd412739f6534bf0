"""Stage: latents of a codec that compresses time, and controls, to a streamed video network of many passes.

With a window the network is trained under play's own mask: noisy blocks beside the clean past, which is
lightly noised (teacher forcing). Without one it sees the whole noisy clip, as the published foundation model
does. It may begin from an image-to-video base: its action modules then start as nothing, and with no action
modules at all the stage trains such a base. This file does NOT know passes of play or key names.

Source: Matrix-Game 2.0, 2508.13009, section 3; levels: Esser et al. 2403.03206 under the published shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import sub_seed
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Latents
from paracosm.models.dynamics_video import VideoDynamics, VideoDynamicsConfig
from paracosm.models.noise import draw_levels, mix
from paracosm.models.pixels import to_frames
from paracosm.models.rollout import check_levels
from paracosm.models.video_clip import ClipPast, clip_flow, roll_clip
from paracosm.models.video_codec import VideoCodec
from paracosm.models.video_parts import VAE
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.previews import contact_sheet
from paracosm.train.video_batches import VideoBatches, VideoData
from paracosm.train.video_weights import begin_video

PREVIEW_CLIPS = 3
"""Clips in a preview picture; each has the true frames above the dreamt ones."""


@dataclass(frozen=True, kw_only=True)
class VideoTeacherStageConfig:
    """What the network is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/dynamics"""
    data: VideoData
    """recordings and their numbers"""
    model: VideoDynamicsConfig
    """sizes of the network; window 0 trains on whole clips, no action layers train a base without controls"""
    loop: LoopConfig
    """length, optimiser, logging"""
    initial: Path | None = None
    """folder of the network that it begins from, e.g. an image-to-video base; nothing begins from random
    weights"""
    batch_size: int = 8
    """clips a batch"""
    context_noise: float = 0.1
    """largest noise level of the clean past, drawn uniformly once a clip"""
    level_mean: float = 1.6
    """mean of the normal whose sigmoid is a block's noise level; 1.6 is the published shift of 5"""
    level_deviation: float = 1.0
    """standard deviation of that normal"""
    pure_share: float = 0.1
    """share of blocks at level 1, where every block of play begins"""
    preview_levels: tuple[float, ...] = (1.0, 0.9375, 0.8333333, 0.625)
    """noise levels of the passes in previews"""

    def __post_init__(self) -> None:
        """Refuse levels that do not fall."""
        check_levels(self.preview_levels)


class VideoTeacherStage:
    """Networks and loss of the stage."""

    def __init__(self, config: VideoTeacherStageConfig) -> None:
        self.config = config
        network = begin_video(config.model, config.initial, config.loop.seed)
        self.networks: dict[str, nn.Module] = {"dynamics": network}
        self.blocks: Sequence[nn.Module] = tuple(network.blocks)
        self.batches = VideoBatches(config.data, config.model, config.loop.seed, config.loop.device)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config = self.config
        network = cast("VideoDynamics", self.networks["dynamics"])
        batch = self.batches.draw(step, part, config.batch_size)
        clean = batch.latents
        levels = self.draw_levels(clean, generator).to(clean)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        past = noisy_past(clean, config.context_noise, generator)
        flow = clip_flow(network, mix(clean, noise, levels), levels, batch.given(network), past)
        error = (flow.float() - (noise - clean)).square().mean((2, 3, 4))
        pure = levels == 1.0
        pure_error = error[pure].mean() if bool(pure.any()) else error.new_tensor(0.0)
        return error.mean(), {"flow_error_from_noise": pure_error.detach()}

    def draw_levels(self, clean: Latents, generator: torch.Generator) -> Tensor:
        """Draw noise levels (b, t): one a block, as in play, or one a clip for a network of whole clips."""
        config, (b, t) = self.config, clean.shape[:2]
        block = config.model.block if config.model.window else t
        drawn = draw_levels(
            (b, t // block),
            generator,
            mean=config.level_mean,
            deviation=config.level_deviation,
            pure_share=config.pure_share,
        )
        return drawn.repeat_interleave(block, 1)

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """True clips above dreams from the same picture under the same controls; none of whole clips."""
        network = cast("VideoDynamics", averages["dynamics"])
        if not network.config.window:
            return None
        batch = self.batches.draw(0, 0, PREVIEW_CLIPS)
        generator = torch.Generator().manual_seed(sub_seed(0, "preview"))
        made = roll_clip(network, batch.given(network), self.config.preview_levels, generator)
        codec = VideoCodec.load(self.config.data.parts / VAE)
        real, dreamt = (show_clip(codec, part.cpu()) for part in (batch.latents, made))
        shown = slice(0, None, codec.frames_per_latent)
        return contact_sheet(
            [clip[i, shown] for i in range(PREVIEW_CLIPS) for clip in (real, dreamt)], scale=2
        )


def noisy_past(clean: Latents, context_noise: float, generator: torch.Generator) -> ClipPast:
    """Noise the clean past lightly, at one level a clip, so that long play drifts less."""
    b, t = clean.shape[:2]
    levels = (context_noise * torch.rand(b, 1, generator=generator)).expand(b, t).to(clean)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    return ClipPast(latents=mix(clean, noise, levels), levels=levels)


@torch.no_grad()
def show_clip(codec: VideoCodec, latents: Latents) -> np.ndarray:
    """Decode clips (b, t, z, h, w) latent frame by latent frame to uint8 frames (b, frames, h, w, 3)."""
    state, parts = codec.decoder_state, []
    for index in range(latents.shape[1]):
        pixels, state = codec.decode(latents[:, index : index + 1], state)
        parts.append(to_frames(pixels).numpy())
    return np.concatenate(parts, 1)


def main(config: VideoTeacherStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the network and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = VideoTeacherStage(config)
        averages = train(stage, config.loop, run, progress, f"train {config.run.name}")
        folder = config.run / "dynamics"
        cast("VideoDynamics", averages["dynamics"]).save(folder)
    return folder
