"""LeRobotDataset v3: episodes back to back in Parquet tables and MP4 files, described by meta/info.json.

Frames are found by whole numbers: an episode's seconds in a file times the rate, refused where that is no
whole number. Action numbers called ``key.NAME``, ``look_yaw``, ``look_pitch`` (degrees) or ``mouse.dx``,
``mouse.dy`` (pixels) are controls, as ``paracosm curate export --format lerobot`` writes them; other numbers,
such as a robot's joints, are kept as truth and raw. This file does NOT know what our keys are called.

Source: huggingface/lerobot, LeRobotDataset v3.0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.errors import DataError
from paracosm.core.foreign import show_value

from .log import ForeignLog, LogRow, LogSet, read_list, read_number, read_object

INFO_FILE = "meta/info.json"
ACTION = "action"
KEY_PREFIX = "key."
TURNS = {"look_yaw": 0, "look_pitch": 1}
PIXELS = {"mouse.dx": 0, "mouse.dy": 1}

_DRIFT = 0.01
"""Frames by which an episode's place in a video may miss a whole number."""

_COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def open_logs(folder: Path, camera: str) -> LogSet:
    """Open a dataset.

    Args:
        folder: the dataset's folder.
        camera: which video to take, e.g. "observation.images.front"; "" takes the only one.

    Raises:
        DataError: when it is no v3 dataset, does not describe itself, or has no such video.
    """
    info = read_object(folder / INFO_FILE)
    version = str(info.get("codebase_version", ""))
    if not version.startswith("v3."):
        found = f"version {version}" if version else f"no {INFO_FILE}"
        raise DataError(f"{folder} is no LeRobot v3 dataset ({found}); convert it with lerobot first")
    _check_info(info, folder / INFO_FILE)
    cameras = [name for name, part in info["features"].items() if part["dtype"] == "video"]
    if camera and camera not in cameras:
        raise DataError(f"{folder} has no video {camera}; it has {', '.join(cameras) or 'none'}")
    if not camera and len(cameras) != 1:
        raise DataError(f"{folder} has {len(cameras)} videos ({', '.join(cameras)}); name one with --camera")
    names = action_names(info)
    tables = [_read_table(file) for file in sorted(folder.glob("meta/episodes/*/*.parquet"))]
    episodes = [row for table in tables for row in table.to_pylist()]
    if not episodes:
        raise DataError(f"{folder} has no episode table in meta/episodes; finalize it with lerobot")
    camera = camera or cameras[0]
    needed = ("episode_index", "length", *(f"{part}/{name}_index" for part in ("data", f"videos/{camera}")
              for name in ("chunk", "file")), f"videos/{camera}/from_timestamp")  # fmt: skip
    for row in episodes:
        for name in needed:
            read_number(row.get(name), f"{folder}/meta/episodes episode {row.get('episode_index')} {name}")
    read = partial(read_log, folder, info, camera)
    keys = {name: name.removeprefix(KEY_PREFIX) for name in names if name.startswith(KEY_PREFIX)}
    return LogSet(
        keys=keys,
        logs={f"episode-{int(row['episode_index']):06d}": partial(read, row) for row in episodes},
        policy="person",
        known=any(_is_control(name) for name in names),
    )


def action_names(info: Mapping[str, Any]) -> list[str]:
    """Return the names of the action's numbers; the format keeps them as a list or as lists by group."""
    feature = info["features"].get(ACTION, {})
    names = feature.get("names") or []
    if isinstance(names, Mapping):
        names = [name for group in names.values() for name in group]
    size = int(feature.get("shape", [0])[0])
    return list(names) if len(names) == size else [f"{ACTION}.{index}" for index in range(size)]


