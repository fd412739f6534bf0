"""Anything that can be stepped with a controller is a World: a game, a recording, a neural network.

The recorder, the browser server, the evaluator and the agent adapter know only what stands here. This file
does NOT know any world; ``paracosm.worlds`` opens them by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import WorldError

Start = Literal["seed", "image", "clip", "prompt"]
"""What a world can begin from."""

REPEATS = "repeats"
"""Name in ``WorldInfo.details``: "no" for a world in which the same seed and controls do not give the same
bytes, such as a captured game; absent everywhere else."""

_Held = TypeVar("_Held")


@dataclass(frozen=True, kw_only=True)
class WorldInfo:
    """What a world is, known before it is started.

    Attributes:
        name: how the world is called, e.g. "game:doom".
        fps: steps a second at the world's own pace.
        height: rows of a frame in pixels.
        width: columns of a frame in pixels.
        controls: what the player may do.
        starts: what ``reset`` accepts beside nothing at all.
        engine: what computes the frames and its version, e.g. "vizdoom 1.3.2" or a weights hash; part of
            every recipe.
        description: one or two sentences for people.
        details: figures worth showing beside a speed, e.g. {"denoise_steps": 2, "tokens_per_frame": 12}.
        latent_pictures: for each learnt action a PNG of what it was found to do; () where none were drawn.
    """

    name: str
    fps: float
    height: int
    width: int
    controls: ControlSpace
    starts: tuple[Start, ...] = ("seed",)
    engine: str = ""
    description: str = ""
    details: Mapping[str, str | int | float] = field(default_factory=dict)
    latent_pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture of a world.

    Attributes:
        image: uint8 (h, w, 3), RGB; never written to after it was handed out.
        index: steps taken since reset; the first frame has 0.
        truth: what the world knows beside the picture: pose, events, reward, ended; {} where it knows
            nothing. Keys used by all worlds: "reward" (float), "ended" (bool: the episode is over, step()
            will refuse), "events" (tuple of names that happened in the step that led here), "pose" (mapping).
    """

    image: np.ndarray
    index: int
    truth: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The complete state of a world at one frame; only the world that made it can read the payload.

    Attributes:
        world: ``WorldInfo.name`` of the maker.
        frame: the frame at which it was taken.
        payload: the maker's own state; never changed after it was handed out.
    """

    world: str
    frame: Frame
    payload: Any


@runtime_checkable
class World(Protocol):
    """Anything that can be stepped with a controller."""

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        ...

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin again and return the first frame.

        Args:
            seed: level or noise seed, >= 0; the same seed and controls give the same bytes.
            start: None, an image uint8 (h, w, 3) or a clip uint8 (t, h, w, 3) to go on from.
            controls: the t - 1 controls between the frames of a start clip.
            prompt: words that describe the world to begin.

        Raises:
            WorldError: when the world cannot begin this way.
        """
        ...

    def step(self, control: Control) -> Frame:
        """Apply one control and return the frame that follows.

        Raises:
            ControlError: when the control is not offered.
            WorldError: before reset, after close, or after a frame whose truth says "ended".
        """
        ...

    def snapshot(self) -> Snapshot:
        """Return the complete state; restoring it replays the same bytes."""
        ...

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back to a snapshot of this world and return its frame.

        Raises:
            WorldError: when the snapshot belongs to another world.
        """
        ...

    def close(self) -> None:
        """Free what the world holds; calling it twice does no harm."""
        ...


class WorldOpener(Protocol):
    """A function that opens a world by name, as ``paracosm.worlds.open_world`` does."""

    def __call__(self, name: str) -> World:
        """Open the world called ``name``."""
        ...


class Policy(Protocol):
    """A player: chooses the control of each step."""

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode in ``world`` at its first frame; all draws come from ``seed``."""
        ...

    def act(self, frame: Frame) -> Control:
        """Choose the control that acts between this frame and the next."""
        ...


def check_start(
    info: WorldInfo, start: np.ndarray | None, controls: Sequence[Control], prompt: str | None
) -> None:
    """Refuse a start that ``info`` does not allow or whose shape is wrong.

    Raises:
        WorldError: names what was given and what the world accepts.
    """
    if prompt is not None and "prompt" not in info.starts:
        raise WorldError(f"{info.name} takes no prompt; it starts from {', '.join(info.starts)}")
    if start is None:
        if controls:
            raise WorldError(
                f"{len(controls)} start controls were given without a start clip; pass start as well"
            )
        return
    kind = {3: "image", 4: "clip"}.get(start.ndim)
    if kind is None or start.shape[-1] != 3 or start.dtype != np.uint8:
        raise WorldError(
            f"start of shape {start.shape} and type {start.dtype} is no picture; "
            "pass uint8 (h, w, 3) or (t, h, w, 3)"
        )
    if kind not in info.starts:
        given = "an image" if kind == "image" else "a clip"
        raise WorldError(f"{info.name} cannot start from {given}; it starts from {', '.join(info.starts)}")
    if start.shape[-3:-1] != (info.height, info.width):
        raise WorldError(
            f"start is {start.shape[-3]} high and {start.shape[-2]} wide; "
            f"{info.name} needs {info.height} x {info.width}"
        )
    expected = 0 if kind == "image" else start.shape[0] - 1
    if len(controls) != expected:
        raise WorldError(
            f"a start of {expected + 1} frames needs {expected} controls between them, "
            f"{len(controls)} were given"
        )


def check_snapshot(info: WorldInfo, snapshot: Snapshot) -> None:
    """Refuse a snapshot that another world made.

    Raises:
        WorldError: names both worlds.
    """
    if snapshot.world != info.name:
        raise WorldError(f"the snapshot was taken in {snapshot.world}, not in {info.name}; restore it there")


def check_open(info: WorldInfo, held: _Held | None) -> _Held:
    """Return what a world holds while it is open: its engine, its networks, its frames.

    Raises:
        WorldError: when it is None, since the world was closed.
    """
    if held is None:
        raise WorldError(f"{info.name} is closed; open it again")
    return held


def check_begun(info: WorldInfo, frame: Frame | None) -> Frame:
    """Return the frame that a world shows.

    Raises:
        WorldError: when there is none, since the world was not reset.
    """
    if frame is None:
        raise WorldError(f"{info.name} has not begun; call reset first")
    return frame


def check_step(info: WorldInfo, frame: Frame | None, control: Control) -> Frame:
    """Return the frame from which an episode takes its next step.

    Raises:
        WorldError: when the world was not reset, or the episode is over.
        ControlError: when the control is not offered.
    """
    if frame is None:
        raise WorldError(f"{info.name} was stepped before it was reset; call reset() first")
    if frame.truth["ended"]:
        raise WorldError(f"{info.name} has ended; call reset() to begin again")
    info.controls.check(control)
    return frame
