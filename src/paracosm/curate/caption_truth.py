"""Captions from what the world knew: no model, no guess, and every word can be checked against the tables.

Fields that the world tells nothing about say so. This file does NOT look at pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import WorldInfo

from .captions import MOST_WORDS, UNCHANGED, Caption, add_scores, append_line, read_lines, shorten
from .footage import Source, find_sources, open_episode_of
from .probe import control_vectors_of, truth_of
from .scores import Scores

VERSION = 2
NOT_TOLD = "not told by the world"

VERBS: Mapping[str, str] = {
    "forward": "move forward",
    "back": "move back",
    "left": "move left",
    "right": "move right",
    "up": "move up",
    "down": "move down",
    "jump": "jump",
    "use": "use what is ahead",
    "attack": "attack",
    "crouch": "crouch",
    "sprint": "run",
}
"""Key to what it does; another key is "press KEY"."""
ENVIRONMENT = ("weather", "room", "biome", "level", "region", "place", "doors")
LIGHT = ("light", "time", "sun", "day", "dark", "fog", "sky")
HIDDEN = ("seed", "game_frame")
"""Truth that a picture cannot show."""


@dataclass(frozen=True, kw_only=True)
class TruthCaptionConfig:
    """How a world's knowledge becomes words."""

    held: float = 0.3
    """Share of steps that a key must be held to be told."""
    turn_deg: float = 10.0
    """Turn of a whole clip, in degrees, from which it is told."""
    scores: bool = False
    """Whether the clip's scores are appended to the field misc."""
    step_deg: float = 10.0
    """Turns are told in whole multiples of this, so that clips alike are told alike."""

    def __post_init__(self) -> None:
        """Refuse a step that divides nothing."""
        if self.step_deg <= 0:
            raise ConfigError(f"step_deg {self.step_deg} is not above 0; 10 tells turns in tens of degrees")


def caption_from_truth(
    scores: Scores, clips: Sequence[str], config: TruthCaptionConfig, progress: ProgressMaker = no_progress
) -> list[Caption]:
    """Caption clips of recordings that have no caption of this version, and append the captions.

    Args:
        scores: scores of the folder.
        clips: which clips; usually all, or the kept ones of a selection.
        config: how knowledge becomes words.
        progress: makes the progress line.

    Returns:
        The captions that were written now; videos get none, since nothing is known of them.

    Raises:
        DataError: when a recording cannot be read or the disk is full.
    """
    made_by = f"truth-v{VERSION}{'-scores' if config.scores else ''}"
    done = {row["clip"] for row in read_lines(scores.config.out) if row.get("made_by") == made_by}
    sources = {source.name: source for source in find_sources(scores.config.folder, scores.config.game)}
    wanted = set(clips) - done
    rows = [row for row in scores.clips.to_pylist() if row["clip"] in wanted]
    rows = [row for row in rows if row["source"] in sources and sources[row["source"]].kind == "episode"]
    line, captions = progress("caption", len(rows), "clip"), []
    for count, row in enumerate(rows, 1):
        fields = describe_clip(sources[row["source"]], row["start"], row["stop"], config)
        fields = add_scores(fields, row) if config.scores else fields
        append_line(scores.config.out, {"clip": row["clip"], "made_by": made_by, "fields": fields})
        captions.append(Caption(clip=row["clip"], fields=fields, made_by=made_by))
        line.update(count)
    line.close()
    return captions


def describe_clip(source: Source, start: int, stop: int, config: TruthCaptionConfig) -> dict[str, str]:
    """Write all fields of a clip of a recording.

    Raises:
        DataError: when the episode is not whole.
    """
    info = open_episode_of(source).info
    truth, controls = truth_of(source, start, stop), control_vectors_of(source, start, stop)
    if truth is None:
        raise AssertionError(f"{source.name} is no recording")
    return write_fields(info, truth, controls, config)


