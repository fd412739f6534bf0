"""Frames to JPEG for the wire, and an uploaded picture to the first frame of a world.

This file does NOT know sockets; it refuses what is not a picture of the right size and says why.
"""

from __future__ import annotations

import numpy as np
import simplejpeg

from paracosm.core.errors import DataError
from paracosm.core.world import WorldInfo

SMALL_PIXELS = 20_000
"""Frames up to 160 x 120 are blown up tenfold on the screen, where every trace of compression shows."""
SMALL_QUALITY = 100
"""3 to 6 KB for a frame of 64 x 64, within 4 levels of the true colours; at 90 it would be 40 levels."""
LARGE_QUALITY = 92
"""For larger frames, where bytes count and traces are too fine to see."""


def encode_jpeg(image: np.ndarray, quality: int | None = None) -> bytes:
    """Compress a frame uint8 (h, w, 3) without colour subsampling.

    Args:
        image: the frame.
        quality: 1 to 100; None chooses by size.
    """
    if quality is None:
        small = image.shape[0] * image.shape[1] <= SMALL_PIXELS
        quality = SMALL_QUALITY if small else LARGE_QUALITY
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", "444", fastdct=False)


def decode_jpeg(data: bytes) -> np.ndarray:
    """Return the picture uint8 (h, w, 3) of JPEG bytes."""
    return simplejpeg.decode_jpeg(data, "RGB")


def read_start(data: bytes, info: WorldInfo) -> np.ndarray:
    """Read an uploaded first frame.

    Args:
        data: a JPEG file, or raw RGB bytes of exactly the world's size.
        info: the world that is to start from it; the picture must have its size.

    Returns:
        uint8 (h, w, 3).

    Raises:
        DataError: when it is no picture or has another size.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data, info)
    expected = info.height * info.width * 3
    if len(data) != expected:
        raise DataError(
            f"the upload of {len(data)} bytes is not a picture for {info.name}; "
            f"send a JPEG of {info.width} x {info.height} pixels, or {expected} raw RGB bytes"
        )
    return np.frombuffer(data, np.uint8).reshape(info.height, info.width, 3)


def _read_jpeg(data: bytes, info: WorldInfo) -> np.ndarray:
    try:
        height, width = (int(size) for size in simplejpeg.decode_jpeg_header(data)[:2])
    except ValueError as error:
        raise DataError(f"the uploaded JPEG cannot be read ({error}); send another picture") from None
    _check_size(height, width, info)
    try:
        return decode_jpeg(data)
    except ValueError as error:
        raise DataError(f"the uploaded JPEG cannot be read ({error}); send another picture") from None


def _check_size(height: int, width: int, info: WorldInfo) -> None:
    if (height, width) != (info.height, info.width):
        raise DataError(
            f"the picture is {width} x {height} pixels; "
            f"{info.name} starts from {info.width} x {info.height}, resize or crop it"
        )
