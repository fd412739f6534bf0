"""A third-party 3D game captured from its window: Debian's Minetest behind the ``World`` contract.

The game is not changed: it draws into a private X server, takes keys and mouse from it, and lives under a
clock that moves one step at a time, so that one control is one frame of it. Its picture carries its own
number, its log tells what is true of that number; a frame that does not fit its control is refused. What it
cannot do is repeat itself to the byte or go back. This file does NOT know how the game is started or what its
mods say.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import LostWorldError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import REPEATS, Frame, Snapshot, WorldInfo, check_snapshot, check_start

from .minetest_config import MinetestConfig, shrink
from .minetest_files import Programs, find_programs, write_files
from .minetest_number import BLOCK
from .minetest_process import LOADING_WAIT_S, MinetestProcess, PortTakenError, private_folder
from .minetest_record import FrameRecord
from .minetest_sky import Sky

KEYS: Mapping[str, str] = {
    "forward": "w",
    "back": "s",
    "left": "a",
    "right": "d",
    "jump": "space",
    "sneak": "shift",
}
"""The keys of the world, in the order that control vectors use, and the game's own keys for them."""

BINDINGS: Mapping[str, str] = {
    "KeyW": "forward",
    "KeyS": "back",
    "KeyA": "left",
    "KeyD": "right",
    "ArrowUp": "forward",
    "ArrowDown": "back",
    "Space": "jump",
    "ShiftLeft": "sneak",
}

EYE_HEIGHT = 1.625
"""From the player's feet to the eyes, in nodes."""

MOST_PLACES = 40
"""Places drawn for a start before the world is given up as all water."""

PORT_TRIES = 4
"""Network ports that a starting game may draw before it is given up."""

NUDGE_S = 0.002
"""Part of a step in which the game takes keys and mouse: it looks at the mouse when its clock has moved."""


