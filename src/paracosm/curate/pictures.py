"""Pictures of clips for people and captioners: read from the kept ones and tiled into one.

This file does NOT decode videos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .clip import evenly
from .measure import picture_of
from .scores import Scores
from .store import ScoreStore


def read_pictures(scores: Scores, row: Mapping[str, Any], count: int) -> list[np.ndarray]:
    """Read at most ``count`` kept pictures of a clip, evenly spread.

    Args:
        scores: scores of the folder.
        row: the clip's row.
        count: how many.

    Returns:
        uint8 (h, w, 3) RGB each; empty when none was kept.
    """
    blobs = read_blobs(scores, row["source"])
    return [picture_of(blob) for blob in evenly(blobs_between(blobs, row["start"], row["stop"]), count)]


def read_blobs(scores: Scores, source: str) -> pa.Table:
    """Read all kept pictures of a source as JPEG: columns frame and picture."""
    table = pq.read_table(_measured(scores, source), columns=["frame", "picture"])
    return table.filter(table["picture"].is_valid())


def read_times(scores: Scores, source: str) -> np.ndarray:
    """Return when each frame of a source is shown, in seconds."""
    return pq.read_table(_measured(scores, source), columns=["time"])["time"].to_numpy()


def blobs_between(blobs: pa.Table, start: int, stop: int) -> list[bytes]:
    """Return the JPEGs of frames start to stop - 1, in order."""
    frames = blobs["frame"].to_numpy()
    first, last = np.searchsorted(frames, [start, stop])
    return blobs["picture"].slice(int(first), int(last - first)).to_pylist()


def tile(pictures: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Put pictures of one size into a grid, row by row; missing places are black.

    Args:
        pictures: uint8 (h, w, 3) each, one at least.
        columns: pictures in a row.
    """
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    grid = np.zeros((rows * height, columns * width, 3), np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * height, place % columns * width
        grid[top : top + height, left : left + width] = picture
    return grid


def _measured(scores: Scores, source: str) -> Path:
    names, identities = scores.sources["source"].to_pylist(), scores.sources["identity"].to_pylist()
    identity = dict(zip(names, identities, strict=True))[source]
    return ScoreStore(scores.config.out).table_path("measure", scores.keys["measure"], source, identity)
