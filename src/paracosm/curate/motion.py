"""How much moves and how the camera does: the motion band, a name for the camera's move, and the view.

Motion is measured in picture widths a second, from the codec's vectors where it keeps them. A camera that
turns right moves the picture left. This file does NOT estimate poses: the labels are coarse, and the view is
a guess with a margin, "unknown" more often than not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .clip import Clip, mean_of

VERSION = 1

COLUMNS: dict[str, pa.DataType] = {
    "motion": pa.float64(),
    "motion_p95": pa.float64(),
    "moving": pa.float64(),
    "jitter": pa.float64(),
    "pan": pa.float64(),
    "tilt": pa.float64(),
    "zoom": pa.float64(),
    "camera": pa.string(),
    "camera_share": pa.float64(),
    "hero": pa.float64(),
    "view": pa.string(),
}
"""motion, pan and tilt in picture widths a second (the camera's way, right and up positive), zoom as growth a
second; moving a share of frames; jitter the share of turns that the next frame takes back; hero how much
stiller the middle is than the border, 0 to 1."""

CAMERAS = (
    "still", "pan-left", "pan-right", "tilt-up", "tilt-down", "zoom-in", "zoom-out", "mixed",
)  # fmt: skip
"""Names of camera moves; zoom-in is also what walking forward looks like."""


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Where a camera's move begins to have a name."""

    still: float = 0.05
    """Picture widths a second below which a frame shows no move."""
    zoom: float = 0.12
    """Growth of the picture a second above which a frame zooms."""
    agreement: float = 0.5
    """Share of moving frames that must show the same move to name the clip after it."""
    hero: float = 0.5
    """How much stiller than the border the middle must be for a third-person view."""
    no_hero: float = 0.15
    """Below this the view is first person."""
    least_moving: float = 0.3
    """Share of moving frames below which the view cannot be told."""


def score_motion(clip: Clip, config: MotionConfig) -> dict[str, Any]:
    """Score a clip; the columns are COLUMNS. What cannot be told is None or "unknown"."""
    flow = clip.motion("flow") * clip.fps
    known = flow[np.isfinite(flow)]
    names = name_frames(clip, config)
    moving = [name for name in names if name != "still"]
    camera, share = _agree(names, moving, config)
    hero = _hero(clip, config)
    told = len(moving) >= config.least_moving * max(len(names), 1) and hero is not None
    return {
        "motion": float(known.mean()) if len(known) else None,
        "motion_p95": float(np.percentile(known, 95)) if len(known) else None,
        "moving": len(moving) / len(names) if names else None,
        "jitter": _jitter(clip),
        "pan": _negated(mean_of(clip.motion("flow_x") * clip.fps)),
        "tilt": mean_of(clip.motion("flow_y") * clip.fps),
        "zoom": mean_of(clip.motion("flow_zoom") * clip.fps),
        "camera": camera,
        "camera_share": share,
        "hero": hero,
        "view": _view(hero if told else None, config),
    }


def name_frames(clip: Clip, config: MotionConfig) -> list[str]:
    """Name the camera's move of every frame whose motion is known."""
    pan = -clip.motion("flow_x") * clip.fps
    tilt = clip.motion("flow_y") * clip.fps
    zoom = clip.motion("flow_zoom") * clip.fps
    return [
        name_move(x, y, z, config) for x, y, z in zip(pan, tilt, zoom, strict=True) if np.isfinite(x + y + z)
    ]


def name_move(pan: float, tilt: float, zoom: float, config: MotionConfig) -> str:
    """Name one move by whichever part of it is largest against its threshold."""
    parts = {
        "pan-right" if pan > 0 else "pan-left": abs(pan) / config.still,
        "tilt-up" if tilt > 0 else "tilt-down": abs(tilt) / config.still,
        "zoom-in" if zoom > 0 else "zoom-out": abs(zoom) / config.zoom,
    }
    name, size = max(parts.items(), key=lambda part: part[1])
    return name if size >= 1 else "still"


def _agree(names: list[str], moving: list[str], config: MotionConfig) -> tuple[str | None, float | None]:
    if not names:
        return None, None
    if len(moving) < 0.5 * len(names) and len(moving) < config.agreement * len(names):
        return "still", 1 - len(moving) / len(names)
    counts = {name: moving.count(name) for name in dict.fromkeys(moving)}
    name = max(counts, key=lambda key: counts[key])
    share = counts[name] / len(moving)
    return (name if share >= config.agreement else "mixed"), share


def _hero(clip: Clip, config: MotionConfig) -> float | None:
    border, centre = clip.motion("flow_border") * clip.fps, clip.motion("flow_centre") * clip.fps
    used = np.isfinite(border) & np.isfinite(centre) & (border > 2 * config.still)
    if used.sum() < 5:
        return None
    return float(np.clip(1 - np.median(centre[used] / border[used]), 0, 1))


def _view(hero: float | None, config: MotionConfig) -> str:
    if hero is None:
        return "unknown"
    return "third" if hero >= config.hero else "first" if hero <= config.no_hero else "unknown"


def _jitter(clip: Clip) -> float | None:
    """Share of turning frames whose turn is taken back by the next: a shaking or tearing picture."""
    x = clip.motion("flow_x") * clip.fps
    pairs = np.isfinite(x[1:]) & np.isfinite(x[:-1]) & (np.abs(x[:-1]) > 0.2)
    if not pairs.any():
        return None
    back = (x[1:] * x[:-1] < 0) & (np.abs(x[1:]) > 0.5 * np.abs(x[:-1]))
    return float(back[pairs].mean())


def _negated(value: float | None) -> float | None:
    return None if value is None else -value
