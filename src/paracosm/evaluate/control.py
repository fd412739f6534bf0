"""How well the controls that were given can be read back from the frames: keys by F1, the turn in degrees.

Pure functions on arrays of readings and of what was asked. This file does NOT know networks, worlds or
recordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from paracosm.models.inverse_dynamics import Reading

HELD = 0.5
"""A key counts as read when its probability reaches this."""
TURNING_DEG = 1.0
"""Turns smaller than this have no sign worth judging."""
MIN_HELD = 10
"""Times that a key must be held, and as often not held, before it is judged."""
MIN_CEILING_F1 = 0.5
"""A key that the reader finds no better than this on real frames cannot judge a world."""


class Reader(Protocol):
    """Reads controls from frames, as ``models.inverse_dynamics.InverseDynamics`` does."""

    def read(self, frames: np.ndarray) -> Reading:
        """Read rows 1 to t - 3 of a clip uint8 (t, h, w, 3)."""
        ...


@dataclass(frozen=True, kw_only=True)
class KeyCounts:
    """Hits and misses of each key in each unit (case or run), so that units can be resampled.

    Attributes:
        hit: int64 (units, keys), held and read as held.
        false: int64 (units, keys), read as held but not held.
        missed: int64 (units, keys), held but not read.
        rows: int64 (units,), control rows judged.
    """

    hit: np.ndarray
    false: np.ndarray
    missed: np.ndarray
    rows: np.ndarray


def count_keys(read: list[np.ndarray], asked: list[np.ndarray]) -> KeyCounts:
    """Count hits and misses.

    Args:
        read: one (rows, keys) array of probabilities a unit.
        asked: one (rows, keys) array of 0 and 1 a unit, of the same shapes.
    """
    pairs = [(one >= HELD, two > 0.5) for one, two in zip(read, asked, strict=True)]
    return KeyCounts(
        hit=np.stack([(one & two).sum(0) for one, two in pairs]),
        false=np.stack([(one & ~two).sum(0) for one, two in pairs]),
        missed=np.stack([(~one & two).sum(0) for one, two in pairs]),
        rows=np.array([len(one) for one, _ in pairs]),
    )


def f1(hit: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """F1 = 2 hit / (2 hit + false + missed), nan where a key is neither held nor read."""
    total = 2 * hit + false + missed
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), np.nan)


def key_f1(counts: KeyCounts, units: np.ndarray | None = None) -> np.ndarray:
    """F1 of each key, pooled over all units or over the units given (with repeats).

    Returns:
        float64 (keys,) in [0, 1], higher is better; nan where undefined.
    """
    chosen = np.arange(len(counts.hit)) if units is None else units
    return f1(counts.hit[chosen].sum(0), counts.false[chosen].sum(0), counts.missed[chosen].sum(0))


def why_undefined(counts: KeyCounts) -> list[str]:
    """Say for each key why real frames cannot judge it, or "" where they can.

    Args:
        counts: of readings of real frames.
    """
    scores = key_f1(counts)
    held = (counts.hit + counts.missed).sum(0)
    total = int(counts.rows.sum())
    reasons = []
    for score, times in zip(scores, held, strict=True):
        blind = 2 * times / (times + total) if total else 0.0
        if times < MIN_HELD or total - times < MIN_HELD:
            reasons.append(
                f"held in {times} of {total} real rows; at least {MIN_HELD} held and not held are needed"
            )
        elif not score >= MIN_CEILING_F1:
            reasons.append(
                f"read with F1 {score:.2f} on real frames; at least {MIN_CEILING_F1} is needed to judge"
            )
        elif score <= blind:
            reasons.append(
                f"read with F1 {score:.2f} on real frames, no better than always guessing held ({blind:.2f})"
            )
        else:
            reasons.append("")
    return reasons


def share_of_ceiling(
    counts: KeyCounts, ceiling: KeyCounts, keys: np.ndarray, units: np.ndarray | None = None
) -> float:
    """Macro-F1 over some keys, divided by that of real frames.

    Args:
        counts: of readings of generated frames.
        ceiling: of readings of real frames, of the same units.
        keys: indices of the keys judged.
        units: unit indices (with repeats), None for all.

    Returns:
        The share; 1 when generated frames read as well as real ones; nan when there is none.
    """
    if len(keys) == 0:
        return float("nan")
    above = np.nan_to_num(key_f1(counts, units)[keys])
    below = key_f1(ceiling, units)[keys]
    return (
        float(np.mean(above) / np.mean(below))
        if np.isfinite(below).all() and below.sum() > 0
        else float("nan")
    )


def sum_turns(read: np.ndarray, asked: np.ndarray) -> tuple[float, float, float, float, float]:
    """Add up what the turn figures need, so that cases can be resampled.

    Args:
        read: turns read, degrees a step.
        asked: turns asked for, as many.

    Returns:
        Sum of errors, steps, sum of asked sizes, turning steps read to the right side, turning steps.
    """
    turning = np.abs(asked) >= TURNING_DEG
    right = np.sign(read[turning]) == np.sign(asked[turning])
    errors = np.abs(read - asked).sum(dtype=np.float64)
    sizes = np.abs(asked).sum(dtype=np.float64)
    return float(errors), float(len(asked)), float(sizes), float(right.sum()), float(turning.sum())


def turn_error_of(rows: np.ndarray) -> float:
    """Mean error in degrees of rows (m, 5) of :func:`sum_turns`; nan when nothing turned."""
    errors, steps, sizes, _, _ = rows.sum(axis=0).tolist()
    return errors / steps if sizes > 0 else float("nan")


def turn_sign_of(rows: np.ndarray) -> float:
    """Share of turning steps read to the right side, of such rows; nan when nothing turned."""
    _, _, _, right, turning = rows.sum(axis=0).tolist()
    return right / turning if turning > 0 else float("nan")


def turn_explained_of(rows: np.ndarray) -> float:
    """One minus the error over the error of always reading no turn, of such rows.

    1 is perfect, 0 no better than reading nothing, below 0 worse; nan when nothing turned.
    """
    errors, _, sizes, _, _ = rows.sum(axis=0).tolist()
    return 1 - errors / sizes if sizes > 0 else float("nan")


def turn_error_deg(read: np.ndarray, asked: np.ndarray) -> float:
    """Mean absolute difference of the turn read and the turn asked for, degrees a step; lower is better."""
    return float(np.mean(np.abs(read - asked), dtype=np.float64))


def turn_sign_accuracy(read: np.ndarray, asked: np.ndarray) -> float:
    """Share of turning steps (TURNING_DEG and more) read to the right side; nan when nothing turned."""
    turning = np.abs(asked) >= TURNING_DEG
    return (
        float(np.mean(np.sign(read[turning]) == np.sign(asked[turning]))) if turning.any() else float("nan")
    )


def turn_explained(read: np.ndarray, asked: np.ndarray) -> float:
    """One minus the error of the reading over the error of always reading no turn.

    1 is perfect, 0 no better than reading nothing, below 0 worse; nan when nothing turned.
    """
    nothing = float(np.mean(np.abs(asked), dtype=np.float64))
    return 1 - turn_error_deg(read, asked) / nothing if nothing > 0 else float("nan")
