"""VPT contractor logs: NAME.mp4 with NAME.jsonl, one line for each frame at 20 a second.

A line holds what was held and how far the mouse went at its frame. While a window of the game is open the
mouse moves a cursor and turns no camera. This file does NOT know what our keys are called.

Source: openai/Video-Pre-Training, README and data loader (360 / 2400 degrees a pixel; the attack button that
its recorder wrote as stuck from the first line on).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from paracosm.core.errors import DataError

from .keys import MINECRAFT_KEYS
from .log import ForeignLog, LogRow, LogSet, read_json_lines, read_list, read_number

DEGREES_PER_PIXEL = 0.15
"""Minecraft's turn at the recorder's mouse setting: 2,400 pixels are a whole turn."""

POSE = {"xpos": "x", "ypos": "y", "zpos": "z", "yaw": "yaw", "pitch": "pitch"}
"""Fields of a line that tell the player's pose."""

_TOLD = ("tick", "milli", "hotbar", "serverTick")


def open_logs(folder: Path) -> LogSet:
    """Find the logs of a folder.

    Raises:
        DataError: when there are none, or one has no video.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"{folder} holds no VPT log; put NAME.mp4 and NAME.jsonl there")
    for file in files:
        if not file.with_suffix(".mp4").exists():
            raise DataError(
                f"{file} has no video beside it; fetch {file.with_suffix('.mp4').name} or remove it"
            )
    return LogSet(
        keys=MINECRAFT_KEYS,
        logs={file.stem: lambda file=file: read_log(file) for file in files},
        policy="person",
        degrees_per_pixel=DEGREES_PER_PIXEL,
    )


def read_log(file: Path) -> ForeignLog:
    """Read one log.

    Raises:
        DataError: when a line is no VPT line.
    """
    lines = read_json_lines(file)
    other: Counter[str] = Counter()
    rows, stuck_rows = [], 0
    stuck = bool(lines) and _mouse(lines[0], file, 1).get("newButtons") == [0]
    for number, line in enumerate(lines, 1):
        mouse, where = _mouse(line, file, number), f"{file} line {number}"
        # the recorder writes a press at its start as held for ever; a new press ends that
        pressed = read_list(mouse.get("newButtons", []), int, f"{where} mouse.newButtons")
        stuck = stuck and (number == 1 or 0 not in pressed)
        stuck_rows += stuck
        rows.append(_row(line, mouse, stuck, other, where))
    notes = [f"attack was written as held in the first {stuck_rows} rows and is left out there"]
    gui = sum(bool(row.truth["gui"]) for row in rows)
    window = f"in {gui} rows a window was open, where the mouse turns no camera"
    return ForeignLog(
        video=file.with_suffix(".mp4"),
        rows=rows,
        notes=(*(notes if stuck_rows else ()), *([window] if gui else ())),
        other=other,
    )


def _row(line: dict[str, Any], mouse: dict[str, Any], stuck: bool, other: Counter[str], where: str) -> LogRow:
    held = read_list(mouse.get("buttons", []), int, f"{where} mouse.buttons")
    names = read_list(line["keyboard"].get("keys", []), str, f"{where} keyboard.keys")
    buttons = [button for button in held if not (stuck and button == 0)]
    gui = bool(line.get("isGuiOpen", False))
    if mouse.get("dwheel"):
        other["mouse.wheel"] += 1
    pose = {
        name: float(read_number(line[part], f"{where} {part}")) for part, name in POSE.items() if part in line
    }
    truth = {name: read_number(line[name], f"{where} {name}") for name in _TOLD if name in line}
    moved = [float(read_number(mouse.get(name, 0), f"{where} mouse.{name}")) for name in ("dx", "dy")]
    return LogRow(
        keys=frozenset([*names, *(f"mouse.{button}" for button in buttons)]),
        mouse=(0.0, 0.0) if gui else (moved[0], moved[1]),
        truth=truth | {"gui": gui} | ({"pose": pose} if pose else {}),
        raw=line,
    )


def _mouse(line: Any, file: Path, number: int) -> dict[str, Any]:
    mouse = line.get("mouse") if isinstance(line, dict) else None
    if not isinstance(mouse, dict) or not isinstance(line.get("keyboard"), dict):
        raise DataError(f'{file} line {number} has no "mouse" and "keyboard"; it is no VPT log')
    return mouse