def write_fields(
    info: WorldInfo, truth: pa.Table, controls: np.ndarray | None, config: TruthCaptionConfig
) -> dict[str, str]:
    """Write all fields of a caption.

    Args:
        info: the world.
        truth: a row for each frame of the clip.
        controls: (t - 1, width), or None when not known.
        config: what is worth telling.
    """
    states = _states(truth)
    events = Counter(event for row in truth["events"].to_pylist()[1:] for event in row or [])
    action = _tell_action(info.controls, controls, config)
    happened = ", ".join(
        f"{name}{f' {count} times' if count > 1 else ''}" for name, count in sorted(events.items())
    )
    name = info.name.partition(":")[2] or info.name
    first = {key: values[0] for key, values in states.items()}
    changed = {key: values for key, values in states.items() if values[0] != values[-1]}
    fields = {
        "summary": f"{name}: the player {_present(action)}{f'; {happened}' if happened else ''}",
        "game": info.description or name,
        "character": _tell(first, _others, "the player") or "the player",
        "frame": _tell(first, _is_environment, "the picture begins in") or NOT_TOLD,
        "atmosphere": _tell(first, _is_light, "light:") or NOT_TOLD,
        "environment": _tell_changes(changed, _is_environment),
        "transition": f"let {happened} happen" if happened else UNCHANGED,
        "light": _tell_changes(changed, _is_light),
        "action": action,
        "misc": _tell_changes(changed, _others),
    }
    return {key: shorten(value, MOST_WORDS.get(key, 200)) for key, value in fields.items()}


def _states(truth: pa.Table) -> dict[str, tuple[Any, ...]]:
    """Return first and last value of each short truth that a picture can show, by its plain name."""
    found = {}
    for column in truth.column_names:
        if not column.startswith("truth_") or any(word in column for word in HIDDEN):
            continue
        values = [value for value in truth[column].to_pylist() if value is not None]
        if values and isinstance(values[0], str | bool | int):
            found[column.removeprefix("truth_").replace("_", " ").replace(".", " ")] = (values[0], values[-1])
    return found


def _tell_action(space: ControlSpace, controls: np.ndarray | None, config: TruthCaptionConfig) -> str:
    if controls is None or not len(controls):
        return NOT_TOLD if controls is None else UNCHANGED
    # In the order of the keys, not by how long each was held: the same doing is told in the same words.
    share = (controls[:, :-2] > 0.5).mean(axis=0)
    held = [key for key, part in zip(space.keys, share, strict=True) if part >= config.held]
    parts = [VERBS.get(key, f"press {key}") for key in held]
    yaw, pitch = controls[:, -2:].sum(axis=0)
    if abs(yaw) >= config.turn_deg:
        parts.append(f"turn {'right' if yaw > 0 else 'left'} by {tell_angle(yaw, config)} degrees")
    if abs(pitch) >= config.turn_deg:
        parts.append(f"look {'up' if pitch > 0 else 'down'} by {tell_angle(pitch, config)} degrees")
    return _join(parts) if parts else UNCHANGED


def tell_angle(angle: float, config: TruthCaptionConfig) -> str:
    """Say an angle in degrees without its sign: the nearest multiple of the step, at least one."""
    return f"{max(1, int(abs(angle) / config.step_deg + 0.5)) * config.step_deg:g}"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _present(action: str) -> str:
    """Turn "move forward and jump" into "moves forward and jumps" for the summary."""
    if action in (UNCHANGED, NOT_TOLD):
        return "stands still" if action == UNCHANGED else "plays"
    words = action.replace(",", " ,").split()
    verbs = {verb.split()[0] for verb in VERBS.values()} | {"turn", "look", "press"}
    told = [f"{word}es" if word == "press" else f"{word}s" if word in verbs else word for word in words]
    return " ".join(told).replace(" ,", ",")


def _tell(states: Mapping[str, Any], belongs: Any, opening: str) -> str:
    parts = [_say(name, value) for name, value in states.items() if belongs(name)]
    return f"{opening} {', '.join(parts)}" if parts else ""


def _tell_changes(changed: Mapping[str, tuple[Any, ...]], belongs: Any) -> str:
    parts = [f"change to {_say(name, values[-1])}" for name, values in changed.items() if belongs(name)]
    return _join(parts) if parts else UNCHANGED


def _say(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {value}"


def _is_environment(name: str) -> bool:
    return any(word in name for word in ENVIRONMENT)


def _is_light(name: str) -> bool:
    return not _is_environment(name) and any(word in name for word in LIGHT)


def _others(name: str) -> bool:
    return not _is_environment(name) and not _is_light(name)
