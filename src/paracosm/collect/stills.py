"""Leaving still frames out of a recording, their controls kept, so that it can still be drawn again.

Of a run of frames that look the same the last one stays, under the control that ended the run. It bears its
number in the game, and the controls of the frames left out. This file does NOT know games or files.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.world import Frame

SOURCE_FRAME = "source_frame"
"""Truth of a kept frame: its number in the game."""
LEFT_OUT = "left_out"
"""Truth of a kept frame: the controls of the still frames before it, as JSON."""


class Keeper(Protocol):
    """Writes frames and controls, as ``EpisodeWriter`` does."""

    def begin(self, frame: Frame) -> None:
        """Write the first frame."""
        ...

    def step(self, control: Control | None, frame: Frame) -> None:
        """Write the control at the newest frame, and the frame that followed."""
        ...


class StillFilter:
    """Hands frames on to a writer, one behind, and leaves still ones out.

    Args:
        writer: gets the frames that stay.
        most_change: mean absolute difference, of 255, up to which two frames look the same; 0 is equal to
            the byte.
    """

    def __init__(self, writer: Keeper, most_change: float) -> None:
        self._writer, self._most_change = writer, most_change
        self._held: Frame | None = None
        self._look = np.zeros(0)
        self._led: Control | None = None
        self._left_out: list[Control] = []
        self._count = 0

    def begin(self, frame: Frame) -> None:
        """Take the first frame."""
        self._held, self._look = frame, frame.image

    def step(self, control: Control, frame: Frame) -> None:
        """Take the control at the newest frame, and the frame that followed."""
        if self._is_still(frame):
            self._left_out.append(control)
            self._held = frame
            return
        self.end()
        self._held, self._look, self._led, self._left_out = frame, frame.image, control, []

    def end(self) -> None:
        """Hand on the frame that is held."""
        assert self._held is not None, "begin comes first"
        told = json.dumps([_to_json(control) for control in self._left_out]) if self._left_out else ""
        truth = {**self._held.truth, SOURCE_FRAME: self._held.index, LEFT_OUT: told}
        frame = dataclasses.replace(self._held, index=self._count, truth=truth)
        if self._count:
            self._writer.step(self._led, frame)
        else:
            self._writer.begin(frame)
        self._count += 1

    def _is_still(self, frame: Frame) -> bool:
        """Whether nothing is seen and nothing happened since the run of still frames began."""
        truth = frame.truth
        if truth.get("events") or truth.get("ended") or truth.get("reward"):
            return False
        difference = np.abs(frame.image.astype(np.int16) - self._look).mean(dtype=np.float64)
        return bool(difference <= self._most_change)


def all_controls(kept: Sequence[Control], left_out: Sequence[str]) -> Iterator[Control]:
    """Return every control that the game was given, also those of frames left out.

    Args:
        kept: the controls of a recording's rows, one fewer than rows.
        left_out: what stands in LEFT_OUT of each row.
    """
    for row, told in enumerate(left_out):
        for value in json.loads(told) if told else ():
            yield Control(value["keys"], value["look"], value.get("text"), value.get("latent"))
        if row < len(kept):
            yield kept[row]


def _to_json(control: Control) -> dict[str, object]:
    value: dict[str, object] = {"keys": sorted(control.keys), "look": list(control.look)}
    if control.text is not None:
        value["text"] = control.text
    if control.latent is not None:
        value["latent"] = control.latent
    return value
