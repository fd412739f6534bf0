"""The results folder: which units are finished, what they gave, and what it all was measured with.

    OUT/
        setup.json       world, weights, cases, judges, parts with versions and settings: must stay the same
        cases.jsonl      a line for each unit as it ended; a later line of the same unit replaces an earlier
        kept/PART/KEY.npz    frames and other arrays of a unit, lossless
        results.json  report.html
        lock             held by the process that measures

A kill at any moment loses no finished unit. This file does NOT play and knows no figure.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from paracosm.core.config import differences
from paracosm.core.errors import DataError
from paracosm.core.files import cut_torn_line, read_json, whole_file, write_json
from paracosm.core.locks import lock_folder

from .part import Result, Unit

FORMAT_VERSION = 1
"""Version of setup.json and cases.jsonl."""
_KEY = re.compile(r"[A-Za-z0-9@_.+-]+(/[A-Za-z0-9@_.+-]+)*")


class ResultsFolder:
    """One folder of results, written by one process at a time; use it as a context manager.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIO | None = None

    @property
    def log_path(self) -> Path:
        """Where the units stand, one JSON object a line."""
        return self.path / "cases.jsonl"

    def __enter__(self) -> ResultsFolder:
        """Make the folder and take its lock.

        Raises:
            BusyError: when another process measures into it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(self.path, "being measured into", instead="another --out")
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()

    def keep_setup(self, setup: Mapping[str, Any]) -> None:
        """Save what is measured with what the first time, compare every later time; new parts may be added.

        Raises:
            DataError: when the folder was begun with another world, weights, case set, judge, part version or
                setting; names the first that differs, with both values.
        """
        file = self.path / "setup.json"
        new = json.loads(json.dumps({"format_version": FORMAT_VERSION, **setup}))
        if not file.exists():
            write_json(file, new)
            return
        old = read_json(file)
        parts = {**old.get("parts", {}), **new["parts"]}
        known = {name: new["parts"][name] for name in old.get("parts", {}) if name in new["parts"]}
        changed = differences(
            {**old, "parts": {name: old["parts"][name] for name in known}}, {**new, "parts": known}
        )
        if changed:
            path, (before, after) = next(iter(changed.items()))
            more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
            raise DataError(
                f"{path} is {json.dumps(after)} but the results in {self.path} were begun with "
                f"{json.dumps(before)}{more}; choose another --out, or delete that folder"
            )
        write_json(file, {**new, "parts": parts})

    def read(self) -> dict[tuple[str, str], Result]:
        """Read every unit that ended, by part and key; a line that a kill has torn is left out.

        Raises:
            DataError: when a whole line is not JSON.
        """
        if not self.log_path.exists():
            return {}
        found: dict[tuple[str, str], Result] = {}
        for number, line in enumerate(self.log_path.read_text().split("\n")[:-1], 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{self.log_path} line {number} is not JSON ({error}); remove it, its unit runs again"
                ) from error
            found[row["part"], row["key"]] = self._result(row)
        return found

    def add(self, result: Result, split: str = "") -> None:
        """Append one unit's line and flush it to the disk.

        Raises:
            DataError: when the disk is full.
        """
        row = {
            "part": result.part,
            "version": result.version,
            "key": result.unit.key,
            "case": result.unit.case,
            "split": split,
            "status": result.status,
            "reason": result.reason,
            "seconds": round(result.seconds, 3),
            "steps": result.unit.steps,
            "data": dict(result.unit.data),
            "numbers": dict(result.numbers),
            "kept": None if result.file is None else str(result.file.relative_to(self.path)),
        }
        line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            cut_torn_line(self.log_path)
            with self.log_path.open("a") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(
                f"{self.log_path} could not be written ({error.strerror}); free some space and run again"
            ) from error

    def _result(self, row: Mapping[str, Any]) -> Result:
        unit = Unit(key=row["key"], case=row["case"], steps=row["steps"], data=row["data"])
        return Result(
            part=row["part"],
            version=row["version"],
            unit=unit,
            status=row["status"],
            reason=row["reason"],
            seconds=row["seconds"],
            numbers=row["numbers"],
            file=None if row["kept"] is None else self.path / row["kept"],
        )


def kept_file(folder: Path, part: str, key: str) -> Path:
    """Where the arrays of a unit lie.

    Raises:
        ValueError: for a key that is no file's name.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"unit key {key!r} of {part} must be letters, digits and @ _ . + - /")
    return folder / "kept" / part / f"{key}.npz"


def keep_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays losslessly, whole or not at all."""
    with whole_file(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def finished(
    known: Mapping[tuple[str, str], Result], part: str, version: int, units: Sequence[Unit]
) -> dict[str, Result]:
    """Find the units that need not run again: ended well, of this version, with their arrays still there."""
    done = {}
    for unit in units:
        result = known.get((part, unit.key))
        if result is None or result.status != "ok" or result.version != version:
            continue
        if result.file is not None and not result.file.is_file():
            continue
        done[unit.key] = replace(result, unit=unit)
    return done
