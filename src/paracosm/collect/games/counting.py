"""CountingWorld: its picture shows its step number and the control that it received.

Every off-by-one shows: the control law is proved with it, since frame t + 1 shows t + 1 and the control of
step t. It needs no game and is quick. This file does NOT know who steps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import IDLE, Control, ControlSpace
from paracosm.core.errors import ConfigError, DataError, WorldError
from paracosm.core.world import (
    Frame,
    Snapshot,
    WorldInfo,
    check_begun,
    check_snapshot,
    check_start,
    check_step,
)

BLOCK = 4
"""Side of one block in pixels: wide enough to survive a video codec."""

NUM_STEP_BITS = 16
NUM_LOOK_BITS = 16
LOOK_STEP_DEG = 0.001
"""Finest turn that the picture shows."""

_KEYS = ("forward", "back", "left", "right", "attack", "jump")
_BINDINGS = {
    "KeyW": "forward",
    "KeyS": "back",
    "KeyA": "left",
    "KeyD": "right",
    "Mouse0": "attack",
    "Space": "jump",
}


@dataclass(frozen=True, kw_only=True)
class CountingConfig:
    """How the counting world looks and ends."""

    height: int = 32
    """Rows of a frame; the blocks need 24."""
    width: int = 64
    """Columns of a frame; the blocks need 64."""
    length: int = 0
    """Steps after which the episode ends; 0 never ends it."""
    fps: float = 20.0
    """Steps a second."""

    def __post_init__(self) -> None:
        """Refuse frames too small for the blocks."""
        if self.height < 5 * BLOCK or self.width < NUM_STEP_BITS * BLOCK:
            raise ConfigError(
                f"a counting world of {self.height} x {self.width} has no room for its blocks; "
                f"use at least {5 * BLOCK} x {NUM_STEP_BITS * BLOCK}"
            )
        if self.length < 0:
            raise ConfigError(f"length {self.length} is negative; use 0 for no end")


@dataclass(frozen=True)
class _State:
    seed: int
    index: int
    position: int


class CountingWorld:
    """A world that counts.

    Row 0 of its blocks is the step number, row 1 the keys, rows 2 and 3 yaw and pitch, row 4 the seed.
    """

    def __init__(self, config: CountingConfig = CountingConfig()) -> None:
        """Take how it looks."""
        self.config = config
        self._info = WorldInfo(
            name="game:counting",
            fps=config.fps,
            height=config.height,
            width=config.width,
            controls=ControlSpace(keys=_KEYS, bindings=_BINDINGS, look_limit=(30.0, 20.0)),
            starts=("seed", "image", "clip"),
            engine="counting 1",
            description="Shows its step number and the control that it received.",
        )
        self._state: _State | None = None
        self._frame: Frame | None = None
        self._closed = False

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
        """Begin at step 0, or go on from the step that a start image of this world shows."""
        self._need_open()
        check_start(self._info, start, controls, prompt)
        self._state = _State(seed, 0, 0)
        if start is None:
            self._frame = Frame(image=self._draw(0, IDLE), index=0, truth=self._tell(()))
            return self._frame
        image = start if start.ndim == 3 else start[-1]
        self._state = _State(read_seed(image), read_step(image), 0)
        self._frame = Frame(image=image.copy(), index=0, truth=self._tell(()))
        return self._frame

    def step(self, control: Control) -> Frame:
        """Count on; the new picture shows ``control``."""
        self._need_open()
        shown = check_step(self._info, self._frame, control)
        assert self._state is not None, "a world that shows a frame has a state"
        number = self._state.index + 1
        move = ("right" in control.keys) - ("left" in control.keys)
        self._state = _State(self._state.seed, number, self._state.position + move)
        events = ("shot",) if "attack" in control.keys else ()
        self._frame = Frame(
            image=self._draw(number, control), index=shown.index + 1, truth=self._tell(events)
        )
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the complete state."""
        frame = check_begun(self._info, self._frame)
        return Snapshot(world=self._info.name, frame=frame, payload=self._state)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back to a snapshot."""
        self._need_open()
        check_snapshot(self._info, snapshot)
        self._state, self._frame = snapshot.payload, snapshot.frame
        return snapshot.frame

    def close(self) -> None:
        """Refuse further steps."""
        self._closed = True

    def _need_open(self) -> None:
        if self._closed:
            raise WorldError("game:counting is closed; open it again")

    def _tell(self, events: tuple[str, ...]) -> dict[str, object]:
        assert self._state is not None
        ended = self.config.length > 0 and self._state.index >= self.config.length
        pose = {"x": float(self._state.position), "y": 0.0}
        return {
            "reward": float(len(events)),
            "ended": ended,
            "events": events,
            "pose": pose,
            "step": self._state.index,
        }

    def _draw(self, number: int, control: Control) -> np.ndarray:
        assert self._state is not None
        # The background changes with seed and step, so that two frames are never equal by chance.
        image = np.full((self.config.height, self.config.width, 3), 40, np.uint8)
        image[..., 2] = (self._state.seed * 31 + number * 7) % 128
        rows = [
            _to_bits(number, NUM_STEP_BITS),
            [key in control.keys for key in _KEYS],
            _to_bits(_angle_to_number(control.look[0]), NUM_LOOK_BITS),
            _to_bits(_angle_to_number(control.look[1]), NUM_LOOK_BITS),
            _to_bits(self._state.seed % 2**NUM_STEP_BITS, NUM_STEP_BITS),
        ]
        for row, bits in enumerate(rows):
            for column, bit in enumerate(bits):
                block = image[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
                block[...] = 255 if bit else 0
        return image


def read_step(image: np.ndarray) -> int:
    """Read the step number that a frame uint8 (h, w, 3) of this world shows.

    Raises:
        DataError: when the picture is not one of this world's.
    """
    return _read_number(image, 0)


def read_control(image: np.ndarray) -> Control:
    """Read the control that led to a frame of this world; turns to LOOK_STEP_DEG.

    Raises:
        DataError: when the picture is not one of this world's.
    """
    keys = {key for key, bit in zip(_KEYS, _read_bits(image, 1, len(_KEYS)), strict=True) if bit}
    return Control(keys, (_number_to_angle(_read_number(image, 2)), _number_to_angle(_read_number(image, 3))))


def read_seed(image: np.ndarray) -> int:
    """Read the seed, modulo 2**16, that a frame of this world shows."""
    return _read_number(image, 4)


def _to_bits(number: int, count: int) -> list[bool]:
    return [bool(number >> bit & 1) for bit in range(count)]


def _angle_to_number(angle: float) -> int:
    return round(angle / LOOK_STEP_DEG) + 2 ** (NUM_LOOK_BITS - 1)


def _number_to_angle(number: int) -> float:
    return round((number - 2 ** (NUM_LOOK_BITS - 1)) * LOOK_STEP_DEG, 6)


def _read_number(image: np.ndarray, row: int) -> int:
    return sum(1 << index for index, bit in enumerate(_read_bits(image, row, NUM_STEP_BITS)) if bit)


def _read_bits(image: np.ndarray, row: int, count: int) -> list[bool]:
    if image.ndim != 3 or image.shape[0] < 5 * BLOCK or image.shape[1] < NUM_STEP_BITS * BLOCK:
        raise DataError(
            f"a picture of shape {image.shape} is no frame of game:counting; pass uint8 (h, w, 3) of "
            "that world"
        )
    bits = []
    for column in range(count):
        block = image[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
        brightness = float(block.mean())
        if 96 < brightness < 160:
            raise DataError(
                f"block {column} of row {row} is grey ({brightness:.0f}), so this is no frame of "
                "game:counting"
            )
        bits.append(brightness > 128)
    return bits
