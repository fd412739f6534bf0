"""Writes a LeRobotDataset v3: clips back to back in Parquet tables and MP4 files, and what describes them.

Row i of an episode is frame i and the control applied at it; the last row has none and holds zeros. This file
does NOT know where clips come from.

Source: huggingface/lerobot, LeRobotDataset v3.0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.errors import DataError

from .mp4 import Mp4Writer

VERSION = "v3.0"
CAMERA = "observation.images.screen"
ACTION = "action"
CHUNK_FILES = 1000
"""Files of one chunk folder, as the format has it."""
KEYFRAME_INTERVAL = 2
"""Readers of the format jump to single frames, so keyframes stand close."""
STATS_EVERY = 16
"""One frame of so many counts for the statistics of the picture."""

_PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_COUNTERS = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64"}


@dataclass(frozen=True, kw_only=True)
class LeRobotShape:
    """What all episodes of a set share.

    Attributes:
        fps: frames a second.
        height: rows of a frame.
        width: columns of a frame.
        action_names: names of the action's numbers; empty when no control is known.
        file_episodes: episodes in one Parquet table and one MP4.
    """

    fps: float
    height: int
    width: int
    action_names: tuple[str, ...]
    file_episodes: int


@dataclass
class _Stats:
    """Least, most, sum and sum of squares over everything that was added."""

    low: Any = np.inf
    high: Any = -np.inf
    total: Any = 0.0
    squares: Any = 0.0
    count: int = 0

    def add(self, values: np.ndarray) -> None:
        """Take rows of numbers, (n, width)."""
        self.low, self.high = np.minimum(self.low, values.min(0)), np.maximum(self.high, values.max(0))
        self.total, self.squares = self.total + values.sum(0), self.squares + (values**2).sum(0)
        self.count += len(values)

    def to_json(self, shape: Sequence[int]) -> dict[str, Any]:
        """Return the format's statistics, each of this shape."""
        mean = self.total / max(self.count, 1)
        std = np.sqrt(np.maximum(self.squares / max(self.count, 1) - mean**2, 0))
        named = {"min": self.low, "max": self.high, "mean": mean, "std": std}
        return {name: np.reshape(value, shape).tolist() for name, value in named.items()} | {
            "count": [self.count]
        }


