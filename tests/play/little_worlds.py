"""Small worlds for the tests: one that shows its controls, one to look at, and some that misbehave."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import WorldError
from paracosm.core.tuning import Dials, Tuning
from paracosm.core.world import Frame, Snapshot, World, WorldInfo, WorldOpener, check_snapshot, check_start

KEYS = ("forward", "back", "left", "right", "jump")
BINDINGS = {
    "KeyW": "forward", "ArrowUp": "forward", "KeyS": "back", "ArrowDown": "back",
    "KeyA": "left", "KeyD": "right", "Space": "jump",
}  # fmt: skip


class ShowingWorld:
    """The picture's first pixels are: steps (low, high byte), keys as bits, yaw and pitch + 128, seed."""

    def __init__(
        self, name: str = "showing", *, fps: float = 50.0, size: tuple[int, int] = (24, 32), ends_at: int = 0
    ):
        self._info = WorldInfo(
            name=name,
            fps=fps,
            height=size[0],
            width=size[1],
            controls=ControlSpace(keys=KEYS, bindings=BINDINGS, look_limit=(10.0, 5.0), text=True),
            starts=("seed", "image"),
            engine="showing 1",
            description="Shows what it was told.",
            details={"tokens_per_frame": 12},
        )
        self._ends_at = ends_at
        self._frame: Frame | None = None
        self.closed = False
        self.seen: list[Control] = []

    @property
    def info(self) -> WorldInfo:
        return self._info

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        check_start(self._info, start, controls, prompt)
        image = (
            np.zeros((self._info.height, self._info.width, 3), np.uint8) if start is None else start.copy()
        )
        image[0, :6, 0] = (0, 0, 0, 128, 128, seed % 256)
        self._frame = Frame(image=image, index=0)
        return self._frame

    def step(self, control: Control) -> Frame:
        if self._frame is None or self.closed or self._frame.truth.get("ended"):
            raise WorldError("the world cannot step; reset it first")
        self._info.controls.check(control)
        self.seen.append(control)
        index = self._frame.index + 1
        image = self._frame.image.copy()
        image[1:, :, 1] = image[1:, :, 1] + 7 * len(control.keys)
        bits = sum(1 << KEYS.index(key) for key in control.keys)
        image[0, :5, 0] = (
            index % 256,
            index // 256 % 256,
            bits,
            128 + round(control.look[0]),
            128 + round(control.look[1]),
        )
        truth = {
            "reward": 1.0,
            "ended": index == self._ends_at,
            "events": ("jumped",) if "jump" in control.keys else (),
        }
        self._frame = Frame(image=image, index=index, truth=truth)
        return self._frame

    def snapshot(self) -> Snapshot:
        assert self._frame is not None
        return Snapshot(world=self._info.name, frame=self._frame, payload={"image": self._frame.image})

    def restore(self, snapshot: Snapshot) -> Frame:
        check_snapshot(self._info, snapshot)
        self._frame = snapshot.frame
        return self._frame

    def close(self) -> None:
        self.closed = True


class FailingWorld(ShowingWorld):
    """Breaks in its third step, as a crashed game would."""

    def step(self, control: Control) -> Frame:
        if self._frame is not None and self._frame.index == 2:
            raise RuntimeError("the engine is gone")
        return super().step(control)


class SlowWorld(ShowingWorld):
    """Takes a quarter of a second for a step."""

    def step(self, control: Control) -> Frame:
        time.sleep(0.25)
        return super().step(control)


class InexactWorld(ShowingWorld):
    """Every step it ever made leaves a trace in the picture, restored or not."""

    def step(self, control: Control) -> Frame:
        frame = super().step(control)
        frame.image[2, 0, 2] = len(self.seen) % 256
        return frame


class GuidedWorld(ShowingWorld):
    """Follows a video prompt: the step that is given one shows its first frame."""

    @property
    def info(self) -> WorldInfo:
        info = super().info
        details = {"frames_per_block": 3}
        return replace(info, controls=replace(info.controls, guide=True), details=details)

    def step(self, control: Control) -> Frame:
        frame = super().step(Control(control.keys, control.look, control.text))
        if control.guide is not None:
            self.seen[-1] = control
            frame.image[:] = control.guide[0]
        return frame


class TunedWorld(ShowingWorld):
    """Shows its passes and guidance in the picture; dropping or rebuilding the past leaves a mark."""

    now = Tuning(passes=2, guidance=1.0)
    mark = 0

    @property
    def dials(self) -> Dials:
        return Dials(passes=(1, 2, 4), guidance=(1.0, 2.0), cache=("drop", "rebuild"), now=self.now)

    def tune(self, tuning: Tuning) -> None:
        self.now = Tuning(
            passes=tuning.passes or self.now.passes, guidance=tuning.guidance or self.now.guidance
        )
        self.mark += {"keep": 0, "drop": 1, "rebuild": 10}[tuning.cache]

    def step(self, control: Control) -> Frame:
        frame = super().step(control)
        frame.image[3, :3, 2] = self.now.passes, round(10 * self.now.guidance), self.mark
        return frame

    def snapshot(self) -> Snapshot:
        kept = super().snapshot()
        return Snapshot(world=kept.world, frame=kept.frame, payload=(self.now, self.mark))

    def restore(self, snapshot: Snapshot) -> Frame:
        self.now, self.mark = snapshot.payload
        return super().restore(snapshot)


