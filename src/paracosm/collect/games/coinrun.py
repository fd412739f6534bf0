"""The real CoinRun as a World: run right, jump over pits, saws and slimes, take the coin.

Adds to ``ProcgenWorld`` what CoinRun's levels mean: what happened, what stands where, a choice of looks,
and the true last picture of an episode. This file does NOT decide how to play; ``explorers/coinrun.py``
does.

Source: https://github.com/openai/procgen, ``games/coinrun.cpp``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.world import Frame

from .procgen import ARROW_KEYS, LEVEL_LIMIT, ProcgenConfig, ProcgenGame
from .procgen_player import Player
from .procgen_state import GameState
from .procgen_world import ProcgenWorld

COIN, LAVA_BODY, LAVA_TOP, WALL_BODY, WALL_TOP, EMPTY = 1, 17, 18, 15, 16, 100
"""Tile types; an invisible tile 19 turns slimes back."""

PLAYER, SAW, SLIME, CRATE = 0, 2, 5, 20
"""Entity types."""

TIME_LIMIT = 1000
"""Steps after which the game ends an episode."""

TILES_ACROSS = 13.0
"""Tiles that a picture shows in each direction, with the player in its middle."""

HELD_OUT_START = 2_000_000
"""Levels from here on are held out; training levels are below."""

_SPARE_LEVELS = 1000
"""Levels between the splits, so that the search for a long level does not cross over."""

_KEYFRAME_STEPS = 32
"""The last picture is made by replaying from a saved state at most this many steps old."""

_OUT_OF_REACH = -100.0
"""A collision margin with which nothing ever touches the player."""

_NUM_BACKGROUNDS, _NUM_GROUNDS = 62, 6

LookName = Literal["original", "meadow", "desert", "winter"]
"""Choices of ``CoinRunConfig.look``."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One scenery for every level, made of the game's own pictures (all of these by Kenney, CC0)."""

    background: int
    """Index of the background picture."""
    background_stretch: float
    """Height over width of the background as drawn; it spans the level's 64 columns and repeats upward."""
    ground: int
    """0 dirt, 1 grass, 2 planet, 3 sand, 4 snow, 5 stone."""
    player: int
    """0 beige, 1 blue, 2 green, 3 pink, 4 yellow."""
    slime: int
    """0 block, 1 purple, 2 blue, 3 green, 4 mouse, 5 snail, 6 ladybug, 7 green worm, 8 pink worm."""


LOOKS: Mapping[LookName, Look] = {
    "meadow": Look(background=19, background_stretch=0.3, ground=1, player=3, slime=1),
    "desert": Look(background=18, background_stretch=0.3, ground=3, player=1, slime=6),
    "winter": Look(background=17, background_stretch=0.3, ground=4, player=2, slime=8),
}
"""The narrow looks: one scenery to learn instead of 62 backgrounds, 6 grounds, 5 players and 9 slimes."""


