"""The bundled CoinRun: 64 x 64, easy levels, 15 steps a second, held-out levels never seen in training.

Sizes fit two CPU cores and some hours: 16 tokens a frame, 15 million parameters of dynamics.
"""

from pathlib import Path

from paracosm.collect.games.coinrun import HELD_OUT_START, CoinRunConfig
from paracosm.collect.record import RecordConfig
from paracosm.models.dynamics_flow import FlowDynamicsConfig
from paracosm.models.tokenizer_vae import TokenizerVAEConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages.teacher import TeacherStageConfig
from paracosm.train.stages.tokenizer import TokenizerStageConfig


def game() -> CoinRunConfig:
    """Easy levels: one wall, one background, many layouts."""
    return CoinRunConfig(difficulty="easy")


def recordings(run: Path) -> dict[str, RecordConfig]:
    """Training levels and held-out levels."""
    return {
        "train": RecordConfig(
            world="game:coinrun",
            out=run / "data" / "train",
            num_episodes=2000,
            max_steps=120,
            num_world_seeds=100_000,
            split="train",
        ),
        "held_out": RecordConfig(
            world="game:coinrun",
            out=run / "data" / "held_out",
            num_episodes=60,
            max_steps=1000,
            seed=1,
            first_world_seed=1_000_000_000,
            num_world_seeds=100_000,
            split="held_out",
        ),
    }


def tokenizer(run: Path) -> TokenizerStageConfig:
    """Frames of 64 x 64 to 8 x 8 x 16 latents."""
    return TokenizerStageConfig(
        run=run / "tokenizer",
        data=run / "data" / "train",
        model=TokenizerVAEConfig(
            height=64,
            width=64,
            stem=4,
            latent_channels=16,
            fine_channels=96,
            coarse_channels=256,
            encoder_blocks=(1, 2),
            decoder_blocks=(2, 2),
            time_kernel=1,
        ),
        loop=LoopConfig(num_steps=3000, optim=OptimConfig(decay_steps=1000), num_threads=1, preview_every=250),
    )


def dynamics(run: Path) -> TeacherStageConfig:
    """16 tokens a frame of 2 x 2 latent positions, 32 frames of past."""
    return TeacherStageConfig(
        run=run / "dynamics",
        data=run / "data" / "train",
        tokenizer=run / "tokenizer" / "tokenizer",
        model=FlowDynamicsConfig(
            latent_channels=16,
            latent_height=8,
            latent_width=8,
            patch=2,
            width=320,
            depth=8,
            heads=5,
            hidden=864,
            window=32,
            attention="joint",
            control_width=len(game().keys) + 2,
            look_limit=(0.0, 0.0),
        ),
        loop=LoopConfig(
            num_steps=100_000, optim=OptimConfig(learning_rate=7e-4, warmup_steps=500), num_threads=1, preview_every=500
        ),
        batch_size=8,
    )
