"""The binding to Procgen's own binary: sixteen real games behind eight C functions, one game per object.

Knows the C interface (libenv, version 1) and the options; needs ctypes and numpy only, so the game's old
pins do not matter. This file does NOT know what a state means (``procgen_state``), where the game lies
(``procgen_install``) or what a world is (``procgen_world``).

Source: https://github.com/openai/gym3 ``libenv.h`` (the interface), https://github.com/openai/procgen (the
games).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from paracosm.core.errors import ConfigError, MissingPackageError

ProcgenName = Literal[
    "bigfish", "bossfight", "caveflyer", "chaser", "climber", "coinrun", "dodgeball", "fruitbot",
    "heist", "jumper", "leaper", "maze", "miner", "ninja", "plunder", "starpilot",
]  # fmt: skip
"""The games inside the binary."""

Difficulty = Literal["easy", "hard", "extreme", "memory"]
"""Procgen's distribution modes."""

ROWS = COLUMNS = 64
"""Pixels of a Procgen picture; the binary draws no other size."""

LEVEL_LIMIT = 2**31 - 1
"""Level seeds are below this."""

FORCE_RESET = -1
"""The action that ends the episode and begins the next level."""

_DIFFICULTY_NUMBER: Mapping[Difficulty, int] = {"easy": 0, "hard": 1, "extreme": 2, "memory": 10}
_SPECIAL_GAMES: Mapping[Difficulty, frozenset[str]] = {
    "extreme": frozenset({"chaser", "dodgeball", "leaper", "starpilot"}),
    "memory": frozenset({"caveflyer", "dodgeball", "heist", "jumper", "maze", "miner"}),
}
_NUM_ACTIONS = 15
_STATE_BYTES = 2**20
_DTYPE_UINT8, _DTYPE_INT32 = 1, 2
_SPACE_INFO = 3


@dataclass(frozen=True, kw_only=True)
class ProcgenConfig:
    """Which game is played and how it looks; a level is a seed."""

    game: ProcgenName = "coinrun"
    """Which of the sixteen games."""
    difficulty: Difficulty = "hard"
    """Procgen's distribution mode; extreme and memory exist for some games only."""
    start_level: int = 0
    """First level seed in use."""
    num_levels: int = 0
    """Number of levels in use, from start_level on; 0 means every level there is."""
    use_backgrounds: bool = True
    """Draw a picture behind the level; otherwise black."""
    restrict_themes: bool = False
    """Draw walls, players and enemies in one theme each."""
    use_monochrome_assets: bool = False
    """Draw coloured squares instead of pictures."""
    center_agent: bool = True
    """Let the camera follow the player; otherwise show the whole level."""
    paint_vel_info: bool = False
    """Paint the velocity as two grey squares in the corner."""
    rand_seed: int = 0
    """Seed of the binary's own level choice; it moves nothing here, since every level is chosen by name."""

    def __post_init__(self) -> None:
        if self.game not in get_args(ProcgenName):
            raise ConfigError(
                f'game "{self.game}" is not in Procgen; choose one of {list(get_args(ProcgenName))}'
            )
        if self.difficulty not in _DIFFICULTY_NUMBER:
            raise ConfigError(
                f'difficulty "{self.difficulty}" is unknown; choose one of {list(_DIFFICULTY_NUMBER)}'
            )
        games = _SPECIAL_GAMES.get(self.difficulty)
        if games is not None and self.game not in games:
            raise ConfigError(
                f'difficulty "{self.difficulty}" is only for {sorted(games)}; use easy or hard here'
            )
        if not (
            self.start_level >= 0
            and self.num_levels >= 0
            and self.start_level + self.num_levels <= LEVEL_LIMIT
        ):
            raise ConfigError(
                f"start_level {self.start_level} with num_levels {self.num_levels} is outside the levels; "
                f"keep both >= 0 and their sum <= {LEVEL_LIMIT}"
            )


