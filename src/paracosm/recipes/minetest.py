"""A world captured from a third-party game: Minetest, 64 x 48, 10 steps a second, one piece of its country.

The game draws twice as many pixels a side as are kept: a picture this small flickers otherwise. Weather and
light are those of an episode's seed and stay as they are, so that all that changes is the player's doing.
Held-out episodes are on the same map from other starts; unseen maps are recorded beside them.
"""

from dataclasses import replace
from pathlib import Path

from paracosm.collect.games.minetest import KEYS
from paracosm.collect.games.minetest_config import MinetestConfig
from paracosm.collect.record import RecordConfig
from paracosm.core.controls import ControlSpace
from paracosm.zoo import bundled_worlds

from . import small
from .street import Street, begin_with_world, small_street

GAME = MinetestConfig(
    height=48,
    width=64,
    supersampling=2,
    steps_per_second=10,
    max_pitch=0.0,
    centre=(-400, -946),
    span=200,
    viewing_range=40,
    change_seconds=(0.0, 0.0),
    lights=("dawn", "noon", "dusk"),
)
"""Grassland and savanna by day; yaw only, at most 8 degrees a step; starts lie in a square of 200 nodes."""
UNSEEN_MAP_SEEDS = (7,)
"""Maps that the world has never seen."""


def games() -> dict[str, MinetestConfig]:
    """The game of each split."""
    unseen = replace(GAME, map_seed=UNSEEN_MAP_SEEDS[0])
    return {"train": GAME, "held_out": GAME, "unseen": unseen}


def recordings(run: Path) -> dict[str, RecordConfig]:
    """An hour of play to learn from, held-out episodes on the same map, and another map."""
    train = RecordConfig(
        world="game:minetest",
        out=run / "data" / "train",
        num_episodes=60,
        max_steps=600,
        num_world_seeds=1_000_000,
        split="train",
    )
    held_out = replace(
        train,
        out=run / "data" / "held_out",
        num_episodes=8,
        max_steps=1250,
        seed=1,
        first_world_seed=1_000_000_000,
        split="held_out",
    )
    unseen = replace(held_out, out=run / "data" / "unseen", num_episodes=2, seed=2, split="unseen")
    return {"train": train, "held_out": held_out, "unseen": unseen}


def shape() -> small.Shape:
    """Frames and controls of the captured game."""
    controls = ControlSpace(keys=tuple(KEYS), look_limit=(GAME.max_turn, GAME.max_pitch))
    return small.Shape(height=GAME.height, width=GAME.width, controls=controls)


def street(run: Path) -> Street:
    """The whole pipeline in a run folder; an hour of play is seen nine times.

    It begins with the bundled Doom, which already knows what it looks like to walk and turn.
    """
    made = small_street(
        run,
        shape(),
        name="minetest",
        description=(
            "A neural Minetest: a piece of its country in any weather, captured from the game's window."
        ),
        recordings=recordings(run),
        games=games(),
    )
    loop = made.dynamics.loop
    loop = replace(loop, num_steps=2500, optim=replace(loop.optim, decay_steps=1000))
    made = replace(made, dynamics=replace(made.dynamics, loop=loop))
    return begin_with_world(made, bundled_worlds()["doom"])
