"""Reads facts off clips by the network of inverse dynamics, and knows how well it reads each.

    FACTS/reader/       model folder of inverse dynamics, one "key" for each value of each fact
    FACTS/facts.json    the facts, how well each value is read on held-out recordings, hash of the weights

A value that is read below LEAST_F1 there is not judged by: figures that hang on it are undefined. This file
does NOT train; ``benchmarks/fact_reader.py`` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from paracosm.core.config import from_json, to_json
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.figures import Figure, figure_of, not_computed
from paracosm.core.files import read_json, write_json
from paracosm.core.rng import stream
from paracosm.core.stats import BOOTSTRAP_DRAWS, estimate
from paracosm.data.reader import EpisodeRef
from paracosm.models.base import weights_hash
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE, WINDOW, InverseDynamics

from .control import f1
from .facts import Fact, label_frames, tell_frames
from .intervals import percentile_interval

FORMAT_VERSION = 1
"""Raised when facts.json changes its meaning."""
LEAST_F1 = 0.8
"""F1 on held-out real frames from which a value is read well enough to judge by."""
LEAST_SEEN = 10
"""Held-out frames that must show a value, and as many that must not, before it is judged."""

Read = Mapping[str, Sequence[str]]
"""Of each fact by name: the value read at each row."""


class FactJudge(Protocol):
    """What judges need of a reader."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """The facts that it reads, by name."""
        ...

    def read(self, frames: np.ndarray) -> Read:
        """Read rows 1 to t - 3 of a clip uint8 (t, h, w, 3)."""
        ...

    def why_undefined(self, fact: str, value: str) -> str:
        """Say why a value cannot be judged, or "" where it can."""
        ...


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well one value is read on held-out recordings.

    Attributes:
        f1: 2 hit / (2 hit + false + missed), in [0, 1]; None where it is never shown nor read.
        seen: rows that show it.
        rows: rows of which the fact is known.
    """

    f1: float | None
    seen: int
    rows: int

    @property
    def why_undefined(self) -> str:
        """Why it cannot judge, or ""."""
        if min(self.seen, self.rows - self.seen) < LEAST_SEEN or self.f1 is None:
            return (
                f"shown in {self.seen} of {self.rows} held-out rows; at least {LEAST_SEEN} with and without "
                "it are needed"
            )
        if self.f1 < LEAST_F1:
            return f"read with F1 {self.f1:.2f} on held-out frames; at least {LEAST_F1:g} is needed to judge"
        return ""


@dataclass(frozen=True, kw_only=True)
class FactsFile:
    """What facts.json holds."""

    format_version: int
    """of this file"""
    world: str
    """world that was recorded"""
    facts: tuple[Fact, ...]
    """in the order of the network's outputs"""
    scores: Mapping[str, Mapping[str, Score]]
    """by fact and value"""
    weights: str
    """hash of the network"""


class FactReader:
    """Reads facts; see :class:`FactJudge`.

    Args:
        model: its keys are those of :func:`key_names`.
        facts: what it reads.
        scores: how well; a value without a score is not judged.
    """

    def __init__(
        self, model: InverseDynamics, facts: Sequence[Fact], scores: Mapping[str, Mapping[str, Score]]
    ) -> None:
        if model.config.keys != key_names(facts):
            raise ConfigError("the network was made for other facts; pass the facts.json beside it")
        self.model, self.scores = model, scores
        self._facts = {fact.name: fact for fact in facts}

    @property
    def facts(self) -> Mapping[str, Fact]:
        """The facts that it reads, by name."""
        return self._facts

    def read(self, frames: np.ndarray) -> Read:
        """Read rows 1 to t - 3 of a clip uint8 (t, h, w, 3); t >= 4."""
        numbers = read_numbers(self.model, tuple(self._facts.values()), frames)
        return {
            fact.name: tuple(fact.values[number] for number in numbers[:, column])
            for column, fact in enumerate(self._facts.values())
        }

    def why_undefined(self, fact: str, value: str) -> str:
        """Say why a value cannot be judged, or "" where it can."""
        if fact not in self._facts:
            return f'the recordings tell no fact "{fact}"'
        score = self.scores.get(fact, {}).get(value)
        return score.why_undefined if score is not None else f'"{value}" of {fact} was never seen'


def key_names(facts: Sequence[Fact]) -> tuple[str, ...]:
    """Names of the network's outputs: "room=2" for each value of each fact."""
    return tuple(f"{fact.name}={value}" for fact in facts for value in fact.values)


def columns_of(facts: Sequence[Fact]) -> list[slice]:
    """Which outputs belong to each fact."""
    ends = np.cumsum([len(fact.values) for fact in facts]).tolist()
    return [slice(end - len(fact.values), end) for fact, end in zip(facts, ends, strict=True)]


