"""The real Doom engine (ViZDoom with the free Freedoom pictures) behind the ``World`` contract.

Levels come from :mod:`.doom_levels` by seed, or are the stock Freedoom maps. This file does NOT know how
levels are made, who plays, or where recordings go.
"""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError, LostWorldError, WorldError
from paracosm.core.extras import need
from paracosm.core.rng import stream, sub_seed
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start

from .doom_depth import DepthCaster
from .doom_engine import cached_wad, game_path, map_name, stock_maps, write_launcher
from .doom_levels import DOOR_HEIGHT, DOOR_REST, Level, LevelConfig, draw_start, make_level
from .doom_view import area_reduce, read_depth
from .doom_wad import region_at, sector_number

TICS_PER_SECOND = 35
"""The engine's own clock."""

KEYS = ("forward", "back", "left", "right", "attack", "use", "jump")
"""The keys of the world, in the order that control vectors use; left and right step sideways."""

BINDINGS: Mapping[str, str] = {
    "KeyW": "forward",
    "KeyS": "back",
    "KeyA": "left",
    "KeyD": "right",
    "ArrowUp": "forward",
    "ArrowDown": "back",
    "Mouse0": "attack",
    "Enter": "attack",
    "KeyE": "use",
    "Space": "jump",
}

RENDER_SIZES: Mapping[tuple[int, int], str] = {
    (160, 120): "RES_160X120",
    (256, 192): "RES_256X192",
    (320, 240): "RES_320X240",
    (640, 480): "RES_640X480",
}

WARM_UP_TICS = (24, 20, 1, 3)
"""Tics played before the first frame: let the warp land and the weapon come up, watch it, turn, let the view
settle.

The engine ignores turns during its first seven tics, and it carries the weapon's swing over from the episode
before: that dies away by one unit of at most 16 with each picture that is drawn, so some tics are drawn one
by one. Only then do all episodes begin alike."""

BUTTONS = (
    "MOVE_FORWARD",
    "MOVE_BACKWARD",
    "MOVE_LEFT",
    "MOVE_RIGHT",
    "ATTACK",
    "USE",
    "JUMP",
    "TURN_LEFT_RIGHT_DELTA",
    "LOOK_UP_DOWN_DELTA",
)
"""The engine's buttons: those of :data:`KEYS` in the same order, then degrees to the right and up."""

VARIABLES = (
    "CAMERA_POSITION_X",
    "CAMERA_POSITION_Y",
    "CAMERA_POSITION_Z",
    "CAMERA_ANGLE",
    "CAMERA_PITCH",
    "CAMERA_ROLL",
    "CAMERA_FOV",
    "VIEW_HEIGHT",
    "SELECTED_WEAPON_AMMO",
    "HITCOUNT",
    "KILLCOUNT",
    "ITEMCOUNT",
    "DAMAGE_TAKEN",
)
"""What is read from the engine after each step, in this order."""

COUNTED_EVENTS: Mapping[str, tuple[str, int]] = {
    "shot": ("SELECTED_WEAPON_AMMO", -1),
    "hit": ("HITCOUNT", 1),
    "kill": ("KILLCOUNT", 1),
    "pickup": ("ITEMCOUNT", 1),
    "damage": ("DAMAGE_TAKEN", 1),
}
"""Event name to the variable that counts it and the sign of its change."""


