"""What kind of play a clip shows: its stratum, its events, and whether it may be played backwards.

Kinds come from the controls; where these are not known the camera's move stands in, when clips are weighed.
Playing backwards would double rare directions, but only where every control has an opposite and nothing
irreversible happens; that is a column, and nothing here reverses a clip. This file does NOT weigh: ``select``
weighs the kept clips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from .clip import Clip
from .footage import open_episode_of

VERSION = 1

COLUMNS: dict[str, pa.DataType] = {
    "stratum": pa.string(),
    "idle": pa.float64(),
    "turning": pa.float64(),
    "events": pa.string(),
    "reversible": pa.bool_(),
}
"""stratum: the kind of play; idle and turning shares of steps; events joined by commas; reversible: whether
its controls have opposites; all are null where the controls are not known."""


@dataclass(frozen=True, kw_only=True)
class StrataConfig:
    """What makes two clips of one kind."""

    held: float = 0.5
    """Share of steps that a key must be held to count."""
    turn_deg: float = 0.5
    """Mean turn a step, in degrees, from which a clip turns."""
    opposites: Mapping[str, str] = field(
        default_factory=lambda: {"forward": "back", "back": "forward", "left": "right", "right": "left"}
    )
    """Key to the key that undoes it; a clip in which another key is held cannot be played backwards."""


def score_strata(clip: Clip, config: StrataConfig) -> dict[str, Any]:
    """Describe a clip; the columns are COLUMNS."""
    controls = clip.controls
    if controls is None or not len(controls):
        return dict.fromkeys(COLUMNS)
    keys = open_episode_of(clip.source).info.controls.keys
    held, look = controls[:, :-2] > 0.5, controls[:, -2:]
    events = _events(clip)
    used = {key for key, column in zip(keys, held.T, strict=True) if column.any()}
    return {
        "stratum": _stratum(keys, held, look, config),
        "idle": float((~held.any(axis=1) & (look == 0).all(axis=1)).mean()),
        "turning": float((look != 0).any(axis=1).mean()),
        "events": ",".join(f"{event} {count}" for event, count in sorted(events.items())),
        "reversible": not events and used <= set(config.opposites) and not _ended(clip),
    }


def _stratum(keys: tuple[str, ...], held: np.ndarray, look: np.ndarray, config: StrataConfig) -> str:
    names = [key for key, column in zip(keys, held.T, strict=True) if column.mean() >= config.held]
    yaw, pitch = look.mean(axis=0)
    if abs(yaw) >= config.turn_deg:
        names.append("turn-right" if yaw > 0 else "turn-left")
    if abs(pitch) >= config.turn_deg:
        names.append("look-up" if pitch > 0 else "look-down")
    if names:
        return "+".join(names)
    return "varied" if held.any() or look.any() else "idle"


def _events(clip: Clip) -> Counter[str]:
    truth = clip.truth
    if truth is None:
        return Counter()
    # What row i tells happened in the step that led to frame i: the first row belongs to the step before.
    return Counter(event for row in truth["events"].to_pylist()[1:] for event in row or [])


def _ended(clip: Clip) -> bool:
    truth = clip.truth
    return truth is not None and any(truth["ended"].to_pylist()[1:])