@dataclass(frozen=True, kw_only=True)
class CoinRunConfig(ProcgenConfig):
    """Which levels are played and how they look."""

    keys: tuple[str, ...] = ("left", "right", "up")
    """Keys that the world offers, of left, right, up, down. Down only lets the player fall through crates."""
    look: LookName = "original"
    """original: each level has scenery of its own; otherwise one of ``LOOKS`` for all levels."""
    min_length: int = 0
    """Pass over levels whose coin is nearer than this many tiles to the left end; levels have 8 to 48."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.game != "coinrun":
            raise ConfigError(f'game "{self.game}" is not coinrun; open it as game:{self.game}')
        if not set(self.keys) <= set(ARROW_KEYS) or not self.keys:
            raise ConfigError(f"keys {list(self.keys)} are not CoinRun's; choose from {list(ARROW_KEYS)}")
        if self.look != "original" and self.look not in LOOKS:
            raise ConfigError(f'look "{self.look}" is unknown; choose one of {["original", *LOOKS]}')
        if not 0 <= self.min_length <= 40:
            raise ConfigError(f"min_length {self.min_length} leaves too few levels; use 0 to 40 tiles")


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
    available = last - first - _SPARE_LEVELS
    if count < 1 or offset < 0 or offset + count > available:
        raise ConfigError(
            f"{count} {split} levels from {offset} on do not exist; the split has {available} levels"
        )
    return range(first + offset, first + offset + count)


class CoinRunWorld(ProcgenWorld):
    """The real CoinRun.

    ``frame.truth`` holds reward, ended, events (coin, died, timed_out, jumped, landed), pose (x, y in tiles,
    vx, vy in tiles a step, y upward), camera (x, y of the picture's centre and tiles_across), level_seed and
    level_complete. The last frame of an episode is the true last picture, made by replaying the last step.

    Example:
        >>> world = CoinRunWorld(CoinRunConfig(look="meadow", min_length=20))
        >>> frame = world.reset(seed=7)
        >>> frame = world.step(Control({"right", "up"}))
    """

    def __init__(self, config: CoinRunConfig = CoinRunConfig()) -> None:
        """Find the game (fetching it on first use) and start it.

        Raises:
            MissingPackageError: when the game cannot be had on this machine.
        """
        super().__init__(config, config.keys)
        self._look = LOOKS.get(config.look)
        self._min_length = config.min_length
        self._keyframe = self._cradle.data
        self._actions: list[int] = []

    def tiles(self) -> np.ndarray:
        """Return the level, int32 (64, 64) of tile types; row 0 is the bottom, column 0 the left end."""
        return self.state().tiles

    def entities(self) -> np.ndarray:
        """Return player, saws, slimes, crates as a structured array of ``ENTITY_DTYPE``."""
        return self.state().entities

    def edit(self, state: GameState) -> Frame:
        """Put an edited state into the game and return its picture at the same index.

        Args:
            state: :meth:`state` with other tiles, entities or numbers, such as background_index.

        Raises:
            WorldError: when no episode is running, or a picture is asked for that the game does not have.
        """
        game = self._open_game()
        if self._frame is None or self._frame.truth["ended"]:
            raise WorldError("there is no running episode to edit; call reset(seed) first")
        for name, count in (("background_index", _NUM_BACKGROUNDS), ("wall_theme", _NUM_GROUNDS)):
            # The binary would end this process.
            if not 0 <= state[name] < count:
                raise WorldError(f"{name} {state[name]} does not exist; use 0 to {count - 1}")
        game.set_state(state.data)
        self._resume(game, state.data)
        truth = self._truth(game, None, ended=False, events=())
        self._frame = Frame(image=game.image, index=self._frame.index, truth=truth)
        return self._frame

    def _enter(self, game: ProcgenGame, level: int) -> int:
        """Enter the first level from this one on that is long enough, wrapping at the end of num_levels."""
        for _ in range(_SPARE_LEVELS):
            super()._enter(game, level)
            state = GameState(game.get_state())
            if self._min_length == 0 or int(np.argwhere(state.tiles == COIN)[0, 1]) >= self._min_length:
                break
            level = self.level_of(level + 1 - self.config.start_level)
        else:
            raise WorldError(
                f"no level from {self.config.start_level} on has {self._min_length} tiles; lower min_length"
            )
        if self._look is not None:
            state = _dress(state, self._look)
            game.set_state(state.data)
        self._resume(game, state.data)
        return level

    def _resume(self, game: ProcgenGame, state: bytes) -> None:
        super()._resume(game, state)
        self._keyframe, self._actions = state, []

    def _act(self, game: ProcgenGame, action: int) -> None:
        if len(self._actions) == _KEYFRAME_STEPS:
            self._keyframe, self._actions = game.get_state(), []
        self._actions.append(action)
        game.act(action)

    def _last_picture(self, game: ProcgenGame, before: Frame) -> np.ndarray:
        """Draw the moment at which the episode ended, which the binary passes over.

        The last step is played once more with coin, lava and enemies out of reach, then they are put back
        and drawn.
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
        assert not game.first, (
            f"level {self._level} ended at frame {before.index + 1} though nothing could end it"
        )
        last = GameState(game.get_state())
        entities = last.entities.copy()
        entities["collision_margin"] = 0.0
        last = last.with_entities(entities).with_tiles(true.tiles)
        game.set_state(
            last.replace(timeout=TIME_LIMIT, reward=reward, done=1, level_complete=int(complete)).data
        )
        return game.image

    def _ending(self, game: ProcgenGame, index: int) -> str:
        if game.level_complete:
            return "coin"
        return "timed_out" if index >= TIME_LIMIT else "died"

    def _events(self, before: Player, after: Player, ending: str | None) -> tuple[str, ...]:
        fall_before, fall_after = before[3], after[3]
        happened = {
            "jumped": fall_before <= 0 < fall_after,
            "landed": fall_before < 0 and fall_after == 0,
        }
        return tuple(name for name, true in happened.items() if true) + super()._events(before, after, ending)

    def _truth(
        self, game: ProcgenGame, control: Control | None, ended: bool, events: tuple[str, ...]
    ) -> dict[str, Any]:
        x, y, _, _ = self._player
        camera = {"x": x, "y": y, "tiles_across": TILES_ACROSS}
        return super()._truth(game, control, ended, events) | {"camera": camera}


def _dress(state: GameState, look: Look) -> GameState:
    """Give a level the scenery of a look; nothing that moves or kills is touched."""
    entities = state.entities.copy()
    entities["image_theme"][entities["type"] == PLAYER] = look.player
    entities["image_theme"][entities["type"] == SLIME] = look.slime
    entities["image_theme"][entities["type"] == CRATE] = 0
    return state.with_entities(entities).replace(
        # A negative ratio tiles the picture upward; Procgen has it for its climbing game.
        background_index=look.background, bg_tile_ratio=-look.background_stretch, wall_theme=look.ground
    )  # fmt: skip
