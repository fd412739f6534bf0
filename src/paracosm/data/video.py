"""Frames to video files and back by integer frame number: lossless FFV1 for training, H.264 4:4:4 for people.

Seconds never address a frame here. This file does NOT know episodes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.extras import need

KEYFRAME_INTERVAL = 15
"""Frames between two keyframes of a video for people: short, so that seeking is quick and a damaged part
stays small."""

H264_CRF = 10
"""Quality of videos for people. 4:4:4 at this rate keeps pixel art near 40 dB; 4:2:0 loses 5 to 9 dB at any
rate."""


class VideoWriter:
    """Writes frames to one video file, in order.

    Args:
        file: where to write; the ending decides the container (.mkv for "ffv1", .mp4 for "h264").
        fps: pace at which players show it; frame numbers do not depend on it.
        height: rows of every frame.
        width: columns of every frame.
        codec: "ffv1" (exact to the bit) or "h264" (4:4:4, for people).
    """

    def __init__(self, file: Path, fps: float, height: int, width: int, codec: str) -> None:
        self._av = av = _av()
        self._file = file
        self._open = True
        self._container = av.open(str(file), "w")
        rate = Fraction(fps).limit_denominator(1001)
        if codec == "ffv1":
            self._stream: Any = self._container.add_stream(
                "ffv1", rate=rate, options={"level": "3", "slicecrc": "1"}
            )
            self._stream.pix_fmt = "bgr0"
        else:
            options = {"crf": str(H264_CRF), "g": str(KEYFRAME_INTERVAL), "bf": "0", "preset": "veryfast"}
            self._stream = self._container.add_stream("libx264", rate=rate, options=options)
            self._stream.pix_fmt = "yuv444p"
        self._stream.height, self._stream.width = height, width
        # One thread: recorders already run one process a core, and the file's bytes must not depend on the
        # machine.
        self._stream.thread_count = 1

    def add(self, image: np.ndarray) -> None:
        """Append one frame, uint8 (h, w, 3)."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._encode(frame)

    def close(self) -> None:
        """Flush and close the file; calling it twice does no harm."""
        if self._open:
            self._open = False
            self._encode(None)
            self._container.close()

    def abandon(self) -> None:
        """Close the file without finishing it; what it holds is of no use."""
        if self._open:
            self._open = False
            with contextlib.suppress(self._av.error.FFmpegError):
                self._container.close()

    def _encode(self, frame: Any) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except self._av.error.FFmpegError as error:
            # A full disk must look like one, whoever met it first.
            raise OSError(error.errno, error.strerror, str(self._file)) from error


def read_video(file: Path, num_frames: int, height: int, width: int) -> np.ndarray:
    """Decode a whole video of known size.

    Returns:
        uint8 (num_frames, height, width, 3).

    Raises:
        DataError: when the file is missing, cannot be decoded or holds another number or size of frames.
    """
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    count = 0
    for image in iterate_video(file):
        if image.shape != frames.shape[1:]:
            raise DataError(
                f"{file} shows frames of {image.shape[:2]}, {(height, width)} were recorded; record it anew"
            )
        if count < num_frames:
            frames[count] = image
        count += 1
    if count != num_frames:
        raise DataError(
            f"{file} holds {count} frames, {num_frames} were recorded; delete this episode or record it anew"
        )
    return frames


def iterate_video(file: Path) -> Iterator[np.ndarray]:
    """Yield every frame of a video once, in order, as uint8 (h, w, 3).

    Raises:
        DataError: when the file is missing, cannot be decoded, or changes its picture size on the way.
    """
    av = _av()
    size: tuple[int, int] | None = None
    try:
        with av.open(str(file)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                size = size or (frame.height, frame.width)
                if size != (frame.height, frame.width):
                    raise DataError(
                        f"{file} changes its picture from {size[0]} x {size[1]} to {frame.height} x "
                        f"{frame.width} at frame {index}; split it there, or convert it to one size"
                    )
                yield frame.to_ndarray(format="rgb24")
    except FileNotFoundError:
        raise DataError(f"{file} is missing; restore it from a copy or record it anew") from None
    except (av.error.FFmpegError, IndexError) as error:
        raise DataError(
            f"{file} cannot be decoded ({error}); restore it from a copy or record it anew"
        ) from error


def _av() -> ModuleType:
    return need("av", "video")
