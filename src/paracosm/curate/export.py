"""The clips of a selection as a dataset: a recording for every other command, WebDataset shards, LeRobot v3.

Controls and truth go along where they are known; captions, scores and provenance too. This file does NOT
choose clips.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import math
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe, Split
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.extras import need
from paracosm.core.files import whole_file, whole_folder
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import Frame, WorldInfo
from paracosm.data.format import EPISODES_FOLDER, POSE_PREFIX, TRUTH_PREFIX
from paracosm.data.reader import EpisodeRef
from paracosm.data.writer import EpisodeWriter, prepare_dataset, write_labels

from .captions import FIELDS, read_captions
from .footage import Source, iterate_pictures, open_episode_of
from .lerobot_set import LeRobotShape, LeRobotWriter
from .manifest import SHARDS, digest, hold_manifest
from .mp4 import Mp4Writer
from .pictures import read_times
from .report import find_provenance
from .scores import Scores, find_source, read_scores
from .select import read_selection

CAPTIONS_LABEL, CAPTIONS_VERSION = "captions", 1


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What becomes a dataset, and how."""

    to: Path
    """Folder of the dataset; the same export goes on in it where it was stopped, another is refused."""
    height: int
    """Rows of a frame; videos are cropped at their centre to this shape, then averaged down."""
    width: int
    """Columns of a frame."""
    fps: float
    """Frames a second: at each tick the last frame before it. Recordings keep their own rate."""
    out: Path = Path("curated")
    """The curated folder."""
    selection: str = "selection"
    """Name of the selection."""
    format: Literal["recording", "webdataset", "lerobot"] = "recording"
    """What is written: a recording of this project, tar shards for the webdataset package, or a
    LeRobotDataset v3, which is written whole or not at all."""
    split: Split = "train"
    """What a recording's episodes may be used for."""
    shard_clips: int = 100
    """Clips in a WebDataset shard, or in a file of a LeRobot set."""
    shift_controls: int = 0
    """For recordings off by some frames, as the alignment report tells: 1 gives frame i the control of row
    i - 1, and leaves out frames that then have none."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no video."""
        if min(self.height, self.width) < 1 or not 0 < self.fps < math.inf:
            raise ConfigError(
                f"{self.height} x {self.width} at {self.fps:g} frames/s makes no video; use finite numbers "
                "above 0"
            )
        if self.shard_clips < 1:
            raise ConfigError(f"shard_clips {self.shard_clips} puts no clip in a shard; use 1 or more")


@dataclass(frozen=True, kw_only=True)
class ExportClip:
    """One clip on its way out: its frames are read when asked for."""

    name: str
    row: Mapping[str, Any]
    source: Source
    weight: float
    chosen: Sequence[int]


def export_selection(config: ExportConfig, progress: ProgressMaker = no_progress) -> str:
    """Write the kept clips of a selection.

    Returns:
        One line that says what was written.

    Raises:
        DataError: when the selection does not exist, a source has changed since, the folder holds another
            export, or the disk is full.
    """
    scores = read_scores(config.out)
    _, table = read_selection(config.out, config.selection)
    kept = table.filter(table["kept"]).to_pylist()
    if not kept:
        raise DataError(f"selection {config.selection} keeps no clip; choose other conditions")
    by_name = {row["clip"]: row for row in scores.clips.to_pylist()}
    missing = [row["clip"] for row in kept if row["clip"] not in by_name]
    if missing:
        raise DataError(
            f"selection {config.selection} names {missing[0]}, which is no longer scored; select again"
        )
    clips = [_prepare(scores, by_name[row["clip"]], row["weight"], config) for row in kept]
    writers = {"recording": _write_recording, "webdataset": _write_shards, "lerobot": _write_lerobot}
    writer = writers[config.format]
    if config.format != "lerobot":
        hold_manifest(config.to, _made_of(clips, config))
    return writer(scores, clips, config, progress)


def fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut the largest centred part of the wanted shape and average it down.

    Args:
        image: uint8 (h, w, 3).
        height: new rows.
        width: new columns.
    """
    rows, columns = image.shape[:2]
    kept_rows = min(rows, max(1, round(columns * height / width)))
    kept_columns = min(columns, max(1, round(rows * width / height)))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    part = np.ascontiguousarray(image[top : top + kept_rows, left : left + kept_columns])
    cv2 = need("cv2", "curate")
    return (
        part
        if part.shape[:2] == (height, width)
        else cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    )


def name_of_clip(clip: str) -> str:
    """Return a plain name of a clip that is its own, however odd its source is called.

    It holds no dot: WebDataset takes what stands before the first dot of a file for the sample's key.
    """
    plain = quote(clip.replace("/", "-").replace("#", "-"), safe="-_ ")
    plain = "".join("_" if letter in "%. " else letter for letter in plain).lstrip("_-")
    return f"{plain[:120]}-{hashlib.sha256(clip.encode()).hexdigest()[:16]}"


def _prepare(scores: Scores, row: Mapping[str, Any], weight: float, config: ExportConfig) -> ExportClip:
    source = find_source(scores, row["source"])
    if source.kind == "episode":
        chosen: Sequence[int] = _frames_with_controls(source, row, config.shift_controls)
    else:
        times = read_times(scores, row["source"])[row["start"] : row["stop"]]
        ticks = int((times[-1] - times[0]) * config.fps + 1e-6) + 1
        places = np.searchsorted(times - times[0], np.arange(ticks) / config.fps + 1e-6, side="right") - 1
        chosen = (places + row["start"]).tolist()
    return ExportClip(name=name_of_clip(row["clip"]), row=row, source=source, weight=weight, chosen=chosen)


def _made_of(clips: Sequence[ExportClip], config: ExportConfig) -> dict[str, Any]:
    """Return everything that written clips depend on and that a later run may ask otherwise."""
    chosen = [
        [*(clip.row[name] for name in ("clip", "sha256", "start", "stop")), clip.weight] for clip in clips
    ]
    sizes = ("format", "height", "width", "fps", "shift_controls")
    made_of = {name: getattr(config, name) for name in sizes} | {"selection": digest(chosen, "clips")}
    if config.format == "recording":
        return made_of | {"split": config.split}
    captions = read_captions(config.out)
    told = [[clip.name, captions[clip.row["clip"]]] for clip in clips if clip.row["clip"] in captions]
    return made_of | {
        "shard_clips": config.shard_clips,
        "captions": digest(told, "captions"),
        "scores": digest([_scored(clip) for clip in clips], "scores"),
    }


def _scored(clip: ExportClip) -> dict[str, Any]:
    """Return the scores of a clip that JSON can hold."""
    return {name: value for name, value in clip.row.items() if not isinstance(value, bytes)}


def _frames_with_controls(source: Source, row: Mapping[str, Any], shift: int) -> range:
    """Return the frames of a clip that have a control when controls are shifted."""
    num_frames = open_episode_of(source).num_frames
    start, stop = max(row["start"], shift), min(row["stop"], num_frames + shift)
    if stop - start < 2:
        raise DataError(f"{row['clip']} has {max(stop - start, 0)} frames left after a shift by {shift}")
    return range(start, stop)


def _control_places(clip: ExportClip, shift: int) -> slice:
    """Return where the controls between the chosen frames of a recorded clip lie in its episode."""
    return slice(clip.chosen[0] - shift, clip.chosen[-1] - shift)


def _frames(clip: ExportClip, config: ExportConfig) -> Iterator[np.ndarray]:
    """Yield the chosen frames in order; an index that stands twice gives the frame twice."""
    wanted = iter(clip.chosen)
    current = next(wanted, None)
    for picture in iterate_pictures(clip.source, 64, clip.row["start"], clip.row["stop"]):
        if current != picture.index:
            continue
        image = fit(picture.read_whole(), config.height, config.width)
        while current == picture.index:
            yield image
            current = next(wanted, None)


def _write_recording(
    scores: Scores, clips: Sequence[ExportClip], config: ExportConfig, progress: ProgressMaker
) -> str:
    episodes = [open_episode_of(clip.source) for clip in clips if clip.source.kind == "episode"]
    known = (
        bool(episodes) and len(episodes) == len(clips) and all(episode.has_controls for episode in episodes)
    )
    info = WorldInfo(
        name=episodes[0].info.name if known else f"video:{scores.config.folder.name}",
        fps=episodes[0].info.fps if episodes else config.fps,
        height=config.height,
        width=config.width,
        controls=episodes[0].info.controls if known else ControlSpace(),
        engine=episodes[0].info.engine if known else "video",
        description=f"Clips chosen from {scores.config.folder.name}.",
    )
    prepare_dataset(config.to, info)
    captions, line = read_captions(config.out), progress("export", len(clips), "clip")
    for count, clip in enumerate(clips, 1):
        if not (config.to / EPISODES_FOLDER / clip.name).exists():
            _write_episode(scores, clip, info, config, known)
        if set(FIELDS) <= set(captions.get(clip.row["clip"], {})):
            fields = {name: [captions[clip.row["clip"]][name]] * len(clip.chosen) for name in FIELDS}
            write_labels(config.to, CAPTIONS_LABEL, CAPTIONS_VERSION, clip.name, fields)
        line.update(count)
    line.close()
    return f"{config.to}: {len(clips):,} clips as episodes of {info.name}"


def _write_episode(
    scores: Scores, clip: ExportClip, info: WorldInfo, config: ExportConfig, known: bool
) -> None:
    episode = open_episode_of(clip.source) if clip.source.kind == "episode" else None
    stored = _provenance(scores, clip)
    policy = episode.stored_recipe["policy"] if episode is not None else "video"
    recipe = Recipe(world=info.name, config=stored, engine=info.engine, policy=policy, split=config.split)
    truth = _truth_rows(episode, clip) if episode is not None else None
    controls = (
        episode.controls[_control_places(clip, config.shift_controls)]
        if episode is not None and known
        else None
    )
    with EpisodeWriter(config.to, clip.name, info, recipe, weight=clip.weight) as writer:
        for index, image in enumerate(_frames(clip, config)):
            told = truth[index] if truth is not None else {"source_frame": clip.chosen[index]}
            frame = Frame(image=image, index=index, truth=told)
            control: Control | None = controls[index - 1] if controls is not None and index else None
            if index == 0:
                writer.begin(frame)
            else:
                writer.step(control, frame)
        if writer.num_frames != len(clip.chosen):
            raise DataError(
                f"{clip.source.name} gave {writer.num_frames} of {len(clip.chosen)} frames of "
                f"{clip.row['clip']}; it changed since it was scored, run paracosm curate run again"
            )


def _truth_rows(episode: EpisodeRef, clip: ExportClip) -> list[dict[str, Any]]:
    """Turn table rows back into what the world told."""
    table = episode.table.slice(clip.chosen[0], len(clip.chosen))
    rows = []
    for row in table.to_pylist():
        told: dict[str, Any] = {
            name: row[name] for name in ("reward", "ended", "events") if row.get(name) is not None
        }
        pose = {
            name.removeprefix(POSE_PREFIX): value
            for name, value in row.items()
            if name.startswith(POSE_PREFIX) and value is not None
        }
        told |= {
            name.removeprefix(TRUTH_PREFIX): value
            for name, value in row.items()
            if name.startswith(TRUTH_PREFIX) and value is not None
        }
        rows.append(told | ({"pose": pose} if pose else {}) | {"source_frame": row["frame"]})
    return rows


def _provenance(scores: Scores, clip: ExportClip) -> dict[str, Any]:
    licence, origin = find_provenance(scores.config.folder, clip.row["source"])
    return {
        "clip": clip.row["clip"],
        "source": clip.row["source"],
        "sha256": clip.row["sha256"],
        "first_frame": clip.row["start"],
        "licence": licence,
        "origin": origin,
        "weight": clip.weight,
    }


def _write_shards(
    scores: Scores, clips: Sequence[ExportClip], config: ExportConfig, progress: ProgressMaker
) -> str:
    captions, line = read_captions(config.out), progress("export", len(clips), "clip")
    shards = [clips[start : start + config.shard_clips] for start in range(0, len(clips), config.shard_clips)]
    for number, (shard, before) in enumerate(
        zip(shards, itertools.accumulate([0, *map(len, shards)]), strict=False)
    ):
        path = config.to / SHARDS.replace("*", f"{number:06d}")
        if path.exists():
            continue
        with whole_file(path) as temporary, tarfile.open(temporary, "w") as tar:
            for place, clip in enumerate(shard, 1):
                for ending, blob in _sample(scores, clip, config, captions).items():
                    entry = tarfile.TarInfo(f"{clip.name}.{ending}")
                    entry.size = len(blob)
                    tar.addfile(entry, io.BytesIO(blob))
                line.update(before + place)
    line.close()
    return f"{config.to}: {len(clips):,} clips in {len(shards):,} shards"


def _write_lerobot(
    scores: Scores, clips: Sequence[ExportClip], config: ExportConfig, progress: ProgressMaker
) -> str:
    if config.to.exists():
        raise DataError(f"{config.to} exists already; a LeRobot set is written whole, choose another folder")
    episodes = [open_episode_of(clip.source) if clip.source.kind == "episode" else None for clip in clips]
    known = [episode for episode in episodes if episode is not None and episode.has_controls]
    told = len(known) == len(clips)
    keys = known[0].info.controls.keys if told else ()
    shape = LeRobotShape(
        fps=known[0].info.fps if told else config.fps,
        height=config.height,
        width=config.width,
        action_names=(*(f"key.{key}" for key in keys), "look_yaw", "look_pitch") if told else (),
        file_episodes=config.shard_clips,
    )
    captions, line, facts = read_captions(config.out), progress("export", len(clips), "clip"), []
    with whole_folder(config.to, "meta/info.json") as folder:
        writer = LeRobotWriter(folder, shape)
        try:
            for count, (clip, episode) in enumerate(zip(clips, episodes, strict=True), 1):
                places = _control_places(clip, config.shift_controls) if told else None
                actions = episode.control_vectors[places] if episode is not None and places else None
                task = (
                    captions.get(clip.row["clip"], {}).get("summary")
                    or f"play {clip.row['game'] or 'a game'}"
                )
                writer.add(_frames(clip, config), actions, task)
                facts.append(_provenance(scores, clip))
                line.update(count)
            writer.finish(facts)
        finally:
            writer.abandon()
            line.close()
    return f"{config.to}: {len(clips):,} clips as a LeRobotDataset v3"


def _sample(
    scores: Scores, clip: ExportClip, config: ExportConfig, captions: Mapping[str, Mapping[str, str]]
) -> dict[str, bytes]:
    """Return the files of one sample: video, facts, and controls where they are known."""
    episode = open_episode_of(clip.source) if clip.source.kind == "episode" else None
    fps = episode.info.fps if episode is not None else config.fps
    facts: dict[str, Any] = {
        "fps": fps,
        "frames": len(clip.chosen),
        "caption": dict(captions.get(clip.row["clip"], {})),
        "scores": _scored(clip),
        "provenance": _provenance(scores, clip),
    }
    parts = {"mp4": encode_mp4(_frames(clip, config), fps)}
    if episode is not None and episode.has_controls:
        facts["keys"] = list(episode.info.controls.keys)
        buffer = io.BytesIO()
        np.save(buffer, episode.control_vectors[_control_places(clip, config.shift_controls)])
        parts["controls.npy"] = buffer.getvalue()
    return parts | {"json": json.dumps(facts, ensure_ascii=False).encode()}


def encode_mp4(frames: Iterator[np.ndarray], fps: float) -> bytes:
    """Encode frames uint8 (h, w, 3) as H.264 in MP4."""
    buffer = io.BytesIO()
    with contextlib.closing(Mp4Writer(buffer, fps)) as writer:
        for image in frames:
            writer.add(image)
    return buffer.getvalue()
