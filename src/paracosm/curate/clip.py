"""A clip as the stages see it: its rows of measurements, its pictures and what the world knew.

This file does NOT score anything.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .footage import Source
from .measure import picture_of
from .probe import control_vectors_of, truth_of


@dataclass(frozen=True)
class Clip:
    """Frames start to stop - 1 of one source, without a cut between them.

    Attributes:
        name: "SOURCE#START-STOP".
        source: where it lies.
        start: its first frame.
        stop: the frame after its last.
        fps: mean frame rate of its source.
        height: rows of the upright picture.
        width: columns of the upright picture.
        rows: its part of the source's measurements.
    """

    name: str
    source: Source
    start: int
    stop: int
    fps: float
    height: int
    width: int
    rows: pa.Table

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.stop - self.start

    @property
    def seconds(self) -> float:
        """Its length at its mean rate."""
        return self.num_frames / self.fps

    def column(self, name: str) -> np.ndarray:
        """Return measurements, float64 with nan for what was not measured.

        Args:
            name: a column of numbers of ``measure.SCHEMA``.
        """
        values = self.rows[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.asarray(values, np.float64)

    def motion(self, name: str) -> np.ndarray:
        """Return motion between frames of this clip; what lies before its first frame is left out."""
        return self.column(name)[1:]

    @functools.cached_property
    def pictures(self) -> list[np.ndarray]:
        """Kept pictures in order, uint8 (h, w, 3) RGB; empty when none falls into the clip."""
        return [picture_of(blob) for blob in self.rows["picture"].to_pylist() if blob is not None]

    @functools.cached_property
    def truth(self) -> pa.Table | None:
        """What the world knew, a row for each frame; None for a video."""
        return truth_of(self.source, self.start, self.stop)

    @functools.cached_property
    def controls(self) -> np.ndarray | None:
        """Control vectors between its frames, (num_frames - 1, width); None when not known."""
        return control_vectors_of(self.source, self.start, self.stop)


def make_clips(source: Source, facts: Mapping[str, Any], measured: pa.Table, cuts: pa.Table) -> list[Clip]:
    """Make the clips of one source from its tables.

    Args:
        source: the source.
        facts: its probe row.
        measured: its measurements.
        cuts: its table of clips.
    """
    return [
        Clip(
            row["clip"],
            source,
            row["start"],
            row["stop"],
            facts["fps"],
            facts["height"],
            facts["width"],
            measured.slice(row["start"], row["stop"] - row["start"]),
        )
        for row in cuts.to_pylist()
    ]


def mean_of(values: np.ndarray) -> float | None:
    """Return the mean of what was measured; None when nothing was."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def evenly(items: list[Any], count: int) -> list[Any]:
    """Choose at most ``count`` items, evenly spread from first to last."""
    if len(items) <= count:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)]
