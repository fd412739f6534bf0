"""Exact depth of made Doom levels, by casting rays through the regions they were painted from.

The engine's own depth buffer is coarse, saturates within a room's length and goes wrong where a wall's
picture is enlarged; the level's geometry is known, so depth follows from it. Things (lamps, monsters) are not
in it. This file does NOT know the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .doom_view import camera_intrinsics
from .doom_wad import SKY_FLAT, Region, find_edges, region_at, sector_number

FAR = 4096.0
"""Depth of the sky, and the largest there is."""


class DepthCaster:
    """Casts the rays of a frame through a level.

    Args:
        regions: the level as painted.
    """

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = regions
        self._sector_of = np.array([sector_number(regions, index) for index in range(len(regions))])
        self._sky = np.array(
            [r.sector is not None and r.sector.ceiling_picture.texture == SKY_FLAT for r in regions]
        )
        edges = find_edges(regions)
        self._first = np.array([edge.first for edge in edges], float)
        self._second = np.array([edge.second for edge in edges], float)
        self._sides = np.array([[-1 if i is None else i for i in (edge.front, edge.back)] for edge in edges])

    def cast(
        self, pose: Mapping[str, float], heights: Sequence[tuple[float, float]], height: int, width: int
    ) -> np.ndarray:
        """Depth of every pixel's centre.

        Args:
            pose: ``frame.truth["pose"]``.
            heights: floor and ceiling of every sector as the engine has them now, so that doors count.
            height: rows of the frame.
            width: columns of the frame.

        Returns:
            float32 (height, width): distance perpendicular to the picture in map units, :data:`FAR` for the
            sky.
        """
        lens = camera_intrinsics(height, width, pose["fov"], pose["pitch"])
        rise = ((lens.cy - np.arange(height) - 0.5) / lens.fy)[:, None]
        distances, order = self._crossings(pose, (np.arange(width) + 0.5 - lens.cx) / lens.fx)
        floors, ceilings = np.array(heights, float)[np.minimum(self._sector_of, len(heights) - 1)].T
        start = region_at(self._regions, pose["x"], pose["y"])
        if start is None:
            return np.full((height, width), FAR, np.float32)
        here = np.full(width, start)
        depth = np.full((height, width), FAR)
        open_rays = np.ones((height, width), bool)
        eye = pose["z"]
        for near, edge in zip(distances.T, order.T, strict=True):
            hit = self._flat_hit(rise, eye, floors[here], ceilings[here], self._sky[here])
            seen = open_rays & (hit <= near)
            depth[seen] = hit[seen]
            open_rays &= ~seen
            crossing = np.isfinite(near)
            if not crossing.any() or not open_rays.any():
                break
            sides = self._sides[edge]
            after = np.where(
                sides[:, 0] == here, sides[:, 1], np.where(sides[:, 1] == here, sides[:, 0], here)
            )
            after = np.where(crossing, after, here)
            level = eye + rise * np.where(crossing, near, 0.0)
            blocked = (after < 0) | (level < floors[after]) | (level > ceilings[after])
            seen = open_rays & blocked & crossing
            depth[seen] = np.broadcast_to(near, depth.shape)[seen]
            open_rays &= ~seen
            here = np.where(after < 0, here, after)
        return np.minimum(depth, FAR).astype(np.float32)

    def _crossings(self, pose: Mapping[str, float], aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the columns' rays cross edges: distances (w, k), rising, and which edge (w, k)."""
        yaw = np.radians(pose["yaw"])
        rays = np.stack([np.sin(yaw) + aside * np.cos(yaw), np.cos(yaw) - aside * np.sin(yaw)], axis=-1)
        eye = np.array([pose["x"], pose["y"]])
        along = self._second - self._first
        # Solve eye + t * ray = first + s * along for every ray and edge.
        offset = self._first - eye
        cross = rays[:, None, 0] * along[:, 1] - rays[:, None, 1] * along[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (offset[:, 0] * along[:, 1] - offset[:, 1] * along[:, 0]) / cross
            s = (offset[:, 0] * rays[:, None, 1] - offset[:, 1] * rays[:, None, 0]) / cross
        t = np.where((t > 0) & (s >= 0) & (s <= 1), t, np.inf)
        order = np.argsort(t, axis=1, kind="stable")
        return np.take_along_axis(t, order, axis=1), order

    @staticmethod
    def _flat_hit(
        rise: np.ndarray, eye: float, floors: np.ndarray, ceilings: np.ndarray, sky: np.ndarray
    ) -> np.ndarray:
        """Distance (h, w) at which rays meet the floor or ceiling of the region they are in."""
        with np.errstate(divide="ignore"):
            down = np.where(rise < 0, (floors - eye) / rise, np.inf)
            up = np.where(rise > 0, np.where(sky, FAR, (ceilings - eye) / rise), np.inf)
        return np.minimum(down, up)
