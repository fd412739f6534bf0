"""A scripted player for CoinRun that knows the level: it wanders through all of it, plays about, then takes the coin.

An episode is a row of errands. Most lead to a column of the level, drawn evenly, so that left and right are walked alike
and the whole level scrolls by; some are play: stand, hop, run about blindly. Each holds its keys for 3 to 20 steps. A
short flight is computed before each leap, with the game's own constants. This file does NOT look at pictures.

Source: https://github.com/openai/procgen, ``games/coinrun.cpp`` (speeds, gravity, sizes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from paracosm.collect.games import coinrun
from paracosm.collect.games.coinrun import CoinRunWorld
from paracosm.core.controls import Control
from paracosm.core.errors import WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, World

_SPEED, _JUMP, _GRAVITY = 0.5, 1.5, 0.2
_GROUND_MIX, _AIR_MIX = 0.2, 0.03
_HALF_WIDTH, _HALF_HEIGHT = 0.5, 0.5787
_LONGEST_FLIGHT = 40


@dataclass(frozen=True, kw_only=True)
class CoinRunExplorerConfig:
    """How the explorer spends its time."""

    errands: int = 6
    """Mean number of columns visited before the coin."""
    play_share: float = 0.35
    """Share of errands that are play instead of a walk."""
    blunder: float = 0.02
    """Chance for each step of a walk to press something at random for a while."""


class CoinRunExplorer:
    """The explorer, a ``core.world.Policy``."""

    def __init__(self, config: CoinRunExplorerConfig = CoinRunExplorerConfig()) -> None:  # noqa: B008 - frozen
        """Make an explorer; it begins with :meth:`reset`."""
        self.config = config

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode.

        Raises:
            WorldError: when the world is not CoinRun, whose level the explorer must see.
        """
        if not isinstance(world, CoinRunWorld):
            raise WorldError(f"the CoinRun explorer plays game:coinrun only, not {world.info.name}; use sticky-random there")
        self._world = world
        self._rng = stream(seed, "coinrun-explorer")
        state = world.state()
        self._level = _Level(state.tiles, state.entities)
        self._errands_left = int(self._rng.poisson(self.config.errands))
        self._held: tuple[str, ...] = ()
        self._hold = 0
        self._target = 0.0
        self._patience = 0
        self._mode: Literal["walk", "coin"] = "walk"
        self._next_errand(frame.truth["pose"]["x"])

    def act(self, frame: Frame) -> Control:
        """Choose the control of this step."""
        pose = frame.truth["pose"]
        if self._hold > 0:
            self._hold -= 1
            return Control(self._held)
        self._patience -= 1
        if self._patience <= 0 or (self._mode == "walk" and abs(self._target - pose["x"]) < 0.6):
            self._next_errand(pose["x"])
            if self._hold > 0:
                return Control(self._held)
        if self._rng.random() < self.config.blunder:
            self._play()
            return Control(self._held)
        keys = self._walk(pose["x"], pose["y"], pose["vx"], pose["vy"])
        return Control(keys)

    def _next_errand(self, x: float) -> None:
        if self._errands_left <= 0:
            self._mode, self._target, self._patience = "coin", self._level.goal + 0.5, 300
            return
        self._errands_left -= 1
        if self._rng.random() < self.config.play_share:
            self._play()
        self._mode = "walk"
        self._target = float(self._rng.uniform(1.5, max(2.5, self._level.goal - 1.5)))
        self._patience = 30 + int(abs(self._target - x) * 4)

    def _play(self) -> None:
        """Hold something for 3 to 20 steps, whatever comes of it."""
        choices: tuple[tuple[str, ...], ...] = ((), ("left",), ("right",), ("up",), ("left", "up"), ("right", "up"))
        self._held = choices[self._rng.choice(len(choices), p=(0.22, 0.18, 0.1, 0.26, 0.16, 0.08))]
        self._hold = int(self._rng.integers(3, 21))

    def _walk(self, x: float, y: float, vx: float, vy: float) -> tuple[str, ...]:
        direction = 1 if self._target > x else -1
        key = "right" if direction > 0 else "left"
        level = self._level
        if not level.supported(x, y, vy):
            return (key,)
        ahead = level.walk(x, y, vx, direction)
        if ahead == "clear":
            return (key,)
        if level.leap(x, y, vx, direction):
            return (key, "up")
        if ahead == "danger":
            # Too near to stop or too slow to cross: step back for a run-up, or leap anyway now and then.
            if self._rng.random() < 0.15:
                return (key, "up")
            self._held = ("left" if direction > 0 else "right",)
            self._hold = int(self._rng.integers(3, 9))
            return self._held
        return (key, "up") if ahead == "wall" else (key,)


