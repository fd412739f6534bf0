"""People's ratings of clips, and the small classifier that learns from them: the column taste.

    OUT/ratings.jsonl   one line for each rating; of those of one clip the last by its time counts

A logistic regression over the scores, solved exactly enough in numpy, with its quality told by leaving
sources out. This file does NOT show clips: ``review`` does.

Source: Genie's quality filter (2402.15391, section 3.1) learns from ratings of 10 thousand videos.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import append_json

from .scores import Scores

RATINGS_FILE = "ratings.jsonl"
FEATURES = (
    "black", "frozen", "luma", "dark", "bright", "contrast", "sharpness", "flicker", "motion", "motion_p95",
    "moving", "jitter", "zoom", "hero", "hud", "hud_area", "paused", "aesthetic_proxy", "colourfulness",
    "duplicate",
)  # fmt: skip
"""Scores that the classifier may look at; what is not known counts as its mean, with a flag that says so."""
FEWEST = 8
"""Ratings of each side, kept and dropped, below which nothing is learnt."""
PENALTY = 1.0
"""Strength of the pull towards no opinion; it decides when ratings are few."""
LONGEST_CAPTION = 2000


@dataclass(frozen=True, kw_only=True)
class Rating:
    """What a person said of one clip.

    Attributes:
        clip: its name.
        keep: whether to keep it.
        score: 1 to 5; None when not given.
        caption: a better caption; "" when none was given.
    """

    clip: str
    keep: bool
    score: int | None = None
    caption: str = ""

    def __post_init__(self) -> None:
        if self.score is not None and not 1 <= self.score <= 5:
            raise ConfigError(f"score {self.score} is not one of 1 to 5")
        if len(self.caption) > LONGEST_CAPTION:
            raise ConfigError(
                f"a caption of {len(self.caption)} characters is too long; use at most {LONGEST_CAPTION}"
            )


@dataclass(frozen=True, kw_only=True)
class Taste:
    """A classifier learnt from ratings.

    Attributes:
        weights: of the standardised features, then of the flags "not known", then the constant.
        mean: of each feature.
        scale: of each feature.
        num_ratings: ratings that it was learnt from.
        accuracy: share of ratings told right when their source was left out; None with a single source.
        baseline: share told right by always saying the more frequent answer.
    """

    weights: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    num_ratings: int
    accuracy: float | None
    baseline: float


def add_rating(out: Path, rating: Rating) -> None:
    """Append a rating; it is on its way to the disk when this returns.

    Raises:
        DataError: when the disk is full.
    """
    row = {
        "time": round(time.time(), 3),
        "clip": rating.clip,
        "keep": rating.keep,
        "score": rating.score,
        "caption": rating.caption,
    }
    append_json(out / RATINGS_FILE, row)


def read_ratings(out: Path) -> dict[str, Rating]:
    """Return the last rating of each clip by time, whichever machine's lines stand first.

    A last line torn by a kill is left out, and a line without a time is as old as the one before it.

    Raises:
        DataError: when another line cannot be read.
    """
    path = out / RATINGS_FILE
    if not path.exists():
        return {}
    found: dict[str, tuple[float, Rating]] = {}
    moment = 0.0
    lines = path.read_text().split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = json.loads(line)
            moment = float(row.get("time", moment))
            rating = Rating(clip=row["clip"], keep=row["keep"], score=row["score"], caption=row["caption"])
            if rating.clip not in found or moment >= found[rating.clip][0]:
                found[rating.clip] = (moment, rating)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break
            raise DataError(f"{path} line {number} is no rating ({error}); remove that line") from error
    return {clip: rating for clip, (_, rating) in found.items()}


def learn_taste(rows: Sequence[Mapping[str, Any]], ratings: Mapping[str, Rating]) -> Taste | None:
    """Learn which clips people keep.

    Args:
        rows: clips with their scores.
        ratings: by clip; those of clips that are no longer there do not count.

    Returns:
        The classifier; None when either answer was given fewer than FEWEST times.
    """
    rated = [row for row in rows if row["clip"] in ratings]
    answers = np.array([ratings[row["clip"]].keep for row in rated], float)
    if min(answers.sum(), len(answers) - answers.sum()) < FEWEST:
        return None
    raw = _raw(rated)
    mean, scale = _standard(raw)
    features = _features(raw, mean, scale)
    return Taste(
        weights=_solve(features, answers),
        mean=mean,
        scale=scale,
        num_ratings=len(rated),
        accuracy=_left_out_accuracy(features, answers, [row["source"] for row in rated]),
        baseline=float(max(answers.mean(), 1 - answers.mean())),
    )


def judge_taste(rows: Sequence[Mapping[str, Any]], taste: Taste) -> np.ndarray:
    """Return the probability, 0 to 1, that people keep each clip."""
    return _sigmoid(_features(_raw(rows), taste.mean, taste.scale) @ taste.weights)


def add_taste(scores: Scores) -> pa.Table:
    """Return the clips with the columns taste (null when too few were rated), rated_keep and rated_score."""
    ratings = read_ratings(scores.config.out)
    rows = scores.clips.to_pylist()
    taste = learn_taste(rows, ratings)
    judged = judge_taste(rows, taste).tolist() if taste is not None else [None] * len(rows)
    said = [ratings.get(row["clip"]) for row in rows]
    table = scores.clips.append_column("taste", pa.array(judged, pa.float64()))
    kept = [None if rating is None else rating.keep for rating in said]
    table = table.append_column("rated_keep", pa.array(kept, pa.bool_()))
    stars = [None if rating is None else rating.score for rating in said]
    return table.append_column("rated_score", pa.array(stars, pa.int32()))


def _raw(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    values = [[np.nan if row[name] is None else row[name] for name in FEATURES] for row in rows]
    return np.array(values, float).reshape(-1, len(FEATURES))


def _standard(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(raw)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, raw, 0).sum(axis=0) / counts
    spread = np.sqrt(np.where(known, (raw - mean) ** 2, 0).sum(axis=0) / counts)
    return mean, np.where(spread > 1e-9, spread, 1.0)


def _features(raw: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    known = np.isfinite(raw)
    standard = np.where(known, (raw - mean) / scale, 0.0)
    return np.concatenate([np.clip(standard, -5, 5), ~known, np.ones((len(raw), 1))], axis=1)


def _solve(features: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Newton's method for the penalised logistic regression: a dozen steps reach the optimum."""
    penalty = np.full(features.shape[1], PENALTY)
    penalty[-1] = 1e-6
    weights = np.zeros(features.shape[1])
    for _ in range(25):
        probability = _sigmoid(features @ weights)
        gradient = features.T @ (probability - answers) + penalty * weights
        curvature = (features * (probability * (1 - probability))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _left_out_accuracy(features: np.ndarray, answers: np.ndarray, sources: Sequence[str]) -> float | None:
    """Share told right by classifiers that saw no clip of the same source; in at most five parts."""
    names = sorted(set(sources))
    if len(names) < 2:
        return None
    part_of = {name: index % min(5, len(names)) for index, name in enumerate(names)}
    parts = np.array([part_of[source] for source in sources])
    right = np.zeros(len(answers), bool)
    for part in range(parts.max() + 1):
        held = parts == part
        if not held.any() or held.all():
            return None
        weights = _solve(features[~held], answers[~held])
        right[held] = (_sigmoid(features[held] @ weights) > 0.5) == (answers[held] > 0.5)
    return float(right.mean())


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))