class MinetestWorld:
    """Minetest as a world: ``reset(seed)`` goes to a place on its map, ``step`` plays one frame of it.

    ``frame.truth`` holds "pose" (x, y, z of the player's eyes in nodes, y up; yaw as a compass: degrees
    clockwise from +z; pitch up positive; roll; fov: degrees across the frame), "weather", "light", "biome",
    "person", "time_of_day" (0 to 1), "speed" (nodes a second along the ground), "on_ground", "in_water",
    "game_frame" (the number that the picture carried), "reward" (0), "ended" (False) and "events":
    "weather_NAME" and "light_NAME" when they change, "jump", "land", "into_water".

    Two runs of one seed and the same controls show the same places, changes and motion, but not the same
    bytes: the game makes and sends its map on threads of its own.

    Args:
        config: how the game is played and seen.

    Raises:
        MissingPackageError: when the game or what captures it is not installed.
        WorldError: when the game does not start.
    """

    def __init__(self, config: MinetestConfig | None = None) -> None:
        self.config = config or MinetestConfig()
        self._programs = find_programs()
        self._info = _describe(self.config, self._programs)
        self._tick = 1.0 / self.config.steps_per_second
        self._game: MinetestProcess | None = None
        self._closed = False
        self._held: frozenset[str] = frozenset()
        self._frame: Frame | None = None
        self._last: FrameRecord | None = None

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
        """Go to the place of a seed, with its weather and light, and wait until all around is loaded.

        Args:
            seed: any integer >= 0; picks place, heading, person, weather and light, and when they change.
            start: must be None: the game cannot begin from a picture.
            controls: must be empty.
            prompt: must be None.

        Raises:
            WorldError: when a start or prompt is given, the world is closed, or the game died.
        """
        check_start(self._info, start, controls, prompt)
        game = self._need_game()
        self._hold(game, frozenset())
        game.set_pace("loose")
        config = self.config
        self._sky = Sky(seed, config.change_seconds, config.steps_per_second, config.weathers, config.lights)
        person = self.config.person
        if person == "mixed":
            person = ("first", "third")[int(stream(seed, "minetest person").integers(2))]
        game.order("person", person)
        game.order("weather", self._sky.weather)
        game.order("light", self._sky.light)
        yaw = self._go(game, seed)
        self._look_around(game, yaw, person)
        game.set_pace("exact")
        game.wait_until_still(game.settle())
        self._frame = None
        self._wet = 0
        record = self._play(game)
        self._wanted_yaw, self._wanted_pitch = record.numbers["yaw"], record.numbers["pitch"]
        self._last = record
        self._frame = self._show(game, record, 0, ())
        return self._frame

    def step(self, control: Control) -> Frame:
        """Hold the keys, turn the mouse, move the game's clock by one step, and capture what it draws.

        Raises:
            ControlError: when the control is not offered.
            WorldError: before reset, after close, when the game died, or when it did not do what the control
                says.
        """
        if self._frame is None or self._last is None:
            raise WorldError(f"{self._info.name} is not started; call reset first")
        game = self._need_game()
        self._info.controls.check(control)
        index = self._frame.index + 1
        for name, value in self._sky.changes(index):
            game.order(name, value)
        before = self._last
        nudged = self._give(game, before, control)
        record = self._play(game, self._tick - nudged)
        self._check(record, before, control)
        self._last = record
        self._frame = self._show(game, record, index, self._events(before, record))
        return self._frame

    def snapshot(self) -> Snapshot:
        """Refuse: the game keeps its state to itself.

        Raises:
            WorldError: always.
        """
        raise WorldError(
            f"{self._info.name} cannot keep its state: the game has no way back; record it, and play the "
            "recording with replay:PATH#0"
        )

    def restore(self, snapshot: Snapshot) -> Frame:
        """Refuse: there are no snapshots of this world.

        Raises:
            WorldError: always.
        """
        check_snapshot(self._info, snapshot)
        raise WorldError(f"{self._info.name} cannot go back to a state; call reset with the seed")

    def close(self) -> None:
        """End the game; calling it twice does no harm."""
        self._closed = True
        if self._game is not None:
            self._game.close()
            self._game = None
        self._frame = None

    def _need_game(self) -> MinetestProcess:
        """The running game; it starts when it is first needed: asking what it is should not take so long."""
        if self._closed:
            raise WorldError(f"{self._info.name} is closed; open it again")
        if self._game is None:
            self._game = self._start()
            self._held = frozenset()
        return self._game

    def _start(self) -> MinetestProcess:
        """Start the game; one whose network port is taken is started anew, with another port."""
        for _ in range(PORT_TRIES - 1):
            with contextlib.suppress(PortTakenError):
                return self._start_once()
        return self._start_once()

    def _start_once(self) -> MinetestProcess:
        """Start the game, let its clock run until it draws, then give its window the keyboard."""
        folder = private_folder()
        write_files(
            folder,
            window=self.config.window,
            sensitivity=self.config.degrees_per_pixel,
            map_seed=self.config.map_seed,
            viewing_range=self.config.viewing_range,
            hand=self.config.hand == "shown",
        )
        game = MinetestProcess(self._programs, folder, self.config.window)
        try:
            game.run_until_drawing(self._tick)
            game.calm()
            windows = game.screen.windows()
            if not windows:
                raise LostWorldError("minetest opened no window; open the world again")
            game.screen.focus(windows[-1])
        except BaseException:
            game.close()
            raise
        return game

    def _play(self, game: MinetestProcess, seconds: float = 0.0) -> FrameRecord:
        """One step of the clock, one frame of the game."""
        game.advance(seconds or self._tick)
        return game.next_record()

    def _wait_for(self, game: MinetestProcess, order: int) -> FrameRecord:
        record = self._play(game)
        while record.order < order:
            time.sleep(LOADING_WAIT_S)  # the map is made on other threads; drawing would take their time
            record = self._play(game)
        return record

    def _go(self, game: MinetestProcess, seed: int) -> float:
        """Stand the player on the first dry place that the seed draws; returns the heading as a compass."""
        rng, half = stream(seed, "minetest start"), self.config.span // 2
        for _ in range(MOST_PLACES):
            x, z = (int(value) for value in rng.integers(-half, half, 2) + self.config.centre)
            yaw = float(rng.integers(0, 360))
            if self._wait_for(game, game.order("place", x, z, yaw)).words["place"] == "stands":
                return yaw
        raise WorldError(
            f"map_seed {self.config.map_seed} has no dry ground in {MOST_PLACES} places of seed {seed}; "
            "use another map_seed or a larger span"
        )

    def _look_around(self, game: MinetestProcess, yaw: float, person: str) -> None:
        """Have everything sent and drawn that the player could see by turning round, and seen as asked."""
        for quarter in range(4):
            game.order("look", (yaw + 90 * quarter) % 360)
            for _ in range(4):
                self._play(game)
        record = self._wait_for(game, game.order("look", yaw))
        for _ in range(60):
            if record.missing == 0 and record.words["person"] == person:
                return
            time.sleep(LOADING_WAIT_S)
            record = self._play(game)
        if record.words["person"] != person:
            raise LostWorldError(f"minetest did not change its view to {person} person; open the world again")

    def _hold(self, game: MinetestProcess, keys: frozenset[str]) -> None:
        for name, key in KEYS.items():
            if (name in keys) != (name in self._held):
                game.screen.press(key, name in keys)
        self._held = frozenset(keys)

    def _give(self, game: MinetestProcess, before: FrameRecord, control: Control) -> float:
        """Give the game a control and wait until it has it; returns the seconds of the step that this took.

        Mouse angles are whole pixels; what is less than one is made up for in later steps.
        """
        self._wanted_yaw -= control.look[0]
        self._wanted_pitch = min(89.0, max(-89.0, self._wanted_pitch + control.look[1]))
        scale, (width, height) = self.config.degrees_per_pixel, self.config.window
        yaw, pitch = before.numbers["yaw"], before.numbers["pitch"]
        right, up = round((yaw - self._wanted_yaw) / scale), round((self._wanted_pitch - pitch) / scale)
        if control.keys == self._held and not right and not up:
            return 0.0
        self._hold(game, control.keys)
        if right or up:
            game.screen.move_mouse(width // 2 + right, height // 2 - up)
        game.screen.wait()
        game.nudge(NUDGE_S)
        game.wait_until_seen(control.keys, yaw - right * scale, pitch + up * scale, scale / 2)
        return NUDGE_S

    def _check(self, record: FrameRecord, before: FrameRecord, control: Control) -> None:
        """Refuse a frame that was made by something else than its control."""
        if record.frame != before.frame + 1 or not self._need_game().is_current(record):
            raise LostWorldError(
                f"minetest drew frame {record.frame} after {before.frame} in one step; open the world again"
            )
        away = abs(record.numbers["yaw"] - self._wanted_yaw)
        if record.keys != control.keys or away > self.config.degrees_per_pixel:
            raise LostWorldError(
                f"minetest held {sorted(record.keys)} in frame {record.frame} and looked {away:.2f} degrees "
                f"away, asked were {sorted(control.keys)}; open the world again"
            )

    def _events(self, before: FrameRecord, now: FrameRecord) -> tuple[str, ...]:
        events = [
            f"{name}_{now.words[name]}"
            for name in ("weather", "light")
            if now.words[name] != before.words[name]
        ]
        if before.ground and not now.ground and "jump" in now.keys:
            events.append("jump")
        if now.ground and not before.ground:
            events.append("land")
        # The game says in turn that a swimmer is in the water and above it.
        if now.liquid and self._wet == 0:
            events.append("into_water")
        self._wet = self.config.steps_per_second if now.liquid else max(0, self._wet - 1)
        return tuple(events)

    def _show(self, game: MinetestProcess, record: FrameRecord, index: int, events: tuple[str, ...]) -> Frame:
        picture = shrink(game.picture_of(record)[BLOCK:-BLOCK], self.config.supersampling)
        numbers = record.numbers
        truth: dict[str, Any] = {
            "pose": {
                "x": numbers["feet_x"],
                "y": numbers["feet_y"] + EYE_HEIGHT,
                "z": numbers["feet_z"],
                "yaw": (90.0 - numbers["yaw"]) % 360.0,
                "pitch": numbers["pitch"],
                "roll": 0.0,
                "fov": numbers["fov_x"],
            },
            "weather": record.words["weather"],
            "light": record.words["light"],
            "biome": record.words["biome"],
            "person": record.words["person"],
            "time_of_day": numbers["time"],
            "speed": float(np.hypot(numbers["speed_x"], numbers["speed_z"])),
            "on_ground": record.ground,
            "in_water": record.liquid,
            "game_frame": record.frame,
            "reward": 0.0,
            "ended": False,
            "events": events,
        }
        return Frame(image=np.ascontiguousarray(picture), index=index, truth=truth)


def _describe(config: MinetestConfig, programs: Programs) -> WorldInfo:
    return WorldInfo(
        name="game:minetest",
        fps=config.steps_per_second,
        height=config.height,
        width=config.width,
        controls=ControlSpace(
            keys=tuple(KEYS), bindings=dict(BINDINGS), look_limit=(config.max_turn, config.max_pitch)
        ),
        engine=programs.version,
        description=(
            "Minetest, captured from its window: walk, jump, sneak and look about in a wide country of nodes "
            "while weather and light change."
        ),
        details={REPEATS: "no", "snapshots": "no"},
    )
