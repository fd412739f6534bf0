"""Videos of other people's play into a recording: every frame by number, and no control, since none is known.

What the player did can be labelled later by an inverse-dynamics model. This file does NOT cut shots or judge
quality: ``paracosm.curate`` does.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import ControlSpace
from paracosm.core.episode import Recipe, Split
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.extras import need
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import Frame, WorldInfo
from paracosm.data.format import EPISODES_FOLDER, FrameEncoding, hash_file
from paracosm.data.reader import Dataset
from paracosm.data.video import iterate_video
from paracosm.data.writer import EpisodeWriter, prepare_dataset

from .pictures import crop_centre, shrink

logger = logging.getLogger(__name__)

ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".avi")
"""Files that count as videos."""

RATE_TOLERANCE = 0.01
"""Two rates within this share of each other are one: 29.97 is taken for 30."""


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """How videos become episodes."""

    folder: Path
    """Folder of videos; each becomes an episode named after its file."""
    out: Path
    """Folder of the dataset."""
    height: int
    """Rows of a frame; the videos are cropped at their centre to this shape, then averaged down."""
    width: int
    """Columns of a frame."""
    fps: float
    """Frames a second to keep: the video's own rate, or that divided by a whole number."""
    variable_rate: Literal["refuse", "resample"] = "refuse"
    """What to do with a video whose frames are unevenly spaced or whose rate is no multiple of fps: refuse
    it, or show at each tick the last frame before it; the selection is noted in the episode."""
    split: Split = "train"
    """What the episodes may be used for."""
    frames: FrameEncoding = "raw"
    """How exact frames are kept."""

    def __post_init__(self) -> None:
        """Refuse sizes and rates that make no video."""
        if min(self.height, self.width) < 1 or not 0 < self.fps < math.inf:
            raise ConfigError(
                f"{self.height} x {self.width} at {self.fps} frames/s makes no video; use finite numbers "
                "above 0"
            )


def import_videos(config: ImportConfig, *, progress: ProgressMaker = no_progress) -> Dataset:
    """Import every video of a folder; those that are in the dataset already are skipped.

    Args:
        config: what to import.
        progress: makes the progress line.

    Returns:
        The dataset.

    Raises:
        DataError: when there is no video, one cannot be decoded, or its rate is refused; earlier ones stay
            imported.
    """
    videos = find_videos(config.folder)
    info = WorldInfo(
        name=f"video:{config.folder.name}",
        fps=config.fps,
        height=config.height,
        width=config.width,
        controls=ControlSpace(),
        engine="video",
        description=f"Videos imported from {config.folder.name}.",
    )
    prepare_dataset(config.out, info)
    line = progress("import", len(videos), "video")
    try:
        for count, file in enumerate(videos, 1):
            if not (config.out / EPISODES_FOLDER / file.stem).exists():
                _import_one(file, info, config)
            line.update(count)
    finally:
        line.close()
    return Dataset(config.out)


def find_videos(folder: Path) -> list[Path]:
    """Return the videos of a folder, sorted.

    Raises:
        DataError: when there are none, or two would get the same name.
    """
    videos = (
        sorted(file for file in folder.glob("*") if file.suffix.lower() in ENDINGS) if folder.is_dir() else []
    )
    if not videos:
        raise DataError(f"{folder} holds no video; put files ending in {', '.join(ENDINGS)} there")
    for first, second in itertools.pairwise(videos):
        if first.stem == second.stem:
            raise DataError(f"{first.name} and {second.name} would become one episode; rename one of them")
    return videos


