"""Toy configs of the stages of streamed worlds, over the counting world's recordings."""

from dataclasses import replace
from pathlib import Path

import torch

from paracosm.core.controls import ControlSpace
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_video import VideoDynamicsConfig
from paracosm.models.video_parts import (
    IMAGE_ENCODER,
    VAE,
    ImageTowerConfig,
    VideoCodecConfig,
    make_codec,
    make_image_tower,
)
from paracosm.recipes.video_street import action_map
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import encode_video
from paracosm.train.stages.video_teacher import VideoTeacherStageConfig
from paracosm.train.video_batches import VideoData
from tests import tiny_video

from .datasets import record_counting

CLIP_LATENTS, STRIDE = 6, 20
CODEC = VideoCodecConfig(base_channels=4, latent_channels=4, growth=(1, 1, 2, 2), blocks=1)
TOWER = ImageTowerConfig(width=16, depth=2, heads=2, side=16, patch=8)


def make_street(root: Path) -> VideoData:
    """Recordings of the counting world, parts of random weights, and encoded clips."""
    dataset = record_counting(root / "data", num_episodes=3, max_steps=62)
    with first_weights(0, "parts"):
        make_codec(CODEC).save_pretrained(root / "parts" / VAE)
        make_image_tower(TOWER).save_pretrained(root / "parts" / IMAGE_ENCODER)
    encode_video.main(
        encode_video.EncodeVideoStageConfig(
            data=root / "data", parts=root / "parts", clip_latents=CLIP_LATENTS, stride=STRIDE
        )
    )
    return VideoData(
        data=root / "data",
        parts=root / "parts",
        actions=action_map(dataset.info.controls),
        clip_latents=CLIP_LATENTS,
        stride=STRIDE,
    )


def model(controls: ControlSpace, window: int = 6) -> VideoDynamicsConfig:
    """A network of some thousand numbers, actions in the first of its two blocks."""
    made = tiny_video.config(keys=len(controls.keys), window=window or -1)
    return replace(
        made,
        latent_channels=CODEC.latent_channels,
        condition_channels=CODEC.latent_channels + 4,
        context_width=TOWER.width,
    )


def loop(num_steps: int) -> LoopConfig:
    optim = OptimConfig(learning_rate=3e-3, warmup_steps=1, ema_decay=0.5)
    return LoopConfig(
        num_steps=num_steps, optim=optim, precision="fp32", log_every=1, num_threads=1, preview_every=0
    )


def teacher_config(run: Path, rows: VideoData, num_steps: int = 2, **changes) -> VideoTeacherStageConfig:
    made = VideoTeacherStageConfig(
        run=run,
        data=rows,
        model=model(Dataset(rows.data).info.controls),
        loop=loop(num_steps),
        batch_size=2,
    )
    return replace(made, **changes)


def random_network(config: VideoDynamicsConfig, folder: Path) -> Path:
    """A network whose action modules answer, saved."""
    tiny_video.network(config, torch.float32).save(folder)
    return folder
