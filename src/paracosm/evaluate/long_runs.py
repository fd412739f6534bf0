"""Figures of minutes of free play: frames in the game's band, freezing, variety of views, control read late.

Each is measured on the very controls that held-out players gave, and beside it on the frames that they saw.
This file does NOT play worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import ControlSpace
from paracosm.core.figures import Figure, not_computed
from paracosm.core.rng import stream
from paracosm.data.reader import EpisodeRef
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE

from .cases import Run
from .control import Reader
from .drift import (
    Band,
    Places,
    coarse_views,
    count_places,
    fit_band,
    fit_places,
    frozen_steps,
    in_band,
    recognise,
    spread,
    still_threshold,
)
from .intervals import interval_of, ratio
from .quality import STATISTICS, frame_statistics
from .short_runs import key_figures, turn_figures

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

Encoder = Callable[[np.ndarray], np.ndarray]
"""Turns frames uint8 (t, h, w, 3) into features (t, d)."""


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


@dataclass(frozen=True, kw_only=True)
class LongRuns:
    """The frames of all long runs: of the world, and those that players saw under the same controls.

    Attributes:
        runs: where they began.
        world: uint8 (steps, h, w, 3) of each.
        truth: for each the real clips, one for each segment: uint8 (rows + 1, h, w, 3), first frame included.
    """

    runs: Sequence[Run]
    world: Sequence[np.ndarray]
    truth: Sequence[Sequence[np.ndarray]]


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


def measure_stability(
    long: LongRuns, game: RealGame, space: ControlSpace, encoder: Encoder | None
) -> dict[str, Figure]:
    """In-band share, frozen share and variety of views, over the whole of the runs.

    Args:
        long: the runs.
        game: what real frames look like.
        space: the controls.
        encoder: the world's own frozen encoder for the spread of views, None when it has none.
    """
    starts = [run.rollout.start[-1:] for run in long.runs]
    clips = [np.concatenate(pair) for pair in zip(starts, long.world, strict=True)]
    own = [frame_statistics(clip) for clip in clips]
    real = [np.concatenate([frame_statistics(part) for part in parts]) for parts in long.truth]
    moving = [is_moving(space.to_vectors(run.rollout.controls), space) for run in long.runs]
    figures = _band_figures(own, real, game)
    figures["stability.frozen_share@120s"] = _frozen_figure(long, own, real, moving, game)
    figures |= _variety_figures(long, game, encoder)
    return figures


def measure_late_control(
    long: LongRuns, reader: Reader, keys: Sequence[str], look: Sequence[str], space: ControlSpace, fps: float
) -> dict[str, Figure]:
    """Keys and turn read from the world just before one and two minutes, beside the same real rows."""
    figures: dict[str, Figure] = {}
    for seconds in (LONG_SECONDS // 2, LONG_SECONDS):
        last = round(seconds * fps)
        suffix = f"@{seconds}s"
        if len(long.world[0]) < last or last < READ_STEPS:
            reason = f"the runs are {len(long.world[0])} steps long, {seconds} s are {last}"
            names = [f"control.{name}_share_of_ceiling{suffix}" for name in ("keys", "turn")]
            figures |= {name: not_computed("skipped", reason, "share") for name in names}
            continue
        rows = np.arange(last - READ_STEPS, last - FRAMES_AFTER)
        readings, asked = _read_late(long, reader, space, rows)
        figures |= key_figures(readings, asked, keys, space, suffix)
        if "yaw" in look:
            figures |= turn_figures(readings, asked, len(keys) + list(look).index("yaw"), suffix)
        else:
            name = f"control.turn_share_of_ceiling{suffix}"
            figures[name] = not_computed("undefined", "the world has no camera to turn", "share")
    return figures


def _read_late(
    long: LongRuns, reader: Reader, space: ControlSpace, rows: np.ndarray
) -> tuple[dict[str, list[np.ndarray]], list[np.ndarray]]:
    """Read rows of every run: of the world, of the real frames, and anchors that need no further play.

    "shuffled" is what the next run shows, judged by this run's controls; "copy_last" reads a picture that
    stands still.
    """
    readings: dict[str, list[np.ndarray]] = {"world": [], "true_game": [], "copy_last": []}
    asked = []
    for run, frames, truth in zip(long.runs, long.world, long.truth, strict=True):
        # frames[i] follows control i, so control i was given at frames[i - 1]; its window begins one frame
        # earlier
        clip = frames[rows[0] - 1 - FRAMES_BEFORE : rows[-1] + FRAMES_AFTER]
        shown = _read(reader, clip)
        real, whole = _read_segments(run, truth, reader, rows, shown.shape[1])
        readings["world"].append(shown[whole])
        readings["copy_last"].append(_read(reader, np.repeat(clip[:1], len(clip), axis=0))[whole])
        readings["true_game"].append(real)
        asked.append(space.to_vectors(run.rollout.controls)[rows[whole]])
    # all units get one length, so that another run's readings can stand beside each run's controls
    length = min(len(part) for part in asked)
    asked = [part[:length] for part in asked]
    readings = {name: [part[:length] for part in parts] for name, parts in readings.items()}
    if len(asked) > 1:
        readings["shuffled"] = readings["world"][1:] + readings["world"][:1]
    return readings, asked


def _read_segments(
    run: Run, truth: Sequence[np.ndarray], reader: Reader, rows: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read the real frames behind rows of a run; rows at a seam lack a whole window and are left out.

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
            parts.append(_read(reader, clip[low - begin - FRAMES_BEFORE : high - begin + FRAMES_AFTER + 1]))
            kept[low - rows[0] : high - rows[0] + 1] = True
        begin += segment.count
    return np.concatenate(parts), kept


def _read(reader: Reader, clip: np.ndarray) -> np.ndarray:
    reading = reader.read(clip)
    return np.concatenate([reading.keys, reading.look], axis=1)


def _band_figures(own: Sequence[np.ndarray], real: Sequence[np.ndarray], game: RealGame) -> dict[str, Figure]:
    inside = np.array([in_band(rows, game.band).mean() for rows in own])
    truth = np.array([in_band(rows, game.band).mean() for rows in real])
    frozen = np.array([in_band(_stopped(rows), game.band).mean() for rows in own])
    anchors = {
        "true_game": float(truth.mean()),
        "copy_last": float(frozen.mean()),
        "shuffled": None,
        "no_control": None,
    }
    share = Figure(
        value=float(inside.mean()),
        unit="share",
        n=len(own),
        ci95=interval_of(lambda units: float(inside[units].mean()), len(own)),
        anchors=anchors,
    )
    figures = {"stability.in_band_share@120s": share}
    name = "stability.in_band_share_of_ceiling@120s"
    figures[name] = _share_figure(inside, truth, "no real frame lies in the band")
    for column, statistic in enumerate(STATISTICS):
        alone = Band(low=game.band.low[column : column + 1], high=game.band.high[column : column + 1])
        one = np.array([in_band(rows[:, column : column + 1], alone).mean() for rows in own])
        two = np.array([in_band(rows[:, column : column + 1], alone).mean() for rows in real])
        figures[f"stability.{statistic}_in_band_share@120s"] = Figure(
            value=float(one.mean()), unit="share", n=len(own), anchors={"true_game": float(two.mean())}
        )
    return figures


def _frozen_figure(
    long: LongRuns,
    own: Sequence[np.ndarray],
    real: Sequence[np.ndarray],
    moving: Sequence[np.ndarray],
    game: RealGame,
) -> Figure:
    column = STATISTICS.index("motion")
    held = np.array([part.sum() for part in moving], float)
    if not held.sum():
        return not_computed("undefined", "the controls never hold a movement key", "share")
    sides = [[rows[:, column] for rows in side] for side in (own, real)] + [
        [np.zeros(len(rows)) for rows in own]
    ]
    counts = [
        np.array(
            [frozen_steps(rows, part, game.still).sum() for rows, part in zip(side, moving, strict=True)]
        )
        for side in sides
    ]
    return Figure(
        value=ratio(counts[0], held),
        unit="share",
        n=len(long.runs),
        ci95=interval_of(lambda units: ratio(counts[0][units], held[units]), len(long.runs)),
        higher_is_better=False,
        anchors={
            "true_game": ratio(counts[1], held),
            "copy_last": ratio(counts[2], held),
            "shuffled": None,
            "no_control": None,
        },
    )


def _variety_figures(long: LongRuns, game: RealGame, encoder: Encoder | None) -> dict[str, Figure]:
    real = [np.concatenate([part[1:] for part in parts]) for parts in long.truth]
    views = {
        side: [coarse_views(frames) for frames in clips]
        for side, clips in (("own", long.world), ("real", real))
    }
    spreads = {side: np.array([spread(part) for part in parts]) for side, parts in views.items()}
    places = {
        side: np.array([count_places(recognise(part, game.places)) for part in parts], float)
        for side, parts in views.items()
    }
    figures = {
        "stability.views_share@120s": _share_figure(
            spreads["own"], spreads["real"], "real views are all one"
        ),
        "stability.places_share@120s": _share_figure(
            places["own"], places["real"], "no real place is recognised"
        ),
    }
    name = "stability.encoder_views_share@120s"
    if encoder is None:
        figures[name] = not_computed("skipped", "the world has no encoder to read views with", "share")
        return figures
    own, truth = (np.array([spread(encoder(frames)) for frames in clips]) for clips in (long.world, real))
    figures[name] = _share_figure(own, truth, "real features are all one")
    return figures


def _share_figure(own: np.ndarray, real: np.ndarray, undefined: str) -> Figure:
    """Sum over runs of the world's number over that of the true game; a still picture has none of it."""
    if not real.sum() > 0:
        return not_computed("undefined", undefined, "share")
    return Figure(
        value=ratio(own, real),
        unit="share",
        n=len(own),
        ci95=interval_of(lambda units: ratio(own[units], real[units]), len(own)),
        anchors={"true_game": 1.0},
    )


def _stopped(rows: np.ndarray) -> np.ndarray:
    """Statistics of the first frame shown for ever: everything stays, and nothing moves."""
    still = np.repeat(rows[:1], len(rows), axis=0)
    still[:, STATISTICS.index("motion")] = 0.0
    return still
