"""The first stage: what a file is, before any of its pictures is decoded.

Every file gets a row; one that cannot be used gets its reason in words. Faults that can be lived with (uneven
frames, a turned picture, 10 bits) are noted in columns, so that a selection may refuse them. This file does
NOT decode pictures beyond the first.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.data.reader import EpisodeRef

from .footage import SAFE_OPENING, VIDEO_ENDINGS, Source, open_episode_of

VERSION = 2
GAP_S = 1.0
"""Seconds between two frames above which they belong to different shots, where frames are not that rare
anyway."""

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("game", pa.string()),
        ("kind", pa.string()),
        ("sha256", pa.string()),
        ("size_mb", pa.float64()),
        ("container", pa.string()),
        ("codec", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("num_frames", pa.int64()),
        ("seconds", pa.float64()),
        ("variable_rate", pa.bool_()),
        ("rotation", pa.int32()),
        ("bits", pa.int32()),
        ("sound", pa.bool_()),
        ("controls_known", pa.bool_()),
        ("notes", pa.string()),
    ]
)
"""Columns of the table: one row for each source; fps is the mean without gaps, seconds the length with
them."""


class NoVideoError(DataError):
    """A file that neither is a video nor says so; it is passed over and is no fault."""


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """What a file must be."""

    min_frames: int = 2
    """Fewest frames that are worth reading."""
    min_size: int = 32
    """Fewest rows and columns."""
    uneven: float = 0.02
    """Share of the mean spacing by which frames may be apart before the rate counts as variable."""


def probe(source: Source, config: ProbeConfig) -> pa.Table:
    """Say what a source is.

    Returns:
        One row of SCHEMA. Width and height are those of the upright picture.

    Raises:
        DataError: when it cannot be used; the text is the reason that its row will show.
    """
    row = (
        _probe_episode(source, open_episode_of(source))
        if source.kind == "episode"
        else _probe_video(source, config)
    )
    if row["num_frames"] < config.min_frames:
        raise DataError(
            f"{source.name} holds {row['num_frames']} frame(s), {config.min_frames} are needed; leave it out"
        )
    if min(row["width"], row["height"]) < config.min_size:
        raise DataError(
            f"{source.name} is {row['width']} x {row['height']}, "
            f"{config.min_size} each way are needed; leave it out"
        )
    return pa.Table.from_pylist([row], schema=SCHEMA)


def _probe_episode(source: Source, episode: EpisodeRef) -> dict[str, Any]:
    files = [file for file in episode.path.rglob("*") if file.is_file()]
    return {
        "source": source.name,
        "game": source.game,
        "kind": "episode",
        "sha256": episode.frames_sha256,
        "size_mb": sum(file.stat().st_size for file in files) / 1e6,
        "container": "recording",
        "codec": episode.encoding,
        "width": episode.info.width,
        "height": episode.info.height,
        "fps": float(episode.info.fps),
        "num_frames": episode.num_frames,
        "seconds": episode.num_frames / episode.info.fps,
        "variable_rate": False,
        "rotation": 0,
        "bits": 8,
        "sound": False,
        "controls_known": episode.has_controls,
        "notes": "",
    }


def _probe_video(source: Source, config: ProbeConfig) -> dict[str, Any]:
    av = need("av", "video")
    path = source.path
    _check_readable(source)
    try:
        with av.open(str(path), options=SAFE_OPENING) as container:
            row = _read_container(container, source)
            runs = _packet_times(container)
    except DataError:
        raise
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        if path.suffix.lower() not in VIDEO_ENDINGS:
            raise NoVideoError(f"{source.name} is no video and was passed over") from error
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(f"{source.name} cannot be opened as a video ({reason}); fetch it anew") from error
    if path.suffix.lower() not in VIDEO_ENDINGS:
        raise DataError(
            f'{source.name} holds a video but ends in "{path.suffix}"; '
            f"rename it to end in {_ending_for(row['container'])}"
        )
    row |= _rate(runs, source, config)
    row["notes"] = "; ".join(_notes(row, path))
    return row


def _read_container(container: Any, source: Source) -> dict[str, Any]:
    if not container.streams.video:
        what = "only sound" if container.streams.audio else "no picture"
        raise DataError(f"{source.name} holds {what}; leave it out")
    context: Any = container.streams.video[0].codec_context
    frame = next(iter(container.decode(video=0)), None)
    if frame is None:
        raise DataError(f"{source.name} holds no frame; leave it out")
    rotation = round(getattr(frame, "rotation", 0)) % 360
    turned = rotation % 180 != 0
    container.seek(0)
    return {
        "source": source.name,
        "game": source.game,
        "kind": "video",
        "sha256": _hash(source.path),
        "size_mb": source.path.stat().st_size / 1e6,
        "container": container.format.name,
        "codec": context.name,
        "width": frame.height if turned else frame.width,
        "height": frame.width if turned else frame.height,
        "rotation": rotation,
        "bits": max(part.bits for part in frame.format.components),
        "sound": bool(container.streams.audio),
        "controls_known": False,
    }


def _check_readable(source: Source) -> None:
    path = source.path
    if path.is_symlink() and not path.exists():
        raise DataError(f"{source.name} is a link to nothing; restore what it points to")
    if not path.is_file():
        raise DataError(f"{source.name} is no plain file; leave it out")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise DataError(f"{source.name} cannot be read ({error.strerror}); change its permissions") from error
    if empty:
        raise DataError(f"{source.name} is empty; fetch it anew")


def _packet_times(container: Any) -> list[list[float]]:
    """When each frame is shown, in seconds, sorted; a run for each time that the clock began anew."""
    runs: list[list[float]] = [[]]
    latest = -math.inf
    for packet in container.demux(video=0):
        if packet.pts is None:
            continue
        time = float(packet.pts * packet.time_base)
        # frames are stored out of order, but by no more than a few; files put one behind the other begin anew
        if time < latest - GAP_S:
            runs.append([])
            latest = time
        latest = max(latest, time)
        runs[-1].append(time)
    return [sorted(run) for run in runs]


def _rate(runs: Sequence[Sequence[float]], source: Source, config: ProbeConfig) -> dict[str, Any]:
    """Tell the mean rate without gaps, the length with them, and whether frames are evenly spaced."""
    num_frames = sum(len(run) for run in runs)
    spacing = np.concatenate([np.diff(run) for run in runs])
    even = spacing[~find_gaps(spacing)]
    if num_frames < 2 or even.sum() <= 0:
        raise DataError(f"{source.name} holds {num_frames} frame(s), two are needed; leave it out")
    mean = float(even.mean())
    # Containers round times to their own ticks (1 ms in Matroska): allow for that, and for no more.
    uneven = len(runs) > 1 or float(np.abs(spacing - mean).max()) > max(config.uneven * mean, 0.0011)
    return {
        "fps": 1 / mean,
        "num_frames": num_frames,
        "seconds": float(spacing.sum()) + mean * len(runs),
        "variable_rate": uneven,
    }


def find_gaps(spacing: np.ndarray) -> np.ndarray:
    """Say which frames do not follow the one before: long after it, or before it.

    Args:
        spacing: seconds from each frame to the next, (n,).

    Returns:
        bool (n,): above GAP_S and twice the middle spacing, or below 0.
    """
    forward = spacing[spacing > 0]
    usual = float(np.median(forward)) if len(forward) else 0.0
    return (spacing < 0) | (spacing > max(GAP_S, 2 * usual))


def _ending_for(container: str) -> str:
    endings = {"matroska,webm": ".mkv or .webm", "avi": ".avi", "mpegts": ".ts"}
    return endings.get(container, ".mp4 or .mov")


def _notes(row: dict[str, Any], path: Path) -> list[str]:
    expected = {".mkv": "matroska", ".webm": "matroska", ".avi": "avi", ".ts": "mpegts"}.get(
        path.suffix.lower(), "mp4"
    )
    found = {
        f"frames are unevenly spaced, {row['fps']:.3f} a second on average": row["variable_rate"],
        f"the picture is stored turned by {row['rotation']} degrees": row["rotation"],
        f"{row['bits']} bits a colour, read as 8": row["bits"] > 8,
        f"the ending says {expected}, the file is {row['container']}": expected not in row["container"],
    }
    return [text for text, holds in found.items() if holds]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_row(table: pa.Table) -> dict[str, Any]:
    """Return the single row of a probe table."""
    return table.to_pylist()[0]


def truth_of(source: Source, start: int, stop: int) -> pa.Table | None:
    """Return what the world knew of frames start to stop, a row for each; None for a video.

    Raises:
        DataError: when the episode is not whole.
    """
    if source.kind != "episode":
        return None
    return open_episode_of(source).table.slice(start, stop - start)


def control_vectors_of(source: Source, start: int, stop: int) -> np.ndarray | None:
    """Return the controls between frames start to stop - 1, (t - 1, width); None when not known."""
    if source.kind != "episode":
        return None
    episode = open_episode_of(source)
    return episode.control_vectors[start : stop - 1] if episode.has_controls else None
