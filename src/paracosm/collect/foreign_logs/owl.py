"""OWL Control logs: a folder with inputs.csv, a video and metadata.json for each recording.

Events carry Unix times; the video begins at the event VIDEO_START, so what happened between there plus i and
i + 1 frame times acts between frame i and frame i + 1. A key that was only tapped within a frame counts as
held in it. This file does NOT know what our keys are called.

Source: owl-control, the description of its input recording format.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from paracosm.collect.videos import ENDINGS, read_times
from paracosm.core.errors import DataError
from paracosm.core.foreign import parse_json, show_value

from .keys import WINDOWS_KEYS
from .log import ForeignLog, LogRow, LogSet, read_list, read_number, read_object

StartEvent = Literal["VIDEO_START", "HOOK_START", "START"]
"""The event at which the video's first frame was taken. START, the recorder's own start, comes too early."""

INPUTS_FILE, METADATA_FILE = "inputs.csv", "metadata.json"
_LIFE = ("START", "END", "VIDEO_START", "VIDEO_END", "HOOK_START", "FOCUS", "UNFOCUS")
_SLACK = 3
"""Frames by which the events' end and the video's may differ: an encoder starts and stops in between."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of inputs.csv: Unix time, kind, arguments."""

    time: float
    kind: str
    values: Any


def open_logs(folder: Path, start_event: StartEvent) -> LogSet:
    """Find the recordings below a folder.

    Raises:
        DataError: when there are none, or two have one name.
    """
    files = sorted(folder.rglob(INPUTS_FILE))
    if not files:
        raise DataError(f"{folder} holds no OWL recording; put folders with {INPUTS_FILE} and a video there")
    logs = {}
    for file in files:
        name = file.parent.name
        if name in logs:
            raise DataError(f"two recordings are called {name}; rename one of the folders")
        logs[name] = lambda file=file: read_log(file, start_event)
    return LogSet(keys=WINDOWS_KEYS, logs=logs, policy="person")


def read_log(file: Path, start_event: StartEvent) -> ForeignLog:
    """Read one recording.

    Raises:
        DataError: when a line is no event, the start is missing, or there is not exactly one video.
    """
    videos = sorted(part for part in file.parent.iterdir() if part.suffix.lower() in ENDINGS)
    if len(videos) != 1:
        raise DataError(f"{file.parent} holds {len(videos)} videos, one is needed")
    events = list(read_events(file))
    begun = next((event.time for event in events if event.kind == start_event), None)
    if begun is None:
        kinds = ", ".join(dict.fromkeys(event.kind for event in events if event.kind in _LIFE)) or "none"
        raise DataError(f"{file} has no {start_event}; it has {kinds}, name one with --start-event")
    times = read_times(videos[0])
    step = float(times[-1] - times[0]) / max(len(times) - 1, 1) or float(Fraction(1, 60))
    ended = next((event.time for event in events if event.kind == "VIDEO_END"), None)
    num_rows = len(times) if ended is None else max(1, round((ended - begun) / step))
    other: Counter[str] = Counter()
    rows = _rows(events, begun, step, min(num_rows, 2 * len(times) + _SLACK), other)
    if len(rows) < num_rows:
        # a row for each told frame could fill the memory; the last one keeps what came later, as it stood
        later = [event for event in events if event.time >= begun + len(rows) * step]
        kept = [*rows[-1].raw, *([event.time, event.kind, event.values] for event in later)]
        rows[-1] = replace(rows[-1], raw=kept)
    said = "" if ended is not None else "; it has no VIDEO_END, so its length cannot be compared"
    return ForeignLog(
        video=videos[0],
        rows=rows,
        slack=_SLACK,
        notes=(f"frame 0 is at {start_event}, {1 / step:.2f} frames a second{said}",),
        other=other,
        provenance=read_object(file.parent / METADATA_FILE),
        told_rows=num_rows,
    )


def read_events(file: Path) -> Iterator[Event]:
    """Yield the events of inputs.csv in the order of their times.

    Raises:
        DataError: names the line that is no event.
    """
    events = []
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            for number, line in enumerate(csv.reader(lines), 1):
                if number == 1 and line[:1] == ["timestamp"]:
                    continue
                try:
                    time, kind, values = line
                    event = Event(time=float(time), kind=kind, values=parse_json(values))
                except ValueError as error:
                    raise DataError(
                        f"{file} line {number} is no event ({error}); it must be time,kind,arguments"
                    ) from error
                _check(event, f"{file} line {number}")
                events.append(event)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read ({error})") from error
    yield from sorted(events, key=lambda event: event.time)


def _check(event: Event, where: str) -> None:
    """Refuse an event whose time or arguments are none."""
    read_number(event.time, f"{where} time")
    where, values = f"{where} {event.kind}", event.values
    if event.kind in ("KEYBOARD", "MOUSE_BUTTON", "MOUSE_MOVE"):
        if not isinstance(values, list) or len(values) != 2:
            raise DataError(f"{where} tells {show_value(values)}, two arguments are due; fetch the log anew")
        read_number(values[0], f"{where} argument 0")
        if event.kind == "MOUSE_MOVE" or not isinstance(values[1], bool):
            read_number(values[1], f"{where} argument 1")
    elif event.kind == "START" and isinstance(values, dict):
        inputs = values.get("inputs", {})
        if not isinstance(inputs, dict):
            raise DataError(f"{where} inputs is {show_value(inputs)}, an object is due; fetch the log anew")
        for name in ("keyboard", "mouse"):
            read_list(inputs.get(name, []), int, f"{where} inputs.{name}")


def _rows(events: list[Event], begun: float, step: float, num_rows: int, other: Counter[str]) -> list[LogRow]:
    held: set[str] = set()
    rows: list[LogRow] = []
    place = 0
    while place < len(events) and events[place].time < begun:
        _apply(events[place], held, set(), Counter())
        place += 1
    for index in range(num_rows):
        stop = begun + (index + 1) * step
        touched, raw, mouse = set(held), [], [0.0, 0.0]
        while place < len(events) and events[place].time < stop:
            event = events[place]
            _apply(event, held, touched, other)
            if event.kind == "MOUSE_MOVE":
                mouse = [mouse[0] + event.values[0], mouse[1] + event.values[1]]
            raw.append([event.time, event.kind, event.values])
            place += 1
        rows.append(LogRow(keys=frozenset(touched), mouse=(mouse[0], mouse[1]), raw=raw))
    return rows


def _apply(event: Event, held: set[str], touched: set[str], other: Counter[str]) -> None:
    """Let an event change what is held; what is neither key, button nor move is counted."""
    if event.kind in ("KEYBOARD", "MOUSE_BUTTON"):
        key = f"vk.{event.values[0]}"
        if event.values[1]:
            held.add(key)
            touched.add(key)
        else:
            held.discard(key)
    elif event.kind == "START" and isinstance(event.values, dict):
        inputs = event.values.get("inputs", {})
        held.update(f"vk.{code}" for code in [*inputs.get("keyboard", []), *inputs.get("mouse", [])])
    elif event.kind != "MOUSE_MOVE" and event.kind not in _LIFE:
        other[event.kind] += 1
