"""The bundled Doom: 64 x 48, 17.5 steps a second, one level of four rooms.

A turn is at most 6 degrees a step. Held-out episodes are on the same level from other starts; unseen levels
are recorded beside them as a separate line.
"""

from dataclasses import replace
from pathlib import Path

from paracosm.collect.games.doom import KEYS, DoomConfig
from paracosm.collect.games.doom_levels import LevelConfig
from paracosm.collect.record import RecordConfig
from paracosm.core.controls import ControlSpace

from . import small
from .street import Street, small_street

LEVEL = LevelConfig(rows=2, columns=2, extra_links=1.0, max_floor=24, texture_scale=2.0)
"""Four rooms in a ring, painted large: narrow enough for a network of this size. Nine rooms in fine textures
were still a blur after two hours of one core."""
LEVEL_SEEDS = (94,)
"""The level that the bundled world knows: a blue, an orange, a steel and a tan room, with a door, a corridor
and two stairs."""
UNSEEN_LEVEL_SEEDS = (68, 188)
"""Levels that it has never seen."""


def games() -> dict[str, DoomConfig]:
    """The game of each split."""
    seen = DoomConfig(level_seeds=LEVEL_SEEDS, level=LEVEL)
    return {"train": seen, "held_out": seen, "unseen": replace(seen, level_seeds=UNSEEN_LEVEL_SEEDS)}


def recordings(run: Path) -> dict[str, RecordConfig]:
    """Training episodes, held-out episodes on the same level, and unseen levels."""
    train = RecordConfig(
        world="game:doom",
        out=run / "data" / "train",
        num_episodes=300,
        max_steps=500,
        num_world_seeds=1_000_000,
        split="train",
    )
    held_out = replace(
        train,
        out=run / "data" / "held_out",
        num_episodes=24,
        max_steps=2200,
        seed=1,
        first_world_seed=1_000_000_000,
        split="held_out",
    )
    unseen = replace(held_out, out=run / "data" / "unseen", num_episodes=8, seed=2, split="unseen")
    return {"train": train, "held_out": held_out, "unseen": unseen}


def shape() -> small.Shape:
    """Frames and controls of the recorded game."""
    game = games()["train"]
    controls = ControlSpace(keys=KEYS, look_limit=(game.max_turn, game.max_pitch))
    return small.Shape(height=game.height, width=game.width, controls=controls)


def street(run: Path) -> Street:
    """The whole pipeline in a run folder; textures this busy take twice the tokenizer's usual steps."""
    made = small_street(
        run,
        shape(),
        name="doom",
        description=(
            "A neural Doom: one level of four rooms, dreamt frame by frame from your keys and mouse."
        ),
        recordings=recordings(run),
        games=games(),
    )
    loop = made.tokenizer.loop
    loop = replace(loop, num_steps=3000, optim=replace(loop.optim, decay_steps=1400))
    return replace(made, tokenizer=replace(made.tokenizer, loop=loop))