class ProcgenGame:
    """One running game: act, look, read and write its whole state."""

    def __init__(self, folder: Path, config: ProcgenConfig) -> None:
        """Start the game.

        Args:
            folder: the folder with ``assets/`` and ``prebuilt/libenv.so``.
            config: which game and how it looks.

        Raises:
            MissingPackageError: when the binary or a system library that it needs is missing.
        """
        self._library = _load_library(folder / "prebuilt" / "libenv.so")
        options, self._option_values = _options(folder, config)
        self._handle: int | None = self._library.libenv_make(1, options)
        self._observation = np.zeros((ROWS, COLUMNS, 3), np.uint8)
        self._reward = np.zeros(1, np.float32)
        self._first = np.zeros(1, np.uint8)
        self._action = np.zeros(1, np.int32)
        names = self._info_names()
        # The binary keeps these addresses until it is closed, so the arrays live as long as this object.
        self._info = {name: np.zeros(1, np.int32) for name in names}
        self._pointers = [
            _addresses([self._observation]),
            _addresses(list(self._info.values())),
            _addresses([self._action]),
        ]
        observation, info, action = self._pointers
        buffers = _Buffers(observation, self._reward.ctypes.data, self._first.ctypes.data, info, action)
        self._library.libenv_set_buffers(self._handle, ctypes.byref(buffers))
        self._library.libenv_observe(self._handle)
        self._state = ctypes.create_string_buffer(_STATE_BYTES)

    @property
    def image(self) -> np.ndarray:
        """A copy of the picture, uint8 (64, 64, 3)."""
        return self._observation.copy()

    @property
    def reward(self) -> float:
        """Reward of the last step."""
        return float(self._reward[0])

    @property
    def first(self) -> bool:
        """Whether the last step ended an episode, so that the picture is the first one of the next."""
        return bool(self._first[0])

    @property
    def level_seed(self) -> int:
        """Seed of the level in the picture."""
        return int(self._info["level_seed"][0])

    @property
    def level_complete(self) -> bool:
        """Whether the last step ended its level by reaching the goal."""
        return bool(self._info["prev_level_complete"][0] & 1)

    @property
    def handle(self) -> int:
        """Address of the binary's own object."""
        assert self._handle is not None, "the game was used after close"
        return self._handle

    def act(self, action: int) -> None:
        """Play one step.

        Args:
            action: one of the fifteen combinations, or ``FORCE_RESET``.
        """
        self._action[0] = action
        self._library.libenv_act(self.handle)
        self._library.libenv_observe(self.handle)

    def get_state(self) -> bytes:
        """Return the whole state, about 40 kB; 0.3 ms, most of it for printing three random generators."""
        size = self._library.get_state(self.handle, 0, self._state, _STATE_BYTES)
        return ctypes.string_at(self._state, size)

    def set_state(self, state: bytes) -> None:
        """Put the game into a state that :meth:`get_state` gave, and draw it."""
        self._library.set_state(self.handle, 0, state, len(state))
        self._library.libenv_observe(self.handle)

    def close(self) -> None:
        """Free the game; calling it twice does no harm."""
        if self._handle is not None:
            self._library.libenv_close(self._handle)
            self._handle = None

    def _info_names(self) -> list[str]:
        count = self._library.libenv_get_tensortypes(self.handle, _SPACE_INFO, None)
        types = (_TensorType * count)()
        self._library.libenv_get_tensortypes(self.handle, _SPACE_INFO, types)
        return [tensor.name.decode() for tensor in types]


def action_number(keys: frozenset[str]) -> int:
    """Turn held keys into one of Procgen's fifteen actions, as its own interactive mode does.

    Left wins over right, down wins over up; a special key alone counts, beside an arrow it does not.

    Args:
        keys: any of left, right, up, down and the special keys d, a, w, s, q, e.
    """
    across = 0 if "left" in keys else 2 if "right" in keys else 1
    upward = 0 if "down" in keys else 2 if "up" in keys else 1
    if (across, upward) != (1, 1):
        return across * 3 + upward
    for number, special in enumerate(SPECIAL_KEYS, start=9):
        if special in keys:
            return number
    return 4


ARROW_KEYS = ("left", "right", "up", "down")
"""The keys that every Procgen game knows."""

