"""What a saved Procgen state means: named fields, the list of entities, the tile grid; read or replaced.

A state is a row of 32-bit numbers and a few texts, in the order in which the game writes them. The random
generators are texts of changing length, so every position is found by walking over them. This file does NOT
know the binary.

Source: https://github.com/openai/procgen, ``game.cpp``, ``basic-abstract-game.cpp``, ``entity.cpp`` and
``games/coinrun.cpp`` (the ``serialize`` functions).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

ENTITY_FIELDS = (
    ("x", "f4"), ("y", "f4"), ("vx", "f4"), ("vy", "f4"), ("rx", "f4"), ("ry", "f4"), ("type", "i4"),
    ("image_type", "i4"), ("image_theme", "i4"), ("render_z", "i4"), ("will_erase", "i4"),
    ("collides_with_entities", "i4"), ("collision_margin", "f4"), ("rotation", "f4"), ("vrot", "f4"),
    ("is_reflected", "i4"), ("fire_time", "i4"), ("spawn_time", "i4"), ("life_time", "i4"),
    ("expire_time", "i4"), ("use_abs_coords", "i4"), ("friction", "f4"), ("smart_step", "i4"),
    ("avoids_collisions", "i4"),
    ("auto_erase", "i4"), ("alpha", "f4"), ("health", "f4"), ("theta", "f4"), ("grow_rate", "f4"),
    ("alpha_decay", "f4"), ("climber_spawn_x", "f4"),
)  # fmt: skip
"""Name and type of each number of an entity; positions in tiles, y upward, velocities in tiles a step."""

ENTITY_DTYPE = np.dtype([(name, f"<{kind}") for name, kind in ENTITY_FIELDS])
"""One entity, 124 bytes."""

_HEAD = "i:version s:game"
_OPTIONS = (
    "i:paint_vel_info i:use_generated_assets i:use_monochrome_assets i:restrict_themes i:use_backgrounds "
    "i:center_agent i:debug_mode i:distribution_mode i:use_sequential_levels "
    "i:use_easy_jump i:plain_assets i:physics_mode "
    "i:grid_step i:level_seed_low i:level_seed_high i:game_type i:game_n "
    "i:level_generator_seeded s:level_generator i:generator_seeded s:generator"
)
_EPISODE = (
    "f:reward i:done i:level_complete i:action i:timeout i:level_seed i:prev_level_seed i:episodes_remaining "
    "i:episode_done i:last_reward_timer f:last_reward i:default_action i:fixed_asset_seed i:time "
    "i:is_waiting_for_step i:grid_size"
)
_SCENE = (
    "i:use_procgen_background i:background_index f:bg_tile_ratio f:bg_pct_x f:char_dim i:last_move_action "
    "i:move_action i:special_action f:mixrate f:maxspeed f:max_jump f:action_vx f:action_vy f:action_vrot "
    "f:center_x f:center_y i:random_agent_start i:has_useful_vel_info i:step_rand_int "
    "i:asset_generator_seeded s:asset_generator "
    "i:main_width i:main_height i:out_of_bounds_object f:unit f:view_dim f:x_off f:y_off f:visibility "
    "f:min_visibility i:grid_width i:grid_height i:grid_cells"
)
_COINRUN = "f:last_agent_y i:wall_theme i:has_support i:facing_right i:is_on_crate f:gravity f:air_control"
_END = 0xCAFECAFE


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((part[0], part[2:]) for part in text.split())


_BEFORE_ENTITIES = _fields(f"{_HEAD} {_OPTIONS} {_EPISODE} i:num_entities")
_AFTER_ENTITIES = _fields(_SCENE)
_AFTER_GRID: Mapping[str, tuple[tuple[str, str], ...]] = {"coinrun": _fields(_COINRUN)}


class GameState:
    """One saved state; reading is free of copies where it can be, every edit gives a new state."""

    def __init__(self, data: bytes) -> None:
        """Wrap the bytes that ``ProcgenGame.get_state`` gave."""
        self.data = data

    def __getitem__(self, name: str) -> int | float:
        """Return one number by name, e.g. ``state["background_index"]``."""
        kind, offset = self._places[name]
        return struct.unpack_from(f"<{kind}", self.data, offset)[0]

    @cached_property
    def entities(self) -> np.ndarray:
        """Read-only structured array of ``ENTITY_DTYPE``."""
        return np.frombuffer(self.data, ENTITY_DTYPE, int(self["num_entities"]), self._entities_offset)

    @property
    def player(self) -> np.ndarray:
        """The player, one ``ENTITY_DTYPE``; the last entity of type 0, as the game itself looks for it."""
        return self.entities[np.flatnonzero(self.entities["type"] == 0)[-1]]

    @cached_property
    def tiles(self) -> np.ndarray:
        """Read-only int32 (rows, columns) of tile types; row 0 is the bottom of the level."""
        cells = np.frombuffer(self.data, "<i4", int(self["grid_cells"]), self._grid_offset)
        return cells.reshape(int(self["grid_height"]), int(self["grid_width"]))

    def replace(self, **numbers: float) -> GameState:
        """Return a state in which the named numbers are other ones."""
        data = bytearray(self.data)
        for name, number in numbers.items():
            kind, offset = self._places[name]
            struct.pack_into(f"<{kind}", data, offset, number)
        return GameState(bytes(data))

    def with_entities(self, entities: np.ndarray) -> GameState:
        """Return a state with other entities; their number may differ, the first must be the player."""
        end = self._entities_offset + self.entities.nbytes
        count = struct.pack("<i", len(entities))
        body = np.ascontiguousarray(entities, ENTITY_DTYPE).tobytes()
        return GameState(self.data[: self._entities_offset - 4] + count + body + self.data[end:])

    def with_tiles(self, tiles: np.ndarray) -> GameState:
        """Return a state with another tile grid of the same shape."""
        assert tiles.shape == self.tiles.shape, f"tiles {tiles.shape} in a level of {self.tiles.shape}"
        end = self._grid_offset + self.tiles.nbytes
        return GameState(
            self.data[: self._grid_offset] + np.ascontiguousarray(tiles, "<i4").tobytes() + self.data[end:]
        )

    @cached_property
    def _places(self) -> dict[str, tuple[str, int]]:
        return self._walk[0]

    @cached_property
    def _entities_offset(self) -> int:
        return self._walk[1]

    @cached_property
    def _grid_offset(self) -> int:
        return self._walk[2]

    @cached_property
    def _walk(self) -> tuple[dict[str, tuple[str, int]], int, int]:
        places: dict[str, tuple[str, int]] = {}
        offset = self._read(_BEFORE_ENTITIES, 0, places)
        entities_offset = offset
        offset += self._integer(offset - 4) * ENTITY_DTYPE.itemsize
        offset = self._read(_AFTER_ENTITIES, offset, places)
        grid_offset = offset
        offset += self._integer(offset - 4) * 4
        game = self.data[8 : 8 + self._integer(4)].decode()
        tail = _AFTER_GRID.get(game)
        if tail is not None:
            offset = self._read(tail, offset, places)
            left = len(self.data) - offset - 4
            end = self._integer(offset) & 0xFFFFFFFF
            assert (left, end) == (0, _END), f"state of {game}: {left} bytes left, end mark {end:#x}"
        return places, entities_offset, grid_offset

    def _read(
        self, fields: Sequence[tuple[str, str]], offset: int, places: dict[str, tuple[str, int]]
    ) -> int:
        for kind, name in fields:
            if kind == "s":
                offset += 4 + self._integer(offset)
            else:
                places[name] = (kind, offset)
                offset += 4
        return offset

    def _integer(self, offset: int) -> int:
        return struct.unpack_from("<i", self.data, offset)[0]
