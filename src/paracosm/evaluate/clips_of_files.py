"""Clips of any project, read from files: videos, folders of pictures, or arrays; paired by name.

A clip's name is its file's, without the ending. What is missing or cannot be read is said for each clip,
never skipped in silence. This file does NOT measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paracosm.core.errors import DataError
from paracosm.data.video import iterate_video

VIDEO_ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".avi")
"""Files that count as videos."""
PICTURE_ENDINGS = (".png", ".bmp")
"""Files of a folder that count as its frames, in the order of their names; lossless kinds only."""
ARRAY_ENDING = ".npy"
"""A clip as uint8 (t, h, w, 3)."""
MOST_FRAMES = 4096
"""Longest clip that is read: 64 x 48 pixels of it are 38 MB, 832 x 448 are 4.6 GB."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A clip and what it should show.

    Attributes:
        name: of both files.
        clip: file or folder of the clip, None when only the reference is there.
        reference: the same of the reference, None when there is none of this name.
    """

    name: str
    clip: Path | None
    reference: Path | None


def find_clips(folder: Path) -> Mapping[str, Path]:
    """Find the clips of a folder by name.

    Args:
        folder: of videos, arrays, or folders of pictures; others of its files are left alone.

    Raises:
        DataError: when it is no folder, holds no clip, or holds two of one name.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder; give a folder of videos, of .npy clips or of picture folders"
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not _is_clip(path):
            continue
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise DataError(
                f"{found[name].name} and {path.name} in {folder} bear one name; rename one of them"
            )
        found[name] = path
    if not found:
        kinds = ", ".join((*VIDEO_ENDINGS, ARRAY_ENDING))
        raise DataError(f"{folder} holds no clip; give files of {kinds}, or folders of {PICTURE_ENDINGS[0]}")
    return found


def pair_clips(clips: Mapping[str, Path], reference: Mapping[str, Path]) -> list[Pair]:
    """Pair clips with references of the same name; those without a partner are listed as well."""
    names = sorted({*clips, *reference})
    return [Pair(name=name, clip=clips.get(name), reference=reference.get(name)) for name in names]


def read_clip(path: Path) -> np.ndarray:
    """Read a clip.

    Returns:
        uint8 (t, h, w, 3), t >= 2.

    Raises:
        DataError: when it cannot be read, changes its size, is too short or longer than MOST_FRAMES.
    """
    frames = _read_array(path) if path.suffix == ARRAY_ENDING else _read_frames(path)
    if len(frames) < 2:
        raise DataError(f"{path} has {len(frames)} frame; a clip has at least 2")
    return frames


def is_lossy(path: Path) -> bool:
    """Whether a clip's file may have been compressed with loss: metrics then measure the codec as well."""
    return path.suffix in VIDEO_ENDINGS


def _is_clip(path: Path) -> bool:
    if path.is_dir():
        return any(part.suffix in PICTURE_ENDINGS for part in path.iterdir())
    return path.suffix in VIDEO_ENDINGS or path.suffix == ARRAY_ENDING


def _read_array(path: Path) -> np.ndarray:
    try:
        frames = np.load(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); write it by numpy.save") from error
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise DataError(
            f"{path} holds {frames.dtype} {frames.shape}; a clip is uint8 (frames, rows, columns, 3)"
        )
    _check_length(path, len(frames))
    return frames


def _read_frames(path: Path) -> np.ndarray:
    frames: list[np.ndarray] = []
    for image in _iterate(path):
        if frames and image.shape != frames[0].shape:
            raise DataError(
                f"{path} changes its frames from {frames[0].shape[:2]} to {image.shape[:2]} at frame "
                f"{len(frames)}; give frames of one size"
            )
        frames.append(image)
        _check_length(path, len(frames))
    return np.stack(frames) if frames else np.empty((0, 0, 0, 3), np.uint8)


def _iterate(path: Path) -> Iterator[np.ndarray]:
    if not path.is_dir():
        yield from iterate_video(path)
        return
    for picture in sorted(part for part in path.iterdir() if part.suffix in PICTURE_ENDINGS):
        yield from iterate_video(picture)


def _check_length(path: Path, count: int) -> None:
    if count > MOST_FRAMES:
        raise DataError(f"{path} has more than {MOST_FRAMES} frames; cut it into shorter clips")
