"""A world of moving shapes that knows what it shows: a square that keys move, in rooms whose light changes.

The light goes on or off by itself every few steps, as seeds say, so that recordings hold changes that no key
explains: what an instruction is for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.collect.policies import StickyRandom
from paracosm.collect.record import RecordConfig, record
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.rng import stream
from paracosm.core.world import Frame, Policy, Snapshot, World, WorldInfo, check_snapshot, check_start
from paracosm.data.reader import Dataset

HEIGHT, WIDTH, SIDE, PACE = 16, 24, 4, 2
KEYS = ("left", "right", "up", "down")
CONTROLS = ControlSpace(
    keys=KEYS,
    bindings={"ArrowLeft": "left", "ArrowRight": "right", "ArrowUp": "up", "ArrowDown": "down"},
)
ROOMS = {"red": (170, 40, 40), "blue": (40, 60, 170)}
LIGHT_EVERY = 7
"""Steps between changes of the light, on average."""


@dataclass(frozen=True)
class State:
    seed: int
    index: int
    row: int
    column: int
    room: str
    light: bool


class ShapesWorld:
    def __init__(self, light_every: int = LIGHT_EVERY) -> None:
        self.light_every = light_every
        self.info = WorldInfo(
            name="game:shapes",
            fps=10.0,
            height=HEIGHT,
            width=WIDTH,
            controls=CONTROLS,
            engine="shapes 1",
            description="a square in a room",
        )
        self._state: State | None = None

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        check_start(self.info, start, controls, prompt)
        draws = stream(seed, "shapes")
        row, column = (int(draws.integers((size - SIDE) // PACE + 1)) * PACE for size in (HEIGHT, WIDTH))
        room, light = list(ROOMS)[int(draws.integers(2))], bool(draws.integers(2))
        self._state = State(seed, 0, row, column, room, light)
        return self._show()

    def step(self, control: Control) -> Frame:
        CONTROLS.check(control)
        state = self._state
        assert state is not None
        across = PACE * (("right" in control.keys) - ("left" in control.keys))
        down = PACE * (("down" in control.keys) - ("up" in control.keys))
        toggled = stream(state.seed, "light", state.index).random() < 1 / self.light_every
        self._state = replace(
            state,
            index=state.index + 1,
            row=min(HEIGHT - SIDE, max(0, state.row + down)),
            column=min(WIDTH - SIDE, max(0, state.column + across)),
            light=state.light != toggled,
        )
        return self._show()

    def snapshot(self) -> Snapshot:
        return Snapshot(world=self.info.name, frame=self._show(), payload=self._state)

    def restore(self, snapshot: Snapshot) -> Frame:
        check_snapshot(self.info, snapshot)
        self._state = snapshot.payload
        return snapshot.frame

    def close(self) -> None:
        self._state = None

    def _show(self) -> Frame:
        state = self._state
        assert state is not None
        truth = {"room": state.room, "light": "day" if state.light else "night", "row": state.row}
        truth |= {"column": state.column}
        return Frame(image=picture(state), index=state.index, truth=truth)


def picture(state: State) -> np.ndarray:
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = ROOMS[state.room]
    image[state.row : state.row + SIDE, state.column : state.column + SIDE] = (250, 240, 200)
    return image if state.light else image // 4


def light_of(frames: np.ndarray) -> np.ndarray:
    """Whether it is day in each frame (..., h, w, 3)."""
    return frames.mean((-1, -2, -3)) > 55


def column_of(frames: np.ndarray) -> np.ndarray:
    """Column of the square's centre in each frame (..., h, w, 3)."""
    green = frames[..., 1].astype(np.float64)
    weight = np.maximum(0.0, green - 0.6 * green.max((-1, -2), keepdims=True))
    return (weight.sum(-2) * np.arange(frames.shape[-2])).sum(-1) / weight.sum((-1, -2)) + 0.5


def red_of(frames: np.ndarray) -> np.ndarray:
    """Whether the room is red in each frame (..., h, w, 3)."""
    return frames[..., 0].mean((-1, -2)) > frames[..., 2].mean((-1, -2))


def open_shapes(name: str, config: Any = None) -> World:
    return ShapesWorld(**(config or {}))


def make_player(world: str, policy: str) -> Policy:
    return StickyRandom()


def record_shapes(
    folder: Path, num_episodes: int = 3, max_steps: int = 24, light_every: int = LIGHT_EVERY
) -> Dataset:
    config = RecordConfig(
        world="game:shapes",
        out=folder,
        num_episodes=num_episodes,
        max_steps=max_steps,
        policy="sticky",
        workers=1,
    )
    values = {"light_every": light_every}
    return record(config, open_shapes, make_player, world_config=values)
