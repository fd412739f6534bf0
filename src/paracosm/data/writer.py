"""Writing a dataset: one folder, one folder in it for each episode, each of them whole or absent.

A killed writer loses at most the episode in progress; its half-written folder begins with ``.partial-`` and
no reader looks at it. This file does NOT know games, policies or processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.controls import Control
from paracosm.core.episode import Recipe
from paracosm.core.errors import DataError
from paracosm.core.files import read_json, whole_file, whole_folder, write_json
from paracosm.core.world import Frame, WorldInfo

from .format import (
    DATASET_FILE,
    EPISODE_FILE,
    EPISODES_FOLDER,
    FORMAT_VERSION,
    FRAMES_FILES,
    GUIDES_FOLDER,
    INPUTS_FILE,
    LABELS_FOLDER,
    START_FILE,
    STEPS_FILE,
    VIDEO_FILE,
    FrameEncoding,
    build_steps,
    check_version,
    flatten_truth,
    hash_file,
    info_to_json,
    recipe_to_json,
)
from .video import VideoWriter

_SAME_IN_ONE_DATASET = ("name", "fps", "height", "width", "controls")
"""What every episode of one dataset shares; the engine may differ and stands in each recipe."""


def prepare_dataset(path: Path | str, info: WorldInfo) -> Path:
    """Make a dataset folder for recordings of one world, or check that an existing one fits.

    Args:
        path: the dataset's folder.
        info: the world that will be recorded.

    Returns:
        The folder.

    Raises:
        DataError: when the folder holds recordings of another world or other files.
    """
    path = Path(path)
    file = path / DATASET_FILE
    given = info_to_json(info)
    if file.exists():
        stored = read_json(file)
        check_version(stored, file)
        for part in _SAME_IN_ONE_DATASET:
            if stored.get("world", {}).get(part) != given[part]:
                raise DataError(
                    f"{path} holds recordings whose {part} is {stored.get('world', {}).get(part)}, "
                    f"this world's is {given[part]}; record into another folder"
                )
        return path
    if (path / EPISODES_FOLDER).exists() and any((path / EPISODES_FOLDER).iterdir()):
        raise DataError(
            f"{file} is missing though {path} holds episodes; restore it from a copy or choose another folder"
        )
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_json(file, {"format_version": FORMAT_VERSION, "created": created, "world": given})
    return path


class EpisodeWriter:
    """Writes one episode, frame by frame; the episode appears in the dataset when :meth:`close` returns.

    Use it as a context manager (an exception inside discards the episode) or call :meth:`close` or
    :meth:`discard`.

    Example:
        with EpisodeWriter(dataset, "person-000000", world.info, recipe) as writer:
            writer.begin(world.reset(recipe.seed))
            writer.step(control, world.step(control))
    """

    def __init__(
        self,
        dataset: Path | str,
        name: str,
        info: WorldInfo,
        recipe: Recipe,
        *,
        frames: FrameEncoding = "raw",
        video: bool = False,
        keep_inputs: bool = False,
        weight: float = 1.0,
    ) -> None:
        """Open a new episode in a dataset that :func:`prepare_dataset` made.

        Args:
            dataset: the dataset's folder.
            name: the episode's folder name, new in this dataset.
            info: the world that is recorded.
            recipe: how the episode begins and who plays.
            frames: how the exact frames are kept.
            video: also write an H.264 video for people.
            keep_inputs: take raw input events though no person plays, as from another recorder's log.
            weight: how often training draws its clips, against 1 for other episodes; above 0.

        Raises:
            DataError: when the name is taken or is no plain folder name, or the disk is full.
        """
        self.path = Path(dataset) / EPISODES_FOLDER / name
        if not name or name != Path(name).name or name.startswith("."):
            raise DataError(f'episode name "{name}" is no plain folder name; use letters, digits and dashes')
        if self.path.exists():
            raise DataError(f"{self.path} exists already; choose another name or delete it first")
        self._info, self._recipe, self._encoding, self._weight = info, recipe, frames, weight
        self._controls: list[Control | None] = []
        self._rows: list[dict[str, Any]] = []
        self._left_out: dict[str, None] = {}
        self._stack = contextlib.ExitStack()
        self._open = True
        self._video: VideoWriter | None = None
        self._inputs: TextIO | None = None
        self._folder = self._stack.enter_context(whole_folder(self.path, EPISODE_FILE))
        with self._guard():
            self._frames = self._stack.enter_context(_FramesFile(self._folder, info, frames))
            if video:
                file = self._folder / VIDEO_FILE
                self._video = VideoWriter(file, info.fps, info.height, info.width, "h264")
            if keep_inputs or recipe.policy == "person":
                self._inputs = (self._folder / INPUTS_FILE).open("w")
            if recipe.start is not None:
                np.save(self._folder / START_FILE, recipe.start)

    @property
    def num_frames(self) -> int:
        """Frames written so far."""
        return len(self._rows)

    def begin(self, frame: Frame) -> None:
        """Write the first frame, which no control led to."""
        self._need_open()
        if self._rows:
            raise DataError(
                f"{self.path} has begun already; call step(control, frame) from the second frame on"
            )
        self._add(frame)

    def step(self, control: Control | None, frame: Frame) -> None:
        """Write a control and the frame that followed it.

        Args:
            control: what acted between the last written frame and ``frame``; None when that is not known, as
                in an imported video, and then for every step of the episode.
            frame: the frame that it led to.

        Raises:
            ControlError: when the world does not offer the control.
            DataError: when the frame has the wrong size, or the disk is full; the episode is then discarded.
        """
        self._need_open()
        if not self._rows:
            raise DataError(
                f"{self.path} has no first frame yet; call begin(frame) before step(control, frame)"
            )
        if self._controls and (control is None) != (self._controls[-1] is None):
            raise DataError(
                f"{self.path} has controls for some steps only; give one for every step or None for "
                "every step"
            )
        if control is not None:
            self._info.controls.check(control)
        if control is not None and control.guide is not None:
            with self._guard():
                (self._folder / GUIDES_FOLDER).mkdir(exist_ok=True)
                np.save(self._folder / GUIDES_FOLDER / f"{len(self._controls):06d}.npy", control.guide)
        self._controls.append(control)
        self._add(frame)

    def add_input(self, event: Mapping[str, Any]) -> None:
        """Append one raw input event of a person, as the device sent it, with its time stamp.

        Raises:
            DataError: when the recipe's policy is not "person".
        """
        if self._inputs is None:
            raise DataError(f'{self.path} was not opened for a person; set the recipe\'s policy to "person"')
        with self._guard():
            self._inputs.write(json.dumps(dict(event)) + "\n")

    def close(self) -> None:
        """Finish the episode and move it into the dataset; calling it twice does no harm.

        Raises:
            DataError: when no frame was written or the disk is full; nothing is left behind then.
        """
        if not self._open:
            return
        if not self._rows:
            self.discard()
            raise DataError(f"{self.path} got no frame, so nothing was written; call begin(frame) first")
        with self._guard():
            self._finish()
        self._open = False
        self._stack.close()

    def discard(self) -> None:
        """Throw away what was written; calling it twice does no harm."""
        if self._open:
            self._abandon(_DiscardedError())

    def __enter__(self) -> EpisodeWriter:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the episode, or discard it when the block failed."""
        if error is None:
            self.close()
        else:
            self.discard()

    def _add(self, frame: Frame) -> None:
        expected = (self._info.height, self._info.width, 3)
        if frame.image.shape != expected or frame.image.dtype != np.uint8:
            raise DataError(
                f"frame {len(self._rows)} of {self.path} has shape {frame.image.shape} and type "
                f"{frame.image.dtype}; "
                f"{self._info.name} promises uint8 {expected}"
            )
        if frame.index != len(self._rows):
            raise DataError(
                f"frame {frame.index} came where frame {len(self._rows)} of {self.path} was due; write "
                "every frame, in order"
            )
        row, left_out = flatten_truth(frame)
        with self._guard():
            self._frames.add(frame.image)
            if self._video is not None:
                self._video.add(frame.image)
        self._rows.append(row)
        self._left_out.update(dict.fromkeys(left_out))

    def _finish(self) -> None:
        self._frames.finish()
        if self._video is not None:
            self._video.close()
        if self._inputs is not None:
            self._inputs.close()
        if self._frames.num_frames != len(self._rows):
            raise AssertionError(
                f"{self._frames.num_frames} frames for {len(self._rows)} rows in {self.path}"
            )
        table = build_steps(self._info.controls, self._controls, self._rows)
        pq.write_table(table, self._folder / STEPS_FILE, compression="zstd")
        files = sorted(file for file in self._folder.rglob("*") if file.is_file())
        value = {
            "format_version": FORMAT_VERSION,
            "num_frames": len(self._rows),
            "height": self._info.height,
            "width": self._info.width,
            "frames": {"encoding": self._encoding, "sha256": self._frames.sha256},
            "has_controls": None not in self._controls,
            "recipe": recipe_to_json(self._recipe),
            **({"weight": self._weight} if self._weight != 1 else {}),
            "truth_left_out": list(self._left_out),
            "files": {
                file.relative_to(self._folder).as_posix(): {
                    "bytes": file.stat().st_size,
                    "sha256": hash_file(file),
                }
                for file in files
            },
        }
        (self._folder / EPISODE_FILE).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Discard the episode when writing fails, so that nothing half is left on a full disk."""
        self._need_open()
        try:
            yield
        except BaseException as error:
            self._abandon(error)
            raise

    def _need_open(self) -> None:
        if not self._open:
            raise DataError(f"{self.path} is closed; open a new EpisodeWriter")

    def _abandon(self, error: BaseException) -> None:
        self._open = False
        if self._video is not None:
            self._video.abandon()
        if self._inputs is not None:
            with contextlib.suppress(OSError):
                self._inputs.close()
        with contextlib.suppress(_DiscardedError):
            self._stack.__exit__(type(error), error, error.__traceback__)


class _DiscardedError(Exception):
    """Tells the temporary folder to go away."""


class _FramesFile:
    """The exact frames of one episode, appended one by one."""

    def __init__(self, folder: Path, info: WorldInfo, encoding: FrameEncoding) -> None:
        self._path = folder / FRAMES_FILES[encoding]
        self._size = (info.height, info.width, 3)
        self._hash = hashlib.sha256()
        self._raw: BinaryIO | None = None
        self._video: VideoWriter | None = None
        self.num_frames = 0
        if encoding == "raw":
            self._raw = self._path.open("wb")
            self._write_header()
        else:
            self._video = VideoWriter(self._path, info.fps, info.height, info.width, "ffv1")

    @property
    def sha256(self) -> str:
        """Hash of all pixels written so far, whatever the encoding."""
        return self._hash.hexdigest()

    def add(self, image: np.ndarray) -> None:
        """Append one frame."""
        pixels = np.ascontiguousarray(image)
        self._hash.update(pixels.data)
        if self._raw is not None:
            self._raw.write(pixels.data)
        elif self._video is not None:
            self._video.add(pixels)
        self.num_frames += 1

    def finish(self) -> None:
        """Write what can be known only at the end, and close."""
        if self._raw is not None:
            end = self._raw.tell()
            self._raw.seek(0)
            self._write_header()
            if end - self._raw.tell() != self.num_frames * int(np.prod(self._size)):
                raise AssertionError(
                    f"{self._path} is {end} bytes long after {self.num_frames} frames of {self._size}"
                )
            self._raw.close()
        elif self._video is not None:
            self._video.close()

    def __enter__(self) -> _FramesFile:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            if self._raw is not None:
                self._raw.close()
            elif self._video is not None:
                self._video.abandon()

    def _write_header(self) -> None:
        """Write the .npy header; numpy pads it so that a longer first axis never moves the pixels."""
        assert self._raw is not None
        shape = (self.num_frames, *self._size)
        np.lib.format.write_array_header_1_0(
            self._raw, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )


def write_labels(
    dataset: Path | str, name: str, version: int, episode: str, columns: Mapping[str, Any]
) -> Path:
    """Write labels derived from one episode; they never touch the recording itself.

    Args:
        dataset: the dataset's folder.
        name: what was derived, e.g. "captions".
        version: version of the code or model that derived it, >= 1; versions live side by side.
        episode: the episode's name.
        columns: one value for each frame in each column.

    Returns:
        The file written.

    Raises:
        DataError: when there is no such episode or a column has another length than the episode.
    """
    folder = Path(dataset)
    stored = read_json(folder / EPISODES_FOLDER / episode / EPISODE_FILE)
    for column, values in columns.items():
        if len(values) != stored["num_frames"]:
            raise DataError(
                f"labels {column} of {episode} have {len(values)} rows, the episode has "
                f"{stored['num_frames']} frames; "
                "give one row for each frame"
            )
    file = folder / LABELS_FOLDER / name / f"v{version}" / f"{episode}.parquet"
    table = pa.table({"frame": pa.array(range(stored["num_frames"]), pa.int32()), **columns})
    with whole_file(file) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return file
