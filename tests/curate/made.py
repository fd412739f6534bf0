"""Small made videos with known content: textures that shift, cuts at known frames, displays that stay."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from paracosm.core.rng import stream

HEIGHT, WIDTH, FPS = 72, 128, 10


def texture(seed: int, height: int = 400, width: int = 900) -> np.ndarray:
    """A picture with edges of all sizes and no period, uint8 (height, width, 3)."""
    generator = stream(seed, "texture")
    picture = np.full((height, width, 3), generator.uniform(80, 170, 3), np.float32)
    for size in (60, 25, 9):
        for _ in range(height * width // (size * size)):
            top, left = generator.integers(-size, height), generator.integers(-size, width)
            tall, wide = generator.integers(size // 2, size + 1, 2)
            area = picture[max(top, 0) : max(top + tall, 0), max(left, 0) : max(left + wide, 0)]
            area += generator.normal(0, 30, 3).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def pan(
    seed: int, num_frames: int, step: int = 4, height: int = HEIGHT, width: int = WIDTH
) -> list[np.ndarray]:
    """A camera that turns right by ``step`` pixels a frame over a texture."""
    big = texture(seed, height + 40, width + abs(step) * num_frames + 40)
    starts = [index * step if step >= 0 else (num_frames - index) * -step for index in range(num_frames)]
    return [big[20 : 20 + height, start : start + width] for start in starts]


def with_display(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Draw bars and boxes that stay in place."""
    drawn = []
    for frame in frames:
        frame = frame.copy()
        frame[-16:-2, 4:60:6] = 255
        frame[-16:-2, 5:60:6] = 0
        frame[2:12, -50:-4:5] = (255, 255, 0)
        frame[2:12, -49:-4:5] = 0
        drawn.append(frame)
    return drawn


def write_video(
    path: Path,
    frames: list[np.ndarray],
    *,
    fps: int = FPS,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: list[int] | None = None,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write frames; ``times`` in milliseconds makes the spacing uneven."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container) as out:
        stream_: Any = out.add_stream(
            codec, rate=Fraction(fps), options=options or {"crf": "16", "preset": "ultrafast"}
        )
        stream_.height, stream_.width, stream_.pix_fmt = *frames[0].shape[:2], pix_fmt
        stream_.thread_count = 1
        if times is not None:
            stream_.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            out.mux(stream_.encode(frame))
        out.mux(stream_.encode(None))
    return path