@dataclass
class LeRobotWriter:
    """Writes episodes one after the other into a folder; ``finish`` makes it a set."""

    folder: Path
    shape: LeRobotShape
    _episodes: list[dict[str, Any]] = field(default_factory=list)
    _rows: list[dict[str, np.ndarray]] = field(default_factory=list)
    _tasks: dict[str, int] = field(default_factory=dict)
    _video: Mp4Writer | None = None
    _stats: dict[str, _Stats] = field(default_factory=dict)
    _total: int = 0

    def add(self, frames: Iterable[np.ndarray], actions: np.ndarray | None, task: str) -> int:
        """Write one episode.

        Args:
            frames: uint8 (h, w, 3) each.
            actions: float32 (t - 1, width) in the order of ``action_names``; None when there are none.
            task: what the episode is about, in words.

        Returns:
            Its number of frames.

        Raises:
            DataError: when frames and actions do not fit.
        """
        number = len(self._episodes)
        file = number // self.shape.file_episodes
        if self._video is None:
            path = self._path("videos/" + CAMERA, file, ".mp4")
            self._video = Mp4Writer(str(path), self.shape.fps, KEYFRAME_INTERVAL)
        first = self._video.num_frames
        for index, image in enumerate(frames):
            self._video.add(image)
            if index % STATS_EVERY == 0:
                self._stat(CAMERA, image[::4, ::4].reshape(-1, 3) / 255)
        count = self._video.num_frames - first
        if actions is not None and len(actions) != count - 1:
            raise DataError(
                f"episode {number} has {count} frames and {len(actions)} controls; {count - 1} fit"
            )
        self._add_rows(number, count, actions, self._tasks.setdefault(task, len(self._tasks)))
        place = {"chunk_index": file // CHUNK_FILES, "file_index": file % CHUNK_FILES}
        self._episodes.append(
            {
                "episode_index": number,
                "tasks": [task],
                "length": count,
                "dataset_from_index": self._total,
                "dataset_to_index": self._total + count,
                **{f"data/{name}": value for name, value in place.items()},
                **{f"videos/{CAMERA}/{name}": value for name, value in place.items()},
                f"videos/{CAMERA}/from_timestamp": first / self.shape.fps,
                f"videos/{CAMERA}/to_timestamp": (first + count) / self.shape.fps,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        self._total += count
        if len(self._episodes) % self.shape.file_episodes == 0:
            self._close_file(file)
        return count

    def finish(self, facts: Sequence[Mapping[str, Any]]) -> None:
        """Close the last files and write what describes the set.

        Args:
            facts: provenance and scores of each episode, kept beside the set in meta/paracosm.json.
        """
        if self._video is not None:
            self._close_file((len(self._episodes) - 1) // self.shape.file_episodes)
        pq.write_table(pa.Table.from_pylist(self._episodes), self._path("meta/episodes", 0, ".parquet"))
        pq.write_table(_tasks_table(self._tasks), self.folder / "meta/tasks.parquet")
        sides = {CAMERA: (3, 1, 1)}
        stats = {name: found.to_json(sides.get(name, (-1,))) for name, found in self._stats.items()}
        for name, value in (("info", self._info()), ("stats", stats), ("paracosm", list(facts))):
            (self.folder / f"meta/{name}.json").write_text(json.dumps(value, indent=2, ensure_ascii=False))

    def abandon(self) -> None:
        """Close what is open; the folder is of no use."""
        if self._video is not None:
            self._video.close()

    def _add_rows(self, number: int, count: int, actions: np.ndarray | None, task: int) -> None:
        frame = np.arange(count)
        rows: dict[str, np.ndarray] = {
            "timestamp": (frame / self.shape.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(count, number),
            "index": frame + self._total,
            "task_index": np.full(count, task),
        }
        if actions is not None:
            padded = np.zeros((count, len(self.shape.action_names)), np.float32)
            padded[:-1] = actions
            rows[ACTION] = padded
            self._stat(ACTION, padded)
        for name in ("timestamp", "frame_index"):
            self._stat(name, rows[name][:, None].astype(np.float64))
        self._rows.append(rows)

    def _close_file(self, file: int) -> None:
        assert self._video is not None
        self._video.close()
        self._video = None
        columns = {name: np.concatenate([rows[name] for rows in self._rows]) for name in self._rows[0]}
        table = {
            name: pa.array(list(values), pa.list_(pa.float32(), values.shape[1]))
            if values.ndim == 2
            else pa.array(values)
            for name, values in columns.items()
        }
        pq.write_table(pa.table(table), self._path("data", file, ".parquet"), compression="zstd")
        self._rows.clear()

    def _path(self, folder: str, file: int, ending: str) -> Path:
        place = _PLACE.format(chunk_index=file // CHUNK_FILES, file_index=file % CHUNK_FILES)
        path = self.folder / folder / f"{place}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _stat(self, name: str, values: np.ndarray) -> None:
        self._stats.setdefault(name, _Stats()).add(values)

    def _info(self) -> dict[str, Any]:
        shape = self.shape
        features: dict[str, Any] = {
            CAMERA: {
                "dtype": "video",
                "shape": [shape.height, shape.width, 3],
                "names": ["height", "width", "channels"],
                "info": {"video.fps": shape.fps, "video.codec": "h264", "has_audio": False},
            }
        }
        if shape.action_names:
            names = list(shape.action_names)
            features[ACTION] = {"dtype": "float32", "shape": [len(names)], "names": names}
        counters = _COUNTERS | {"task_index": "int64"}
        features |= {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in counters.items()}
        whole = int(shape.fps) if shape.fps == int(shape.fps) else shape.fps
        return {
            "codebase_version": VERSION,
            "robot_type": "game",
            "total_episodes": len(self._episodes),
            "total_frames": self._total,
            "total_tasks": len(self._tasks),
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": whole,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": f"data/{_PLACE}.parquet",
            "video_path": f"videos/{{video_key}}/{_PLACE}.mp4",
            "features": features,
        }


def _tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """Return the table of tasks; their words are its row names, as the format's readers expect."""
    index = "__index_level_0__"
    told = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64",
             "numpy_type": "int64", "metadata": None},
            {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object",
             "metadata": None},
        ],
        "pandas_version": "2.0.0",
    }  # fmt: skip
    table = pa.table({"task_index": pa.array(list(tasks.values()), pa.int64()), index: list(tasks)})
    return table.replace_schema_metadata({"pandas": json.dumps(told)})
