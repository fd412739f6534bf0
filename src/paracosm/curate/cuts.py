"""Cuts, and the clips between them: a proposer that misses little, then a judge that believes little.

PySceneDetect takes flashes and fast turns for cuts, and is asked to propose too many rather than too few. The
judge "evidence" weighs what lies around each proposal; "transnet" asks the TransNetV2 network, around each
proposal only. Fades through black part shots too. This file does NOT see soft dissolves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from paracosm.core.errors import ConfigError

from .footage import Source
from .transnet import believe

VERSION = 1

SCHEMA = pa.schema(
    [
        ("clip", pa.string()),
        ("source", pa.string()),
        ("start", pa.int32()),
        ("stop", pa.int32()),
        ("seconds", pa.float64()),
        ("shot", pa.int32()),
        ("begins", pa.string()),
    ]
)
"""Columns of the table: one row for each clip; ``begins`` says what stands before it: source, cut, fade or
split."""


@dataclass(frozen=True, kw_only=True)
class CutsConfig:
    """What counts as a cut, and how long a clip is."""

    judge: Literal["evidence", "transnet"] = "evidence"
    """Who believes a proposal: the evidence around it, or TransNetV2 (extra "judges")."""
    probability: float = 0.5
    """Least probability of a cut that is believed."""
    black: float = 0.98
    """Share of dark pixels above which a frame belongs to a fade."""
    black_frames: int = 2
    """Fewest black frames in a row that part two shots; they belong to neither."""
    least_s: float = 4.0
    """Shorter clips are left out."""
    most_s: float = 16.0
    """Longer shots are split into clips of this length; a rest of less than least_s is left out."""

    def __post_init__(self) -> None:
        """Refuse lengths that leave nothing."""
        if not 0 < self.least_s <= self.most_s:
            raise ConfigError(
                f"least_s {self.least_s:g} and most_s {self.most_s:g} leave no clip; "
                "use 0 < least_s <= most_s"
            )


@dataclass(frozen=True, kw_only=True)
class Shot:
    """Frames start to stop - 1 without a cut; ``begins`` as in SCHEMA."""

    start: int
    stop: int
    begins: str


def cut(source: Source, measured: pa.Table, fps: float, config: CutsConfig) -> pa.Table:
    """Part a source into clips.

    Args:
        source: only looked into by the judge "transnet".
        measured: its table of measurements.
        fps: its mean frame rate.
        config: what counts as a cut.

    Returns:
        A table of SCHEMA; empty when nothing is long enough.
    """
    shots = find_shots(source, measured, config)
    rows = []
    for number, shot in enumerate(shots):
        for start, stop, begins in split_shot(shot, fps, config):
            rows.append(
                {
                    "clip": f"{source.name}#{start}-{stop}",
                    "source": source.name,
                    "start": start,
                    "stop": stop,
                    "seconds": (stop - start) / fps,
                    "shot": number,
                    "begins": begins,
                }
            )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def find_shots(source: Source, measured: pa.Table, config: CutsConfig) -> list[Shot]:
    """Return the shots of a source, without the black between them."""
    dark = measured["dark"].to_numpy()
    black = _long_runs(dark >= config.black, config.black_frames)
    cuts = [
        index for index in find_cuts(source, measured, config) if not black[index] and not black[index - 1]
    ]
    marks = dict.fromkeys(cuts, "cut")
    shots: list[Shot] = []
    start, begins = 0, "source"
    for index in range(len(dark) + 1):
        ends = index == len(dark) or index in marks or (black[index] and not (index and black[index - 1]))
        if ends and index > start and not black[start]:
            shots.append(Shot(start=start, stop=index, begins=begins))
        if ends:
            start, begins = index, marks.get(index, "fade")
        if 0 < index < len(dark) and black[index - 1] and not black[index]:
            start, begins = index, "fade"
    return shots


def find_cuts(source: Source, measured: pa.Table, config: CutsConfig) -> list[int]:
    """Return the first frame of each new shot that begins with a hard cut."""
    proposed = np.flatnonzero(measured["proposed"].to_numpy(zero_copy_only=False))
    if config.judge == "transnet":
        return believe(source, proposed.tolist(), len(measured), config.probability)
    chance = measured["cut_chance"].to_numpy(zero_copy_only=False)
    return [int(index) for index in proposed if chance[index] >= config.probability]


def split_shot(shot: Shot, fps: float, config: CutsConfig) -> list[tuple[int, int, str]]:
    """Part a shot into clips of at most most_s; a piece shorter than least_s is left out."""
    least, most = round(config.least_s * fps), max(1, round(config.most_s * fps))
    pieces = []
    for start in range(shot.start, shot.stop, most):
        stop = min(start + most, shot.stop)
        if stop - start >= least:
            pieces.append((start, stop, shot.begins if start == shot.start else "split"))
    return pieces


def _long_runs(flags: np.ndarray, least: int) -> np.ndarray:
    """Keep only runs of True that are at least so long."""
    kept = flags.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start < least:
            kept[start:stop] = False
    return kept
