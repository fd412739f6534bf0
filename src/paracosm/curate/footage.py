"""Footage to curate: what lies in a folder, and its pictures one by one with the codec's motion vectors.

A folder of videos and a recording are read alike. Every file gets an entry, also those that are no videos;
who reads them refuses them with a reason. This file does NOT measure or judge pictures.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.core.files import TEMPORARY_PREFIX
from paracosm.data.format import DATASET_FILE
from paracosm.data.reader import Dataset, EpisodeRef

VIDEO_ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".ts")
"""Endings of files that are taken for videos; others are looked into and reported."""


SAFE_OPENING = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,avi,mpegts,mpeg,flv,ogg,asf",
}
"""Options for the demuxer: a file from elsewhere may be a playlist in disguise that fetches addresses."""


@dataclass(frozen=True, kw_only=True)
class Source:
    r"""One video or one episode, by name; nothing of it has been read.

    Attributes:
        name: path below the folder, with "/" between its parts; unique in the folder, and always a text: what
            is not UTF-8 stands as \xNN, and a backslash twice.
        game: what it shows: the first folder of the name, or the world of a recording; "" when not told.
        path: the video file, or the episode's folder.
        kind: how it is read.
        identity: changes when the file does: hash of name, size and time, or of an episode's pixels.
    """

    name: str
    game: str
    path: Path
    kind: Literal["video", "episode"]
    identity: str


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Motion vectors of one picture, a row for each block that was predicted from another picture.

    Attributes:
        centre: float32 (n, 2), x and y of the block's centre, 0 to 1 across and down the picture.
        motion: float32 (n, 2), how far its content moved since the picture it was predicted from, in picture
            widths, right and down positive.
        area: float32 (n,), share of the picture.
    """

    centre: np.ndarray
    motion: np.ndarray
    area: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One frame of a source.

    Attributes:
        index: its number, from 0.
        time: seconds since the first frame.
        small: uint8 (h, w, 3) BGR, at most the asked number of columns wide.
        vectors: what the codec knew of its motion; None where it told nothing.
        read_whole: gives the frame at its own size, uint8 (h, w, 3) RGB; valid until the next frame is read.
    """

    index: int
    time: float
    small: np.ndarray
    vectors: Vectors | None
    read_whole: Callable[[], np.ndarray]


def find_sources(folder: Path, game: str = "") -> list[Source]:
    """List what a folder holds, sorted by name; every visible file of it stands in the list.

    Args:
        folder: a recording, or a folder of videos with or without a folder for each game.
        game: game of the videos that lie in no folder of their own.

    Raises:
        DataError: when it is no folder or holds nothing.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give a folder of videos or a recording")
    found = _episodes(folder) if (folder / DATASET_FILE).exists() else _files(folder, game)
    if not found:
        raise DataError(
            f"{folder} holds nothing to curate; put videos ending in {', '.join(VIDEO_ENDINGS)} there"
        )
    return found


