"""Which frames a training step sees: seeded clips of equal length, drawn by step number.

A sampler has no state: the clips of a step are a function of (seed, step, part, rank), so two loaders with
one seed agree, and a resumed run needs only the number of its step. This file does NOT know torch or models.
"""

from collections.abc import Sequence

import numpy as np

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.rng import stream

from .reader import Dataset, EpisodeRef


class ClipSampler:
    """Draws clips from all places where a whole clip fits, or some of them evenly from strata.

    Args:
        lengths: frames of each episode.
        clip_frames: frames of a clip, >= 1.
        seed: run seed.
        rank: which of several processes draws; each rank has its own clips.
        strata: places of each stratum by number, in the order of episodes and frames; none may be empty.
        strata_share: chance of a clip to be drawn from the strata: one of them, then a place in it.
        weights: of each episode, above 0; a place is drawn in proportion to it. Equal ones, or (), draw all
            places evenly.

    Raises:
        DataError: when no episode is long enough.
        ConfigError: when a share is asked of no strata.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        clip_frames: int,
        seed: int,
        rank: int = 0,
        strata: Sequence[np.ndarray] = (),
        strata_share: float = 0.0,
        weights: Sequence[float] = (),
    ) -> None:
        starts = np.maximum(np.asarray(lengths, np.int64) - clip_frames + 1, 0)
        self._ends = np.cumsum(starts)
        self._seed, self._rank = seed, rank
        if not len(self._ends) or self._ends[-1] == 0:
            longest = max(lengths, default=0)
            raise DataError(
                f"no episode has {clip_frames} frames (the longest has {longest}); "
                "use shorter clips or record more"
            )
        self._strata, self._share = tuple(strata), strata_share
        self._starts, self._weights = starts, np.asarray(weights, np.float64)
        assert len(weights) in (0, len(lengths)), (len(weights), len(lengths))
        if strata_share and not strata:
            raise ConfigError(
                f"a share of {strata_share:g} of the clips is to come from strata, and there are none; "
                "use 0, or recordings in which something happens"
            )

    @property
    def num_places(self) -> int:
        """Places where a clip fits."""
        return int(self._ends[-1])

    def draw(self, step: int, part: int, count: int) -> list[tuple[int, int]]:
        """Return (episode index, first frame) of the clips of one step."""
        generator = stream(self._seed, "clips", step, part, self._rank)
        picks = self._pick(generator, count)
        if self._share:
            others = stream(self._seed, "strata", step, part, self._rank)
            for number in np.flatnonzero(others.random(count) < self._share):
                picks[number] = others.choice(self._strata[others.integers(len(self._strata))])
        episodes = np.searchsorted(self._ends, picks, side="right")
        before = np.concatenate([[0], self._ends])[episodes]
        return list(zip(episodes.tolist(), (picks - before).tolist(), strict=True))

    def _pick(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Draw places by number, each in proportion to the weight of its episode."""
        if len(set(self._weights.tolist())) < 2:
            return generator.integers(0, self.num_places, count)
        shares = self._weights * self._starts
        episodes = generator.choice(len(shares), count, p=shares / shares.sum())
        return self._ends[episodes] - 1 - generator.integers(0, self._starts[episodes])


def control_rows(episode: EpisodeRef) -> np.ndarray:
    """Return the controls between the frames of an episode, float32 (t - 1, a).

    A world that offers no control was steered by nobody: rows of zeros, which is also what play sends there.

    Raises:
        DataError: when the world has controls but it is not known what the player did.
    """
    offered = episode.info.controls
    if episode.has_controls or offered.keys or max(offered.look_limit) > 0:
        return episode.control_vectors
    return np.zeros((episode.num_frames - 1, offered.width), np.float32)


def select_episodes(dataset: Dataset, split: str) -> tuple[EpisodeRef, ...]:
    """Return the episodes of a split; "" takes all.

    Raises:
        DataError: when the split is empty; names the splits there are.
    """
    episodes = dataset.select(split) if split else tuple(dataset.episodes)
    if not episodes:
        known = sorted({episode.split for episode in dataset.episodes})
        raise DataError(f'{dataset.path} has no episode of split "{split}"; it has {known}')
    return episodes
