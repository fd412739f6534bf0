"""What a log of another recorder comes down to: rows, each of one frame, in the recorder's own names.

Row i is frame i and what the player did at it, which acts between frame i and frame i + 1. Readers bring logs
into this form; this file does NOT know any format, nor what becomes of a log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from paracosm.core.errors import DataError
from paracosm.core.files import read_json
from paracosm.core.foreign import LARGEST_NUMBER, is_number, parse_json, show_value

LogFormat = Literal["vpt", "gamefactory", "owl", "lerobot", "doom-demo"]
"""Formats that are read."""


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """One row of a log.

    Attributes:
        keys: what was held, in the recorder's names.
        mouse: pixels right and down; (0, 0) where the log tells degrees or the mouse turned no camera.
        turn: degrees right and up, where the log tells them.
        truth: what the log knew beside the picture, as ``Frame.truth``.
        raw: the row as it stands in the log.
    """

    keys: frozenset[str] = frozenset()
    mouse: tuple[float, float] = (0.0, 0.0)
    turn: tuple[float, float] = (0.0, 0.0)
    truth: Mapping[str, Any] = field(default_factory=dict)
    raw: Any = None


@dataclass(frozen=True, kw_only=True)
class ForeignLog:
    """One log and the frames that it speaks of.

    Attributes:
        video: file of its frames.
        rows: its rows, in order.
        first_frame: number of its first frame in the video.
        num_frames: frames that belong to it; None for all to the end of the video.
        slack: rows that may lack or be too many before the log counts as not fitting.
        notes: what the reader had to decide, for the report.
        other: counts of what is neither key nor turn, e.g. gamepad events; kept raw.
        provenance: what else the log tells of itself.
        told_rows: rows that the log speaks of where they are too many for its video to be read one by one;
            0 where ``rows`` are all.
    """

    video: Path
    rows: Sequence[LogRow]
    first_frame: int = 0
    num_frames: int | None = None
    slack: int = 0
    notes: tuple[str, ...] = ()
    other: Counter[str] = field(default_factory=Counter)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    told_rows: int = 0

    @property
    def num_rows(self) -> int:
        """Rows that the log speaks of."""
        return max(self.told_rows, len(self.rows))


@dataclass(frozen=True, kw_only=True)
class LogSet:
    """A folder of logs, opened.

    Attributes:
        keys: foreign name to name here.
        known: whether the logs tell controls at all.
        policy: who played, "person" or "script".
        logs: name of each log to the function that reads it.
        degrees_per_pixel: the format's own scale of the mouse; 0 where it has none.
    """

    keys: Mapping[str, str]
    logs: Mapping[str, Callable[[], ForeignLog]]
    policy: str
    degrees_per_pixel: float = 0.0
    known: bool = True


def read_json_lines(file: Path) -> list[Any]:
    """Read a file of one JSON value a line; empty lines are passed over.

    Raises:
        DataError: names the line that is no JSON.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read ({error}); fetch the log anew") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [parse_json(line)] if line.strip() else []
        except ValueError as error:
            raise DataError(f"{file} line {number} is not JSON ({error}); fetch the log anew") from error
    return rows


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object; {} when the file is missing.

    Raises:
        DataError: when it is no JSON object.
    """
    if not file.exists():
        return {}
    value = read_json(file)
    if not isinstance(value, dict):
        raise DataError(f"{file} is no JSON object; fetch the log anew")
    return value


def read_number(value: Any, where: str) -> int | float:
    """Return a number that a log tells.

    Args:
        value: what stands there.
        where: file, line and name, for the message.

    Raises:
        DataError: when it is no finite number or larger than any log needs.
    """
    if not is_number(value):
        raise DataError(
            f"{where} is {show_value(value)}, a number below {LARGEST_NUMBER:g} is due; fetch the log anew"
        )
    return value


def read_list(value: Any, kind: type, where: str) -> list[Any]:
    """Return a list whose entries are all of one kind.

    Raises:
        DataError: when it is none.
    """
    if not isinstance(value, list):
        raise DataError(f"{where} is {show_value(value)}, a list is due; fetch the log anew")
    for entry in value:
        if not isinstance(entry, kind):
            raise DataError(
                f"{where} holds {show_value(entry)}, entries must be {kind.__name__}; fetch the log anew"
            )
    return value
