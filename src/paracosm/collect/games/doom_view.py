"""How Doom draws: its camera model, its depth buffer, and exact shrinking of its pictures.

The engine's software renderer keeps verticals vertical: looking up or down shifts the picture (a y-shear) and
does not turn the camera. Pixels are 1.2 times as high as wide in map units. This file does NOT know the
engine's interface.

Source: facts measured on ViZDoom against known geometry; the tests repeat the measurement.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

PIXEL_ASPECT = 1.2
"""Height of a pixel over its width in a 4:3 picture, Doom's 320 x 200 on a 4:3 screen."""

DEPTH_UNIT = 7.11
"""Map units for one step of the engine's 8-bit depth buffer."""

DEPTH_OFFSET = 13.0
"""Map units that the depth buffer falls short, measured on floors: 12 to 16."""


@dataclass(frozen=True, kw_only=True)
class Intrinsics:
    """Focal lengths and centre of a frame, in pixels; the centre moves with the pitch."""

    fx: float
    fy: float
    cx: float
    cy: float


def camera_intrinsics(height: int, width: int, fov: float, pitch: float = 0.0) -> Intrinsics:
    """The pinhole of a frame that was drawn at 4:3 and then brought to ``height`` x ``width``.

    Args:
        height: rows of the frame.
        width: columns of the frame.
        fov: horizontal field of view in degrees, 90 unless the game zooms.
        pitch: degrees, up positive.

    Returns:
        fx, fy, cx, cy in pixels of the frame; rows count downwards.
    """
    spread = math.tan(math.radians(fov) / 2)
    fx = width / 2 / spread
    fy = PIXEL_ASPECT * height * 2 / 3 / spread
    return Intrinsics(fx=fx, fy=fy, cx=width / 2, cy=height / 2 + fy * math.tan(math.radians(pitch)))


def camera_rays(pose: Mapping[str, float], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The ray of every pixel's centre in the world, as Plücker coordinates need it.

    Args:
        pose: ``frame.truth["pose"]``: x, y, z, yaw, pitch, fov.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        The eye float64 (3,) in map units and directions of length 1, float64 (height, width, 3); x east, y
        north, z up.
    """
    lens = camera_intrinsics(height, width, pose["fov"], pose["pitch"])
    yaw = math.radians(pose["yaw"])
    forward = np.array([math.sin(yaw), math.cos(yaw), 0.0])
    right = np.array([math.cos(yaw), -math.sin(yaw), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    across = ((np.arange(width) + 0.5 - lens.cx) / lens.fx)[None, :, None]
    above = ((lens.cy - np.arange(height) - 0.5) / lens.fy)[:, None, None]
    directions = forward + across * right + above * up
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.array([pose["x"], pose["y"], pose["z"]]), directions


def project(
    pose: Mapping[str, float], point: tuple[float, float, float], height: int, width: int
) -> tuple[float, float, float]:
    """Where a point of the world shows in a frame.

    Args:
        pose: as in :func:`camera_rays`.
        point: x, y, z in map units.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        Column and row in pixels (0 is the left or upper edge), and the perpendicular distance in map units;
        the point is in view only when the distance is above 0.
    """
    lens = camera_intrinsics(height, width, pose["fov"], pose["pitch"])
    yaw = math.radians(pose["yaw"])
    east, north, up = (point[i] - pose[axis] for i, axis in enumerate("xyz"))
    ahead = east * math.sin(yaw) + north * math.cos(yaw)
    aside = east * math.cos(yaw) - north * math.sin(yaw)
    distance = ahead if abs(ahead) > 1e-9 else 1e-9
    return lens.cx + lens.fx * aside / distance, lens.cy - lens.fy * up / distance, ahead


def read_depth(buffer: np.ndarray, height: int, width: int) -> np.ndarray:
    """Turn the engine's depth buffer into distances, sampled at the pixels' centres.

    Args:
        buffer: uint8 (h, w).
        height: rows wanted.
        width: columns wanted.

    Returns:
        float32 (height, width), perpendicular distance in map units, right within about 10 units up to the
        value where the engine saturates.
    """
    rows = (np.arange(height) * 2 + 1) * buffer.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * buffer.shape[1] // (2 * width)
    return buffer[rows[:, None], columns[None, :]].astype(np.float32) * DEPTH_UNIT + DEPTH_OFFSET


def area_reduce(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Shrink a picture by exact area averages, in whole numbers: the same bytes on every machine.

    Args:
        image: uint8 (h, w, c).
        height: rows wanted, at most h.
        width: columns wanted, at most w.

    Returns:
        uint8 (height, width, c).
    """
    rows, columns = _overlaps(image.shape[0], height), _overlaps(image.shape[1], width)
    weight = rows.period * columns.period
    # Whole-number sums, not a matrix product: exact everywhere, and no BLAS threads that fight for cores.
    kind = np.uint16 if 256 * weight < 2**16 else np.uint32
    _, source_width, colours = image.shape
    sums = _sum_axis(image.reshape(image.shape[0], -1).astype(kind), rows, axis=0)
    planes = np.ascontiguousarray(sums.reshape(height, source_width, colours).transpose(2, 0, 1))
    means = _sum_axis(planes, columns, axis=2)
    means += kind(weight // 2)
    means //= kind(weight)
    return np.ascontiguousarray(means.astype(np.uint8).transpose(1, 2, 0))


@dataclass(frozen=True, kw_only=True)
class _Overlaps:
    """How ``period`` source pixels share out to ``len(parts)`` target pixels, as (source, share)."""

    period: int
    parts: tuple[tuple[tuple[int, int], ...], ...]


@functools.cache
def _overlaps(source: int, target: int) -> _Overlaps:
    divisor = math.gcd(source, target)
    period, kept = source // divisor, target // divisor
    shares = [
        [(s, min((t + 1) * period, (s + 1) * kept) - max(t * period, s * kept)) for s in range(period)]
        for t in range(kept)
    ]
    return _Overlaps(period=period, parts=tuple(tuple(p for p in part if p[1] > 0) for part in shares))


def _sum_axis(values: np.ndarray, overlaps: _Overlaps, axis: int) -> np.ndarray:
    """Sum one axis into its target pixels, each source pixel times its share."""
    kept = len(overlaps.parts)
    shape = list(values.shape)
    shape[axis] = shape[axis] // overlaps.period * kept
    out = np.zeros(shape, values.dtype)
    source_first, target_first = np.moveaxis(values, axis, 0), np.moveaxis(out, axis, 0)
    for target, parts in enumerate(overlaps.parts):
        for source, share in parts:
            piece = source_first[source :: overlaps.period]
            target_first[target::kept] += piece if share == 1 else piece * values.dtype.type(share)
    return out
