"""The clip to download: what was played, as an MP4 that any phone and browser shows.

This file does NOT know sessions; it is given compressed pictures and a rate.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.play.pictures import decode_jpeg

MIN_HEIGHT = 480
"""Small worlds are enlarged by whole factors to at least this height: video players blur them otherwise."""


def make_mp4(jpegs: Sequence[bytes], fps: float) -> bytes:
    """Join pictures into an H.264 clip.

    Args:
        jpegs: at least one picture, all of one size, in order.
        fps: pictures a second.

    Returns:
        The bytes of an MP4 file.

    Raises:
        MissingPackageError: when PyAV is not installed; the text names the install command.
        DataError: when there is no picture.
    """
    av = need("av", "video")
    if not jpegs:
        raise DataError("there is nothing to make a clip of; play a little first")
    first = decode_jpeg(jpegs[0])
    factor = max(2, -(-MIN_HEIGHT // first.shape[0]))
    if first.shape[0] >= MIN_HEIGHT and first.shape[0] % 2 == first.shape[1] % 2 == 0:
        factor = 1
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "17", "preset": "veryfast"})
        stream.height, stream.width = first.shape[0] * factor, first.shape[1] * factor
        stream.pix_fmt = "yuv420p"
        for jpeg in jpegs:
            image = decode_jpeg(jpeg).repeat(factor, axis=0).repeat(factor, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