@dataclass(frozen=True, kw_only=True)
class DoomConfig:
    """How the Doom world is played and seen."""

    height: int = 48
    """Rows of a frame in pixels; 3/4 of width keeps pixels square."""
    width: int = 64
    """Columns of a frame in pixels."""
    render_width: Literal[160, 256, 320, 640] = 160
    """Columns that the engine draws (rows are 3/4 of it) before the picture is averaged down."""
    tics_per_step: int = 2
    """Engine tics (1/35 s) in one step, 1 to 8: 2 gives 17.5 steps a second."""
    max_turn: float = 6.0
    """Largest turn in one step in degrees, above 0, at most 90."""
    max_pitch: float = 0.0
    """Largest look up or down in one step in degrees; 0 leaves pitch out."""
    map: str = "levels"
    """"levels" for made levels, or a stock map such as "freedoom2:map02" or "freedoom1:e1m3"."""
    level_seeds: tuple[int, ...] = (83,)
    """Level seeds that the world holds, 1 to 99 of them; the reset seed picks one and a start in it."""
    level: LevelConfig = field(default_factory=LevelConfig)
    """How levels are made."""
    monsters: Literal["off", "on"] = "off"
    """Whether the monsters of stock maps appear; made levels take theirs from ``level.monsters``."""
    weapon: Literal["shown", "hidden"] = "shown"
    """Whether the weapon is drawn."""
    depth: Literal["off", "on"] = "off"
    """Whether frame.truth carries "depth" in map units; see :class:`DoomWorld`."""

    def __post_init__(self) -> None:
        if not (8 <= self.height <= self.render_height and 8 <= self.width <= self.render_width):
            raise ConfigError(
                f"frame size {self.height} x {self.width} does not fit; use 8 x 8 up to "
                f"{self.render_height} x {self.render_width}, or a larger render_width"
            )
        if not 1 <= self.tics_per_step <= 8:
            raise ConfigError(f"tics_per_step {self.tics_per_step} is out of range; use 1 to 8")
        if not 0 < self.max_turn <= 90 or not 0 <= self.max_pitch <= 45:
            raise ConfigError(
                f"max_turn {self.max_turn:g} or max_pitch {self.max_pitch:g} is out of range; "
                "use above 0 up to 90, and 0 to 45 degrees"
            )
        if self.map != "levels" and not re.fullmatch(r"freedoom[12]:[A-Za-z0-9]+", self.map):
            raise ConfigError(
                f'map "{self.map}" is unknown; use "levels", "freedoom2:map02" or "freedoom1:e1m3"'
            )
        if not 1 <= len(self.level_seeds) <= 99 or len(set(self.level_seeds)) != len(self.level_seeds):
            raise ConfigError(
                f"level_seeds has {len(self.level_seeds)} entries; give 1 to 99 different seeds"
            )

    @property
    def render_height(self) -> int:
        """Rows that the engine draws."""
        return self.render_width * 3 // 4


