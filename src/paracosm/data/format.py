"""The names, versions and conversions of the recording format; ``README.md`` beside this file specifies it.

This file does NOT open datasets: ``writer`` and ``reader`` do, and agree through what stands here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe
from paracosm.core.errors import DataError
from paracosm.core.world import Frame, WorldInfo

FORMAT_VERSION = 1
"""Raised when a reader of the old version would misread the new one."""

DATASET_FILE = "dataset.json"
EPISODES_FOLDER = "episodes"
LABELS_FOLDER = "labels"
EPISODE_FILE = "episode.json"
STEPS_FILE = "steps.parquet"
INPUTS_FILE = "inputs.jsonl"
VIDEO_FILE = "video.mp4"
START_FILE = "start.npy"
GUIDES_FOLDER = "guides"
FRAMES_FILES = {"raw": "frames.npy", "ffv1": "frames.mkv"}

FrameEncoding = Literal["raw", "ffv1"]
"""How exact frames are kept: "raw" maps into memory and is fastest, "ffv1" is lossless video at about 0.4 of
the size."""

KEY_PREFIX = "key_"
POSE_PREFIX = "pose_"
TRUTH_PREFIX = "truth_"
LARGEST_LIST = 64
"""Numbers of one truth entry that a table row still takes; larger arrays are named in ``truth_left_out``."""

_SHARED_TRUTH = ("reward", "ended", "events", "pose")


def info_to_json(info: WorldInfo) -> dict[str, Any]:
    """Turn a WorldInfo into plain JSON values; pictures of learnt actions stay with their world."""
    return json.loads(json.dumps(asdict(replace(info, latent_pictures=())), default=dict))


def info_from_json(value: Mapping[str, Any], file: Path) -> WorldInfo:
    """Read back what :func:`info_to_json` wrote.

    Raises:
        DataError: when a part is missing or has the wrong type; names ``file``.
    """
    try:
        controls = dict(value["controls"])
        controls |= {"keys": tuple(controls["keys"]), "look_limit": tuple(controls["look_limit"])}
        parts = dict(value) | {"controls": ControlSpace(**controls), "starts": tuple(value["starts"])}
        parts["latent_pictures"] = ()
        return WorldInfo(**parts)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file} does not describe a world ({error}); restore it from a copy or record anew"
        ) from error


def recipe_to_json(recipe: Recipe) -> dict[str, Any]:
    """Turn a recipe into plain JSON values; the start clip is stored beside it as START_FILE."""
    return {
        "world": recipe.world,
        "config": recipe.config,
        "engine": recipe.engine,
        "seed": recipe.seed,
        "level_seed": recipe.level_seed,
        "policy": recipe.policy,
        "policy_seed": recipe.policy_seed,
        "split": recipe.split,
        "prompt": recipe.prompt,
        "start_controls": [_control_to_json(control) for control in recipe.start_controls],
    }


def recipe_from_json(value: Mapping[str, Any], start: np.ndarray | None, file: Path) -> Recipe:
    """Read back what :func:`recipe_to_json` wrote.

    Raises:
        DataError: when a part is missing or unknown; names ``file``.
    """
    try:
        controls = tuple(
            Control(part["keys"], part["look"], part["text"], part["latent"])
            for part in value["start_controls"]
        )
        return Recipe(**(dict(value) | {"start_controls": controls, "start": start}))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{file} holds no whole recipe ({error}); restore it from a copy or record anew"
        ) from error


def check_version(value: Any, file: Path) -> None:
    """Refuse a file of a newer format, or one without a format version.

    Raises:
        DataError: names the file, its version and the newest one known here.
    """
    version = value.get("format_version") if isinstance(value, dict) else None
    if not isinstance(version, int):
        raise DataError(
            f"{file} has no format_version, so it is no Paracosm recording; choose another folder"
        )
    if version > FORMAT_VERSION:
        raise DataError(
            f"{file} has format version {version}, this Paracosm reads up to {FORMAT_VERSION}; update "
            "with pip install -U paracosm"
        )


def build_steps(
    space: ControlSpace, controls: Sequence[Control | None], frames: Sequence[Mapping[str, Any]]
) -> pa.Table:
    """Build the table of an episode: row i is frame i and the control applied AT it; the last row has none.

    Args:
        space: the world's controls; the order of its keys is the order of the columns.
        controls: t - 1 controls; None where what the player did is not known, as in an imported video.
        frames: t rows of truth, as :func:`flatten_truth` makes them.
    """
    if len(controls) != len(frames) - 1:
        raise DataError(
            f"{len(frames)} frames need {len(frames) - 1} controls between them, {len(controls)} were given"
        )
    padded: list[Control | None] = [*controls, None]
    columns: dict[str, pa.Array] = {"frame": pa.array(range(len(frames)), pa.int32())}
    for key in space.keys:
        held = [None if control is None else key in control.keys for control in padded]
        columns[KEY_PREFIX + key] = pa.array(held, pa.bool_())
    for axis, name in enumerate(("look_yaw", "look_pitch")):
        turns = [None if control is None else control.look[axis] for control in padded]
        columns[name] = pa.array(turns, pa.float64())
    texts = [None if control is None else control.text for control in padded]
    columns["text"] = pa.array([text if isinstance(text, str) else None for text in texts], pa.string())
    columns["text_parts"] = pa.array(
        [None if text is None or isinstance(text, str) else json.dumps(dict(text)) for text in texts],
        pa.string(),
    )
    columns["latent"] = pa.array(
        [None if control is None else control.latent for control in padded], pa.int32()
    )
    columns["reward"] = pa.array([row.get("reward") for row in frames], pa.float64())
    columns["ended"] = pa.array([row.get("ended") for row in frames], pa.bool_())
    columns["events"] = pa.array([row.get("events") for row in frames], pa.list_(pa.string()))
    for name in dict.fromkeys(name for row in frames for name in row):
        if name not in columns:
            columns[name] = _column(name, [row.get(name) for row in frames])
    return pa.table(columns)


OTHER_CONTROLS = ("look_yaw", "look_pitch", "text", "text_parts", "latent")
"""Columns of a control beside its keys."""


def read_controls(space: ControlSpace, table: pa.Table) -> list[Control]:
    """Read the t - 1 controls back from a table of t rows; guides are added by the reader."""
    names = [*(KEY_PREFIX + key for key in space.keys), *OTHER_CONTROLS]
    # a table tells much else of every frame, which would take most of the time
    rows = table.select(names).slice(0, table.num_rows - 1).to_pylist()
    controls = []
    for row in rows:
        text = row["text"] if row["text_parts"] is None else json.loads(row["text_parts"])
        keys = {key for key in space.keys if row[KEY_PREFIX + key]}
        controls.append(Control(keys, (row["look_yaw"], row["look_pitch"]), text, row["latent"]))
    return controls


def read_vectors(space: ControlSpace, table: pa.Table) -> np.ndarray:
    """Read the controls as float32 (t - 1, width), as ``ControlSpace.to_vectors`` makes them but faster."""
    names = [*(KEY_PREFIX + key for key in space.keys), "look_yaw", "look_pitch"]
    part = table.slice(0, table.num_rows - 1)
    columns = [part[name].cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False) for name in names]
    return np.stack(columns, axis=1).astype(np.float32)


def flatten_truth(frame: Frame) -> tuple[dict[str, Any], list[str]]:
    """Turn ``frame.truth`` into table entries.

    Returns:
        The entries by column name, and the names of entries that no table row can take (large arrays,
        objects).
    """
    truth = frame.truth
    row: dict[str, Any] = {}
    left_out: list[str] = []
    if "reward" in truth:
        row["reward"] = float(truth["reward"])
    if "ended" in truth:
        row["ended"] = bool(truth["ended"])
    if "events" in truth:
        row["events"] = [str(event) for event in truth["events"]]
    _flatten(truth.get("pose", {}), POSE_PREFIX, row, left_out)
    _flatten({name: truth[name] for name in truth if name not in _SHARED_TRUTH}, TRUTH_PREFIX, row, left_out)
    return row, left_out


def hash_file(file: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flatten(values: Mapping[str, Any], prefix: str, row: dict[str, Any], left_out: list[str]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            _flatten(value, f"{prefix}{name}.", row, left_out)
        elif isinstance(value, str | bool | int | float) or value is None:
            row[f"{prefix}{name}"] = value
        elif (
            isinstance(value, np.ndarray | np.generic)
            and value.size <= LARGEST_LIST
            and value.dtype.kind in "biuf"
        ):
            row[f"{prefix}{name}"] = value.ravel().tolist() if value.ndim else value.item()
        elif isinstance(value, list | tuple) and len(value) <= LARGEST_LIST and _is_plain(value):
            row[f"{prefix}{name}"] = list(value)
        else:
            left_out.append(f"{prefix}{name}")


def _is_plain(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values) or all(
        isinstance(value, int | float) for value in values
    )


def _column(name: str, values: list[Any]) -> pa.Array:
    try:
        if any(isinstance(value, float) for value in values):
            values = [float(value) if isinstance(value, int) else value for value in values]
        return pa.array(values)
    except OverflowError as error:
        raise DataError(
            f"truth {name} holds a number too large for 64 bits ({error}); tell smaller ones, or text"
        ) from error
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"truth {name} changes its type within one episode ({error}); give it one type in the world"
        ) from error


def _control_to_json(control: Control) -> dict[str, Any]:
    text = control.text if control.text is None or isinstance(control.text, str) else dict(control.text)
    return {"keys": sorted(control.keys), "look": list(control.look), "text": text, "latent": control.latent}
