"""Sizes and lengths for worlds trained on two CPU cores.

Doom, coinrun and own begin here and replace a few values. A frame of h x w pixels becomes h/16 x w/16 tokens:
12 for 64 x 48. This file does NOT know any game.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_flow import FlowDynamicsConfig
from paracosm.models.inverse_dynamics import InverseDynamicsConfig
from paracosm.models.tokenizer_vae import TokenizerVAEConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages.inverse_dynamics import InverseDynamicsStageConfig
from paracosm.train.stages.teacher import TeacherStageConfig
from paracosm.train.stages.tokenizer import TokenizerStageConfig

STEM = 4
"""First space-to-depth factor of the tokenizer; the second is always 2."""
PATCH = 2
"""Grid positions a side that make a token."""
GRAIN = 2 * STEM * PATCH
"""Frame sizes must be multiples of this many pixels."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the networks must know of a world."""

    height: int
    """rows of a frame in pixels, a multiple of GRAIN"""
    width: int
    """columns of a frame in pixels, a multiple of GRAIN"""
    controls: ControlSpace
    """what the player may do"""

    def __post_init__(self) -> None:
        """Refuse frames that do not divide into tokens."""
        if self.height % GRAIN or self.width % GRAIN:
            raise ConfigError(
                f"frames of {self.height} x {self.width} do not divide into tokens; "
                f"use multiples of {GRAIN}, e.g. 48 x 64"
            )


def tokenizer(run: Path, shape: Shape) -> TokenizerStageConfig:
    """Frames to a grid of 16 latents for each 8 x 8 pixels; about 15 minutes on one core."""
    return TokenizerStageConfig(
        run=run / "tokenizer",
        data=run / "data" / "train",
        model=TokenizerVAEConfig(
            height=shape.height,
            width=shape.width,
            stem=STEM,
            latent_channels=16,
            fine_channels=96,
            coarse_channels=256,
            encoder_blocks=(1, 2),
            decoder_blocks=(2, 2),
            time_kernel=1,
        ),
        loop=LoopConfig(num_steps=1600, optim=OptimConfig(decay_steps=700), num_threads=1, preview_every=250),
    )


def dynamics(run: Path, shape: Shape) -> TeacherStageConfig:
    """Tokens of 2 x 2 grid positions, 32 frames of past, 15 million parameters; hours on one core."""
    return TeacherStageConfig(
        run=run / "dynamics",
        data=run / "data" / "train",
        tokenizer=run / "tokenizer" / "tokenizer",
        model=FlowDynamicsConfig(
            latent_channels=16,
            latent_height=shape.height // (2 * STEM),
            latent_width=shape.width // (2 * STEM),
            patch=PATCH,
            width=320,
            depth=8,
            heads=5,
            hidden=864,
            window=32,
            attention="joint",
            control_width=shape.controls.width,
            look_limit=shape.controls.look_limit,
        ),
        loop=LoopConfig(
            num_steps=20_000,
            optim=OptimConfig(decay_steps=4000, ema_decay=0.998),
            num_threads=1,
            preview_every=250,
            compile="blocks",
        ),
        batch_size=4,
    )


def reader(run: Path, shape: Shape) -> InverseDynamicsStageConfig:
    """Reads keys and turns from frames, to judge control; about 15 minutes on one core."""
    yaw, pitch = shape.controls.look_limit
    return InverseDynamicsStageConfig(
        run=run / "inverse_dynamics",
        data=run / "data" / "train",
        model=InverseDynamicsConfig(
            height=shape.height,
            width=shape.width,
            keys=shape.controls.keys,
            look=(("yaw",) if yaw else ()) + (("pitch",) if pitch else ()),
            look_scale=max(yaw, pitch) or 1.0,
            channels=(32, 64, 96),
            blocks=1,
            features=128,
        ),
        loop=LoopConfig(
            num_steps=2400,
            optim=OptimConfig(decay_steps=800),
            num_threads=1,
            log_every=50,
            preview_every=0,
            checkpoint_minutes=2,
        ),
    )


def shorten_tokenizer(config: TokenizerStageConfig) -> TokenizerStageConfig:
    """The same stage at toy size: seconds instead of minutes."""
    model = replace(
        config.model, fine_channels=32, coarse_channels=64, encoder_blocks=(1, 1), decoder_blocks=(1, 1)
    )
    return replace(config, model=model, loop=_shorten(config.loop, 120), batch_size=32, initial=None)


def shorten_dynamics(config: TeacherStageConfig) -> TeacherStageConfig:
    """The same stage at toy size: seconds instead of hours."""
    model = replace(config.model, width=64, depth=2, heads=2, hidden=128, window=8)
    loop = _shorten(config.loop, 100)
    return replace(config, model=model, loop=loop, batch_size=8, clip_frames=8, initial=None)


def shorten_reader(config: InverseDynamicsStageConfig) -> InverseDynamicsStageConfig:
    """The same stage at toy size: seconds instead of minutes."""
    model = replace(config.model, channels=(16, 32, 32), features=32)
    return replace(config, model=model, loop=_shorten(config.loop, 60), batch_size=32)


def _shorten(loop: LoopConfig, num_steps: int) -> LoopConfig:
    optim = replace(loop.optim, warmup_steps=10, decay_steps=num_steps // 2, ema_decay=0.95)
    return replace(loop, num_steps=num_steps, optim=optim, preview_every=0, log_every=10, compile="off")
