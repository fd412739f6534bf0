"""Reading a dataset: its world, its episodes, and their frames by integer number.

Opening is cheap (one small JSON file an episode); frames and tables are read when asked for. Sizes and counts
are checked whenever a file is read, hashes by :meth:`EpisodeRef.verify`. This file does NOT change anything
on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.controls import Control
from paracosm.core.episode import Recipe, Split
from paracosm.core.errors import DataError
from paracosm.core.files import TEMPORARY_PREFIX, read_json
from paracosm.core.foreign import is_number, show_value
from paracosm.core.world import WorldInfo

from .format import (
    DATASET_FILE,
    EPISODE_FILE,
    EPISODES_FOLDER,
    FRAMES_FILES,
    GUIDES_FOLDER,
    LABELS_FOLDER,
    START_FILE,
    STEPS_FILE,
    VIDEO_FILE,
    FrameEncoding,
    check_version,
    hash_file,
    info_from_json,
    read_controls,
    read_vectors,
    recipe_from_json,
)
from .video import read_video


class Dataset:
    """A folder of recorded episodes of one world.

    Example:
        for episode in Dataset("recordings/doom").select("train"):
            frames, controls = episode.frames, episode.control_vectors
    """

    def __init__(self, path: Path | str) -> None:
        """Open a dataset.

        Args:
            path: its folder.

        Raises:
            DataError: when it is no dataset, is of a newer format, or an episode is not whole; names the
                file.
        """
        self.path = Path(path)
        file = self.path / DATASET_FILE
        if not self.path.is_dir():
            raise DataError(
                f"{self.path} is no folder; give the folder of a recording made by paracosm record"
            )
        value = read_json(file)
        check_version(value, file)
        self.info: WorldInfo = info_from_json(value.get("world", {}), file)
        self.created: str = value.get("created", "")
        folder = self.path / EPISODES_FOLDER
        names = sorted(part.name for part in folder.iterdir()) if folder.is_dir() else []
        self.episodes: tuple[EpisodeRef, ...] = tuple(
            open_episode(folder / name, self.info) for name in names if not name.startswith(TEMPORARY_PREFIX)
        )

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.episodes)

    @property
    def num_frames(self) -> int:
        """Frames of all episodes together."""
        return sum(episode.num_frames for episode in self.episodes)

    def select(self, split: str) -> tuple[EpisodeRef, ...]:
        """Return the episodes of one split, sorted by name."""
        return tuple(episode for episode in self.episodes if episode.split == split)

    def episode(self, which: int | str) -> EpisodeRef:
        """Return one episode by its place in the sorted list or by its name.

        Raises:
            DataError: when there is no such episode; says which there are.
        """
        if isinstance(which, int):
            if not 0 <= which < len(self.episodes):
                raise DataError(
                    f"{self.path} has no episode {which}; it has {len(self.episodes)}, counted from 0"
                )
            return self.episodes[which]
        for episode in self.episodes:
            if episode.name == which:
                return episode
        names = ", ".join(episode.name for episode in self.episodes[:3])
        raise DataError(f"{self.path} has no episode {which}; it has {len(self.episodes)}, such as {names}")

    def read_labels(self, name: str, version: int, episode: str) -> pa.Table:
        """Read labels derived from one episode, a row for each frame.

        Raises:
            DataError: when they are missing, corrupt or of another length than the episode.
        """
        file = self.path / LABELS_FOLDER / name / f"v{version}" / f"{episode}.parquet"
        table = _read_table(file)
        if table.num_rows != self.episode(episode).num_frames:
            raise DataError(
                f"{file} has {table.num_rows} rows, its episode has another length; derive the labels anew"
            )
        return table


@dataclass(frozen=True, kw_only=True)
class EpisodeRef:
    """One episode on disk; nothing but its small JSON file has been read.

    Attributes:
        path: its folder.
        info: the world it was recorded in.
        num_frames: t.
        encoding: how the exact frames are kept.
        frames_sha256: hash of all pixels in order.
        has_controls: whether it is known what the player did; False for an imported video.
        truth_left_out: truth entries that the world told and no table row could take.
        files: bytes and sha256 of every file of the folder.
        stored_recipe: the recipe as JSON.
        weight: how often its clips are drawn, against 1 for other episodes; a selection gave it.
    """

    path: Path
    info: WorldInfo
    num_frames: int
    encoding: FrameEncoding
    frames_sha256: str
    has_controls: bool
    truth_left_out: tuple[str, ...]
    files: Mapping[str, Mapping[str, Any]]
    stored_recipe: Mapping[str, Any]
    weight: float = 1.0

    @property
    def name(self) -> str:
        """The episode's name, unique in its dataset."""
        return self.path.name

    @property
    def split(self) -> str:
        """What the episode may be used for."""
        return self.stored_recipe["split"]

    @cached_property
    def recipe(self) -> Recipe:
        """Everything, beside the controls, that makes the episode happen again."""
        start = None
        if START_FILE in self.files:
            file = self.path / START_FILE
            self._check_size(START_FILE)
            start = np.load(file)
        return recipe_from_json(self.stored_recipe, start, self.path / EPISODE_FILE)

    @property
    def frames(self) -> np.ndarray:
        """All frames, uint8 (t, h, w, 3), read-only.

        Raw frames are mapped into memory, FFV1 is decoded anew at each call. A map keeps its file open; drop
        it when done, or read parts by :meth:`read_frames`.

        Raises:
            DataError: when the file is missing, truncated or corrupt.
        """
        file = self._frames_file()
        if self.encoding == "ffv1":
            return read_video(file, self.num_frames, self.info.height, self.info.width)
        return np.memmap(file, np.uint8, "r", self._raw_offset(), self._shape)

    def read_frames(self, start: int, stop: int) -> np.ndarray:
        """Read frames start .. stop - 1 into memory and leave no file open.

        Args:
            start: first frame, >= 0.
            stop: one after the last frame, <= num_frames.

        Returns:
            uint8 (stop - start, h, w, 3).

        Raises:
            DataError: when the episode has no such frames, or the file is missing, truncated or corrupt.
        """
        if not 0 <= start <= stop <= self.num_frames:
            raise DataError(
                f"{self.path} has frames 0 to {self.num_frames - 1}; frames {start} to {stop - 1} are "
                "not among them"
            )
        if self.encoding == "ffv1":
            return self.frames[start:stop].copy()
        size = int(np.prod(self._shape[1:]))
        pixels = np.fromfile(
            self._frames_file(), np.uint8, (stop - start) * size, offset=self._raw_offset() + start * size
        )
        return pixels.reshape(stop - start, *self._shape[1:])

    @cached_property
    def table(self) -> pa.Table:
        """The steps: row i is frame i and the control applied AT frame i.

        Raises:
            DataError: when the file is missing, corrupt, or its rows are not the episode's frames.
        """
        self._check_size(STEPS_FILE)
        file = self.path / STEPS_FILE
        table = _read_table(file)
        if table.num_rows != self.num_frames:
            raise DataError(
                f"{file} has {table.num_rows} rows for {self.num_frames} frames; restore it or record "
                "the episode anew"
            )
        if "frame" not in table.column_names or not np.array_equal(
            table["frame"].to_numpy(), np.arange(self.num_frames)
        ):
            raise DataError(
                f"{file} does not number its rows 0 to {self.num_frames - 1}; restore it or record the "
                "episode anew"
            )
        return table

    @cached_property
    def control_vectors(self) -> np.ndarray:
        """The controls as float32 (t - 1, width), as ``ControlSpace.to_vectors`` makes them.

        Row i acts between frame i and frame i + 1.

        Raises:
            DataError: when it is not known what the player did, or the table lacks a column.
        """
        self._need_controls()
        return read_vectors(self.info.controls, self.table)

    @property
    def controls(self) -> list[Control]:
        """The t - 1 controls, complete: keys, look, text, latent and guide.

        Raises:
            DataError: when it is not known what the player did, or a file is missing or corrupt.
        """
        return list(self._controls)

    @cached_property
    def _controls(self) -> tuple[Control, ...]:
        # kept, because a thousand cases may be cut out of one episode
        self._need_controls()
        controls = read_controls(self.info.controls, self.table)
        for name in self.files:
            if name.startswith(f"{GUIDES_FOLDER}/"):
                self._check_size(name)
                index = int(Path(name).stem)
                guide = np.load(self.path / name)
                old = controls[index]
                controls[index] = Control(old.keys, old.look, old.text, old.latent, guide)
        return tuple(controls)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names that :meth:`truth` takes, and those of the controls."""
        return tuple(self.table.column_names)

    def truth(self, column: str) -> np.ndarray:
        """Read one column of the table, e.g. "pose_x", "reward" or "events", one entry for each frame.

        Returns:
            (t,): numbers or booleans where no entry is missing, floats with NaN where numbers are missing,
            else objects.

        Raises:
            DataError: when the world did not tell it; names the columns there are.
        """
        if column not in self.table.column_names:
            raise DataError(
                f'{self.path} has no column "{column}"; it has {", ".join(self.table.column_names)}'
            )
        return self.table[column].to_numpy(zero_copy_only=False)

    @property
    def video(self) -> Path | None:
        """The video for people, where one was written."""
        return self.path / VIDEO_FILE if VIDEO_FILE in self.files else None

    def verify(self) -> None:
        """Check every byte: the hash of each file, and the hash of the decoded pixels.

        Raises:
            DataError: names the first file that is not what was written.
        """
        for name, stored in self.files.items():
            self._check_size(name)
            if hash_file(self.path / name) != stored["sha256"]:
                raise DataError(
                    f"{self.path / name} is corrupt (its hash changed); restore it or record the episode anew"
                )
        if hashlib.sha256(np.ascontiguousarray(self.frames).data).hexdigest() != self.frames_sha256:
            raise DataError(
                f"{self._frames_file()} does not hold the pixels that were recorded; record the episode anew"
            )
        self._need_columns()

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return (self.num_frames, self.info.height, self.info.width, 3)

    def _frames_file(self) -> Path:
        name = FRAMES_FILES[self.encoding]
        self._check_size(name)
        return self.path / name

    def _raw_offset(self) -> int:
        """Bytes of the .npy header; the rest of the file is pixels, which is checked."""
        name = FRAMES_FILES["raw"]
        offset = self.files[name]["bytes"] - int(np.prod(self._shape))
        if offset <= 0:
            raise DataError(
                f"{self.path / name} is too short for {self.num_frames} frames; record the episode anew"
            )
        return offset

    def _check_size(self, name: str) -> None:
        file = self.path / name
        expected = self.files.get(name, {}).get("bytes")
        try:
            size = file.stat().st_size
        except FileNotFoundError:
            raise DataError(f"{file} is missing; restore it from a copy or record the episode anew") from None
        if size != expected:
            raise DataError(
                f"{file} is {size} bytes long, {expected} were written; restore it or record the episode anew"
            )

    def _need_controls(self) -> None:
        if not self.has_controls:
            raise DataError(
                f"{self.path} is an imported video without controls; label it by an inverse-dynamics "
                "model first"
            )
        self._need_columns()

    def _need_columns(self) -> None:
        needed = [f"key_{key}" for key in self.info.controls.keys] + [
            "look_yaw",
            "look_pitch",
            "text",
            "latent",
        ]
        missing = [name for name in needed if name not in self.table.column_names]
        if missing:
            raise DataError(f"{self.path / STEPS_FILE} lacks the columns {missing}; record the episode anew")


def open_episode(path: Path, info: WorldInfo) -> EpisodeRef:
    """Open one episode folder of a dataset.

    Args:
        path: the episode's folder.
        info: the dataset's world.

    Raises:
        DataError: when its JSON file is missing, corrupt, newer, or disagrees with the dataset.
    """
    file = path / EPISODE_FILE
    value = read_json(file)
    check_version(value, file)
    try:
        size = (value["height"], value["width"])
        episode = EpisodeRef(
            path=path,
            info=replace(info, engine=value["recipe"]["engine"]),
            num_frames=value["num_frames"],
            encoding=value["frames"]["encoding"],
            frames_sha256=value["frames"]["sha256"],
            has_controls=value.get("has_controls", True),
            truth_left_out=tuple(value["truth_left_out"]),
            files=value["files"],
            stored_recipe=value["recipe"],
            weight=value.get("weight", 1.0),
        )
        split_known = value["recipe"]["split"] in get_args(Split)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{file} lacks a part of an episode ({error}); restore it or record the episode anew"
        ) from error
    if not is_number(episode.weight) or episode.weight <= 0:
        raise DataError(
            f"{file} weight is {show_value(episode.weight)}, a number above 0 is due; export it anew"
        )
    if size != (info.height, info.width) or episode.encoding not in FRAMES_FILES or not split_known:
        raise DataError(
            f"{file} does not fit its dataset (size {size}, frames {episode.encoding}, "
            f"split {episode.split}); move it to a dataset of its own"
        )
    return episode


def _read_table(file: Path) -> pa.Table:
    try:
        return pq.read_table(file, memory_map=False, use_threads=False)
    except FileNotFoundError:
        raise DataError(f"{file} is missing; restore it from a copy or make it anew") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{file} is corrupt ({str(error).splitlines()[0]}); restore it or make it anew"
        ) from error
