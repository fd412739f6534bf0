"""What would happen to CoinRun's player: walks and leaps computed ahead on the level's own tiles.

The game's motion rules in plain Python, a little coarser than the game (four moves a step where it makes up
to six), with slimes that walk their beat and a safety margin around everything deadly. This file does NOT
decide what to do; ``coinrun`` does.

Source: https://github.com/openai/procgen, ``games/coinrun.cpp`` and ``basic-abstract-game.cpp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from paracosm.collect.games import coinrun

_SPEED, _JUMP, _GRAVITY = 0.5, 1.5, 0.2
_GROUND_MIX, _AIR_MIX = 0.2, 0.03
_HALF_WIDTH, _HALF_HEIGHT = 0.5, 0.5787
_MOVES = 4
_REACH_X, _REACH_Y = 1.0 + 0.1, 1.0787 + 0.1
_SIGHT = 10
_BARRIER = 19


class Body(NamedTuple):
    """The player in motion: centre in tiles, speed in tiles a step, and whether something carries it."""

    x: float
    y: float
    vx: float
    vy: float
    stands: bool = True


@dataclass(frozen=True)
class _Slime:
    """A slime that walks to and fro between two walls."""

    x: float
    y: float
    vx: float
    left: float
    right: float
    time: int

    def at(self, time: int) -> float:
        """Where it is ``time`` steps after the first frame."""
        width = self.right - self.left
        if width <= 0:
            return self.x
        way = (self.x - self.left + self.vx * (time - self.time)) % (2 * width)
        return self.left + (way if way <= width else 2 * width - way)


class Level:
    """Walls and deadly things of one level."""

    def __init__(self, tiles: np.ndarray, entities: np.ndarray) -> None:
        """Read a level.

        Args:
            tiles: int (rows, columns) as ``CoinRunWorld.tiles`` gives them, at the first frame.
            entities: as ``CoinRunWorld.entities`` gives them, at the first frame.
        """
        solid = np.isin(tiles, (coinrun.WALL_BODY, coinrun.WALL_TOP))
        lava = np.isin(tiles, (coinrun.LAVA_BODY, coinrun.LAVA_TOP))
        self._solid: list[list[bool]] = solid.T.tolist()
        self._lava: list[list[bool]] = lava.T.tolist()
        self.coin = int(np.argwhere(tiles == coinrun.COIN)[0, 1])
        """Column of the coin, where the level ends."""
        self.beware_of_coin = True
        """Whether taking the coin counts as a danger."""
        width = tiles.shape[1]
        self._saws: list[list[tuple[float, float]]] = [[] for _ in range(width)]
        for saw in entities[entities["type"] == coinrun.SAW]:
            for column in range(int(saw["x"]) - 2, int(saw["x"]) + 3):
                self._saws[column].append((float(saw["x"]), float(saw["y"])))
        self._tiles = tiles
        self._slimes: list[_Slime] = []
        self.watch_slimes(entities, 0)
        self._danger = self._find_danger(lava)
        crates = entities[entities["type"] == coinrun.CRATE]
        self._crates: list[list[tuple[float, float]]] = [[] for _ in range(width)]
        for crate in crates:
            for column in range(int(crate["x"]) - 1, int(crate["x"]) + 2):
                self._crates[column].append((float(crate["x"]), float(crate["y"]) + 0.5))

    @property
    def has_slimes(self) -> bool:
        """Whether slimes walk here; they slow down at each turn in a way that must be watched."""
        return bool(self._slimes)

    def watch_slimes(self, entities: np.ndarray, time: int) -> None:
        """Take the slimes as they are now, ``time`` steps after the first frame."""
        slimes = entities[entities["type"] == coinrun.SLIME]
        self._slimes = [_slime(self._tiles, slime, time) for slime in slimes]

    def danger_near(self, x: float) -> bool:
        """Whether anything deadly is near enough to think about."""
        return self._danger[int(x)]

    def wall_near(self, body: Body, direction: int, distance: float) -> bool:
        """Whether a wall stands in the way within ``distance`` tiles."""
        edge = min(63, max(0, int(body.x + direction * (_HALF_WIDTH + distance))))
        return self._solid[edge][int(body.y)]

    def step(self, body: Body, across: int, jump: bool) -> Body:
        """Return the body one step later.

        Args:
            body: where it is now.
            across: -1 left, 0 none, 1 right.
            jump: whether the jump key is held.
        """
        x, y, vx, vy, stands = body
        mix = _GROUND_MIX if stands else _AIR_MIX
        vx += mix * (across * _SPEED - vx)
        if abs(vx) < mix * _SPEED - 1e-6:
            vx = 0.0
        vy = _JUMP if stands and jump else max(vy - _GRAVITY, -_JUMP)
        solid, feet_before = self._solid, y - _HALF_HEIGHT
        move_x, move_y = vx / _MOVES, vy / _MOVES
        free_x = free_y = 0
        for _ in range(_MOVES):
            if move_x:
                ahead = int(x + move_x + (0.49 if move_x > 0 else -0.49))
                column = solid[ahead]
                if column[int(y - 0.56)] or column[int(y + 0.56)]:
                    x = ahead - _HALF_WIDTH if move_x > 0 else ahead + 1 + _HALF_WIDTH
                else:
                    x += move_x
                    free_x += 1
            if move_y > 0:
                row = int(y + move_y + 0.5671)
                if solid[int(x - 0.49)][row] or solid[int(x + 0.49)][row]:
                    y = row - _HALF_HEIGHT
                else:
                    y += move_y
                    free_y += 1
            else:
                y, free = self._sink(x, y + move_y, feet_before)
                free_y += free
        # As in the game, a speed is cut by the share of moves that were blocked; so landing takes two steps.
        vx, vy = vx * free_x / _MOVES, vy * free_y / _MOVES
        return Body(x, y, vx, vy, vy == 0.0)

    def kills(self, body: Body, time: int) -> bool:
        """Whether the body touches something deadly ``time`` steps after the first frame."""
        x, y = body.x, body.y
        column, row = int(x), int(y - _HALF_HEIGHT + 0.05)
        left, right = self._lava[int(x - 0.49)], self._lava[int(x + 0.49)]
        if left[row] or right[row]:
            return True
        for saw_x, saw_y in self._saws[column]:
            if abs(x - saw_x) < _REACH_X and abs(y - saw_y) < _REACH_Y:
                return True
        for slime in self._slimes:
            if abs(y - slime.y) < _REACH_Y and abs(x - slime.at(time)) < _REACH_X:
                return True
        return self.beware_of_coin and x + 0.55 > self.coin

    def _sink(self, x: float, y: float, feet_before: float) -> tuple[float, bool]:
        """Return the height after a move down to ``y``, and whether nothing blocked it."""
        feet = y - _HALF_HEIGHT
        row = int(y - 0.5671)
        if self._solid[int(x - 0.49)][row] or self._solid[int(x + 0.49)][row]:
            return row + 1 + _HALF_HEIGHT, False
        for crate_x, top in self._crates[int(x)]:
            if abs(x - crate_x) < 0.999 and feet < top <= feet_before + 1e-4:
                return top + _HALF_HEIGHT, False
        return y, True

    def _find_danger(self, lava: np.ndarray) -> list[bool]:
        deadly = lava.any(axis=0)
        deadly |= np.array([bool(saws) for saws in self._saws])
        for slime in self._slimes:
            deadly[int(slime.left) : int(slime.right) + 1] = True
        deadly[self.coin] = True
        reach = np.ones(2 * _SIGHT + 1)
        return (np.convolve(deadly, reach, mode="same") > 0).tolist()


def _slime(tiles: np.ndarray, slime: np.void, time: int) -> _Slime:
    turns = np.isin(tiles[int(slime["y"])], (coinrun.WALL_BODY, coinrun.WALL_TOP, _BARRIER))
    column = int(slime["x"])
    left = int(np.flatnonzero(turns[:column])[-1]) + 1
    right = column + int(np.flatnonzero(turns[column:])[0])
    return _Slime(float(slime["x"]), float(slime["y"]), float(slime["vx"]), left + 0.5, right - 0.5, time)
