"""Frames into H.264 in MP4, one by one: 4:2:0 where both sides are even, else 4:4:4.

This file does NOT know clips; what must be exact to the bit is kept by ``paracosm.data``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import IO, Any

import numpy as np

from paracosm.core.extras import need


class Mp4Writer:
    """Writes frames to a file or a buffer, in order.

    Args:
        target: path or writable binary stream.
        fps: frames a second.
        interval: frames from one keyframe to the next.
    """

    def __init__(self, target: str | IO[bytes], fps: float, interval: int = 15) -> None:
        self._av = need("av", "video")
        self._container: Any = self._av.open(target, "w", format="mp4")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._interval = interval
        self._track: Any = None
        self.num_frames = 0

    def add(self, image: np.ndarray) -> None:
        """Append one frame, uint8 (h, w, 3); all frames have one size."""
        if self._track is None:
            options = {"crf": "18", "g": str(self._interval), "bf": "0", "preset": "veryfast"}
            self._track = self._container.add_stream("libx264", rate=self._rate, options=options)
            self._track.height, self._track.width = image.shape[:2]
            even = self._track.height % 2 == 0 and self._track.width % 2 == 0
            self._track.pix_fmt = "yuv420p" if even else "yuv444p"
            self._track.thread_count = 1
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._container.mux(self._track.encode(picture))
        self.num_frames += 1

    def close(self) -> None:
        """Flush and close; calling it twice does no harm."""
        if self._container is not None:
            if self._track is not None:
                self._container.mux(self._track.encode(None))
            self._container.close()
            self._container = None
