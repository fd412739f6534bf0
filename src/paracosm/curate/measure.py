"""The only stage that decodes: one row of plain measurements for each frame, and a few small pictures.

Everything later is a function of this table, so changing a threshold decodes nothing again. Memory does not
grow with the length of a video but by the rows of the table. This file does NOT judge: it measures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.extras import need

from .cut_evidence import cut_chance
from .footage import Picture, Source, iterate_pictures, small_size
from .hashing import perceptual_hash
from .motion_field import flow_between, flow_of_vectors

VERSION = 2

SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("time", pa.float64()),
        ("luma", pa.float32()),
        ("contrast", pa.float32()),
        ("dark", pa.float32()),
        ("bright", pa.float32()),
        ("change", pa.float32()),
        ("moved", pa.float32()),
        ("flow", pa.float32()),
        ("flow_x", pa.float32()),
        ("flow_y", pa.float32()),
        ("flow_zoom", pa.float32()),
        ("flow_centre", pa.float32()),
        ("flow_border", pa.float32()),
        ("flow_source", pa.string()),
        ("proposed", pa.bool_()),
        ("cut_chance", pa.float32()),
        ("sharpness", pa.float32()),
        ("phash", pa.uint64()),
        ("picture", pa.binary()),
    ]
)
"""Columns of the table: one row for each frame; null where nothing was measured, never 0."""

CHANGED = 6
"""Levels of 255 by which a pixel must differ to count as changed; below it lies what a codec does to a
still."""
AFTER = 6
"""Frames looked at behind a proposed cut: a flash is over by then."""


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How finely frames are measured."""

    small_width: int = 160
    """Columns of the picture that is measured."""
    picture_width: int = 320
    """Columns of the pictures that are kept for later stages and for people."""
    pictures_rate_hz: float = 2.0
    """Pictures kept a second."""
    jpeg_quality: int = 85
    """Quality of the kept pictures."""
    cut_threshold: float = 1.3
    """Adaptive threshold above which a change is proposed as a cut: low, since a judge comes after."""
    cut_least: float = 2.5
    """Least change of hue, saturation and light, of 255, that can be a cut."""

    def __post_init__(self) -> None:
        """Refuse sizes that measure nothing."""
        if self.small_width < 16 or self.picture_width < 16 or self.pictures_rate_hz <= 0:
            raise ConfigError(
                f"small_width {self.small_width} and picture_width {self.picture_width} must be 16 or more "
                f"and pictures_rate_hz {self.pictures_rate_hz:g} above 0"
            )


def measure(source: Source, fps: float, config: MeasureConfig) -> pa.Table:
    """Measure every frame of a source.

    Args:
        source: what to measure.
        fps: its mean frame rate.
        config: how.

    Returns:
        A table of SCHEMA.

    Raises:
        DataError: when it cannot be decoded to its end.
        MissingPackageError: when OpenCV or PySceneDetect is missing.
    """
    rows = list(_rows(source, fps, config))
    if len(rows) < 2:
        raise DataError(f"{source.name} gave {len(rows)} frame(s), two are needed; leave it out")
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def picture_of(blob: bytes) -> np.ndarray:
    """Decode a kept picture, uint8 (h, w, 3) RGB."""
    return simplejpeg.decode_jpeg(blob)


class _Proposer:
    """PySceneDetect's adaptive detector, fed with the small pictures that are decoded anyway."""

    def __init__(self, fps: float, config: MeasureConfig) -> None:
        detectors = need("scenedetect.detectors", "curate")
        self._time = need("scenedetect", "curate").FrameTimecode
        self._fps = float(fps)
        self._detector = detectors.AdaptiveDetector(
            adaptive_threshold=config.cut_threshold, min_scene_len=1, min_content_val=config.cut_least
        )

    def look(self, picture: Picture) -> list[int]:
        """Take the next picture; return the frames, some behind it, that may begin a new shot."""
        found = self._detector.process_frame(self._time(picture.index, self._fps), picture.small)
        return [moment.frame_num for moment in found]


def _rows(source: Source, fps: float, config: MeasureConfig) -> Iterator[dict[str, Any]]:
    """Yield the rows, some frames late: whether a proposed cut was a flash is known only behind it."""
    need("cv2", "curate").setNumThreads(1)
    proposer = _Proposer(fps, config)
    rows: deque[dict[str, Any]] = deque()
    near: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=2 * AFTER)
    before: np.ndarray | None = None
    next_picture = 0.0
    for picture in iterate_pictures(source, config.small_width):
        grey = _to_grey(picture.small)
        row = _measure_small(picture, grey, before)
        if picture.time >= next_picture or next_picture - picture.time > 1 / config.pictures_rate_hz:
            next_picture = picture.time + 1 / config.pictures_rate_hz - 0.5 / fps
            row |= _measure_whole(picture, grey, config)
        rows.append(row)
        near.append((picture.small, grey))
        for index in proposer.look(picture):
            rows[index - rows[0]["frame"]]["proposed"] = True
        _judge_when_due(rows, near, picture.index - AFTER)
        if len(rows) > 2 * AFTER:
            yield rows.popleft()
        before = grey
    for late in range(max(0, len(rows) - AFTER), len(rows)):
        _judge_when_due(rows, near, rows[late]["frame"])
    yield from rows


def _measure_small(picture: Picture, grey: np.ndarray, before: np.ndarray | None) -> dict[str, Any]:
    luma = float(grey.mean()) / 255
    row: dict[str, Any] = {
        "frame": picture.index,
        "time": picture.time,
        "luma": luma,
        "contrast": float(grey.std()) / 255,
        "dark": float((grey < 24).mean()),
        "bright": float((grey > 245).mean()),
        "proposed": False,
    }
    if before is None:
        return row
    difference = need("cv2", "curate").absdiff(grey, before)
    flow = flow_of_vectors(picture.vectors) if picture.vectors is not None else None
    flow = flow or flow_between(before, grey)
    return row | {
        "change": float(difference.mean()) / 255,
        "moved": float((difference > CHANGED).mean()),
        "flow": flow.mean,
        "flow_x": flow.x,
        "flow_y": flow.y,
        "flow_zoom": flow.zoom,
        "flow_centre": flow.centre,
        "flow_border": flow.border,
        "flow_source": flow.source,
    }


def _measure_whole(picture: Picture, grey: np.ndarray, config: MeasureConfig) -> dict[str, Any]:
    cv2 = need("cv2", "curate")
    whole = picture.read_whole()
    sharp = cv2.Laplacian(cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
    rows, columns = small_size(whole.shape[0], whole.shape[1], config.picture_width)
    kept = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    blob = simplejpeg.encode_jpeg(np.ascontiguousarray(kept), quality=config.jpeg_quality, colorspace="RGB")
    return {"sharpness": float(sharp.std()) / 255, "phash": perceptual_hash(grey), "picture": blob}


def _judge_when_due(
    rows: deque[dict[str, Any]], near: deque[tuple[np.ndarray, np.ndarray]], index: int
) -> None:
    """Say how likely a proposal is a cut, once the frames behind it are there."""
    if not rows or index < rows[0]["frame"]:
        return
    row = rows[index - rows[0]["frame"]]
    place = len(near) - 1 - (rows[-1]["frame"] - index)
    if row["proposed"] and "cut_chance" not in row and place >= 1:
        row["cut_chance"] = cut_chance([small for small, _ in near], [grey for _, grey in near], place)


def _to_grey(small: np.ndarray) -> np.ndarray:
    cv2 = need("cv2", "curate")
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
