"""Stage: frames to a codec of the Wan kind, which compresses time, and an image tower beside it.

The codec learns to show short clips again: absolute, squared and edge error, and a light pull of its latents
towards a normal. The image tower is drawn at random and stays so: at toy size it only has to tell pictures
apart. Large worlds take the published two instead. This file does NOT know dynamics or controls.

Source: Wan 2503.20314, section 4.1, for the codec; its adversarial and perceptual losses are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.files import whole_folder
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.data.clips import select_episodes
from paracosm.data.pieces import FrameClips
from paracosm.data.reader import Dataset
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.video_parts import (
    IMAGE_ENCODER,
    VAE,
    ImageTowerConfig,
    VideoCodecConfig,
    make_codec,
    make_image_tower,
)
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.losses import edge_loss, kl_to_normal, psnr_db
from paracosm.train.previews import contact_sheet

SCALE_BATCHES = 4
"""Batches over which mean and deviation of the latents are measured."""
PREVIEW_CLIPS = 4
"""Clips in a preview picture."""


@dataclass(frozen=True, kw_only=True)
class VideoCodecStageConfig:
    """What the codec is trained on and how."""

    run: Path
    """run folder; codec and image tower land in RUN/parts"""
    data: Path
    """dataset folder"""
    model: VideoCodecConfig
    """sizes of the codec"""
    tower: ImageTowerConfig
    """sizes of the image tower"""
    loop: LoopConfig
    """length, optimiser, logging"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    batch_size: int = 20
    """clips a batch; on one thread torch has fast convolutions from 17 on"""
    clip_frames: int = 5
    """frames a clip: one, and a multiple of the four that become one latent frame"""
    squared_weight: float = 5.0
    """weight of the squared error beside the absolute one"""
    edge_weight: float = 1.0
    """weight of the error of differences between neighbouring pixels"""
    kl_weight: float = 1e-3
    """weight of the mean KL of a latent"""

    def __post_init__(self) -> None:
        """Refuse clips whose last latent frame would not be whole."""
        if self.clip_frames % 4 != 1:
            raise ConfigError(
                f"clip_frames {self.clip_frames} leaves a latent frame unfinished; use 1 more than a "
                "multiple of 4, e.g. 5"
            )


class VideoCodecStage:
    """Networks and loss of the stage."""

    def __init__(self, config: VideoCodecStageConfig) -> None:
        dataset = Dataset(config.data)
        self.config = config
        with first_weights(config.loop.seed, "video codec"):
            self.networks: dict[str, nn.Module] = {"codec": make_codec(config.model)}
        self.blocks: Sequence[nn.Module] = ()
        episodes = select_episodes(dataset, config.split)
        self.clips = FrameClips(episodes, config.clip_frames, config.loop.seed)

    def batch(self, step: int, part: int) -> Tensor:
        """Return pixels (b, t, c, h, w) of one step."""
        frames = self.clips.draw(step, part, self.config.batch_size)
        return to_pixels(torch.from_numpy(frames)).to(self.config.loop.device)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config, pixels = self.config, self.batch(step, part)
        codec: Any = self.networks["codec"]
        drawn = codec.encode(rearrange(pixels, "b t c h w -> b c t h w")).latent_dist
        mean, log_variance = drawn.mean.float(), drawn.logvar.float().clamp(-12, 4)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        made = _show(codec, mean + (0.5 * log_variance).exp() * noise)
        absolute, squared = (made - pixels).abs().mean(), (made - pixels).square().mean()
        edges, kl = edge_loss(made, pixels), kl_to_normal(mean, log_variance)
        loss = absolute + config.squared_weight * squared + config.edge_weight * edges + config.kl_weight * kl
        return loss, {"psnr_db": psnr_db(made, pixels).detach(), "edges": edges.detach(), "kl": kl.detach()}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        """Real frames above what the codec shows of them."""
        codec: Any = averages["codec"]
        pixels = self.batch(0, 0)[:PREVIEW_CLIPS]
        made = _show(codec, codec.encode(rearrange(pixels, "b t c h w -> b c t h w")).latent_dist.mean)
        rows = [to_frames(part).cpu().numpy() for part in (pixels, made)]
        return contact_sheet([part[i] for i in range(len(pixels)) for part in rows])


def _show(codec: Any, latents: Tensor) -> Tensor:
    return rearrange(codec.decode(latents).sample.float(), "b c t h w -> b t c h w")


def main(config: VideoCodecStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the codec and return the folder of both parts; goes on where an earlier run stopped.

    Raises:
        MissingPackageError: when diffusers or transformers is not installed.
    """
    folder = config.run / "parts"
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = VideoCodecStage(config)
        averages = train(stage, config.loop, run, progress, "train video codec")
        codec: Any = averages["codec"]
        mean, deviation = measure_scale(codec, stage)
        codec.register_to_config(latents_mean=mean.tolist(), latents_std=deviation.tolist())
        with first_weights(config.loop.seed, "image tower"):
            tower = make_image_tower(config.tower)
        with whole_folder(folder, None) as partial:
            codec.save_pretrained(partial / VAE)
            tower.save_pretrained(partial / IMAGE_ENCODER)
    return folder


@torch.no_grad()
def measure_scale(codec: Any, stage: VideoCodecStage) -> tuple[Tensor, Tensor]:
    """Measure mean and standard deviation (z) of the latents of training clips."""
    parts = [
        codec.encode(rearrange(stage.batch(-1 - i, 0), "b t c h w -> b c t h w")).latent_dist.mean
        for i in range(SCALE_BATCHES)
    ]
    latents = rearrange(torch.cat(parts), "b z t h w -> z (b t h w)")
    return latents.mean(1), latents.std(1)
