"""Videos for ``genie_agents``: other platform games as one world, CoinRun of two difficulties, and who plays.

The other games are Procgen's platformers (climber, jumper, ninja), played by a random player who holds keys;
nothing of CoinRun is among them. The expert of CoinRun is its explorer without errands: it knows the level
and goes for the coin. This file does NOT know networks.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.collect.explorers.coinrun import CoinRunExplorer, CoinRunExplorerConfig
from paracosm.collect.games.coinrun import CoinRunConfig, CoinRunWorld
from paracosm.collect.games.procgen import ProcgenConfig, ProcgenName
from paracosm.collect.games.procgen_world import ProcgenWorld
from paracosm.collect.policies import MixedPolicy, NewRandom, StickyRandom
from paracosm.collect.record import RecordConfig, record
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe
from paracosm.core.errors import ConfigError
from paracosm.core.progress import LineProgress
from paracosm.core.world import Frame, Policy, Snapshot, World, WorldInfo
from paracosm.data.format import EPISODES_FOLDER
from paracosm.data.reader import Dataset
from paracosm.data.writer import EpisodeWriter, prepare_dataset

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
KEYS = ("left", "right", "up")
"""Keys of every game here."""
OTHER_GAMES: tuple[ProcgenName, ...] = ("climber", "jumper", "ninja")
"""Procgen's platform games beside CoinRun."""
Difficulty = Literal["easy", "hard"]
"""CoinRun's two."""
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "hard")
HELD_OUT_SEED = 1_000_000_000
"""World seeds of held-out levels begin here; training levels are below."""
LEVELS_APART = 100_000
"""World seeds between the held-out levels of one run seed and of the next."""
_STRAIGHT = CoinRunExplorerConfig(errands=0, play_share=0, whim_share=0, hop_share=0, reckless_share=0)


@dataclass(frozen=True, kw_only=True)
class GamesConfig:
    """Which games a world of several games opens."""

    games: tuple[ProcgenName, ...] = OTHER_GAMES
    """played in turn: seed i opens game i modulo their number"""
    difficulty: Difficulty = "easy"
    """of all of them"""

    def __post_init__(self) -> None:
        """Refuse CoinRun: the point is that it is not among them."""
        if "coinrun" in self.games or not self.games:
            raise ConfigError(f"games {list(self.games)} must be other games than coinrun, at least one")


