"""Cuts, and the clips between them: a proposer that misses little, then a judge that believes little.

PySceneDetect takes flashes and fast turns for cuts, and is asked to propose too many rather than too few. The
judge "evidence" weighs what lies around each proposal; "transnet" asks the TransNetV2 network, around each
proposal only. Fades through black part shots too, and gaps in the frames' own times, by which lengths are
reckoned. What becomes no clip is told with its reason. This file does NOT see soft dissolves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from paracosm.core.errors import ConfigError

from .footage import Source
from .probe import find_gaps
from .transnet import believe

VERSION = 2

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
"""Columns of the table: one row for each clip; ``begins`` says what stands before it: source, cut, fade,
gap or split."""

LEFT_OUT = ("too short", "rest", "black", "gap")
"""Why footage is in no clip: its shot is shorter than a clip may be, it is the rest of a shot that was split,
it is black, or there are no frames at all."""
_LEFT_OUT_KEY = b"left_out"


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
        A table of SCHEMA; empty when nothing is long enough. :func:`left_out_of` tells what is in no clip.
    """
    starts, step, gap_s = lay_out(measured["time"].to_numpy(), fps)
    rows = []
    left = dict.fromkeys(LEFT_OUT, 0.0) | {"gap": gap_s, "black": float(starts[-1])}
    for number, shot in enumerate(find_shots(source, measured, config)):
        left["black"] -= starts[shot.stop] - starts[shot.start]
        for start, stop, begins in split_shot(shot, starts, step, config):
            seconds = round(float(starts[stop] - starts[start]), 6)
            if not begins:
                left["too short" if start == shot.start else "rest"] += seconds
                continue
            rows.append(
                {
                    "clip": f"{source.name}#{start}-{stop}",
                    "source": source.name,
                    "start": start,
                    "stop": stop,
                    "seconds": seconds,
                    "shot": number,
                    "begins": begins,
                }
            )
    told = json.dumps({reason: round(float(seconds), 6) for reason, seconds in left.items()})
    return pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata({_LEFT_OUT_KEY: told}))


def left_out_of(table: pa.Table) -> Mapping[str, float]:
    """Return the seconds of a source that are in no clip, by each reason of LEFT_OUT."""
    return json.loads(table.schema.metadata[_LEFT_OUT_KEY])


def lay_out(times: np.ndarray, fps: float) -> tuple[np.ndarray, float, float]:
    """Put the frames one behind the other, without the gaps between them.

    Args:
        times: when each frame is shown, in seconds, (n,).
        fps: rate where the times tell none.

    Returns:
        Where each frame begins and the last one ends, (n + 1,); how long a frame usually is; and the length
        of all gaps, in seconds.
    """
    spacing = np.diff(times)
    gaps = find_gaps(spacing)
    even = spacing[~gaps & (spacing > 0)]
    step = float(np.median(even)) if len(even) else 1 / fps
    lengths = np.append(np.where(gaps, step, spacing), step)
    gap_s = float(np.maximum(spacing[gaps] - step, 0.0).sum())
    return np.concatenate([[0.0], np.cumsum(lengths)]), step, gap_s


def find_shots(source: Source, measured: pa.Table, config: CutsConfig) -> list[Shot]:
    """Return the shots of a source, without the black between them."""
    dark = measured["dark"].to_numpy()
    black = _long_runs(dark >= config.black, config.black_frames)
    cuts = [
        index for index in find_cuts(source, measured, config) if not black[index] and not black[index - 1]
    ]
    gaps = np.flatnonzero(find_gaps(np.diff(measured["time"].to_numpy()))) + 1
    marks = dict.fromkeys(cuts, "cut") | dict.fromkeys(gaps.tolist(), "gap")
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


def split_shot(shot: Shot, starts: np.ndarray, step: float, config: CutsConfig) -> list[tuple[int, int, str]]:
    """Part a shot into pieces of at most most_s.

    Args:
        shot: what is parted.
        starts: where each frame begins and the last one ends, in seconds.
        step: how long a frame usually is; lengths are rounded to whole frames.
        config: lengths of a clip.

    Returns:
        First frame, frame after the last, and what stands before it; "" for a piece shorter than least_s.
    """
    pieces, start = [], shot.start
    while start < shot.stop:
        end = starts[start] + config.most_s + step / 2
        stop = min(max(int(np.searchsorted(starts, end, "right")) - 1, start + 1), shot.stop)
        long_enough = starts[stop] - starts[start] >= config.least_s - step / 2
        begins = shot.begins if start == shot.start else "split"
        pieces.append((start, stop, begins if long_enough else ""))
        start = stop
    return pieces


def _long_runs(flags: np.ndarray, least: int) -> np.ndarray:
    """Keep only runs of True that are at least so long."""
    kept = flags.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start < least:
            kept[start:stop] = False
    return kept
