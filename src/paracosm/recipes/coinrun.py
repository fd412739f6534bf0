"""The bundled CoinRun: 64 x 64, meadow levels, 15 steps a second, held-out levels never seen in training."""

from pathlib import Path

from paracosm.collect.games.coinrun import CoinRunConfig
from paracosm.collect.record import RecordConfig
from paracosm.core.controls import ControlSpace

from . import small
from .street import Street, small_street

FRAME_SIDE = 64
"""Rows and columns of a frame: the game draws no other size."""


def game() -> CoinRunConfig:
    """Hard levels of at least 20 tiles in one look: one wall, one background, one player, many layouts."""
    return CoinRunConfig(look="meadow", min_length=20)


def recordings(run: Path) -> dict[str, RecordConfig]:
    """Training levels and held-out levels."""
    return {
        "train": RecordConfig(
            world="game:coinrun",
            out=run / "data" / "train",
            num_episodes=1500,
            max_steps=160,
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


def shape() -> small.Shape:
    """Frames and controls of the recorded game."""
    return small.Shape(height=FRAME_SIDE, width=FRAME_SIDE, controls=ControlSpace(keys=game().keys))


def street(run: Path) -> Street:
    """The whole pipeline in a run folder."""
    return small_street(
        run,
        shape(),
        name="coinrun",
        description=(
            "A neural CoinRun: run and jump through meadow levels that the network makes up as you go."
        ),
        recordings=recordings(run),
        games={"train": game(), "held_out": game()},
    )