class DoomWorld:
    """Doom as a world: ``reset(seed)`` picks a level and a start, ``step`` plays ``tics_per_step`` tics.

    ``frame.truth`` holds "pose" (x, y, z of the eye in map units; yaw as a compass: degrees clockwise from
    north; pitch up positive; roll; fov; view_height), "events", "reward" (always 0: there is no goal) and
    "ended". On made levels also "level_seed", "room" (index in ``level.rooms``, -1 in a passage) and "doors"
    (for each link that is a door, by its index in ``level.links``, how far it is open, 0 to 1). With depth on
    also "depth": float32 (h, w), the distance perpendicular to the picture in map units. On made levels it is
    exact, without things and weapon, 4096 for the sky; on stock maps it is the engine's own, right within
    about 10 units up to 455 for a render width of 160, 915 for 320 and 1830 for 640.

    Events: "shot", "hit" (a monster), "kill", "pickup", "damage", "door_opened" (a shut door begins to open),
    "door_closed" (a door has come down).

    Args:
        config: how the world is played and seen.

    Raises:
        MissingPackageError: when ViZDoom is not installed.
        WorldError: when the engine refuses the map.
    """

    def __init__(self, config: DoomConfig | None = None) -> None:
        self.config = config or DoomConfig()
        self._vizdoom = need("vizdoom", "games")
        self.levels: tuple[Level, ...] = ()
        if self.config.map == "levels":
            self.levels = tuple(make_level(seed, self.config.level) for seed in self.config.level_seeds)
        self._info = _describe(self.config, self._vizdoom.__version__)
        folder = tempfile.TemporaryDirectory(prefix="paracosm-doom-")
        self._game = _start_engine(self._vizdoom, self.config, self.levels, Path(folder.name))
        self._stop = weakref.finalize(self, _stop_engine, self._game, folder)
        self._seed: int | None = None
        self._map = ""
        self._controls: list[Control] = []
        self._level: Level | None = None
        self._counts: dict[str, float] = {}
        self._doors: dict[int, tuple[int, float]] = {}
        self._casters: dict[int, DepthCaster] = {}
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        return self._info

    @property
    def level(self) -> Level | None:
        """The level being played, with its graph; None before reset and on stock maps."""
        return self._level

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin the episode of a seed: its level, its place and heading.

        Args:
            seed: any integer >= 0; picks the level out of ``config.level_seeds`` and the start pose.
            start: must be None: the engine cannot begin from a picture.
            controls: must be empty.
            prompt: must be None.

        Raises:
            WorldError: when a start or prompt is given, or the world is closed.
        """
        check_start(self._info, start, controls, prompt)
        if self._game is None:
            raise WorldError(f"{self._info.name} is closed; open it again")
        rng = stream(seed, "doom start")
        if self.levels:
            index = sub_seed(seed, "doom level") % len(self.levels)
            self._level = self.levels[index]
            self._doors = _find_doors(self._level)
            name = map_name(index)
            x, y, compass = draw_start(self._level, rng)
        else:
            name, x, y, compass = self.config.map.partition(":")[2], None, None, float(rng.integers(0, 360))
        self._begin(name, seed)
        self._place(x, y, compass)
        self._seed = seed
        self._controls = []
        self._counts = {}
        self._frame = None
        self._frame = self._read(0)
        return self._frame

    def _begin(self, map_name: str, seed: int) -> None:
        assert self._game is not None
        if map_name != self._map:
            self._game.set_doom_map(map_name)
            self._map = map_name
        self._game.set_seed(sub_seed(seed, "doom engine"))
        self._game.new_episode()

    def _place(self, x: float | None, y: float | None, compass: float) -> None:
        """Warp to a place, turn to a heading and let the view settle."""
        assert self._game is not None
        if x is not None:
            self._game.send_game_command(f"warp {x:g} {y:g}")
        idle = [0.0] * (len(KEYS) + 2)
        rise, watch, turn_tics, settle = WARM_UP_TICS
        self._game.make_action(idle, rise)
        for _ in range(watch):
            self._game.make_action(idle, 1)
        angle = self._game.get_game_variable(self._vizdoom.GameVariable.CAMERA_ANGLE)
        turn = (compass - (90.0 - angle) + 180.0) % 360.0 - 180.0
        self._game.make_action([*idle[:-2], turn, 0.0], turn_tics)
        self._game.make_action(idle, settle)

    def step(self, control: Control) -> Frame:
        """Play one control for ``tics_per_step`` tics; the turn is spread evenly over them.

        Raises:
            ControlError: when the control is not offered.
            WorldError: before reset, after close, after the episode ended, or when the engine died.
        """
        if self._frame is None or self._game is None:
            raise WorldError(f"{self._info.name} is not started; call reset first")
        if self._frame.truth["ended"]:
            raise WorldError(f"{self._info.name} has ended; call reset to begin again")
        self._info.controls.check(control)
        tics = self.config.tics_per_step
        action = [1.0 if key in control.keys else 0.0 for key in KEYS]
        action += [control.look[0] / tics, control.look[1] / tics]
        try:
            self._game.make_action(action, tics)
        except (self._vizdoom.ViZDoomUnexpectedExitException, self._vizdoom.ViZDoomErrorException) as error:
            index = self._frame.index
            self.close()
            raise LostWorldError(
                f"the Doom engine stopped after step {index} ({error}); open the world again and restore"
            ) from error
        self._controls.append(control)
        self._frame = self._read(self._frame.index + 1)
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the seed and all controls so far: the engine repeats itself exactly."""
        if self._frame is None or self._seed is None:
            raise WorldError(f"{self._info.name} is not started; call reset first")
        payload = (self.config, self._seed, tuple(self._controls))
        return Snapshot(world=self._info.name, frame=self._frame, payload=payload)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Play a snapshot's seed and controls again; takes as long as its steps.

        Raises:
            WorldError: when the snapshot belongs to another world or another configuration of this one.
        """
        check_snapshot(self._info, snapshot)
        config, seed, controls = snapshot.payload
        if config != self.config:
            raise WorldError(
                f"the snapshot was taken in {self._info.name} with another DoomConfig; open one like it"
            )
        frame = self.reset(seed)
        for control in controls:
            frame = self.step(control)
        return frame

    def close(self) -> None:
        """Stop the engine; calling it twice does no harm."""
        self._stop()
        self._game = None
        self._frame = None

    def _read(self, index: int) -> Frame:
        """The picture and the truth after a step; an ended episode shows its last picture again."""
        assert self._game is not None
        state = self._game.get_state()
        if state is None:
            assert self._frame is not None
            truth = {**self._frame.truth, "events": ("ended",), "ended": True}
            return Frame(image=self._frame.image, index=index, truth=truth)
        values: dict[str, float] = dict(zip(VARIABLES, state.game_variables.tolist(), strict=True))
        truth: dict[str, Any] = {
            "pose": {
                "x": values["CAMERA_POSITION_X"],
                "y": values["CAMERA_POSITION_Y"],
                "z": values["CAMERA_POSITION_Z"],
                "yaw": (90.0 - values["CAMERA_ANGLE"]) % 360.0,
                "pitch": -values["CAMERA_PITCH"],
                "roll": values["CAMERA_ROLL"],
                "fov": values["CAMERA_FOV"],
                "view_height": values["VIEW_HEIGHT"],
            },
            "reward": 0.0,
            "ended": False,
            "events": self._count_events(values),
        }
        if self._level is not None:
            truth["level_seed"] = self._level.seed
            truth["room"] = self._level.room_at(values["CAMERA_POSITION_X"], values["CAMERA_POSITION_Y"])
            truth["doors"] = {
                link: (state.sectors[sector].ceiling_height - state.sectors[sector].floor_height) / full
                for link, (sector, full) in self._doors.items()
            }
            truth["events"] += self._watch_doors(truth["doors"])
        if self.config.depth == "on":
            truth["depth"] = self._measure_depth(state, truth["pose"])
        image = area_reduce(state.screen_buffer, self.config.height, self.config.width)
        return Frame(image=image, index=index, truth=truth)

    def _measure_depth(self, state: Any, pose: Mapping[str, float]) -> np.ndarray:
        height, width = self.config.height, self.config.width
        if self._level is None:
            return read_depth(state.depth_buffer, height, width)
        if self._level.seed not in self._casters:
            self._casters[self._level.seed] = DepthCaster(self._level.regions)
        heights = [(sector.floor_height, sector.ceiling_height) for sector in state.sectors]
        return self._casters[self._level.seed].cast(pose, heights, height, width)

    def _watch_doors(self, doors: Mapping[int, float]) -> tuple[str, ...]:
        if self._frame is None:
            return ()
        before = self._frame.truth["doors"]
        opened = any(before[link] == 0 < doors[link] for link in doors)
        closed = any(doors[link] == 0 < before[link] for link in doors)
        return ("door_opened",) * opened + ("door_closed",) * closed

    def _count_events(self, values: Mapping[str, float]) -> tuple[str, ...]:
        events = []
        for name, (variable, sign) in COUNTED_EVENTS.items():
            if variable in self._counts and sign * (values[variable] - self._counts[variable]) > 0:
                events.append(name)
            self._counts[variable] = values[variable]
        return tuple(events)


def _describe(config: DoomConfig, version: str) -> WorldInfo:
    return WorldInfo(
        name="game:doom",
        fps=TICS_PER_SECOND / config.tics_per_step,
        height=config.height,
        width=config.width,
        controls=ControlSpace(
            keys=KEYS, bindings=dict(BINDINGS), look_limit=(config.max_turn, config.max_pitch)
        ),
        engine=f"vizdoom {version}",
        description="Doom with Freedoom pictures: walk, turn, jump, shoot, open doors; no two rooms alike.",
    )


def _find_doors(level: Level) -> dict[int, tuple[int, float]]:
    """For each link that is a door: the engine's number of its sector and its height when fully open."""
    doors = {}
    for index, link in enumerate(level.links):
        if link.kind == "door":
            region = region_at(level.regions, *link.middle)
            assert region is not None, link
            doors[index] = (sector_number(level.regions, region), float(DOOR_HEIGHT - DOOR_REST))
    return doors


