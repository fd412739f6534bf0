"""Where cases come from: the user's recordings, drawn by seed, or a case set drawn again by the true game.

Both end as recordings on disk, so everything after is one path. This file does NOT play.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paracosm.data.reader import EpisodeRef

from .cases import Case, LevelSplit, Run, choose_cases, choose_runs, cut_case

LARGEST_PAST = 300
"""Latest row at which a near case begins: the true game is played up to it for every counterfactual."""
MORE = 64
"""Cases drawn beyond those that are missing, since some may be listed already."""
OTHER = "unseen/"
"""Begins the names of cases from the folder of unseen levels, whose episodes may be called the same."""


@dataclass(frozen=True, kw_only=True)
class RecordedCases:
    """Cases drawn by seed from recordings.

    Attributes:
        main: held-out episodes.
        unseen: episodes of levels that the world was not trained on; () for none.
        split: what the main episodes are.
        seed: seed of the draw.
    """

    main: tuple[EpisodeRef, ...]
    unseen: tuple[EpisodeRef, ...] = ()
    split: LevelSplit = "seen_level"
    seed: int = 0

    def cases(self, count: int, steps: int, near: bool) -> Sequence[Case]:
        """Near cases are drawn apart, so that the true game comes to each within LARGEST_PAST steps."""
        seed, furthest = (self.seed + 1, LARGEST_PAST) if near else (self.seed, None)
        found = choose_cases(self.main, count, steps, seed, largest_past=furthest)
        found = [replace(case, split=self.split) for case in found]
        if self.unseen:
            others = choose_cases(self.unseen, max(1, count // 2), steps, seed, largest_past=furthest)
            found += [replace(case, name=OTHER + case.name, split="unseen_level") for case in others]
        return found

    def runs(self, count: int, steps: int) -> Sequence[Run]:
        """Long runs of the main split."""
        return [replace(run, split=self.split) for run in choose_runs(self.main, count, steps, self.seed)]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a case of a set begins.

    Attributes:
        episode: name of the episode.
        row: row of its last start frame.
    """

    episode: str
    row: int


@dataclass(frozen=True, kw_only=True)
class ShippedCases:
    """Cases of a set: the places that it lists, and further ones drawn by its seed when more are asked for.

    Attributes:
        main: episodes of the main split.
        unseen: episodes of the other; () for none.
        split: what the main episodes are.
        places: where the listed cases begin, of both splits, every one near.
        whole: names of the main episodes that long runs are made of; the others were cut short.
        most_steps: steps that every listed place has after it.
        seed: seed of the further draws.
    """

    main: tuple[EpisodeRef, ...]
    unseen: tuple[EpisodeRef, ...]
    split: LevelSplit
    places: tuple[Place, ...]
    whole: frozenset[str]
    most_steps: int
    seed: int

    def cases(self, count: int, steps: int, near: bool) -> Sequence[Case]:
        """The first ``count`` of the main split, and half as many of the other; listed places are near."""
        found = self._some(self.main, count, steps, self.split)
        if self.unseen:
            found += self._some(self.unseen, max(1, count // 2), steps, "unseen_level")
        return found

    def runs(self, count: int, steps: int) -> Sequence[Run]:
        """Long runs of the main split."""
        whole = [episode for episode in self.main if episode.name in self.whole]
        return [replace(run, split=self.split) for run in choose_runs(whole, count, steps, self.seed)]

    def _some(self, episodes: Sequence[EpisodeRef], count: int, steps: int, split: LevelSplit) -> list[Case]:
        by_name = {episode.name: episode for episode in episodes}
        listed = [place for place in self.places if place.episode in by_name]
        if steps > self.most_steps:
            listed = []
        cases = [
            cut_case(by_name[place.episode], place.row, steps, number)
            for number, place in enumerate(listed[:count])
        ]
        if count > len(cases):
            names = {case.name for case in cases}
            # a few more than are missing, for those that were drawn before
            more = choose_cases(episodes, count + MORE, steps, self.seed)
            cases += [case for case in more if case.name not in names][: count - len(cases)]
        return [replace(case, split=split) for case in cases]