def read_numbers(model: InverseDynamics, facts: Sequence[Fact], frames: np.ndarray) -> np.ndarray:
    """Read rows 1 to t - 3 of a clip: int64 (t - 3, facts), places in ``values``."""
    logits = model.read_logits(frames)[0].numpy()
    return np.stack([logits[:, columns].argmax(1) for columns in columns_of(facts)], 1)


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Labels and readings of held-out episodes: int64 (rows, facts) each; -1 in a label is unknown."""

    labels: Sequence[np.ndarray]
    read: Sequence[np.ndarray]


def read_episodes(
    model: InverseDynamics, facts: Sequence[Fact], episodes: Sequence[EpisodeRef], most_frames: int
) -> Readings:
    """Read the first frames of each episode.

    Raises:
        DataError: when no episode has a whole window.
    """
    labels, read = [], []
    for episode in episodes:
        count = min(most_frames, episode.num_frames)
        if count < WINDOW:
            continue
        whole = label_frames(tell_frames(episode), facts, episode.num_frames)
        labels.append(whole[FRAMES_BEFORE : count - FRAMES_AFTER])
        read.append(read_numbers(model, facts, episode.read_frames(0, count)))
    if not labels:
        raise DataError(f"none of {len(episodes)} held-out episodes has {WINDOW} frames; record longer ones")
    return Readings(labels=labels, read=read)


def score_facts(facts: Sequence[Fact], readings: Readings) -> dict[str, dict[str, Score]]:
    """How well each value is read, pooled over all rows."""
    counts = count_values(facts, readings).sum(0)
    names, scores = key_names(facts), {}
    for (hit, false, missed, rows), name in zip(counts, names, strict=True):
        fact, _, value = name.partition("=")
        measured = f1(np.array(hit), np.array(false), np.array(missed))
        score = Score(
            f1=float(measured) if np.isfinite(measured) else None, seen=int(hit + missed), rows=int(rows)
        )
        scores.setdefault(fact, {})[value] = score
    return scores


def count_values(facts: Sequence[Fact], readings: Readings) -> np.ndarray:
    """Hits, false readings, misses and known rows: int64 (episodes, values, 4), values as in key_names."""
    table = []
    for labels, read in zip(readings.labels, readings.read, strict=True):
        row = []
        for column, fact in enumerate(facts):
            known = labels[:, column] >= 0
            true, seen = labels[known, column], read[known, column]
            for value in range(len(fact.values)):
                is_true, is_read = true == value, seen == value
                hits = (is_true & is_read).sum(), (~is_true & is_read).sum(), (is_true & ~is_read).sum()
                row.append([*hits, known.sum()])
        table.append(row)
    return np.array(table, np.int64)


def fact_figures(facts: Sequence[Fact], readings: Readings, seed: int = 0) -> dict[str, Figure]:
    """Figures of the reader: accuracy of each fact, F1 of each value; intervals resample episodes.

    Returns:
        facts.accuracy.NAME, the share of rows read right, beside it the share when each episode's readings
        are held against the labels of the next; and facts.f1.NAME=VALUE.
    """
    figures: dict[str, Figure] = {}
    for column, fact in enumerate(facts):
        shares = _shares(readings.labels, readings.read, column)
        others = [*readings.read[1:], *readings.read[:1]]
        mixed = _shares(readings.labels, others, column) if len(others) > 1 else []
        name = f"facts.accuracy.{fact.name}"
        figures[name] = not_computed("undefined", "no held-out row tells it", "share")
        if shares:
            anchors = {"shuffled": float(np.mean(mixed)) if mixed else None}
            figures[name] = figure_of(estimate(shares, seed), "share", anchors=anchors)
    counts, scores = count_values(facts, readings), score_facts(facts, readings)
    draws = stream(seed, "fact scores").integers(0, len(counts), (BOOTSTRAP_DRAWS, len(counts)))
    for number, key in enumerate(key_names(facts)):
        fact, _, value = key.partition("=")
        score = scores[fact][value]
        if score.f1 is None or min(score.seen, score.rows - score.seen) < LEAST_SEEN:
            figures[f"facts.f1.{key}"] = not_computed("undefined", score.why_undefined, "share")
            continue
        hit, false, missed, _ = counts[:, number][draws].sum(1).T
        interval = percentile_interval(f1(hit, false, missed))
        figures[f"facts.f1.{key}"] = Figure(value=score.f1, unit="share", n=len(counts), ci95=interval)
    return figures


def _shares(labels: Sequence[np.ndarray], read: Sequence[np.ndarray], column: int) -> list[float]:
    """Share of known rows read right, for each episode that has one; the longer of a pair is cut."""
    shares = []
    for one, two in zip(labels, read, strict=True):
        rows = min(len(one), len(two))
        known = one[:rows, column] >= 0
        if known.any():
            shares.append(float((one[:rows, column] == two[:rows, column])[known].mean()))
    return shares


def save_facts(folder: Path, reader: FactReader, world: str) -> None:
    """Write what stands beside the network, which lies in FOLDER/reader already."""
    file = FactsFile(
        format_version=FORMAT_VERSION,
        world=world,
        facts=tuple(reader.facts.values()),
        scores=reader.scores,
        weights=weights_hash(folder / "reader"),
    )
    write_json(folder / "facts.json", to_json(file))


def load_facts(folder: Path) -> FactReader:
    """Read a reader of facts.

    Raises:
        DataError: when a file is missing, or the network is another than was measured.
        ConfigError: when facts.json does not fit.
    """
    file = from_json(FactsFile, read_json(folder / "facts.json"), "facts.json")
    if file.format_version != FORMAT_VERSION:
        raise ConfigError(
            f"{folder}/facts.json has format version {file.format_version}, this version reads "
            f"{FORMAT_VERSION}; make it anew with python -m benchmarks.fact_reader"
        )
    if weights_hash(folder / "reader") != file.weights:
        raise DataError(
            f"{folder}/reader is another network than the one whose accuracy facts.json tells; "
            "measure it anew with python -m benchmarks.fact_reader"
        )
    return FactReader(InverseDynamics.load(folder / "reader"), file.facts, file.scores)
