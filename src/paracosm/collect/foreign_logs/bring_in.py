"""Logs of other recorders into a recording: frames, controls, what the log knew, and the log as it stood.

Row i is frame i. A log whose rows do not fit its video is refused, or cut on request; keys that no table
knows stay in ``inputs.jsonl`` and are named in the report. This file does NOT know any format.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from paracosm.collect.pictures import crop_centre, shrink
from paracosm.collect.videos import ImportConfig, choose_frames, read_times
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import write_json
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import Frame, WorldInfo
from paracosm.data.format import EPISODES_FOLDER, hash_file
from paracosm.data.reader import Dataset
from paracosm.data.video import iterate_video
from paracosm.data.writer import EpisodeWriter, prepare_dataset

from . import doom_demos, gamefactory, lerobot, owl, vpt
from .keys import bindings_of, read_keys
from .log import ForeignLog, LogFormat, LogRow, LogSet

REPORT_FILE = "import.json"
"""In the dataset's folder: what every log of the last import came to."""


@dataclass(frozen=True, kw_only=True)
class LogImportConfig(ImportConfig):
    """How logs of another recorder become episodes."""

    format: LogFormat
    """Who wrote the logs."""
    keys: Path | None = None
    """JSON table of foreign key names to names here; without it the format's own, which collect/foreign_logs/
    keys.py shows."""
    degrees_per_pixel: float = 0.0
    """Degrees of turn of one pixel of the mouse; 0 takes the format's own scale (VPT: 0.15)."""
    look_limit: float = 180.0
    """Degrees that one kept frame may turn each way; belongs to the world and is the same for all logs."""
    misfit: Literal["refuse", "cut"] = "refuse"
    """What to do with a log whose rows are not its video's frames: refuse it, or keep what both have; the
    reason is noted."""
    shift_controls: int = 0
    """Frames by which pictures come later than the log says: 1 gives frame i the control of row i - 1. The
    alignment report tells it."""
    off_clock: Literal["refuse", "note"] = "refuse"
    """What to do with a log whose pictures turn some frames before or after its controls, or against them:
    refuse it, or only note it in the report."""
    action_rows: gamefactory.ActionRows = "measured"
    """GameFactory: whether an entry's action acts after its frame or before it."""
    start_event: owl.StartEvent = "VIDEO_START"
    """OWL: the event at which the video began."""
    camera: str = ""
    """LeRobot: which of its videos; it may stay out when there is only one."""

    def __post_init__(self) -> None:
        """Refuse scales and limits that turn nothing."""
        super().__post_init__()
        if self.degrees_per_pixel < 0 or self.look_limit <= 0:
            raise ConfigError(
                f"degrees_per_pixel {self.degrees_per_pixel:g} must be 0 or more and look_limit "
                f"{self.look_limit:g} above 0"
            )


