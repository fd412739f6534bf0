"""The folder of one training run: its lock, its config, its log, its previews and its checkpoints.

    runs/doom/
        config.json                 the resolved config, compared whenever the run goes on
        log.jsonl                   one JSON object a line: step, time and every metric
        previews/                   pictures for people
        checkpoints/step-00001000/  a whole folder each, never half of one
        lock                        held by the process that trains

This file does NOT know what a checkpoint holds, what is trained or which metrics there are.
"""

import contextlib
import errno
import io
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from paracosm.core.config import differences, from_json, to_json
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import TEMPORARY_PREFIX, read_json, whole_folder, write_json
from paracosm.core.locks import lock_folder

logger = logging.getLogger(__name__)

_STEP_NAME = re.compile(r"step-(\d{8,})")


class RunDir:
    """One run folder, opened by one process at a time; use it as a context manager or call :meth:`close`."""

    def __init__(self, path: Path | str) -> None:
        """Name the folder; nothing is touched before :meth:`open`."""
        self.path = Path(path)
        self._lock: TextIO | None = None
        self._log: io.FileIO | None = None

    @property
    def config_path(self) -> Path:
        """Where the resolved config lies."""
        return self.path / "config.json"

    @property
    def log_path(self) -> Path:
        """Where the metrics lie, one JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def previews(self) -> Path:
        """Folder of pictures for people; made by :meth:`open`."""
        return self.path / "previews"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoint folders; made by :meth:`open`."""
        return self.path / "checkpoints"

    def open(self, exclusive: bool = True) -> "RunDir":
        """Make the folder and take its lock, and mend a log whose last line a kill has torn.

        Args:
            exclusive: take the lock; False only looks and changes nothing but missing folders.

        Raises:
            BusyError: when another process trains here; names the folder and that process.
            DataError: when the folder cannot be made.
        """
        try:
            self.previews.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(
                f"run folder {self.path} cannot be made ({error}); choose another folder"
            ) from error
        if exclusive and self._lock is None:
            self._lock = lock_folder(self.path, "in use")
            _cut_torn_line(self.log_path)
            for left_over in self.checkpoints.glob(f"{TEMPORARY_PREFIX}*"):
                logger.warning("removed %s, which was being written when a run was killed", left_over)
                shutil.rmtree(left_over, ignore_errors=True)
        return self

    def close(self) -> None:
        """Close the log and give the lock back; calling it twice does no harm."""
        for file in (self._log, self._lock):
            if file is not None:
                file.close()
        self._log = self._lock = None

    def __enter__(self) -> "RunDir":
        """Open with the lock."""
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def keep_config(self, config: Any, may_change: Collection[str] = ()) -> None:
        """Save the resolved config the first time; compare with what was saved every later time.

        Args:
            config: a config dataclass.
            may_change: paths that a run may change when it goes on, e.g. {"num_steps", "log_every"}; a path
                allows everything below it. When they changed, the new config is saved.

        Raises:
            ConfigError: when anything else differs; names the first path with both values.
        """
        new = to_json(config)
        if not self.config_path.exists():
            write_json(self.config_path, new)
            return
        changed = differences(_fill_in(config, read_json(self.config_path)), new)
        refused = [path for path in changed if not _allowed(path, may_change)]
        if refused:
            path = refused[0]
            old_value, new_value = changed[path]
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            raise ConfigError(
                f"{path} is {json.dumps(new_value)} but the run in {self.path} was begun with "
                f"{json.dumps(old_value)}{more}; keep the old value or choose a new run folder"
            )
        if changed:
            logger.info("the run goes on with changed %s", ", ".join(sorted(changed)))
            write_json(self.config_path, new)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append one line to log.jsonl: step, time in seconds since 1970, then the metrics.

        Raises:
            DataError: when the disk is full.
        """
        line = json.dumps({"step": step, "time": round(time.time(), 3), **metrics}).encode() + b"\n"
        try:
            if self._log is None:
                # unbuffered: a line is on its way to the disk or refused, and nothing waits for close()
                self._log = self.log_path.open("ab", buffering=0)
            if self._log.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise DataError(
                f"{self.log_path} could not be written ({error.strerror}); free some space and resume"
            ) from error

    def read_log(self) -> list[dict[str, Any]]:
        """Return the lines of log.jsonl, oldest first; a torn last line is left out.

        Raises:
            DataError: when a line before the last is not JSON.
        """
        if not self.log_path.exists():
            return []
        lines = self.log_path.read_text().split("\n")
        rows = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{self.log_path} line {number} is not JSON ({error}); remove that line"
                ) from error
        return rows

    def cut_log_after(self, step: int) -> None:
        """Drop the lines after ``step``, so that a resumed run does not tell the same steps twice."""
        if self._log is not None:
            self._log.close()
            self._log = None
        rows = self.read_log()
        kept = [row for row in rows if row["step"] <= step]
        if len(kept) < len(rows):
            logger.info(
                "dropped %d log lines after step %d, which will be run again", len(rows) - len(kept), step
            )
            temporary = self.log_path.with_name(f"{TEMPORARY_PREFIX}{self.log_path.name}")
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
            temporary.replace(self.log_path)

    @contextlib.contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """Give a folder to fill with the checkpoint of ``step``; it appears whole or not at all.

        Raises:
            DataError: when the disk is full; older checkpoints stay as they are.
        """
        with whole_folder(self.checkpoint_path(step), None) as folder:
            yield folder

    def checkpoint_path(self, step: int) -> Path:
        """Where the checkpoint of ``step`` lies or would lie."""
        return self.checkpoints / f"step-{step:08d}"

    def checkpoint_steps(self) -> list[int]:
        """Return the steps that have a checkpoint, in order."""
        if not self.checkpoints.is_dir():
            return []
        names = (
            _STEP_NAME.fullmatch(folder.name) for folder in self.checkpoints.iterdir() if folder.is_dir()
        )
        return sorted(int(name[1]) for name in names if name)

    def latest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint folder, or None when there is none."""
        steps = self.checkpoint_steps()
        return self.checkpoint_path(steps[-1]) if steps else None

    def prune(self, keep: int, milestone_every: int = 0) -> None:
        """Delete old checkpoints.

        Args:
            keep: how many of the newest stay, >= 1.
            milestone_every: checkpoints whose step is a multiple of this stay too; 0 keeps no milestones.
        """
        if keep < 1:
            raise ConfigError(f"keep {keep} would delete every checkpoint; use 1 or more")
        for step in self.checkpoint_steps()[:-keep]:
            if not (milestone_every and step % milestone_every == 0):
                shutil.rmtree(self.checkpoint_path(step))


def _cut_torn_line(path: Path) -> None:
    """Cut what stands after the last newline: a process was killed while it wrote it."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            logger.warning("cut a torn last line of %d bytes off %s", len(content) - whole, path)
            file.truncate(whole)


def _fill_in(config: Any, saved: Any) -> Any:
    """Saved values with defaults where an older version did not know an option yet."""
    try:
        return to_json(from_json(type(config), saved))
    except ConfigError:
        return saved  # of another kind: the comparison names the place


def _allowed(path: str, may_change: Collection[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in may_change)
