"""Marks of one clip by a vision model, by votes; and clips with known labels on which the judge is tested.

The labelled clips are made from the true game by known faults, so that every judge is calibrated on the same
scenes that it judges. This file does NOT send anything itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .judge_client import JudgeConfig, JudgeError, Reply, ask
from .judge_questions import QUESTIONS, Question, Wording, marks_of, prompt_of, read_answer, sample_frames

Asker = Callable[[JudgeConfig, str, Sequence[np.ndarray], int], Reply]
"""What :func:`judge_client.ask` is."""

LabelName = Literal["acted", "idle", "fades", "flickers"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a judge said of one clip.

    Attributes:
        marks: trigger 0 or 1, the five dimensions 0, 1, 3 or 5.
        answers: majority answer by question.
        agreement: mean share of the votes that went with the majority, 0.5 to 1.
        judge: id under which the model answered.
        tokens: tokens used by live and kept replies alike.
    """

    marks: dict[str, int]
    answers: dict[str, bool]
    agreement: float
    judge: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A clip whose marks are known.

    Attributes:
        name: which fault it has.
        frames: uint8 (t, h, w, 3).
        answers: what a faultless judge answers, for the questions that the fault decides.
    """

    name: LabelName
    frames: np.ndarray
    answers: dict[str, bool]


def judge_clip(
    config: JudgeConfig,
    wording: Wording,
    start: np.ndarray,
    frames: np.ndarray,
    votes: int = 3,
    asker: Asker = ask,
) -> Judged:
    """Ask every question about one clip, each ``votes`` times.

    The five dimensions are asked only when the trigger is 1: without it they are 0.

    Args:
        config: the judge.
        wording: what should happen.
        start: uint8 (h, w, 3), the frame at which the key is pressed.
        frames: uint8 (t, h, w, 3), what followed.
        votes: odd.
        asker: asks; another function in tests.

    Raises:
        JudgeError: when a question found no majority of readable answers; nothing is scored then.
    """
    shown = sample_frames(start, frames)
    answers: dict[str, bool] = {}
    agreements, judges, tokens = [], set[str](), 0

    def put(question: Question) -> None:
        nonlocal tokens
        replies = [
            asker(config, prompt_of(question, wording, len(shown)), shown, vote) for vote in range(votes)
        ]
        read = [answer for answer in (read_answer(reply.text) for reply in replies) if answer is not None]
        if 2 * max(read.count(True), read.count(False), 0) <= votes:
            raise JudgeError(
                f'{len(read)} of {votes} replies to "{question.name}" could be read, without a majority; '
                "the clip is not scored"
            )
        answers[question.name] = read.count(True) > read.count(False)
        agreements.append(read.count(answers[question.name]) / votes)
        judges.update(reply.judge for reply in replies)
        tokens += sum(reply.tokens for reply in replies)

    for question in QUESTIONS[:2]:
        put(question)
    if answers["trigger.begins"] and not answers["trigger.same"]:
        for question in QUESTIONS[2:]:
            put(question)
    return Judged(
        marks=marks_of(answers),
        answers=answers,
        agreement=float(np.mean(agreements)),
        judge=", ".join(sorted(judges)),
        tokens=tokens,
    )


def labelled_clips(true_acted: np.ndarray, true_idle: np.ndarray, shows: np.ndarray) -> list[Labelled]:
    """Make clips with known answers from one scene of the true game.

    Args:
        true_acted: uint8 (t, h, w, 3), the game with the key.
        true_idle: the same without it.
        shows: bool (t,), steps at which the two differ.

    Returns:
        acted (nothing wrong), idle (nothing happens), flickers (every second step of the effect is missing),
        and, where the effect lasts to the end, fades (it vanishes half-way).
    """
    steps = np.flatnonzero(shows)
    faultless = {"trigger.same": False, "trigger.begins": True}
    flickering = true_acted.copy()
    flickering[steps[1::2]] = true_idle[steps[1::2]]
    clips = [
        Labelled(name="acted", frames=true_acted, answers=faultless | {
            "alignment.large": False, "fluency.large": False, "end_state.large": False}),
        Labelled(name="idle", frames=true_idle, answers={"trigger.same": True, "trigger.begins": False}),
        Labelled(name="flickers", frames=flickering, answers=faultless | {"fluency.large": True}),
    ]  # fmt: skip
    if shows[-1]:
        fading = true_acted.copy()
        half = int(steps[len(steps) // 2])
        fading[half:] = true_idle[half:]
        clips.append(Labelled(name="fades", frames=fading, answers=faultless | {"end_state.large": True}))
    return clips


def count_right(judged: Judged, labelled: Labelled) -> tuple[int, int]:
    """Count the known answers that the judge gave, and how many there are.

    A question that was not asked, since the judge saw no trigger, is answered wrongly.
    """
    right = sum(judged.answers.get(name) == answer for name, answer in labelled.answers.items())
    return right, len(labelled.answers)


def kappa(one: Sequence[int], other: Sequence[int]) -> float:
    """Cohen's kappa of two judges' marks: 1 equal, 0 as by chance; nan when neither varies.

    Args:
        one: marks by one judge.
        other: as many, of the same clips, by the other.
    """
    first, second = np.asarray(one), np.asarray(other)
    agreed = float(np.mean(first == second))
    values = np.union1d(first, second)
    chance = float(sum(np.mean(first == value) * np.mean(second == value) for value in values))
    return (agreed - chance) / (1 - chance) if chance < 1 else float("nan")
