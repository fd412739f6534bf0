"""Cases of instructions: held-out starts, what is told there as words or as keys, and how a clip is judged.

A control may be told anywhere, so its cases are drawn without regard to what the player did. An event must be
possible, so its cases begin where it truly came about; what followed there is what real frames read as. Words
are those of captions from truth. This file does NOT play worlds and makes no figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from paracosm.core.controls import IDLE, Control, ControlSpace
from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.curate.caption_truth import VERBS, TruthCaptionConfig, tell_angle, write_fields
from paracosm.curate.captions import INS_FIELDS, UNCHANGED
from paracosm.data.reader import EpisodeRef
from paracosm.models.inverse_dynamics import FRAMES_AFTER, Reading

from .cases import START_FRAMES, choose_cases, cut_case
from .control import HELD, count_keys, turn_sign_accuracy, why_undefined
from .fact_reader import FactJudge, Read
from .facts import Fact, label_frames, side_of, tell_frames
from .long_runs import read_rows
from .rollouts import Rollout
from .success_rate import Obeyed, Rate

Telling = Literal["text", "keys"]
TELLINGS: tuple[Telling, ...] = ("text", "keys")
TURN_SHARE = 0.75
"""Share of the largest turn of a step that a case asks for, at every step."""
LEAST_SIDE = 0.8
"""Share of real turning steps that must be read to the right side before turns are judged."""
TURNS: Mapping[str, float] = {"turn left": -1.0, "turn right": 1.0}
"""Kinds of control that are no key, with their sign."""


class ControlReader(Protocol):
    """Inverse dynamics, or what stands in for it."""

    config: Any
    """has ``keys`` and ``look`` in the order of the readings"""

    def read(self, frames: np.ndarray) -> Reading:
        """Read rows 1 to t - 3 of a clip."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a clip should show.

    Attributes:
        rate: of control or of events.
        kind: a key or a turn; or a fact and its value, "room=2".
        wanted: per row; a fact's value, None where none is asked; () for a control, asked in all rows.
    """

    rate: Rate
    kind: str
    wanted: tuple[str | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InstructCase:
    """One instruction at one held-out start.

    Attributes:
        name: place, kind and telling.
        ask: what should come of it.
        telling: as words in fields, or as keys and turn held through the clip.
        rollout: the start, and the told controls.
        real: the true frames after the start where the event truly came about; None for a control.
    """

    name: str
    ask: Ask
    telling: Telling
    rollout: Rollout
    real: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was read off the new frames of one clip.

    Attributes:
        controls: float32 (n - 1, keys + axes) for n new frames.
        facts: of each fact n - 2 values.
        before: of each fact its value at the last start frame, read as if that frame stayed.
    """

    controls: np.ndarray
    facts: Read
    before: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The two readers of real frames that judge every clip."""

    controls: ControlReader
    facts: FactJudge

    def look(self, start: np.ndarray, frames: np.ndarray) -> Shown:
        """Read a clip's new frames (n, h, w, 3), at least 3, after START_FRAMES frames of start."""
        whole = np.concatenate([start, frames])
        first = START_FRAMES - 1
        read = self.facts.read(whole)
        still = self.facts.read(np.concatenate([start, *[start[-1:]] * FRAMES_AFTER]))
        return Shown(
            controls=read_rows(self.controls, whole)[first - 1 :],
            facts={name: values[first:] for name, values in read.items()},
            before={name: values[-1] for name, values in still.items()},
        )

    def judge(self, ask: Ask, shown: Shown) -> Obeyed:
        """Hold what was read against what was asked."""
        if ask.rate == "control":
            read = tuple(ask.kind if one else f"not {ask.kind}" for one in self._does(ask.kind, shown))
            return Obeyed(rate="control", wanted=(ask.kind,) * len(read), shown=read)
        name, _, value = ask.kind.partition("=")
        fact, read = self.facts.facts[name], shown.facts[name]
        if fact.kind == "event":  # it shows for a moment: the clip is asked, not a frame
            seen = "yes" if fact.is_shown(read, "yes") else "no"
            return Obeyed(rate="event", wanted=(value,), shown=(seen,))
        return Obeyed(rate="event", wanted=ask.wanted, shown=tuple(read))

    def is_news(self, ask: Ask, shown: Shown) -> bool:
        """Whether a clip does not begin with what is asked: a state that lasts obeys nobody."""
        name, _, value = ask.kind.partition("=")
        return ask.rate == "control" or self.facts.facts[name].kind == "event" or shown.before[name] != value

    def _does(self, kind: str, shown: Shown) -> list[bool]:
        config = self.controls.config
        if kind in TURNS:
            yaw = shown.controls[:, len(config.keys) + list(config.look).index("yaw")]
            side = "right" if TURNS[kind] > 0 else "left"
            return [side_of(one) == side for one in yaw.tolist()]
        return (shown.controls[:, config.keys.index(kind)] >= HELD).tolist()


