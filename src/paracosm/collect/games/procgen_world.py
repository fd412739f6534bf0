"""Any of Procgen's sixteen games as a World: a seed is a level, same seed and controls give the same bytes.

This file does NOT know what stands in a level; ``coinrun`` adds that for its game.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import WorldError
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start

from .procgen import (
    ARROW_KEYS,
    COLUMNS,
    FORCE_RESET,
    LEVEL_LIMIT,
    ROWS,
    ProcgenConfig,
    ProcgenGame,
    action_number,
)
from .procgen_install import binary_version, need_game
from .procgen_player import Player, player_reader
from .procgen_state import GameState

FRAMES_PER_SECOND = 15.0
"""The pace at which Procgen shows itself to people; the game has no clock of its own."""

BINDINGS = MappingProxyType(
    {
        "ArrowLeft": "left", "ArrowRight": "right", "ArrowUp": "up", "ArrowDown": "down",
        "KeyA": "left", "KeyD": "right", "KeyW": "up", "KeyS": "down", "Space": "up",
    }
)  # fmt: skip
"""Keyboard codes of the arrow keys, WASD and the space bar."""


@dataclass(frozen=True, kw_only=True)
class _Saved:
    """What a snapshot carries beside its frame."""

    state: bytes
    config: ProcgenConfig
    level: int


class ProcgenWorld:
    """A Procgen game that can be stepped with a controller.

    Example:
        >>> world = ProcgenWorld(ProcgenConfig(game="jumper"))
        >>> frame = world.reset(seed=3)
        >>> frame = world.step(Control({"right"}))
    """

    def __init__(self, config: ProcgenConfig, keys: Sequence[str] = ARROW_KEYS) -> None:
        """Find the game (fetching it on first use) and start it.

        Raises:
            MissingPackageError: when the game cannot be had on this machine.
        """
        self.config = config
        folder = need_game()
        self._game: ProcgenGame | None = ProcgenGame(folder, config)
        bindings = {code: key for code, key in BINDINGS.items() if key in keys}
        self._info = WorldInfo(
            name=f"game:{config.game}",
            fps=FRAMES_PER_SECOND,
            height=ROWS,
            width=COLUMNS,
            controls=ControlSpace(keys=tuple(keys), bindings=bindings),
            engine=binary_version(folder),
            description=f"The real {config.game} from Procgen, {config.difficulty}; every seed is a level.",
        )
        self._read_player = player_reader(self._game, self._info.engine)
        self._player: Player = (0.0, 0.0, 0.0, 0.0)
        # Every reset starts from these same bytes, so that nothing of earlier episodes can reach a later one.
        self._cradle = GameState(self._game.get_state())
        self._frame: Frame | None = None
        self._level = 0

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        return self._info

    def level_of(self, seed: int) -> int:
        """Return the level that ``reset(seed)`` opens: start_level + seed, wrapped at num_levels.

        Raises:
            WorldError: when the seed is negative.
        """
        if seed < 0:
            raise WorldError(f"seed {seed} is negative; use an integer >= 0")
        first = self.config.start_level
        return first + seed % (self.config.num_levels or LEVEL_LIMIT - first)

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin the level of ``seed``; see :meth:`level_of`.

        Raises:
            WorldError: for a start other than a seed, or after close.
        """
        check_start(self._info, start, controls, prompt)
        game = self._open_game()
        self._level = self._enter(game, self.level_of(seed))
        self._player = self._read_player()
        self._frame = Frame(image=game.image, index=0, truth=self._truth(game, None, ended=False, events=()))
        return self._frame

    def step(self, control: Control) -> Frame:
        """Play one step.

        Raises:
            ControlError: when the control is not offered.
            WorldError: before reset, after close, or after an ended frame.
        """
        game = self._open_game()
        frame = self._frame
        if frame is None:
            raise WorldError(f"{self._info.name} has not begun; call reset(seed) first")
        if frame.truth["ended"]:
            raise WorldError(f"the episode ended at frame {frame.index}; call reset(seed) to begin another")
        self._info.controls.check(control)
        self._act(game, action_number(control.keys))
        ended = game.first
        image = self._last_picture(game, frame) if ended else game.image
        before, self._player = self._player, self._read_player()
        events = self._events(before, self._player, self._ending(game, frame.index + 1) if ended else None)
        self._frame = Frame(
            image=image, index=frame.index + 1, truth=self._truth(game, control, ended, events)
        )
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the complete state.

        Raises:
            WorldError: before reset or after close.
        """
        game = self._open_game()
        if self._frame is None:
            raise WorldError(f"{self._info.name} has not begun; call reset(seed) first")
        saved = _Saved(state=game.get_state(), config=self.config, level=self._level)
        return Snapshot(world=self._info.name, frame=self._frame, payload=saved)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back to a snapshot.

        Raises:
            WorldError: when it was taken in another world, or in this one with other settings.
        """
        check_snapshot(self._info, snapshot)
        saved: _Saved = snapshot.payload
        if saved.config != self.config:
            raise WorldError(
                f"the snapshot was taken in {self._info.name} with other settings: {saved.config}"
            )
        game = self._open_game()
        game.set_state(saved.state)
        self._level = saved.level
        self._frame = snapshot.frame
        self._resume(game, saved.state)
        return snapshot.frame

    def close(self) -> None:
        """Free the game; calling it twice does no harm."""
        if self._game is not None:
            self._game.close()
            self._game = None

    def state(self) -> GameState:
        """Return the game's saved state, to be read by name."""
        return GameState(self._open_game().get_state())

    def _open_game(self) -> ProcgenGame:
        if self._game is None:
            raise WorldError(f"{self._info.name} is closed; open it again")
        return self._game

    def _enter(self, game: ProcgenGame, level: int) -> int:
        """Put the game at the first frame of a level; returns the level, which a game may change."""
        # The forced reset draws its level from this range of one; making the game anew is far slower.
        game.set_state(self._cradle.replace(level_seed_low=level, level_seed_high=level + 1).data)
        game.act(FORCE_RESET)
        return level

    def _resume(self, game: ProcgenGame, state: bytes) -> None:
        """Take up the state that the game was just put into."""
        self._player = self._read_player()

    def _act(self, game: ProcgenGame, action: int) -> None:
        game.act(action)

    def _last_picture(self, game: ProcgenGame, before: Frame) -> np.ndarray:
        """Return the picture of an ended frame: the one before, since the binary shows the next level."""
        return before.image

    def _ending(self, game: ProcgenGame, index: int) -> str:
        """Name the event that ended the episode at frame ``index``."""
        return "level_complete" if game.level_complete else "episode_over"

    def _events(self, before: Player, after: Player, ending: str | None) -> tuple[str, ...]:
        """Name what happened in the step that led from one place to the next."""
        return () if ending is None else (ending,)

    def _truth(
        self, game: ProcgenGame, control: Control | None, ended: bool, events: tuple[str, ...]
    ) -> dict[str, Any]:
        x, y, vx, vy = self._player
        return {
            "reward": game.reward if control is not None else 0.0,
            "ended": ended,
            "events": events,
            "pose": {"x": x, "y": y, "vx": vx, "vy": vy},
            "level_seed": self._level,
            "level_complete": ended and game.level_complete,
        }