class _Level:
    """Solid tiles and deadly things of one level, and where a walk or a leap in it would end."""

    def __init__(self, tiles: np.ndarray, entities: np.ndarray) -> None:
        solid = np.isin(tiles, (coinrun.WALL_BODY, coinrun.WALL_TOP))
        lava = np.isin(tiles, (coinrun.LAVA_BODY, coinrun.LAVA_TOP))
        self._solid: list[list[bool]] = solid.T.tolist()
        self._lava: list[list[bool]] = lava.T.tolist()
        coins = np.argwhere(tiles == coinrun.COIN)
        self.goal = int(coins[0, 1]) if len(coins) else 62
        self._deadly: dict[int, list[tuple[float, float]]] = {}
        for entity in entities[np.isin(entities["type"], (coinrun.SAW, coinrun.SLIME))]:
            reach = 3 if entity["type"] == coinrun.SLIME else 1
            for column in range(int(entity["x"]) - reach, int(entity["x"]) + reach + 1):
                self._deadly.setdefault(column, []).append((float(entity["x"]), float(entity["y"])))

    def supported(self, x: float, y: float, vy: float) -> bool:
        """Whether the player stands on something."""
        return vy == 0

    def walk(self, x: float, y: float, vx: float, direction: int) -> Literal["clear", "wall", "danger"]:
        """What the next steps on foot would meet."""
        for _ in range(5):
            vx += _GROUND_MIX * (direction * _SPEED - vx)
            x += vx
            edge = x + direction * (_HALF_WIDTH + 0.02)
            if self._hits_wall(edge, y):
                return "wall"
            if self._kills(x + direction * 0.3, y):
                return "danger"
            if not self._floor(x, y):
                return "clear" if self._safe_fall(x, y, vx, direction) else "danger"
        return "clear"

    def leap(self, x: float, y: float, vx: float, direction: int) -> bool:
        """Whether a jump now, with the key held, lands alive."""
        return self._fly(x, y, vx + _GROUND_MIX * (direction * _SPEED - vx), _JUMP, direction)

    def _safe_fall(self, x: float, y: float, vx: float, direction: int) -> bool:
        return self._fly(x, y, vx, 0.0, direction)

    def _fly(self, x: float, y: float, vx: float, vy: float, direction: int) -> bool:
        start = x
        for _ in range(_LONGEST_FLIGHT):
            edge = x + vx + direction * _HALF_WIDTH
            if self._hits_wall(edge, y):
                vx = 0.0
            x += vx
            y += vy
            if self._kills(x, y):
                return False
            if vy < 0 and self._floor(x, y + 0.3):
                return vx != 0.0 or abs(x - start) > 0.5
            if vy > 0 and self._solid[int(x)][min(63, int(y + _HALF_HEIGHT))]:
                vy = 0.0
            vx += _AIR_MIX * (direction * _SPEED - vx)
            vy = max(vy - _GRAVITY, -_JUMP)
        return False

    def _hits_wall(self, edge: float, y: float) -> bool:
        column = self._solid[max(0, min(63, int(edge)))]
        return column[max(0, int(y - _HALF_HEIGHT + 0.05))] or column[min(63, int(y + _HALF_HEIGHT - 0.05))]

    def _floor(self, x: float, y: float) -> bool:
        row = max(0, int(y - _HALF_HEIGHT - 0.1))
        return self._solid[max(0, int(x - 0.45))][row] or self._solid[min(63, int(x + 0.45))][row]

    def _kills(self, x: float, y: float) -> bool:
        column, row = max(0, min(63, int(x))), max(0, min(63, int(y - _HALF_HEIGHT + 0.05)))
        if self._lava[column][row]:
            return True
        return any(
            abs(x - enemy_x) < 1.05 and abs(y - enemy_y) < 1.1 for enemy_x, enemy_y in self._deadly.get(column, ())
        )