def control_cases(
    episodes: Sequence[EpisodeRef], kinds: Sequence[str], count: int, new_frames: int, seed: int
) -> list[InstructCase]:
    """Cases of control: kinds and tellings in turn, at starts drawn without regard to them.

    Args:
        episodes: held-out recordings.
        kinds: keys and turns that the reader can judge; () gives no cases.
        count: cases wanted; fewer come back when the recordings hold no more places.
        new_frames: of a clip.
        seed: of the draw.

    Raises:
        DataError: when no episode is long enough.
    """
    if not kinds:
        return []
    # a place that was drawn twice serves once; episodes take turns, so kinds must not
    places = {case.name: case for case in choose_cases(episodes, 2 * count, new_frames, seed)}
    order = stream(seed, "control cases").permutation(len(places))[:count].tolist()
    cases = []
    for number, case in enumerate(list(places.values())[place] for place in order):
        kind = kinds[number % len(kinds)]
        telling = TELLINGS[number // len(kinds) % 2]
        controls = told_control(kind, telling, episodes[0].info.controls, new_frames)
        cases.append(
            InstructCase(
                name=f"{case.name} {kind} by {telling}",
                ask=Ask(rate="control", kind=kind),
                telling=telling,
                rollout=replace(case.rollout, controls=controls),
            )
        )
    return cases


def told_control(kind: str, telling: Telling, space: ControlSpace, new_frames: int) -> tuple[Control, ...]:
    """Tell a control for a whole clip: held as a key or turn, or said in the field "action"."""
    yaw = TURNS.get(kind, 0.0) * TURN_SHARE * space.look_limit[0]
    if telling == "keys":
        keys = frozenset() if kind in TURNS else frozenset({kind})
        return (Control(keys, (yaw, 0.0)),) * new_frames
    words = VERBS.get(kind, f"press {kind}")
    if kind in TURNS:
        words = f"{kind} by {tell_angle(yaw * new_frames, TruthCaptionConfig())} degrees"
    return (Control(text={"action": words}), *(IDLE,) * (new_frames - 1))


def event_cases(
    episodes: Sequence[EpisodeRef], facts: FactJudge, count: int, new_frames: int, seed: int
) -> tuple[list[InstructCase], dict[str, str]]:
    """Cases of events: places where a fact truly changes within the clip, kinds and tellings in turn.

    Args:
        episodes: held-out recordings with controls.
        facts: tells which values can be judged.
        count: cases wanted; fewer come back when the recordings hold no more.
        new_frames: of a clip, at least 3.
        seed: of the draw.

    Returns:
        The cases, and why each kind that truly came about is not judged.
    """
    chosen = [fact for fact in facts.facts.values() if fact.kind == "event" or _is_told(fact, episodes)]
    places: dict[str, list[tuple[EpisodeRef, int, tuple[str | None, ...]]]] = {}
    for episode in episodes:
        told = tell_frames(episode)
        labels = label_frames(told, chosen, episode.num_frames)
        for column, fact in enumerate(chosen):
            for row, value, wanted in _changes(fact, labels[:, column], new_frames):
                places.setdefault(f"{fact.name}={value}", []).append((episode, row, wanted))
    left_out = {kind: why for kind in sorted(places) if (why := facts.why_undefined(*kind.split("=", 1)))}
    kinds = {kind: found for kind, found in sorted(places.items()) if kind not in left_out}
    draws = stream(seed, "event cases")
    order = {kind: draws.permutation(len(found)) for kind, found in kinds.items()}
    cases: list[InstructCase] = []
    for turn in range(max((len(found) for found in kinds.values()), default=0)):
        for kind, found in kinds.items():
            if turn < len(found) and len(cases) < count:
                episode, row, wanted = found[order[kind][turn]]
                ask = Ask(rate="event", kind=kind, wanted=wanted)
                cases.append(_event_case(episode, row, ask, TELLINGS[turn % 2], new_frames, len(cases)))
    return cases, left_out


def _is_told(fact: Fact, episodes: Sequence[EpisodeRef]) -> bool:
    """Whether captions speak of a state: those of the truth's own columns do."""
    return fact.kind == "state" and f"truth_{fact.name}" in episodes[0].columns


def _changes(
    fact: Fact, labels: np.ndarray, new_frames: int
) -> Iterator[tuple[int, str, tuple[str | None, ...]]]:
    """Places whose clips show a change: row of the last start frame, the value, and what each row shows.

    Clips of one kind do not overlap. A state must have changed by the last row that is read, and stay to the
    clip's end, where captions look.
    """
    count, free = new_frames - 2, {}
    for row in range(START_FRAMES - 1, len(labels) - new_frames):
        after = labels[row + 1 : row + 1 + count]
        if fact.kind == "event":
            number = fact.values.index("yes")
            happens, wanted = bool((after == number).any()) and labels[row] != number, ()
        else:
            number, last = after[-1], labels[row + new_frames]
            happens = min(number, labels[row]) >= 0 and number != labels[row] and last == number
            begin = count - int(np.argmin(np.append(after[::-1] == number, False)))
            wanted = (None,) * begin + (fact.values[number],) * (count - begin)
        value = fact.values[number]
        if happens and row >= free.get(value, 0):
            free[value] = row + new_frames
            yield row, value, wanted


def _event_case(
    episode: EpisodeRef, row: int, ask: Ask, telling: Telling, new_frames: int, number: int
) -> InstructCase:
    case = cut_case(episode, row, new_frames, number)
    vectors = episode.control_vectors[row : row + new_frames]
    if telling == "text":
        table = episode.table.slice(row, new_frames + 1)
        fields = write_fields(episode.info, table, vectors, TruthCaptionConfig())
        text = {name: fields[name] for name in INS_FIELDS if fields[name] != UNCHANGED}
        controls = (Control(text=text), *(IDLE,) * (new_frames - 1))
    else:
        controls = (_held(vectors, episode.info.controls),) * new_frames
    return InstructCase(
        name=f"{case.name} {ask.kind} by {telling}",
        ask=ask,
        telling=telling,
        rollout=replace(case.rollout, controls=controls),
        real=case.truth,
    )


def _held(vectors: np.ndarray, space: ControlSpace) -> Control:
    """What the player held for as much of the clip as captions tell of, and the mean turn."""
    share = (vectors[:, :-2] > 0.5).mean(0)
    keys = {key for key, one in zip(space.keys, share, strict=True) if one >= TruthCaptionConfig().held}
    yaw, pitch = vectors[:, -2:].mean(0).tolist()
    return Control(frozenset(keys), (yaw, pitch))


@dataclass(frozen=True, kw_only=True)
class RealControls:
    """What the reader of controls makes of real frames.

    Attributes:
        kinds: keys and turns that it can judge.
        left_out: why each other one cannot be judged.
        shares: share of real clips that read as obeyed, of kinds that a player did throughout one.
    """

    kinds: tuple[str, ...]
    left_out: Mapping[str, str]
    shares: Mapping[str, float]


def read_real_controls(
    episodes: Sequence[EpisodeRef], judges: Judges, new_frames: int, count: int, seed: int
) -> RealControls:
    """Read real clips of the held-out recordings, as ``control.py`` does, before any world is judged.

    Raises:
        DataError: when the reader reads a key that the recordings do not have.
    """
    space, config = episodes[0].info.controls, judges.controls.config
    unknown = sorted(set(config.keys) - set(space.keys))
    if unknown:
        raise DataError(f"the reader of controls reads keys {unknown}, the recordings have {space.keys}")
    columns = [space.keys.index(key) for key in config.keys]
    read, asked, turned, found = [], [], [], {}
    for case in choose_cases(episodes, count, new_frames, seed + 1):
        shown = judges.look(case.rollout.start, case.truth)
        vectors = space.to_vectors(case.rollout.controls)[: len(shown.controls)]
        read.append(shown.controls[:, : len(columns)])
        asked.append(vectors[:, columns])
        if "yaw" in config.look:
            column = len(columns) + list(config.look).index("yaw")
            turned.append(np.stack([shown.controls[:, column], vectors[:, -2]]))
        for kind in _throughout(vectors, space, config):
            obeyed = judges.judge(Ask(rate="control", kind=kind), shown)
            found.setdefault(kind, []).append(obeyed.is_success)
    reasons = dict(zip(config.keys, why_undefined(count_keys(read, asked)), strict=True))
    if turned:
        sides = turn_sign_accuracy(*np.concatenate(turned, axis=1))
        why = "" if sides >= LEAST_SIDE else f"read to the right side in {sides:.2f} of real turning steps"
        reasons |= dict.fromkeys(TURNS, why)
    return RealControls(
        kinds=tuple(kind for kind, why in reasons.items() if not why),
        left_out={kind: why for kind, why in reasons.items() if why},
        shares={kind: float(np.mean(values)) for kind, values in found.items() if not reasons[kind]},
    )


def _throughout(vectors: np.ndarray, space: ControlSpace, config: Any) -> Iterator[str]:
    """Kinds that the player did at every step."""
    yield from (key for key in config.keys if vectors[:, space.keys.index(key)].min() > 0.5)
    if "yaw" in config.look:
        sides = {side_of(yaw) for yaw in vectors[:, -2].tolist()}
        yield from (kind for kind in TURNS if sides == {kind.removeprefix("turn ")})
