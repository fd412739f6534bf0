"""Where measuring begins: short cases and long runs, cut out of held-out recordings by seed.

A case is a clip of true frames, the controls that followed, and the true frames that followed them: the
recording is the true game in the same state. This file does NOT play worlds and does NOT know metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.data.reader import EpisodeRef

from .rollouts import Rollout

LevelSplit = Literal["seen_level", "unseen_level"]
"""A seen level in an episode never learnt from, or a level that no training episode shows."""
START_FRAMES = 4
"""Frames of a start clip: enough to show speed and turn."""
NUM_NOISE_SEEDS = 3
"""Noise seeds that the cases take in turn, so that no figure hangs on one draw."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A moment of a recording to go on from.

    Attributes:
        name: episode and frame, e.g. "episode-000012@310".
        rollout: how a world is brought there, and the controls that followed.
        truth: uint8 (steps, h, w, 3), the true frame after each control.
        split: whether the world was trained on this level (in other episodes) or never saw it.
    """

    name: str
    rollout: Rollout
    truth: np.ndarray
    split: LevelSplit = "seen_level"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Rows of one recording.

    Attributes:
        episode: the recording.
        first: first row.
        count: rows; each has a control and a frame after it.
    """

    episode: EpisodeRef
    first: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """Minutes of free play: a start, and controls that a player really gave, episode after episode.

    Attributes:
        name: as for a case.
        rollout: how a world is brought there, and all controls.
        segments: where the controls come from, in order.
        split: as for a case.
    """

    name: str
    rollout: Rollout
    segments: tuple[Segment, ...]
    split: LevelSplit = "seen_level"


class CaseSource(Protocol):
    """Where cases come from: the user's recordings, or a case set that ships with the package.

    It travels to worker processes, and gives the same cases in each.
    """

    def cases(self, count: int, steps: int, near: bool) -> Sequence[Case]:
        """Short cases: ``count`` of the main split, and half as many of the other where there is one."""
        ...

    def runs(self, count: int, steps: int) -> Sequence[Run]:
        """Long runs of the main split."""
        ...


def choose_cases(
    episodes: Sequence[EpisodeRef], count: int, steps: int, seed: int, largest_past: int | None = None
) -> list[Case]:
    """Choose cases spread over the episodes: each takes its turn, the place within it is drawn.

    Args:
        episodes: held-out recordings.
        count: cases wanted.
        steps: controls of a case.
        seed: seed of the draw; the same seed and recordings give the same cases.
        largest_past: latest row to begin at, where replaying a game to it costs time; None for any.

    Raises:
        DataError: when no episode is long enough.
    """
    fit = [episode for episode in episodes if episode.num_frames >= START_FRAMES + steps]
    if not fit:
        longest = max((episode.num_frames for episode in episodes), default=0)
        raise DataError(
            f"no episode has {START_FRAMES + steps} frames (the longest has {longest}); "
            "record longer held-out episodes"
        )
    generator = stream(seed, "cases", steps)
    order = generator.permutation(len(fit))
    cases = []
    for number in range(count):
        episode = fit[order[number % len(fit)]]
        places = episode.num_frames - START_FRAMES - steps + 1
        first = int(generator.integers(0, places if largest_past is None else min(places, largest_past)))
        cases.append(cut_case(episode, first + START_FRAMES - 1, steps, number))
    return cases


def cut_case(episode: EpisodeRef, row: int, steps: int, number: int) -> Case:
    """Cut one case out of a recording.

    Args:
        episode: the recording.
        row: row of the last start frame, at least START_FRAMES - 1.
        steps: controls of the case.
        number: its place among the cases; the noise seeds are taken in turn.
    """
    rollout = _begin_at(episode, row - START_FRAMES + 1, tuple(episode.controls[row : row + steps]), number)
    truth = episode.read_frames(row + 1, row + 1 + steps)
    return Case(name=f"{episode.name}@{row}", rollout=rollout, truth=truth)


def choose_runs(episodes: Sequence[EpisodeRef], count: int, steps: int, seed: int) -> list[Run]:
    """Choose long runs: each begins with an episode and goes on with the controls of further ones.

    Args:
        episodes: held-out recordings of at least 8 frames each.
        count: runs wanted; no episode serves twice while there are enough of them.
        steps: controls of a run.
        seed: seed of the draw.

    Raises:
        DataError: when there is no episode long enough to begin with.
    """
    fit = [episode for episode in episodes if episode.num_frames >= 2 * START_FRAMES]
    if not fit:
        raise DataError(f"no episode has {2 * START_FRAMES} frames; record longer held-out episodes")
    order = stream(seed, "runs").permutation(len(fit)).tolist()
    runs, taken = [], 0
    for number in range(count):
        segments: list[Segment] = []
        missing = steps
        while missing:
            episode = fit[order[taken % len(fit)]]
            taken += 1
            first = START_FRAMES - 1 if not segments else 0
            rows = min(missing, episode.num_frames - 1 - first)
            segments.append(Segment(episode=episode, first=first, count=rows))
            missing -= rows
        controls = [
            control for part in segments for control in part.episode.controls[part.first :][: part.count]
        ]
        rollout = _begin_at(segments[0].episode, 0, tuple(controls), number)
        runs.append(Run(name=segments[0].episode.name, rollout=rollout, segments=tuple(segments)))
    return runs


def _begin_at(episode: EpisodeRef, first: int, controls: tuple[Control, ...], number: int) -> Rollout:
    row = first + START_FRAMES - 1
    past = tuple(episode.controls[:row])
    return Rollout(
        seed=number % NUM_NOISE_SEEDS,
        start=episode.read_frames(first, row + 1),
        start_controls=past[first:],
        controls=controls,
        recipe=episode.recipe,
        past=past,
    )
