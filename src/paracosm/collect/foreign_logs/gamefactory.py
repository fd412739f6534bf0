"""GF-Minecraft logs of GameFactory: metadata/NAME.json beside video/NAME.mp4, one entry for each frame.

An entry tells three discrete actions (ws, ad, scs), the camera's pose in degrees and its change. The turn is
taken from the poses, which need no scale, and so is which entries act after their frame: the poses change in
the step that the entry's delta belongs to. This file does NOT know what our keys are called.

Source: GameFactory-Dataset, data card; pitch is positive downwards, yaw to the right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.files import read_json

from .keys import GAMEFACTORY_KEYS
from .log import ForeignLog, LogRow, LogSet, read_number

ActionRows = Literal["measured", "after", "before"]
"""Whether the action of entry i acts after frame i or led to it; "measured" asks the poses."""

ACTIONS = ("ws", "ad", "scs")
DELTA_DEG = 15.0
"""Degrees of one unit of pitch_delta and yaw_delta; used only where a log tells no pose."""

_LEAST_TURNS = 5


def open_logs(folder: Path, action_rows: ActionRows) -> LogSet:
    """Find the logs below a folder.

    Raises:
        DataError: when there are none, two have one name, or one has no video.
    """
    files = sorted(file for file in folder.rglob("*.json") if file.parent.name == "metadata")
    if not files:
        raise DataError(f"{folder} holds no GameFactory log; put metadata/NAME.json and video/NAME.mp4 there")
    logs = {}
    for file in files:
        video = file.parent.parent / "video" / f"{file.stem}.mp4"
        if not video.exists():
            raise DataError(f"{file} has no video; {video} is missing, fetch it or remove the log")
        if file.stem in logs:
            raise DataError(f"two logs are called {file.stem}; import their folders one at a time")
        logs[file.stem] = lambda file=file, video=video: read_log(file, video, action_rows)
    return LogSet(keys=GAMEFACTORY_KEYS, logs=logs, policy="script")


def read_log(file: Path, video: Path, action_rows: ActionRows) -> ForeignLog:
    """Read one log.

    Raises:
        DataError: when its entries are not numbered from 0 on, lack their actions or tell no numbers.
    """
    value = read_json(file)
    actions = value.get("actions") if isinstance(value, dict) else None
    if not isinstance(actions, dict) or not actions:
        raise DataError(f'{file} has no "actions"; it is no GameFactory log')
    missing = next((index for index in range(len(actions)) if str(index) not in actions), None)
    if missing is not None:
        raise DataError(f"{file} has {len(actions)} entries but none numbered {missing}; fetch the log anew")
    entries = [actions[str(index)] for index in range(len(actions))]
    for index, entry in enumerate(entries):
        _check(entry, f"{file} entry {index}")
    after, note = _decide(entries, action_rows)
    # the last frame's action is not known where an entry tells what led to its frame
    acting = entries if after else [*entries[1:], {}]
    turns = _turns(entries, acting)
    rows = [
        LogRow(
            keys=frozenset(f"{name}.{acts[name]}" for name in ACTIONS if acts.get(name)),
            turn=turn,
            truth=_truth(entry),
            raw=entry,
        )
        for entry, acts, turn in zip(entries, acting, turns, strict=True)
    ]
    about = {name: part for name, part in value.items() if name != "actions"}
    return ForeignLog(video=video, rows=rows, notes=(note,), provenance=about)


def _check(entry: Any, where: str) -> None:
    """Refuse an entry without actions, or one that tells something else where numbers are due."""
    if not isinstance(entry, dict) or not set(ACTIONS) <= set(entry):
        raise DataError(f"{where} lacks one of {', '.join(ACTIONS)}; it is no GameFactory log")
    for name in ("yaw", "pitch", "yaw_delta", "pitch_delta"):
        if name in entry:
            read_number(entry[name], f"{where} {name}")
    for name, value in entry.items():
        if name in ("pos", "position") and isinstance(value, list):
            for place, number in enumerate(value):
                read_number(number, f"{where} {name}[{place}]")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            read_number(value, f"{where} {name}")


def _decide(entries: list[Mapping[str, Any]], action_rows: ActionRows) -> tuple[bool, str]:
    """Return whether entry i acts after frame i, and how that is known."""
    if action_rows != "measured":
        return action_rows == "after", f"the action of an entry acts {action_rows} its frame, as was asked"
    if all("yaw" in entry and "yaw_delta" in entry for entry in entries):
        change = _wrap(np.diff([float(entry["yaw"]) for entry in entries]))
        delta = np.array([float(entry["yaw_delta"]) for entry in entries])
        scores = {"after": _agreement(delta[:-1], change), "before": _agreement(delta[1:], change)}
        best = max(scores, key=lambda name: scores[name])
        if (delta != 0).sum() >= _LEAST_TURNS and scores[best] - min(scores.values()) > 0.2:
            said = f"deltas agree with the poses at {scores[best]:.2f}, else {min(scores.values()):.2f}"
            return best == "after", f"the action of an entry acts {best} its frame: its {said}"
    return False, "the action of an entry acts before its frame, which too few turns could confirm"


def _agreement(delta: np.ndarray, change: np.ndarray) -> float:
    if len(change) < 2 or delta.std() < 1e-9 or change.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(delta, change)[0, 1])


def _turns(entries: list[Mapping[str, Any]], acting: list[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Degrees right and up between each frame and the next; nothing after the last."""
    if all("yaw" in entry and "pitch" in entry for entry in entries):
        yaw = _wrap(np.diff([float(entry["yaw"]) for entry in entries]))
        pitch = -np.diff([float(entry["pitch"]) for entry in entries])
        return [*zip(yaw.tolist(), pitch.tolist(), strict=True), (0.0, 0.0)]
    return [
        (DELTA_DEG * float(acts.get("yaw_delta", 0)), -DELTA_DEG * float(acts.get("pitch_delta", 0)))
        for acts in acting
    ]


def _wrap(degrees: np.ndarray) -> np.ndarray:
    return (degrees + 180) % 360 - 180


def _truth(entry: Mapping[str, Any]) -> dict[str, Any]:
    pose = {name: float(entry[name]) for name in ("yaw", "pitch") if name in entry}
    place = entry.get("pos", entry.get("position"))
    if isinstance(place, list | tuple) and len(place) == 3:
        pose |= {axis: float(value) for axis, value in zip("xyz", place, strict=True)}
    known = {*ACTIONS, "yaw", "pitch", "yaw_delta", "pitch_delta", "pos", "position"}
    told = {
        name: value
        for name, value in entry.items()
        if name not in known and isinstance(value, bool | int | float | str)
    }
    return told | ({"pose": pose} if pose else {})