def _stop_engine(game: Any, folder: tempfile.TemporaryDirectory[str]) -> None:
    """The engine saves its settings as it stops, so the folder goes last."""
    game.close()
    folder.cleanup()


def _start_engine(vizdoom: Any, config: DoomConfig, levels: Sequence[Level], folder: Path) -> Any:
    """Start the engine on the archive of ``levels`` or on a stock map; its settings go to ``folder``."""
    iwad, _, first_map = ("freedoom2", "", map_name(0)) if levels else config.map.partition(":")
    if not levels and first_map.upper() not in stock_maps(game_path(vizdoom, iwad)):
        known = stock_maps(game_path(vizdoom, iwad))
        raise WorldError(
            f'map "{first_map}" is not in {iwad}; it has {known[0].lower()} to {known[-1].lower()}'
        )
    game = vizdoom.DoomGame()
    game.set_vizdoom_path(str(write_launcher(vizdoom, folder)))
    game.set_doom_config_path(str(folder / "engine.ini"))
    game.set_doom_game_path(str(game_path(vizdoom, iwad)))
    game.set_doom_scenario_path(str(cached_wad(vizdoom, levels)))
    game.set_doom_map(first_map)
    game.set_mode(vizdoom.Mode.PLAYER)
    size = RENDER_SIZES[config.render_width, config.render_height]
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, size))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_render_hud(False)
    game.set_render_crosshair(False)
    game.set_render_weapon(config.weapon == "shown")
    game.set_render_messages(False)
    game.set_episode_timeout(0)
    game.set_depth_buffer_enabled(config.depth == "on" and not levels)
    game.set_sectors_info_enabled(bool(levels))
    game.set_available_buttons([getattr(vizdoom.Button, name) for name in BUTTONS])
    game.set_available_game_variables([getattr(vizdoom.GameVariable, name) for name in VARIABLES])
    if not levels and config.monsters == "off":
        game.add_game_args("-nomonsters")
    game.init()
    return game
