"""A recorded episode as a world: shows the recorded frames, in order.

A recording cannot be steered. The world offers the recording's controls, checks what it is given, and tells
beside each frame the control that was recorded (``truth["recorded_control"]``) and whether the given one was
the same (``truth["followed"]``), so that nothing is ignored silently. This file does NOT know how recordings
are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import WorldError
from paracosm.core.world import (
    Frame,
    Snapshot,
    WorldInfo,
    check_begun,
    check_open,
    check_snapshot,
    check_start,
    check_step,
)
from paracosm.data.format import POSE_PREFIX, TRUTH_PREFIX
from paracosm.data.reader import Dataset


class ReplayWorld:
    """One recorded episode that can be stepped through, snapshot and restored like any world."""

    def __init__(self, path: Path | str, episode_index: int = 0) -> None:
        """Open an episode.

        Args:
            path: folder of the dataset.
            episode_index: which episode, counted from 0 in the order of names.

        Raises:
            DataError: when there is no such recording or episode, or it is not whole.
        """
        self.episode = Dataset(path).episode(episode_index)
        recorded = self.episode.info
        self._info = replace(
            recorded,
            name=f"replay:{path}#{episode_index}",
            starts=("seed",),
            description=f"Recorded episode {self.episode.name} of {recorded.name}; it cannot be steered.",
        )
        self._frames: np.ndarray | None = self.episode.frames
        self._controls = self.episode.controls if self.episode.has_controls else None
        self._rows: list[dict[str, Any]] = self.episode.table.to_pylist()
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        """What this world is; its controls are those of the recorded world."""
        return self._info

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Go to the first recorded frame; every seed gives the same, since there is but one recording."""
        check_start(self._info, start, controls, prompt)
        self._frame = self._show(0, None)
        return self._frame

    def step(self, control: Control) -> Frame:
        """Go to the next recorded frame."""
        if self._frame is not None and self._frame.truth["ended"]:
            raise WorldError(f"{self._info.name} is at its last frame; call reset() to see it again")
        shown = check_step(self._info, self._frame, control)
        self._frame = self._show(shown.index + 1, control)
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the place in the recording."""
        frame = check_begun(self._info, self._frame)
        return Snapshot(world=self._info.name, frame=frame, payload=frame.index)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back to a place in the recording."""
        check_snapshot(self._info, snapshot)
        check_open(self._info, self._frames)
        self._frame = snapshot.frame
        return snapshot.frame

    def close(self) -> None:
        """Let go of the frames."""
        self._frames = None

    def _show(self, index: int, control: Control | None) -> Frame:
        row = self._rows[index]
        truth: dict[str, Any] = {name: row[name] for name in ("reward",) if row[name] is not None}
        truth["events"] = tuple(row["events"] or ())
        truth["ended"] = index == self.episode.num_frames - 1
        pose = {name.removeprefix(POSE_PREFIX): row[name] for name in row if name.startswith(POSE_PREFIX)}
        if pose:
            truth["pose"] = pose
        for name, value in row.items():
            if name.startswith(TRUTH_PREFIX) and value is not None:
                truth[name.removeprefix(TRUTH_PREFIX)] = value
        if control is not None and self._controls is not None:
            recorded = self._controls[index - 1]
            truth["recorded_control"] = {
                "keys": tuple(sorted(recorded.keys)),
                "look": recorded.look,
                "text": recorded.text,
            }
            truth["followed"] = control == recorded
        return Frame(image=np.array(check_open(self._info, self._frames)[index]), index=index, truth=truth)
