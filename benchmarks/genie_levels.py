"""Agents on CoinRun's levels: many played side by side, the expert alone, and a row of a table for each.

Knows what an agent is and no network; a level is a world seed. This file does NOT train.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.rng import stream
from paracosm.core.world import Frame, World

from .genie_clone import SEES
from .genie_videos import Difficulty, coinrun_game, make_player, open_game


class Agent(Protocol):
    """Chooses real actions for several levels at once."""

    def act(self, seen: np.ndarray, draws: Sequence[np.random.Generator]) -> list[int]:
        """Choose.

        Args:
            seen: uint8 (levels, SEES, h, w, 3).
            draws: generator of each level.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class RandomAgent:
    """Draws every real action alike at every step: the floor."""

    num_actions: int

    def act(self, seen: np.ndarray, draws: Sequence[np.random.Generator]) -> list[int]:
        """See :class:`Agent`."""
        return [int(one.integers(self.num_actions)) for one in draws]


@dataclass(frozen=True, kw_only=True)
class Played:
    """One level, played: whether the coin was taken, and the steps that it took."""

    solved: bool
    steps: int


def play_levels(
    agent: Agent,
    worlds: Sequence[World],
    levels: Sequence[int],
    actions: Mapping[int, Control],
    max_steps: int,
    seed: int,
    line: Callable[[int], None] = lambda done: None,
) -> list[Played]:
    """Play every level once, several side by side so that the network is asked for many at a time.

    Args:
        agent: chooses.
        worlds: each plays one level after the other.
        levels: seeds of the levels.
        actions: control of each real action.
        max_steps: steps after which a level counts as not solved.
        seed: of the agent's draws; each level has its own, so their order does not matter.
        line: is told the number of levels that are done.

    Returns:
        What became of each level, in order.
    """
    waiting = list(enumerate(levels))[::-1]
    done: dict[int, Played] = {}
    slots: list[_Slot] = [_Slot(world) for world in worlds[: len(levels)]]
    for slot in slots:
        slot.begin(*waiting.pop(), seed)
    while slots:
        seen = np.stack([slot.seen for slot in slots])
        chosen = agent.act(seen, [slot.draws for slot in slots])
        for slot, action in zip(slots, chosen, strict=True):
            slot.step(actions[action])
            if slot.ended or slot.frame.index >= max_steps:
                solved = bool(slot.frame.truth.get("level_complete", False))
                done[slot.place] = Played(solved=solved, steps=slot.frame.index)
                line(len(done))
                slot.free = True
                if waiting:
                    slot.begin(*waiting.pop(), seed)
        slots = [slot for slot in slots if not slot.free]
    return [done[place] for place in range(len(levels))]


class _Slot:
    """One world and the level that is played in it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.free = True

    def begin(self, place: int, level: int, seed: int) -> None:
        self.place, self.free = place, False
        self.frame: Frame = self._world.reset(level)
        self.draws = stream(seed, "play", level)
        self.seen = np.stack([self.frame.image] * SEES)

    def step(self, control: Control) -> None:
        self.frame = self._world.step(control)
        self.seen = np.concatenate([self.seen[1:], self.frame.image[None]])

    @property
    def ended(self) -> bool:
        return bool(self.frame.truth["ended"])


def play_expert(levels: Sequence[int], difficulty: Difficulty, max_steps: int) -> list[Played]:
    """The expert: it sees the insides of a level, so it plays one after the other."""
    world, expert = open_game("game:coinrun", coinrun_game(difficulty)), make_player("game:coinrun", "expert")
    played = []
    for level in levels:
        frame = world.reset(level)
        expert.reset(world, frame, level)
        while not frame.truth["ended"] and frame.index < max_steps:
            frame = world.step(expert.act(frame))
        played.append(Played(solved=bool(frame.truth["level_complete"]), steps=frame.index))
    world.close()
    return played


def row_of(played: Sequence[Played]) -> dict[str, float | str]:
    """One row of the table."""
    return {
        "levels": float(len(played)),
        "solved_share": float(np.mean([one.solved for one in played])),
        "mean_steps": float(np.mean([one.steps for one in played])),
    }


class Worlds:
    """CoinRun many times over, opened when first asked for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._open: dict[Difficulty, list[World]] = {}

    def open(self, difficulty: Difficulty) -> list[World]:
        """The worlds of a difficulty."""
        if difficulty not in self._open:
            game = coinrun_game(difficulty)
            self._open[difficulty] = [open_game("game:coinrun", game) for _ in range(self._count)]
        return self._open[difficulty]

    def close(self) -> None:
        """Free them."""
        for world in (world for worlds in self._open.values() for world in worlds):
            world.close()
