"""Yes-or-no questions about one clip, and how their answers become InterBench's marks.

Atomic questions in place of a number: each is about one fault, large or small, and the marks follow by rule.
Templates, sampling of frames and rules have one version. This file does NOT send anything.

Source: the dimensions and the scale are those of arXiv 2511.23429, Appendix D; the questions are this
project's own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

QUESTIONS_VERSION = 1
"""Raised with every change of a template, a rule or the sampling; other versions are not compared."""
NUM_FRAMES = 12
"""Frames shown: the first, the last three, and the rest spread over the clip, denser after the action."""
SHOWN_WIDTH = 256
"""Frames are enlarged to at least this width by whole numbers, pixel by pixel: small pictures are misread."""

Fault = Literal["large", "small"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question; "{event}" and "{change}" stand for what should happen and what it should look like.

    Attributes:
        name: stable, e.g. "fluency.large".
        text: answered by yes or no.
    """

    name: str
    text: str


QUESTIONS = (
    Question(
        name="trigger.same",
        text="Does the scene stay the same from the first to the last frame, apart from blur, noise "
        "or a slight drift?",
    ),
    Question(
        name="trigger.begins",
        text="At some moment, does this happen or at least begin to happen: {event}?",
    ),
    Question(
        name="alignment.large",
        text="Is what happens a different event from this one, or its opposite: {event}? Or does "
        "the place turn into an unrelated one?",
    ),
    Question(
        name="alignment.small",
        text="Are there smaller deviations from what should be seen, which is: {change}?",
    ),
    Question(
        name="fluency.large",
        text="Does the picture flicker again and again, or do things teleport?",
    ),
    Question(
        name="fluency.small",
        text="Is there one slight jitter or one sudden jump between frames that does not belong to "
        "the event?",
    ),
    Question(
        name="scope.large",
        text="Is the extent of the change fundamentally wrong: everything changes though only a "
        "part should, or a small part though all should?",
    ),
    Question(
        name="scope.small",
        text="Is the extent of the change a little too large or too small?",
    ),
    Question(
        name="end_state.large",
        text="Does the change fail to reach its end, swing to and fro, or vanish too early? It "
        "should end so: {end}.",
    ),
    Question(
        name="end_state.small",
        text="Is the end state reached but slightly unstable in the last frames?",
    ),
    Question(
        name="physics.large",
        text="Is there a severe violation of physics: things melt, pass through each other, appear "
        "or vanish without cause?",
    ),
    Question(
        name="physics.small",
        text="Is there a slight warping or a brief overlap of things?",
    ),
)
"""Two of the trigger, then a large and a small fault of each dimension."""

TEMPLATE = """You see {count} frames of one clip of a first- or third-person game, in order. \
At frame 1 the player presses a key that should cause this: {event}.

Question: {question}

Write one short line with what you see that decides it. Then write a last line, exactly "ANSWER: yes" or \
"ANSWER: no"."""


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What a kind of interaction is called in questions.

    Attributes:
        event: what should happen, e.g. "the door in front opens".
        change: what it should look like.
        end: how it should end.
    """

    event: str
    change: str
    end: str


WORDINGS: Mapping[str, Wording] = {
    "door": Wording(
        event="the door straight ahead opens",
        change="the door slides upward and the room behind it comes into view",
        end="the door stays open",
    ),
    "shot": Wording(
        event="the weapon at the lower edge fires",
        change="a bright flash at the muzzle for a moment and a slight kick of the weapon",
        end="the flash is gone and the weapon is back where it was",
    ),
    "jump": Wording(
        event="the player jumps",
        change="the view (or the figure) rises and comes down again in an arc",
        end="the player stands on the ground again",
    ),
    "hit": Wording(
        event="the weapon fires and hits the creature ahead",
        change="a flash, and the creature flinches or falls",
        end="the flash is gone; a fallen creature lies on the floor",
    ),
    "pickup": Wording(
        event="the player takes the item ahead",
        change="the item vanishes when the player reaches it",
        end="the item is gone",
    ),
}
"""Wordings by name of the kind."""


def prompt_of(question: Question, wording: Wording, count: int) -> str:
    """Write the prompt of one question about ``count`` frames."""
    words = {"event": wording.event, "change": wording.change, "end": wording.end}
    return TEMPLATE.format(count=count, event=wording.event, question=question.text.format(**words))


def templates_hash() -> str:
    """Hash of every template and wording: part of what makes marks comparable."""
    text = repr((QUESTIONS_VERSION, TEMPLATE, QUESTIONS, sorted(WORDINGS.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sample_frames(start: np.ndarray, frames: np.ndarray) -> list[np.ndarray]:
    """Choose and enlarge the frames that a judge sees.

    Args:
        start: uint8 (h, w, 3), the frame at which the key is pressed: always shown first.
        frames: uint8 (t, h, w, 3) after it; the last three are always shown.

    Returns:
        At most NUM_FRAMES frames, uint8, each (n h, n w, 3) with a whole number n.
    """
    last = max(0, len(frames) - 3)
    room = max(0, NUM_FRAMES - 1 - (len(frames) - last))
    # denser early, where things happen: squares of an even ladder
    ladder = np.unique((np.linspace(0, 1, room, endpoint=False) ** 1.5 * last).astype(int)) if last else []
    chosen = [*(int(index) for index in ladder), *range(last, len(frames))]
    times = max(1, -(-SHOWN_WIDTH // start.shape[1]))
    return [
        image.repeat(times, 0).repeat(times, 1) for image in (start, *(frames[index] for index in chosen))
    ]


def read_answer(text: str) -> bool | None:
    """Read yes or no off a reply; None where it has no ANSWER line."""
    found = re.findall(r"ANSWER:\s*\**\s*(yes|no)\b", text, re.IGNORECASE)
    return found[-1].lower() == "yes" if found else None


def marks_of(answers: Mapping[str, bool]) -> dict[str, int]:
    """Turn answers into marks: trigger 0 or 1; the others 5, 3 for a small fault, 1 for a large one.

    Args:
        answers: by question name; only the two of the trigger are needed when it is 0.
    """
    trigger = int(answers["trigger.begins"] and not answers["trigger.same"])
    marks = {"trigger": trigger}
    for name in ("alignment", "fluency", "scope", "end_state", "physics"):
        if not trigger:
            marks[name] = 0
        else:
            marks[name] = 1 if answers[f"{name}.large"] else 3 if answers[f"{name}.small"] else 5
    return marks
