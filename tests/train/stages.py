"""Toy configs of the stages, over the counting world's recordings."""

from dataclasses import replace
from pathlib import Path

from paracosm.core.controls import ControlSpace
from paracosm.recipes import small
from paracosm.train.loop import LoopConfig
from paracosm.train.stages.teacher import TeacherStageConfig
from paracosm.train.stages.tokenizer import TokenizerStageConfig

from .datasets import HEIGHT, WIDTH


def quick(config: LoopConfig, num_steps: int) -> LoopConfig:
    """The same loop with few steps in full precision."""
    return replace(config, num_steps=num_steps, precision="fp32", log_every=1, num_threads=1)


def tokenizer_config(run: Path, data: Path, num_steps: int = 4) -> TokenizerStageConfig:
    """A tokenizer of a few thousand parameters."""
    shape = small.Shape(height=HEIGHT, width=WIDTH, controls=ControlSpace())
    config = small.shorten_tokenizer(small.tokenizer(run, shape))
    model = replace(config.model, fine_channels=8, coarse_channels=16, latent_channels=4)
    loop = quick(config.loop, num_steps)
    return replace(config, run=run, data=data, model=model, loop=loop, batch_size=4)


def dynamics_config(run: Path, data: Path, tokenizer: Path, controls: ControlSpace) -> TeacherStageConfig:
    """A dynamics of a few thousand parameters."""
    shape = small.Shape(height=HEIGHT, width=WIDTH, controls=controls)
    config = small.shorten_dynamics(small.dynamics(run, shape))
    model = replace(config.model, latent_channels=4, width=16, heads=1, depth=2, hidden=32)
    return replace(
        config,
        run=run,
        data=data,
        tokenizer=tokenizer,
        model=model,
        loop=quick(config.loop, 4),
        batch_size=2,
        clip_frames=6,
    )
