"""What a game's truth says of its camera: its lens, its pose, and the depth of its picture.

Two kinds are known by the words that the truth uses: a walking camera ("pose" with yaw and fov, and "depth"),
and a camera beside the scene ("camera" with the number of tiles across). This file does NOT estimate motion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paracosm.collect.games.doom_view import camera_intrinsics
from paracosm.core.controls import Control
from paracosm.core.world import Frame, World

from .metrics.ego_motion import EgoMotion, Lens, estimate_motion, motion_matrix
from .quality import luma
from .rollouts import Rollout, begin

WALK_UNIT = 8.0
"""Usual step of a walking camera in map units: a running player of Doom makes 12 to 14 in two tics."""
TILE_UNIT = 0.5
"""Usual step of a camera beside the scene, in tiles."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A true frame with what is known of its camera.

    Attributes:
        image: uint8 (h, w, 3).
        lens: how it was projected.
        place: forward, right, up and turn of the camera in the world's own axes; see :func:`true_steps`.
        depth: (h, w) along the view, None for a camera beside the scene.
    """

    image: np.ndarray
    lens: Lens
    place: Mapping[str, float]
    depth: np.ndarray | None


def with_depth(config: Any) -> Any:
    """Return a game's config with depth told, where it has such a switch; else as it is."""
    if isinstance(config, Mapping) and config.get("depth") == "off":
        return {**config, "depth": "on"}
    return config


def camera_view(frame: Frame) -> View | None:
    """Read the camera of a true frame; None when its truth does not tell enough."""
    height, width = frame.image.shape[:2]
    pose, depth, camera = (frame.truth.get(name) for name in ("pose", "depth", "camera"))
    if pose is not None and depth is not None and {"yaw", "fov", "pitch"} <= set(pose):
        optics = camera_intrinsics(height, width, pose["fov"], pose["pitch"])
        lens = Lens(kind="pinhole", fx=optics.fx, fy=optics.fy, cx=optics.cx, cy=optics.cy, unit=WALK_UNIT)
        return View(image=frame.image, lens=lens, place=pose, depth=depth)
    if camera is not None and camera.get("tiles_across"):
        pixels = width / camera["tiles_across"]
        lens = Lens(kind="flat", fx=pixels, fy=pixels, cx=width / 2, cy=height / 2, unit=TILE_UNIT)
        return View(image=frame.image, lens=lens, place=camera, depth=None)
    return None


def true_views(world: World, rollout: Rollout, controls: Sequence[Control]) -> list[View] | None:
    """Play controls in the true game from a rollout's start.

    Returns:
        The view at the start and after each control, up to the end of the episode; None when the game does
        not tell its camera.
    """
    frame = begin(world, rollout)
    views = []
    for control in [None, *controls]:
        if control is not None:
            frame = world.step(control)
        view = camera_view(frame)
        if view is None:
            return None
        if frame.truth.get("ended"):
            break
        views.append(view)
    return views


def true_step(before: View, after: View) -> np.ndarray:
    """Pose (4, 4) of the second camera as the first one sees it."""
    if before.lens.kind == "flat":
        right = after.place["x"] - before.place["x"]
        return motion_matrix(0.0, right, after.place["y"] - before.place["y"], 0.0)
    yaw = np.radians(before.place["yaw"])
    east, north, up = (after.place[axis] - before.place[axis] for axis in "xyz")
    forward = east * np.sin(yaw) + north * np.cos(yaw)
    right = east * np.cos(yaw) - north * np.sin(yaw)
    turn = (after.place["yaw"] - before.place["yaw"] + 180) % 360 - 180
    return motion_matrix(forward, right, up, np.radians(turn))


def estimated_steps(frames: np.ndarray, views: Sequence[View]) -> list[EgoMotion]:
    """Estimate each step of some frames with the lens and depth of the true views beside them.

    The depth is that of where the true camera stands; the estimate is as good as the frames keep to it.

    Args:
        frames: uint8 (t, h, w, 3).
        views: t true views.
    """
    grey = luma(frames)
    return [
        estimate_motion(before, after, view.depth, view.lens)
        for before, after, view in zip(grey[:-1], grey[1:], views[:-1], strict=True)
    ]