SPECIAL_KEYS = ("d", "a", "w", "s", "q", "e")
"""Keys that some Procgen games know, for example to fire."""


class _Option(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char * 128),
        ("dtype", ctypes.c_int),
        ("count", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    _fields_ = (("items", ctypes.POINTER(_Option)), ("count", ctypes.c_int))


class _TensorType(ctypes.Structure):
    # shape before ndim: another build's header has them the other way round, which corrupts the heap here.
    _fields_ = (
        ("name", ctypes.c_char * 128),
        ("scalar_type", ctypes.c_int),
        ("dtype", ctypes.c_int),
        ("shape", ctypes.c_int * 16),
        ("ndim", ctypes.c_int),
        ("low", ctypes.c_int32),
        ("high", ctypes.c_int32),
    )


class _Buffers(ctypes.Structure):
    _fields_ = (
        ("ob", ctypes.POINTER(ctypes.c_void_p)), ("rew", ctypes.c_void_p), ("first", ctypes.c_void_p),
        ("info", ctypes.POINTER(ctypes.c_void_p)), ("ac", ctypes.POINTER(ctypes.c_void_p)),
    )  # fmt: skip


@functools.cache
def _load_library(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise _explain_load(path, error) from error
    handle, integer = ctypes.c_void_p, ctypes.c_int
    signatures = {
        "libenv_make": (handle, (integer, _Options)),
        "libenv_get_tensortypes": (integer, (handle, integer, ctypes.c_void_p)),
        "libenv_set_buffers": (None, (handle, ctypes.POINTER(_Buffers))),
        "libenv_observe": (None, (handle,)),
        "libenv_act": (None, (handle,)),
        "libenv_close": (None, (handle,)),
        "get_state": (integer, (handle, integer, ctypes.c_char_p, integer)),
        "set_state": (None, (handle, integer, ctypes.c_char_p, integer)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _explain_load(path: Path, error: OSError) -> MissingPackageError:
    text = str(error)
    if any(name in text for name in ("libGL", "libglib", "libgthread")):
        return MissingPackageError(
            f"Procgen misses a system library ({text}); run: apt-get install libgl1 libglib2.0-0"
        )
    return MissingPackageError(f"{path} cannot be loaded ({text}); run: paracosm doctor --install coinrun")


def _options(folder: Path, config: ProcgenConfig) -> tuple[_Options, list[object]]:
    """Pack the options; the second part keeps their memory alive."""
    values: dict[str, str | bool | int] = {
        "env_name": config.game,
        "num_levels": config.num_levels,
        "start_level": config.start_level,
        "num_actions": _NUM_ACTIONS,
        "rand_seed": config.rand_seed,
        "num_threads": 0,
        "render_human": False,
        "resource_root": f"{folder / 'assets'}/",
        "use_sequential_levels": False,
        "debug_mode": 0,
        "center_agent": config.center_agent,
        "use_generated_assets": False,
        "use_monochrome_assets": config.use_monochrome_assets,
        "restrict_themes": config.restrict_themes,
        "use_backgrounds": config.use_backgrounds,
        "paint_vel_info": config.paint_vel_info,
        "distribution_mode": _DIFFICULTY_NUMBER[config.difficulty],
    }
    items = (_Option * len(values))()
    kept: list[object] = [items]
    for item, (name, value) in zip(items, values.items(), strict=True):
        memory: ctypes.Array[ctypes.c_char] | ctypes.c_uint8 | ctypes.c_int32
        if isinstance(value, str):
            text = value.encode()
            memory, item.dtype, item.count = ctypes.create_string_buffer(text), _DTYPE_UINT8, len(text)
        elif isinstance(value, bool):
            memory, item.dtype, item.count = ctypes.c_uint8(value), _DTYPE_UINT8, 1
        else:
            memory, item.dtype, item.count = ctypes.c_int32(value), _DTYPE_INT32, 1
        item.name, item.data = name.encode(), ctypes.addressof(memory)
        kept.append(memory)
    return _Options(items, len(values)), kept


def _addresses(arrays: list[np.ndarray]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