class RoomWorld:
    """A hall with coloured walls and pillars, a ray cast for each column: something to look at."""

    def __init__(self, name: str = "room", *, fps: float = 20.0, size: tuple[int, int] = (96, 128)) -> None:
        self._info = WorldInfo(
            name=name,
            fps=fps,
            height=size[0],
            width=size[1],
            controls=ControlSpace(
                keys=("forward", "back", "left", "right", "attack", "use", "jump"),
                bindings={
                    "KeyW": "forward",
                    "ArrowUp": "forward",
                    "KeyS": "back",
                    "ArrowDown": "back",
                    "KeyA": "left",
                    "KeyD": "right",
                    "Mouse0": "attack",
                    "KeyE": "use",
                    "Space": "jump",
                },
                look_limit=(6.0, 4.0),
            ),
            starts=("seed", "image"),
            engine="ray caster 1",
            description="A little hall of pillars, cast ray by ray: it stands in for a game in tests.",
            details={"resolution": f"{size[1]} x {size[0]}", "denoise_steps": 2, "tokens_per_frame": 12},
        )
        self._state = np.zeros(5)
        self._grid = np.zeros((1, 1), int)
        self._picture: np.ndarray | None = None
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        return self._info

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        check_start(self._info, start, controls, prompt)
        rng = np.random.default_rng(seed)
        grid = np.ones((14, 14), int) * (1 + seed % 3)
        grid[1:-1, 1:-1] = np.where(rng.random((12, 12)) < 0.16, rng.integers(1, 6, (12, 12)), 0)
        grid[6:8, 6:8] = 0
        self._grid, self._state = grid, np.array([7.0, 7.0, 0.6, 0.0, 0.0])
        self._picture = None if start is None else start.astype(np.float32)
        return self._show(0)

    def step(self, control: Control) -> Frame:
        assert self._frame is not None
        self._info.controls.check(control)
        x, y, angle, pitch, height = self._state
        angle += np.radians(control.look[0])
        pitch = float(np.clip(pitch + control.look[1], -30, 30))
        ahead = ("forward" in control.keys) - ("back" in control.keys)
        aside = ("right" in control.keys) - ("left" in control.keys)
        height = 0.25 if "jump" in control.keys else height * 0.6
        dx = 0.12 * (ahead * np.cos(angle) - aside * np.sin(angle))
        dy = 0.12 * (ahead * np.sin(angle) + aside * np.cos(angle))
        if self._grid[int(x + 3 * dx), int(y)] == 0:
            x += dx
        if self._grid[int(x), int(y + 3 * dy)] == 0:
            y += dy
        self._state = np.array([x, y, angle, pitch, height])
        return self._show(self._frame.index + 1, flash="attack" in control.keys)

    def snapshot(self) -> Snapshot:
        assert self._frame is not None
        return Snapshot(
            world=self._info.name, frame=self._frame, payload=(self._state.copy(), self._grid, self._picture)
        )

    def restore(self, snapshot: Snapshot) -> Frame:
        check_snapshot(self._info, snapshot)
        self._state, self._grid, self._picture = snapshot.payload
        self._frame = snapshot.frame
        return snapshot.frame

    def close(self) -> None:
        pass

    def _show(self, index: int, *, flash: bool = False) -> Frame:
        h, w = self._info.height, self._info.width
        x, y, angle, pitch, height = self._state
        rays = angle + np.arctan(np.linspace(-0.75, 0.75, w))
        distances = np.arange(0.02, 14, 0.02)[:, None]
        px, py = x + distances * np.cos(rays), y + distances * np.sin(rays)
        walls = self._grid[np.clip(px.astype(int), 0, 13), np.clip(py.astype(int), 0, 13)]
        hit = np.argmax(walls > 0, axis=0)
        columns = np.arange(w)
        far = distances[hit, 0] * np.cos(rays - angle)
        kind = walls[hit, columns]
        fx, fy = px[hit, columns] % 1, py[hit, columns] % 1
        along = np.where(np.minimum(fx, 1 - fx) < np.minimum(fy, 1 - fy), fy, fx)
        palette = np.array(
            [(0, 0, 0), (196, 112, 75), (86, 128, 160), (150, 152, 96), (168, 96, 140), (206, 178, 120)],
            np.float32,
        )
        rows = (np.arange(h)[:, None] - h / 2 - pitch * h / 60) / h
        half = 0.55 / far
        v = (rows / half + 1) / 2 + height
        brick = ((along * 4 + (np.floor(v * 6) % 2) * 0.5) % 1 < 0.08) | ((v * 6) % 1 < 0.12)
        shade = np.clip(1.25 / (1 + 0.22 * far), 0, 1)[None, :, None]
        wall = palette[kind][None] * shade * np.where(brick, 0.68, 1.0)[..., None]
        depth = np.clip(0.5 / np.maximum(np.abs(rows), 0.02), 0, 8)
        floor = (
            np.array((70, 62, 58), np.float32)
            / (1 + 0.25 * depth)[..., None]
            * np.ones((h, w, 1), np.float32)
        )
        sky = (
            np.array((40, 52, 86), np.float32)
            + np.array((60, 40, 30), np.float32) * np.clip(1 + 2 * rows, 0, 1)[..., None]
        )
        image = np.where((np.abs(rows) < half)[..., None], wall, np.where(rows[..., None] > 0, floor, sky))
        if self._picture is not None:
            image = image * 0.6 + self._picture * 0.4
        if flash:
            image = image * 0.6 + np.array((255, 210, 140)) * 0.4
        self._frame = Frame(image=np.clip(image, 0, 255).astype(np.uint8), index=index)
        return self._frame


def opener(**kinds: type) -> WorldOpener:
    """Make an ``open_world`` of little worlds by name; the worlds that it opened are kept in ``.opened``."""

    class Opener:
        opened: list[World] = []  # noqa: RUF012

        def __call__(self, name: str) -> World:
            if name not in kinds:
                raise WorldError(f"there is no world {name}; there are {sorted(kinds)}")
            world = kinds[name](name)
            self.opened.append(world)
            return world

    Opener.opened = []
    return Opener()


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