class Clock(Protocol):
    """Watches an episode go by and says whether pictures and turns lie on one clock."""

    def look(self, image: np.ndarray) -> None:
        """Take the next frame."""
        ...

    def judge(self, turns: np.ndarray, name: str) -> dict[str, Any]:
        """Return figures of the alignment; ``turns`` is (t - 1,) degrees to the right.

        Raises:
            DataError: when pictures and turns are off by frames.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LogOutcome:
    """What one log came to.

    Attributes:
        name: the episode.
        rows: rows of the log.
        frames: frames of its video that belong to it.
        kept: frames kept.
        notes: what was decided on the way, cuts with their reasons among it.
        unknown: keys and events that have no name here, with the rows that had them; kept in inputs.jsonl.
        alignment: what the clock said; {} without one.
    """

    name: str
    rows: int
    frames: int
    kept: int
    notes: tuple[str, ...]
    unknown: dict[str, int]
    alignment: dict[str, Any]


def import_logs(
    config: LogImportConfig,
    *,
    make_clock: Callable[[], Clock] | None = None,
    progress: ProgressMaker = no_progress,
) -> tuple[Dataset, list[LogOutcome]]:
    """Import every log of a folder; those that are in the dataset already are skipped.

    Args:
        config: what to import.
        make_clock: makes what compares pictures and turns of one episode; None compares nothing.
        progress: makes the progress line.

    Returns:
        The dataset, and what the logs that were brought in now came to.

    Raises:
        DataError: when there is no log, or one is refused; earlier ones stay imported.
    """
    logs = open_set(config)
    table = dict(logs.keys) if config.keys is None else read_keys(config.keys)
    keys = tuple(dict.fromkeys(table.values()))
    limit = (config.look_limit, config.look_limit) if logs.known else (0.0, 0.0)
    info = WorldInfo(
        name=f"log:{config.format}",
        fps=config.fps,
        height=config.height,
        width=config.width,
        controls=ControlSpace(keys=keys, bindings=bindings_of(keys), look_limit=limit),
        engine=f"{config.format} log",
        description=f"Recordings of another recorder, imported from {config.folder.name}.",
    )
    prepare_dataset(config.out, info)
    outcomes = []
    with contextlib.closing(_FrameFeed()) as feed:
        line = progress("import", len(logs.logs), "log")
        try:
            for count, (name, read) in enumerate(logs.logs.items(), 1):
                if not (config.out / EPISODES_FOLDER / name).exists():
                    job = _Job(config=config, info=info, logs=logs, table=table, feed=feed)
                    clock = make_clock() if make_clock is not None and logs.known else None
                    outcomes.append(job.bring_in(name, read(), clock))
                line.update(count)
        finally:
            line.close()
            _write_report(config, outcomes)
    return Dataset(config.out), outcomes


def open_set(config: LogImportConfig) -> LogSet:
    """Open a folder of logs.

    Raises:
        DataError: when it holds no log of this format.
    """
    openers: dict[LogFormat, Callable[[], LogSet]] = {
        "vpt": lambda: vpt.open_logs(config.folder),
        "gamefactory": lambda: gamefactory.open_logs(config.folder, config.action_rows),
        "owl": lambda: owl.open_logs(config.folder, config.start_event),
        "lerobot": lambda: lerobot.open_logs(config.folder, config.camera),
        "doom-demo": lambda: doom_demos.open_logs(config.folder),
    }
    if not config.folder.is_dir():
        raise DataError(f"{config.folder} is no folder; give the folder of the {config.format} logs")
    return openers[config.format]()


def fit_rows(name: str, rows: int, frames: int, slack: int, misfit: str) -> tuple[int, str]:
    """Say how many frames of a log are kept, and why not all.

    The last frame needs no row, since nothing acts after it.

    Raises:
        DataError: when rows and frames do not fit and nothing may be cut.
    """
    kept = min(frames, rows + 1)
    if rows in (frames, frames - 1):
        return frames, ""
    problem = f"{rows} rows for {frames} frames"
    if abs(rows - frames) <= slack:
        return kept, f"{problem}, within the {slack} that this recorder starts or stops late; {kept} are kept"
    if misfit == "refuse":
        raise DataError(
            f"{name} has {problem}, but row i must be frame i; fetch it anew, or set misfit to cut to keep "
            f"the first {kept} frames"
        )
    return kept, f"cut to the first {kept} frames, since it has {problem}"


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What the logs of one import share."""

    config: LogImportConfig
    info: WorldInfo
    logs: LogSet
    table: dict[str, str]
    feed: _FrameFeed

    def bring_in(self, name: str, log: ForeignLog, clock: Clock | None) -> LogOutcome:
        """Write one log as an episode."""
        config = self.config
        times = read_times(log.video)[log.first_frame :]
        times = times if log.num_frames is None else times[: log.num_frames]
        wanted = log.num_frames if log.num_frames is not None else len(times)
        if len(times) != wanted:
            raise DataError(f"{log.video} has {len(times)} frames left for {name}, {wanted} are told")
        fitting, why = fit_rows(name, log.num_rows, len(times), log.slack, config.misfit)
        shift = config.shift_controls
        # frame i takes row i - shift, so that many frames have no row at one end
        first, stop = max(0, shift), min(fitting, len(log.rows) + shift + 1)
        if stop - first < 2:
            raise DataError(f"{name} keeps {max(stop - first, 0)} frames, two are needed; remove it")
        chosen, selection = choose_frames(times[first:stop], config.fps, config.variable_rate, log.video)
        chosen = [index + first for index in chosen]
        unknown = Counter(log.other)
        controls = self._controls(name, log.rows, [index - shift for index in chosen], unknown)
        shifted = (f"controls shifted by {shift} frames",) if shift else ()
        notes = (*log.notes, *([why] if why else ()), *shifted, selection)
        recipe = Recipe(
            world=self.info.name,
            config=self._provenance(log, notes, unknown),
            engine=self.info.engine,
            policy=self.logs.policy,
            split=config.split,
        )
        with EpisodeWriter(
            config.out, name, self.info, recipe, frames=config.frames, keep_inputs=True
        ) as writer:
            self._write(writer, log, chosen, controls, clock)
            turns = np.array([control.look[0] for control in controls]) if controls else np.zeros(0)
            alignment = clock.judge(turns, name) if clock is not None else {}
        return LogOutcome(
            name=name,
            rows=log.num_rows,
            frames=len(times),
            kept=len(chosen),
            notes=notes,
            unknown=dict(unknown.most_common()),
            alignment=alignment,
        )

    def _write(
        self,
        writer: EpisodeWriter,
        log: ForeignLog,
        chosen: Sequence[int],
        controls: Sequence[Control] | None,
        clock: Clock | None,
    ) -> None:
        size = (self.config.height, self.config.width)
        images = self.feed.read(log.video, [log.first_frame + index for index in chosen])
        count = 0
        for count, (index, image) in enumerate(zip(chosen, images, strict=False), 1):
            small = shrink(crop_centre(image, *size), *size)
            row = log.rows[index] if index < len(log.rows) else None
            truth = {"source_frame": index} | (dict(row.truth) if row is not None else {})
            frame = Frame(image=small, index=count - 1, truth=truth)
            if clock is not None:
                clock.look(small)
            if count == 1:
                writer.begin(frame)
            else:
                writer.step(controls[count - 2] if controls is not None else None, frame)
        if count != len(chosen):
            raise DataError(f"{log.video} ends after {count} of {len(chosen)} frames; fetch it anew")
        for index, row in enumerate(log.rows):
            writer.add_input({"row": index, "raw": row.raw})

    def _controls(
        self, name: str, rows: Sequence[LogRow], places: Sequence[int], unknown: Counter[str]
    ) -> list[Control] | None:
        """Sum up the rows between each kept frame and the next; a key held in any of them counts as held."""
        if not self.logs.known:
            return None
        scale = self.config.degrees_per_pixel or self.logs.degrees_per_pixel
        if not scale and any(row.mouse != (0.0, 0.0) for row in rows):
            raise DataError(
                f"{name} moves the mouse by pixels and {self.config.format} tells no scale; give "
                "degrees_per_pixel, e.g. 360 divided by the pixels of a whole turn"
            )
        for row in rows:
            unknown.update(key for key in row.keys if key not in self.table)
        controls = []
        for start, stop in itertools.pairwise(places):
            part = rows[start:stop]
            held = {self.table[key] for row in part for key in row.keys if key in self.table}
            yaw = sum(row.turn[0] + scale * row.mouse[0] for row in part)
            pitch = sum(row.turn[1] - scale * row.mouse[1] for row in part)
            if max(abs(yaw), abs(pitch)) > self.config.look_limit:
                raise DataError(
                    f"{name} turns {max(abs(yaw), abs(pitch)):.1f} degrees at row {start}, look_limit is "
                    f"{self.config.look_limit:g}; set a larger one, or check degrees_per_pixel"
                )
            controls.append(Control(held, (yaw, pitch)))
        return controls

    def _provenance(self, log: ForeignLog, notes: Sequence[str], unknown: Counter[str]) -> dict[str, Any]:
        return {
            "file": log.video.name,
            "sha256": hash_file(log.video),
            "format": self.config.format,
            "degrees_per_pixel": self.config.degrees_per_pixel or self.logs.degrees_per_pixel,
            "shift_controls": self.config.shift_controls,
            "notes": list(notes),
            "unknown": dict(unknown.most_common()),
            "log": dict(log.provenance),
        }


class _FrameFeed:
    """Frames of videos by number; going on in the same file decodes nothing twice."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._images: Iterator[np.ndarray] = iter(())
        self._next = 0

    def read(self, file: Path, wanted: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield frames by number, in rising order; a number that stands twice gives the frame twice."""
        image: np.ndarray | None = None
        if self._file != file or (wanted and wanted[0] < self._next):
            self.close()
            self._file, self._images, self._next = file, iterate_video(file), 0
        for number in wanted:
            while self._next <= number:
                image = next(self._images, None)
                if image is None:
                    return
                self._next += 1
            assert image is not None, number
            yield image

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file = None
            self._images.close()  # type: ignore[attr-defined]


def _write_report(config: LogImportConfig, outcomes: Sequence[LogOutcome]) -> None:
    if not outcomes:
        return
    rows = [
        {
            "episode": outcome.name,
            "rows": outcome.rows,
            "frames": outcome.frames,
            "kept": outcome.kept,
            "notes": list(outcome.notes),
            "unknown": outcome.unknown,
            "alignment": outcome.alignment,
        }
        for outcome in outcomes
    ]
    write_json(config.out / REPORT_FILE, {"format": config.format, "logs": rows})