class OtherGames:
    """Several Procgen games behind one face: a seed is a game and a level of it."""

    def __init__(self, config: GamesConfig = GamesConfig()) -> None:
        """Open every game."""
        self.config = config
        self._games = [
            ProcgenWorld(ProcgenConfig(game=game, difficulty=config.difficulty), KEYS)
            for game in config.games
        ]
        self._now = self._games[0]
        self._info = replace(
            self._games[0].info,
            name="game:other-platformers",
            description=f"Procgen's {', '.join(config.games)}, {config.difficulty}; a seed is one's level.",
        )

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        return self._info

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin the level seed // games of game seed modulo games."""
        self._now = self._games[seed % len(self._games)]
        return self._now.reset(seed // len(self._games), start, controls, prompt)

    def step(self, control: Control) -> Frame:
        """Play one step."""
        return self._now.step(control)

    def snapshot(self) -> Snapshot:
        """Return the complete state, the game included."""
        inner = self._now.snapshot()
        return Snapshot(world=self._info.name, frame=inner.frame, payload=(self._now, inner))

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back to a snapshot."""
        self._now, inner = snapshot.payload
        return self._now.restore(inner)

    def close(self) -> None:
        """Free the games."""
        for game in self._games:
            game.close()


def open_game(name: str, config: Any = None) -> World:
    """Open the other games or CoinRun."""
    if name == "game:coinrun":
        return CoinRunWorld(config)
    return OtherGames(config)


def make_player(world: str, policy: str) -> Policy:
    """Make a player: expert (CoinRun only), mixed (expert and sticky in turn), sticky or random."""
    if policy == "expert":
        return CoinRunExplorer(_STRAIGHT)
    if policy == "mixed":
        return MixedPolicy(CoinRunExplorer(), StickyRandom())
    return StickyRandom() if policy == "sticky" else NewRandom()


def coinrun_game(difficulty: Difficulty) -> CoinRunConfig:
    """CoinRun in the one look that small networks can learn; levels of every length."""
    return CoinRunConfig(difficulty=difficulty, look="meadow")


def record_other(out: Path, num_episodes: int, max_steps: int) -> Dataset:
    """Videos of the other games, for a latent action model that never sees CoinRun."""
    config = RecordConfig(
        world="game:other-platformers",
        out=out,
        num_episodes=num_episodes,
        max_steps=max_steps,
        policy="sticky",
        workers=1,
    )
    return record(config, open_game, make_player, world_config=GamesConfig(), progress=PROGRESS)


def record_seen(out: Path, num_episodes: int, max_steps: int) -> Dataset:
    """Videos of CoinRun, for the latent action model beside it."""
    config = RecordConfig(
        world="game:coinrun",
        out=out,
        num_episodes=num_episodes,
        max_steps=max_steps,
        policy="mixed",
        workers=1,
        num_world_seeds=100_000,
    )
    return record(config, open_game, make_player, world_config=coinrun_game("hard"), progress=PROGRESS)


def record_expert(out: Path, difficulty: Difficulty, num_episodes: int, max_steps: int) -> Dataset:
    """Videos of the expert on training levels of one difficulty."""
    config = RecordConfig(
        world="game:coinrun",
        out=out,
        num_episodes=num_episodes,
        max_steps=max_steps,
        policy="expert",
        seed=1,
        num_world_seeds=HELD_OUT_SEED,
        workers=1,
    )
    return record(config, open_game, make_player, world_config=coinrun_game(difficulty), progress=PROGRESS)


def thin(dataset: Dataset, out: Path, every: int) -> Dataset:
    """Plain videos of every n-th frame of a recording, one from each of its first n frames; without controls.

    Nothing is thrown away: each frame is in one video. In fewer frames a second a key has more time to show.
    """
    info = replace(
        dataset.info,
        name=f"video:every-{every}-of-{dataset.info.name.partition(':')[2]}",
        controls=ControlSpace(),
        fps=dataset.info.fps / every,
        description=f"Every {every}. frame of {dataset.info.name}.",
    )
    prepare_dataset(out, info)
    for episode in dataset.episodes:
        for first in range(every):
            name = f"{episode.name}-{first}"
            if (out / EPISODES_FOLDER / name).exists() or episode.num_frames <= first:
                continue
            recipe = Recipe(world=info.name, engine=info.engine, policy="video", split="train")
            with EpisodeWriter(out, name, info, recipe) as writer:
                for index, image in enumerate(episode.frames[first::every]):
                    frame = Frame(image=np.array(image), index=index)
                    writer.step(None, frame) if index else writer.begin(frame)
    return Dataset(out)


def held_out_levels(seed: int, count: int) -> range:
    """World seeds of the held-out levels of one run seed; never a training level, never another run's."""
    if count > LEVELS_APART:
        raise ConfigError(f"{count} levels of one seed run into the next; use at most {LEVELS_APART}")
    first = HELD_OUT_SEED + seed * LEVELS_APART
    return range(first, first + count)


ACTIONS: Mapping[int, Control] = {
    index: Control(keys)
    for index, keys in enumerate(((), ("left",), ("right",), ("up",), ("left", "up"), ("right", "up")))
}
"""CoinRun's six real actions."""


def real_actions(vectors: np.ndarray) -> np.ndarray:
    """Real action of each step, int64 (n,), as ``ACTIONS`` numbers them; left wins over right.

    Args:
        vectors: (n, 3 or more), columns of KEYS first.
    """
    left, right, up = (vectors[:, i] > 0.5 for i in range(3))
    across = np.where(left, 1, np.where(right, 2, 0))
    return np.where(up, across + 3, across)