def as_text(name: str) -> str:
    r"""Write what is not UTF-8 in a name from the disk as \xNN, so that tables and screens can hold it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def open_episode_of(source: Source) -> EpisodeRef:
    """Open the episode that a source names.

    Raises:
        DataError: when it is not whole.
    """
    return Dataset(source.path.parent.parent).episode(source.path.name)


def iterate_pictures(
    source: Source, small_width: int, start: int = 0, stop: int | None = None
) -> Iterator[Picture]:
    """Read the pictures of a source in order, decoded once, turned upright as the file says.

    Args:
        source: what to read.
        small_width: columns of the small pictures, >= 16; a narrower source keeps its own size.
        start: first frame.
        stop: frame after the last; None reads to the end.

    Raises:
        DataError: when it cannot be decoded; says after how many frames.
    """
    if source.kind == "episode":
        yield from _iterate_episode(source, small_width, start, stop)
    else:
        yield from _iterate_video(source.path, small_width, start, stop)


def small_size(height: int, width: int, small_width: int) -> tuple[int, int]:
    """Return rows and columns of the small picture of one of ``height`` x ``width``."""
    if width <= small_width:
        return height, width
    return max(8, round(height * small_width / width / 2) * 2), small_width


def _episodes(folder: Path) -> list[Source]:
    dataset = Dataset(folder)
    return [
        Source(
            name=episode.name,
            game=dataset.info.name,
            path=episode.path,
            kind="episode",
            identity=episode.frames_sha256[:12],
        )
        for episode in dataset.episodes
    ]


def _files(folder: Path, game: str) -> list[Source]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if name.startswith((".", TEMPORARY_PREFIX)):
                continue
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            first, slash, _ = relative.partition("/")
            found.append(
                Source(
                    name=as_text(relative.replace("\\", "\\\\")),
                    game=as_text(first) if slash else game,
                    path=path,
                    kind="video",
                    identity=_identity(path, relative),
                )
            )
    return sorted(found, key=lambda source: source.name)


def _identity(path: Path, name: str) -> str:
    try:
        facts = path.stat()
        text = f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}"
    except OSError as error:
        text = f"{name}\0{error.errno}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _iterate_episode(source: Source, small_width: int, start: int, stop: int | None) -> Iterator[Picture]:
    cv2 = need("cv2", "curate")
    episode = open_episode_of(source)
    rows, columns = small_size(episode.info.height, episode.info.width, small_width)
    last = episode.num_frames if stop is None else min(stop, episode.num_frames)
    frames = episode.frames
    for index in range(start, last):
        whole = np.asarray(frames[index])
        small = (
            whole
            if whole.shape[:2] == (rows, columns)
            else cv2.resize(whole, (columns, rows), interpolation=3)
        )
        yield Picture(
            index=index,
            time=index / episode.info.fps,
            small=np.ascontiguousarray(small[..., ::-1]),
            vectors=None,
            read_whole=lambda image=whole: image,
        )


def _iterate_video(path: Path, small_width: int, start: int, stop: int | None) -> Iterator[Picture]:
    av = need("av", "video")
    count, first, size = 0, None, None
    try:
        with av.open(str(path), options=SAFE_OPENING) as container:
            stream: Any = container.streams.video[0]
            # One thread: sources are spread over processes, and the order of errors must not depend on luck.
            stream.codec_context.thread_count = 1
            stream.codec_context.flags2 |= av.codec.context.Flags2.export_mvs
            for frame in container.decode(stream):
                time = float(frame.time) if frame.time is not None else float(count)
                first = time if first is None else first
                size = size or (frame.width, frame.height)
                if size != (frame.width, frame.height):
                    raise DataError(
                        f"{as_text(str(path))} changes from {size[0]} x {size[1]} to {frame.width} x "
                        f"{frame.height} at frame {count}; part it there, or convert it to one size"
                    )
                if stop is not None and count >= stop:
                    return
                if count >= start:
                    yield _picture(frame, count, time - first, small_width)
                count += 1
    except (av.error.FFmpegError, IndexError, OSError, ValueError) as error:
        raise DataError(
            f"{as_text(str(path))} cannot be decoded after {count} frames ({_first_line(error)}); "
            "fetch it anew"
        ) from error


def _picture(frame: Any, index: int, time: float, small_width: int) -> Picture:
    turns = _quarter_turns(frame)
    rows, columns = small_size(frame.height, frame.width, small_width)
    small = frame.reformat(width=columns, height=rows, format="bgr24", interpolation="AREA").to_ndarray()
    return Picture(
        index=index,
        time=time,
        small=_turn(small, turns),
        vectors=None if turns else _read_vectors(frame),
        read_whole=lambda: _turn(frame.to_ndarray(format="rgb24"), turns),
    )


def _quarter_turns(frame: Any) -> int:
    """How often the stored picture must be turned a quarter to the left to stand upright."""
    return round(getattr(frame, "rotation", 0) / 90) % 4


def _turn(image: np.ndarray, turns: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _read_vectors(frame: Any) -> Vectors | None:
    side = frame.side_data.get("MOTION_VECTORS")
    if side is None:
        return None
    table = side.to_ndarray()
    table = table[table["source"] < 0]  # what came from the past; from the future says the same backwards
    if not len(table):
        return None
    scale = np.maximum(table["motion_scale"], 1).astype(np.float32)
    size = np.array([frame.width, frame.height], np.float32)
    centre = np.stack([table["dst_x"], table["dst_y"]], axis=1).astype(np.float32) / size
    # The codec stores where a block came from; its content moved the other way.
    motion = -np.stack([table["motion_x"] / scale, table["motion_y"] / scale], axis=1) / frame.width
    area = table["w"].astype(np.float32) * table["h"] / (frame.width * frame.height)
    return Vectors(centre=centre, motion=motion.astype(np.float32), area=area)


def _first_line(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
