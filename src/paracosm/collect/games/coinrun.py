"""The real CoinRun as a World: run right, jump over pits, saws and slimes, take the coin.

Adds to ``ProcgenWorld`` what CoinRun's levels mean: where the player is, what happened, what stands where, and the true
last picture of an episode. This file does NOT decide how to play; ``explorers/coinrun.py`` does.

Source: https://github.com/openai/procgen, ``games/coinrun.cpp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from paracosm.collect.games.procgen import LEVEL_LIMIT, ProcgenConfig, ProcgenGame
from paracosm.collect.games.procgen_state import GameState
from paracosm.collect.games.procgen_world import ProcgenWorld
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.world import Frame

COIN, LAVA_BODY, LAVA_TOP, WALL_BODY, WALL_TOP, EMPTY = 1, 17, 18, 15, 16, 100
"""Tile types; an invisible tile 19 turns slimes back."""

SAW, SLIME, CRATE, PLAYER = 2, 5, 20, 0
"""Entity types."""

TIME_LIMIT = 1000
"""Steps after which the game ends an episode."""

KEYS = ("left", "right", "up")
"""Keys of CoinRun. Down only lets the player fall through crates, so it is left out unless asked for."""

HELD_OUT_START = 1_000_000
"""Levels from here on are held out; training levels are below."""

_KEYFRAME_STEPS = 32
"""The last picture is made by replaying from a saved state at most this many steps old."""

_OUT_OF_REACH = -100.0
"""A collision margin with which nothing ever touches the player."""


@dataclass(frozen=True, kw_only=True)
class CoinRunConfig(ProcgenConfig):
    """Which levels are played and how they look."""

    keys: tuple[str, ...] = KEYS
    """Keys that the world offers, any of left, right, up and down."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.game != "coinrun":
            raise ConfigError(f'game "{self.game}" is not coinrun; open it as game:{self.game}')


def level_seeds(split: Literal["train", "held_out"], count: int, offset: int = 0) -> range:
    """Choose level seeds so that training and held-out levels never meet.

    Args:
        split: train counts from 0 up, held_out from ``HELD_OUT_START`` up.
        count: number of levels, >= 1.
        offset: levels of the split to pass over first.

    Raises:
        ConfigError: when the split has fewer levels than asked for.
    """
    first, last = {"train": (0, HELD_OUT_START), "held_out": (HELD_OUT_START, LEVEL_LIMIT)}[split]
    if count < 1 or offset < 0 or first + offset + count > last:
        raise ConfigError(
            f"{count} {split} levels from {offset} on do not exist; the split has levels 0 to {last - first - 1}"
        )
    return range(first + offset, first + offset + count)


class CoinRunWorld(ProcgenWorld):
    """The real CoinRun.

    ``frame.truth`` holds reward, ended, events (coin, died, timed_out, jumped, landed), pose (x, y, vx, vy in tiles and
    tiles a step, y upward), camera (x, y of the picture's centre and tiles_across), level_seed and level_complete.

    Example:
        >>> world = CoinRunWorld(CoinRunConfig(difficulty="easy"))
        >>> frame = world.reset(seed=7)
        >>> frame = world.step(Control({"right", "up"}))
    """

    def __init__(self, config: CoinRunConfig = CoinRunConfig()) -> None:  # noqa: B008 - frozen
        """Find the game (fetching it on first use) and start it.

        Raises:
            MissingPackageError: when the game cannot be had on this machine.
        """
        super().__init__(config, config.keys)
        self._player = (0.0, 0.0, 0.0, 0.0)
        self._keyframe = self._cradle.data
        self._actions: list[int] = []

    def tiles(self) -> np.ndarray:
        """Return the level, int32 (64, 64) of tile types; row 0 is the bottom, column 0 the left end."""
        return self.state().tiles

    def entities(self) -> np.ndarray:
        """Return player, saws, slimes, crates as a structured array of ``ENTITY_DTYPE``; the player comes first."""
        return self.state().entities

    def edit(self, state: GameState) -> Frame:
        """Put an edited state (see ``GameState.replace``) into the game and return its picture at the same index.

        Raises:
            WorldError: before reset, after close, or after an ended frame.
        """
        game = self._open_game()
        if self._frame is None or self._frame.truth["ended"]:
            raise WorldError("there is no running episode to edit; call reset(seed) first")
        game.set_state(state.data)
        self._resume(game, state.data)
        self._frame = Frame(image=game.image, index=self._frame.index, truth=self._truth(game, None, ended=False))
        return self._frame

    def _begin(self, game: ProcgenGame) -> None:
        self._resume(game, game.get_state())

    def _resume(self, game: ProcgenGame, state: bytes) -> None:
        self._keyframe, self._actions = state, []
        self._player = self._read_player(game)

    def _act(self, game: ProcgenGame, action: int) -> None:
        if len(self._actions) == _KEYFRAME_STEPS:
            self._keyframe, self._actions = game.get_state(), []
        self._actions.append(action)
        game.act(action)

    def _last_picture(self, game: ProcgenGame, before: Frame) -> np.ndarray:
        """Draw the moment at which the episode ended, which the binary passes over.

        The last step is played once more with coin, lava and enemies out of reach, then they are put back and drawn.
        """
        reward, complete = game.reward, game.level_complete
        game.set_state(self._keyframe)
        for action in self._actions[:-1]:
            game.act(action)
        true = GameState(game.get_state())
        entities = true.entities.copy()
        entities["collision_margin"] = _OUT_OF_REACH
        tiles = true.tiles.copy()
        tiles[np.isin(tiles, (COIN, LAVA_BODY, LAVA_TOP))] = EMPTY
        game.set_state(true.with_entities(entities).with_tiles(tiles).replace(timeout=TIME_LIMIT * 2).data)
        game.act(self._actions[-1])
        assert not game.first, f"level {self._level} ended at frame {before.index + 1} though nothing could end it"
        last = GameState(game.get_state())
        entities = last.entities.copy()
        entities["collision_margin"] = 0.0
        last = last.with_entities(entities).with_tiles(true.tiles)
        game.set_state(last.replace(timeout=TIME_LIMIT, reward=reward, done=1, level_complete=int(complete)).data)
        return game.image

    def _truth(self, game: ProcgenGame, control: Control | None, ended: bool) -> dict[str, Any]:
        before, self._player = self._player, self._read_player(game)
        x, y, vx, vy = self._player
        complete = ended and game.level_complete
        events: list[str] = []
        if control is not None:
            if before[3] <= 0 < vy:
                events.append("jumped")
            if before[3] < 0 and vy == 0:
                events.append("landed")
        if ended:
            out_of_time = len(self._actions) and self._time(game) >= TIME_LIMIT
            events.append("coin" if complete else "timed_out" if out_of_time else "died")
        return {
            "reward": game.reward if control is not None else 0.0,
            "ended": ended,
            "events": tuple(events),
            "pose": {"x": x, "y": y, "vx": vx, "vy": vy},
            "camera": {"x": x, "y": y, "tiles_across": 13.0},
            "level_seed": self._level,
            "level_complete": complete,
        }

    def _time(self, game: ProcgenGame) -> int:
        return int(GameState(game.get_state())["time"])

    def _read_player(self, game: ProcgenGame) -> tuple[float, float, float, float]:
        player = GameState(game.get_state()).entities[0]
        return float(player["x"]), float(player["y"]), float(player["vx"]), float(player["vy"])