def choose_frames(times: list[Fraction], fps: float, variable_rate: str, file: Path) -> tuple[list[int], str]:
    """Choose which frames of a video to keep, by number.

    Args:
        times: when each frame is shown, in seconds.
        fps: frames a second to keep.
        variable_rate: "refuse" or "resample".
        file: the video, for messages.

    Returns:
        Indices of frames, each of them at most once unless resampled, and a note on how they were chosen.

    Raises:
        DataError: when the spacing or the rate is refused; says what the rate is.
    """
    if len(times) < 2:
        return list(range(len(times))), "every frame"
    steps = [float(after - before) for before, after in itertools.pairwise(times)]
    mean = float(times[-1] - times[0]) / len(steps)
    if min(steps) <= 0:
        raise DataError(f"{file} has frames out of order; convert it with ffmpeg first")
    rate = 1 / mean
    # Containers round times to their own ticks (1 ms in Matroska): allow for that, and for no more.
    even = max(abs(step - mean) for step in steps) <= max(0.02 * mean, 0.0011)
    every = round(rate / fps)
    if even and every >= 1 and abs(rate / (every * fps) - 1) <= RATE_TOLERANCE:
        return list(range(0, len(times), every)), "every frame" if every == 1 else f"every {every}th frame"
    problem = (
        f"frames at {rate:.3f} a second"
        if even
        else f"frames unevenly spaced ({min(steps):.4f} to {max(steps):.4f} s)"
    )
    if variable_rate == "refuse":
        raise DataError(
            f"{file} has {problem}, which does not give {fps:g} a second by leaving frames out; set "
            'variable_rate to "resample" or choose another fps'
        )
    ticks = int(float(times[-1] - times[0]) * fps + 1e-6) + 1
    shown = np.array([float(time - times[0]) for time in times])
    chosen = np.searchsorted(shown, np.arange(ticks) / fps + 1e-6, side="right") - 1
    return chosen.tolist(), f"resampled to {fps:g} a second from {problem}: the last frame before each tick"


def _import_one(file: Path, info: WorldInfo, config: ImportConfig) -> None:
    times = read_times(file)
    chosen, note = choose_frames(times, config.fps, config.variable_rate, file)
    if note != "every frame":
        logger.info("%s: %s", file.name, note)
    source: dict[str, Any] = {
        "file": file.name,
        "sha256": hash_file(file),
        "frames": len(times),
        "selection": note,
    }
    recipe = Recipe(world=info.name, config=source, engine=info.engine, policy="video", split=config.split)
    with EpisodeWriter(config.out, file.stem, info, recipe, frames=config.frames) as writer:
        for index, image in enumerate(_keep(iterate_video(file), chosen)):
            small = shrink(crop_centre(image, config.height, config.width), config.height, config.width)
            frame = Frame(image=small, index=index, truth={"source_frame": chosen[index]})
            if index == 0:
                writer.begin(frame)
            else:
                writer.step(None, frame)
        if writer.num_frames != len(chosen):
            raise DataError(
                f"{file} ends after {writer.num_frames} of {len(chosen)} frames; it is truncated, "
                "fetch it anew"
            )


def _keep(images: Iterator[np.ndarray], chosen: list[int]) -> Iterator[np.ndarray]:
    """Yield the chosen frames in order; an index that stands twice gives the frame twice."""
    wanted = iter(chosen)
    current = next(wanted, None)
    for index, image in enumerate(images):
        while current == index:
            yield image
            current = next(wanted, None)


def read_times(file: Path) -> list[Fraction]:
    """Read when each frame is shown, in seconds, sorted; nothing is decoded.

    Raises:
        DataError: when the file cannot be read or holds no frame.
    """
    av = need("av", "video")
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise DataError(f"{file} has no picture; remove it from the folder")
            stamps = [
                (packet.pts, packet.time_base)
                for packet in container.demux(video=0)
                if packet.pts is not None
            ]
    except av.error.FFmpegError as error:
        raise DataError(
            f"{file} cannot be decoded ({error}); fetch it anew or remove it from the folder"
        ) from error
    if not stamps:
        raise DataError(f"{file} holds no frame; remove it from the folder")
    return sorted(Fraction(stamp) * base for stamp, base in stamps)