def read_log(folder: Path, info: Mapping[str, Any], camera: str, episode: Mapping[str, Any]) -> ForeignLog:
    """Read one episode.

    Raises:
        DataError: when its rows are not there, or its place in the video is no whole number of frames.
    """
    number, length = int(episode["episode_index"]), int(episode["length"])
    data = folder / info["data_path"].format(
        chunk_index=int(episode["data/chunk_index"]), file_index=int(episode["data/file_index"])
    )
    table = _read_table(data)
    rows = [row for row in table.to_pylist() if row.get("episode_index") == number]
    if len(rows) != length or [row.get("frame_index") for row in rows] != list(range(length)):
        raise DataError(f"{data} does not number the {length} frames of episode {number}; finalize it anew")
    video = folder / info["video_path"].format(
        video_key=camera,
        chunk_index=int(episode[f"videos/{camera}/chunk_index"]),
        file_index=int(episode[f"videos/{camera}/file_index"]),
    )
    start = float(episode[f"videos/{camera}/from_timestamp"]) * info["fps"]
    if abs(start - round(start)) > _DRIFT or round(start) < 0:
        raise DataError(
            f"{folder} puts episode {number} at frame {start:.3f} of {video.name}, which is no whole number "
            "from 0 on; its seconds have drifted, write the dataset anew"
        )
    names = action_names(info)
    other = Counter({name: length for name in names if not _is_control(name)})
    tasks = list(episode.get("tasks") or [])
    return ForeignLog(
        video=video,
        rows=[_row(row, names, f"{data} episode {number} row {index}") for index, row in enumerate(rows)],
        first_frame=round(start),
        num_frames=length,
        other=other,
        provenance={"tasks": tasks, "robot_type": info.get("robot_type"), "camera": camera},
    )


def _row(row: Mapping[str, Any], names: list[str], where: str) -> LogRow:
    values = row.get(ACTION)
    values = values if isinstance(values, list) else [values] if values is not None else []
    if len(values) != len(names):
        raise DataError(f"{where} has {len(values)} action numbers, {INFO_FILE} tells {len(names)}")
    values = [
        read_number(value, f"{where} {name}") if _is_control(name) else value
        for name, value in zip(names, values, strict=True)
    ]
    turn, mouse, keys = [0.0, 0.0], [0.0, 0.0], set()
    for name, value in zip(names, values, strict=True):
        if name.startswith(KEY_PREFIX) and value > 0.5:
            keys.add(name)
        elif name in TURNS:
            turn[TURNS[name]] = value
        elif name in PIXELS:
            mouse[PIXELS[name]] = value
    truth = {name: value for name, value in row.items() if name not in _COUNTERS}
    if all(_is_control(name) for name in names):
        truth.pop(ACTION, None)
    return LogRow(
        keys=frozenset(keys), turn=(turn[0], turn[1]), mouse=(mouse[0], mouse[1]), truth=truth, raw=dict(row)
    )


def _check_info(info: Mapping[str, Any], file: Path) -> None:
    """Refuse a description that does not say what is read of it."""
    features = info.get("features")
    if not isinstance(features, dict):
        raise DataError(
            f"{file} features is {show_value(features)}, an object is due; fetch the dataset anew"
        )
    for name, part in features.items():
        if not isinstance(part, dict) or not isinstance(part.get("dtype"), str):
            raise DataError(f'{file} feature "{name}" tells no dtype; fetch the dataset anew')
    if read_number(info.get("fps"), f"{file} fps") <= 0:
        raise DataError(f"{file} fps is {info['fps']}, a number above 0 is due; fetch the dataset anew")
    for name in ("data_path", "video_path"):
        try:
            str.format(info[name], video_key="key", chunk_index=0, file_index=0)
        except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
            raise DataError(
                f"{file} {name} is {show_value(info.get(name))}, which is no path of {{chunk_index}}, "
                "{file_index} and, for videos, {video_key}; fetch the dataset anew"
            ) from error
    action = features.get(ACTION, {"shape": [0]})
    where = f"{file} feature {ACTION}"
    if len(read_list(action.get("shape"), int, f"{where} shape")) != 1:
        raise DataError(f"{where} shape is {action['shape']}, one number is due; fetch the dataset anew")
    names = action.get("names") or []
    for group in names.values() if isinstance(names, dict) else [names]:
        read_list(group, str, f"{where} names")


def _is_control(name: str) -> bool:
    return name.startswith(KEY_PREFIX) or name in TURNS or name in PIXELS


def _read_table(file: Path) -> pa.Table:
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file} cannot be read ({error}); fetch the dataset anew") from error
