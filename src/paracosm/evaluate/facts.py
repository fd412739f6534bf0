"""Facts that pictures of a recording show, as a label a frame: what a reader learns and is judged by.

All of them come from what the recording tells: truth that captions speak of, events, controls, the brightness
of the picture itself, and what a game's own table adds. This file does NOT know networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from paracosm.core.errors import DataError
from paracosm.curate.caption_truth import HIDDEN, TruthCaptionConfig
from paracosm.data.format import TRUTH_PREFIX
from paracosm.data.reader import EpisodeRef

from .facts_doom import tell_doom

FactKind = Literal["state", "event", "control", "picture"]
"""state: truth that lasts; event: named in the truth of a step; control: what the player did; picture:
measured on the frame."""
Told = Mapping[str, Sequence[str | None]]
"""Of each fact by name: its value at every frame of an episode, None where it is not known."""

GAME_FACTS = {"game:doom": tell_doom}
"""What a game's own truth tells beyond its columns, by world name; all of it counts as state."""
EVENT, KEY, TURN, BRIGHTNESS = "event_", "key_", "turn", "brightness"
"""Beginnings of names of facts that are no state."""
MOST_VALUES = 12
"""A column with more values than this is a measure, not a fact."""
DARK = 80.0
"""Mean grey level, of 255, below which a frame is dark; about the median of Doom's frames."""
TURNING_DEG = 1.0
"""Turns smaller than this have no side."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that a picture shows.

    Attributes:
        name: e.g. "room", "event_shot", "key_forward".
        values: what it can be, sorted.
        kind: where it comes from.
        rest: its value when nothing happens, "" for a fact that is always something.
    """

    name: str
    values: tuple[str, ...]
    kind: FactKind
    rest: str = ""

    @property
    def least_share(self) -> float:
        """Share of a clip's frames from which a value counts as shown; controls as captions tell them."""
        return {"event": 0.0, "control": TruthCaptionConfig().held}.get(self.kind, 0.5)

    def is_shown(self, read: Sequence[str], value: str) -> bool:
        """Whether a clip shows a value: in frames enough; rest is shown where nothing else is.

        Args:
            read: what was read in each frame.
            value: one of ``values``.
        """
        if self.rest and value == self.rest:
            return not any(self.is_shown(read, other) for other in self.values if other != value)
        count = sum(one == value for one in read)
        return count > 0 and count >= self.least_share * len(read)

    def shown_in_clips(self, told: Sequence[str | None], value: str, num_frames: int) -> np.ndarray:
        """Whether each clip of an episode shows a value, as :meth:`is_shown`.

        Args:
            told: the fact at every frame.
            value: one of ``values``.
            num_frames: of a clip.

        Returns:
            bool (t - num_frames + 1,), one for each frame that begins a clip; empty for short episodes.
        """
        if self.rest and value == self.rest:
            others = [one for one in self.values if one != value]
            return ~np.any([self.shown_in_clips(told, other, num_frames) for other in others], axis=0)
        sums = np.cumsum([0, *(one == value for one in told)])
        counts = sums[num_frames:] - sums[:-num_frames]
        return (counts > 0) & (counts >= self.least_share * num_frames)


def tell_frames(episode: EpisodeRef) -> Told:
    """Tell every fact of an episode, frame by frame; an event that never happens in it is left out."""
    game = GAME_FACTS.get(episode.recipe.world)
    told: dict[str, Sequence[str | None]] = dict(_tell_states(episode))
    told |= game(episode) if game is not None else {}
    return told | _tell_events(episode) | _tell_controls(episode) | _tell_brightness(episode)


def find_facts(episodes: Sequence[EpisodeRef]) -> tuple[Fact, ...]:
    """Find the facts of a recording: those of at least two and at most MOST_VALUES values, sorted by name.

    Raises:
        DataError: when there is none.
    """
    found: dict[str, set[str]] = {}
    for episode in episodes:
        for name, values in tell_frames(episode).items():
            found.setdefault(name, set()).update(value for value in values if value is not None)
    facts = [_describe(name, tuple(sorted(values))) for name, values in sorted(found.items())]
    facts = [fact for fact in facts if 2 <= len(fact.values) <= MOST_VALUES]
    if not facts:
        raise DataError(
            f"{len(episodes)} episodes tell no fact that takes 2 to {MOST_VALUES} values; "
            "record a world that tells what it shows"
        )
    return tuple(facts)


def label_frames(told: Told, facts: Sequence[Fact], num_frames: int) -> np.ndarray:
    """Number the values of an episode's frames.

    Args:
        told: of :func:`tell_frames`.
        facts: wanted.
        num_frames: of the episode.

    Returns:
        int64 (t, facts), a place in ``values``; -1 where unknown or never seen when the facts were found.
    """
    labels = np.full((num_frames, len(facts)), -1, np.int64)
    for column, fact in enumerate(facts):
        quiet = (fact.rest,) if fact.kind == "event" else (None,)
        numbers = {value: number for number, value in enumerate(fact.values)}
        values = told.get(fact.name, quiet * num_frames)
        labels[:, column] = [-1 if value is None else numbers.get(value, -1) for value in values]
    return labels


def _describe(name: str, values: tuple[str, ...]) -> Fact:
    if name.startswith(EVENT):
        return Fact(name=name, values=("no", "yes"), kind="event", rest="no")
    if name.startswith(KEY):
        return Fact(name=name, values=values, kind="control", rest="no")
    if name == TURN:
        return Fact(name=name, values=values, kind="control", rest="none")
    return Fact(name=name, values=values, kind="picture" if name == BRIGHTNESS else "state")


def _tell_states(episode: EpisodeRef) -> Told:
    told = {}
    for column in episode.columns:
        if not column.startswith(TRUTH_PREFIX) or any(word in column for word in HIDDEN):
            continue
        values = episode.table[column].to_pylist()
        known = [value for value in values if value is not None]
        if known and isinstance(known[0], str | bool | int):
            told[column.removeprefix(TRUTH_PREFIX)] = [_say(value) for value in values]
    return told


def _say(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None if value is None else "yes" if value else "no"
    return str(value)


def _tell_events(episode: EpisodeRef) -> dict[str, list[str]]:
    rows = [row or [] for row in episode.table["events"].to_pylist()]
    names = sorted({name for row in rows for name in row})
    return {EVENT + name: ["yes" if name in row else "no" for row in rows] for name in names}


def _tell_controls(episode: EpisodeRef) -> dict[str, list[str | None]]:
    """What acts between frame i and the next; nothing is known of the last frame."""
    if not episode.has_controls:
        return {}
    space, vectors = episode.info.controls, episode.control_vectors
    told: dict[str, list[str | None]] = {
        KEY + key: [*("yes" if held else "no" for held in vectors[:, column] > 0.5), None]
        for column, key in enumerate(space.keys)
    }
    if space.look_limit[0] > 0:
        told[TURN] = [*(side_of(yaw) for yaw in vectors[:, -2]), None]
    return told


def side_of(yaw: float) -> str:
    """Name the side of a turn in degrees a step, right positive: left, none or right."""
    return "none" if abs(yaw) < TURNING_DEG else "right" if yaw > 0 else "left"


def _tell_brightness(episode: EpisodeRef) -> dict[str, list[str]]:
    means = episode.frames.mean(axis=(1, 2, 3))
    return {BRIGHTNESS: ["dark" if mean < DARK else "bright" for mean in means]}
