"""Minutes of free play: how long they are, what the real game looks like meanwhile, and reading rows of them.

Each run takes the very controls that held-out players gave; beside it stand the frames that they saw. This
file does NOT play worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import ControlSpace
from paracosm.core.rng import stream
from paracosm.data.reader import EpisodeRef
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE

from .cases import Run
from .control import Reader
from .drift import Band, Places, coarse_views, fit_band, fit_places, still_threshold
from .quality import STATISTICS, frame_statistics

LONG_SECONDS = 120
"""Length of a long run."""
LEAST_STEPS = 2000
"""A long run has at least so many steps, also in a slow world."""
READ_STEPS = 128
"""Steps before a moment over which control is read there."""
REFERENCE_FRAMES = 20_000
"""Real frames from which band and places are learnt, at most."""
MOVEMENT_KEYS = frozenset({"forward", "back", "left", "right", "up", "down"})
"""Keys that move the player and so, almost always, the picture."""
MOVING_TURN_DEG = 1.0
"""A turn of at least this moves the picture too."""


@dataclass(frozen=True, kw_only=True)
class RealGame:
    """What real frames look like, learnt from recordings that no figure is measured on.

    Attributes:
        band: of the frame statistics.
        places: clusters of views.
        still: motion below which a step is still.
    """

    band: Band
    places: Places
    still: float


def long_steps(fps: float) -> int:
    """Steps of a long run in a world of this pace."""
    return max(LEAST_STEPS, round(LONG_SECONDS * fps))


def learn_game(episodes: Sequence[EpisodeRef], space: ControlSpace, seed: int) -> RealGame:
    """Learn band, places and stillness from real recordings.

    Args:
        episodes: recordings, best those that the world was trained on.
        space: their controls.
        seed: seed of the choice of episodes and of the clusters.

    Raises:
        DataError: when there are too few frames.
    """
    statistics, views, moving = [], [], []
    total = 0
    for index in stream(seed, "reference").permutation(len(episodes)).tolist():
        episode = episodes[index]
        if total >= REFERENCE_FRAMES:
            break
        if episode.num_frames < 2:
            continue
        frames = episode.read_frames(0, min(episode.num_frames, REFERENCE_FRAMES))
        statistics.append(frame_statistics(frames))
        moving.append(is_moving(episode.control_vectors[: len(frames) - 1], space))
        views.append(coarse_views(frames))
        total += len(frames)
    rows = np.concatenate(statistics) if statistics else np.empty((0, len(STATISTICS)))
    band = fit_band(rows)
    still = still_threshold(rows[:, STATISTICS.index("motion")], np.concatenate(moving))
    return RealGame(band=band, places=fit_places(np.concatenate(views), seed=seed), still=still)


def is_moving(vectors: np.ndarray, space: ControlSpace) -> np.ndarray:
    """Tell for each control vector (t, width) whether it should move the picture; bool (t,)."""
    columns = [index for index, key in enumerate(space.keys) if key in MOVEMENT_KEYS]
    return (vectors[:, columns] > 0.5).any(axis=1) | (np.abs(vectors[:, -2]) >= MOVING_TURN_DEG)


def read_truth(runs: Sequence[Run]) -> list[list[np.ndarray]]:
    """Read the real frames of the segments of each run."""
    return [
        [part.episode.read_frames(part.first, part.first + part.count + 1) for part in run.segments]
        for run in runs
    ]


def read_rows(reader: Reader, clip: np.ndarray) -> np.ndarray:
    """Read rows 1 to t - 3 of a clip: float32 (rows, keys + axes)."""
    reading = reader.read(clip)
    return np.concatenate([reading.keys, reading.look], axis=1)


def read_copied(reader: Reader, clip: np.ndarray) -> np.ndarray:
    """Read a picture that stands still, as often as the rows of a clip."""
    return read_rows(reader, np.repeat(clip[:1], len(clip), axis=0))


def read_segments(
    run: Run, truth: Sequence[np.ndarray], reader: Reader, rows: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read the real frames behind rows of a run; rows at a seam lack a whole window and are left out.

    Args:
        run: the run.
        truth: its real clips, as :func:`read_truth` gives them.
        reader: inverse dynamics.
        rows: rows of the run, one after another.
        width: keys and axes that the reader reads.

    Returns:
        Readings (rows kept, width), and which of ``rows`` they are (bool).
    """
    kept = np.zeros(len(rows), bool)
    parts = [np.empty((0, width), np.float32)]
    begin = 0
    for segment, clip in zip(run.segments, truth, strict=True):
        low = max(int(rows[0]), begin + FRAMES_BEFORE)
        high = min(int(rows[-1]), begin + segment.count - FRAMES_AFTER)
        if low <= high:
            window = clip[low - begin - FRAMES_BEFORE : high - begin + FRAMES_AFTER + 1]
            parts.append(read_rows(reader, window))
            kept[low - rows[0] : high - rows[0] + 1] = True
        begin += segment.count
    return np.concatenate(parts), kept
