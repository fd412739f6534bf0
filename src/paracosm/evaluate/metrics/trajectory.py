"""Errors of a camera's path: Sim(3) alignment, relative pose error by step, speed.

Pure numpy on poses. A pose is a 4 x 4 matrix that takes points of the camera to the world; the camera looks
along its own z, x is right and y is down. This file does NOT know pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError

LEAST_STEPS = 8
"""Valid steps below which a path is not judged."""
LEAST_SPREAD = 1e-3
"""Spread of positions, as a share of the wider path's, below which they are one point."""


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """A Sim(3) transform: p -> scale * rotation @ p + shift."""

    scale: float
    rotation: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True, kw_only=True)
class PathErrors:
    """Errors of an estimated path against the true one.

    Attributes:
        translation: float64 (steps,), in units of the true path, after alignment; nan when the truth
            stands on one point, where no scale exists.
        unaligned: float64 (steps,), the same without alignment; nan when the truth stands on one point.
        rotation_deg: float64 (steps,), 0 to 180.
        scale: scale of the alignment; 0 when only the estimate stands still, nan when the truth does.
    """

    translation: np.ndarray
    unaligned: np.ndarray
    rotation_deg: np.ndarray
    scale: float


def align_similarity(source: np.ndarray, target: np.ndarray) -> Similarity | None:
    """Find the similarity that takes points to their partners with the least squared error.

    Args:
        source: (n, 3) points, n >= 3.
        target: (n, 3) partners.

    Returns:
        The transform; None when either set is a single point, where scale and rotation are free.

    Raises:
        DataError: for unequal shapes or fewer than three points.

    Source: Umeyama, "Least-squares estimation of transformation parameters", 1991, equations 40 to 42.
    """
    if source.shape != target.shape or len(source) < 3:
        raise DataError(
            f"positions of shape {source.shape} and {target.shape} cannot be aligned; give two (n, 3), n >= 3"
        )
    mean_x, mean_y = source.mean(axis=0), target.mean(axis=0)
    x, y = source - mean_x, target - mean_y
    spread_x, spread_y = float(np.square(x).sum(axis=1).mean()), float(np.square(y).sum(axis=1).mean())
    largest = max(spread_x, spread_y)
    if min(spread_x, spread_y) <= LEAST_SPREAD**2 * largest or largest <= 0:
        return None
    left, values, right = np.linalg.svd(y.T @ x / len(x))
    sign = np.ones(3)
    if np.linalg.det(left) * np.linalg.det(right) < 0:
        sign[-1] = -1  # the nearest rotation, not a mirror
    rotation = (left * sign) @ right
    scale = float((values * sign).sum()) / spread_x
    return Similarity(scale=scale, rotation=rotation, shift=mean_y - scale * rotation @ mean_x)


def path_errors(estimated: np.ndarray, truth: np.ndarray) -> PathErrors:
    """Relative pose error of each step after a Sim(3) alignment of the positions.

    Args:
        estimated: (t, 4, 4) poses, t >= 9.
        truth: (t, 4, 4) true poses.

    Returns:
        Errors of the t - 1 steps.

    Raises:
        DataError: for unequal lengths or fewer than 8 steps.
    """
    if estimated.shape != truth.shape or len(truth) < LEAST_STEPS + 1:
        raise DataError(
            f"paths of {len(estimated)} and {len(truth)} poses cannot be judged; "
            f"give two of one length, at least {LEAST_STEPS + 1}"
        )
    found = align_similarity(estimated[:, :3, 3], truth[:, :3, 3])
    # without a scale a frozen path must cost the whole of the true one, and not be left out
    scale = found.scale if found else 0.0
    back = np.linalg.inv(_steps(truth))
    difference, unscaled = back @ _steps(estimated, scale), back @ _steps(estimated)
    nothing = np.full(len(back), np.nan)
    moves = found is not None or _spread(truth) > _spread(estimated)
    return PathErrors(
        translation=np.linalg.norm(difference[:, :3, 3], axis=1) if moves else nothing,
        unaligned=np.linalg.norm(unscaled[:, :3, 3], axis=1) if moves else nothing,
        rotation_deg=rotation_angle_deg(difference[:, :3, :3]),
        scale=scale if moves else float("nan"),
    )


def speed_ratio(estimated: np.ndarray, truth: np.ndarray) -> float:
    """Length of the estimated path over that of the true one, without any alignment.

    Args:
        estimated: (t, 4, 4) poses in the true path's units.
        truth: (t, 4, 4).

    Returns:
        1 when as fast as the truth, nan when the truth stands still.
    """
    below = path_length(truth)
    return path_length(estimated) / below if below > 0 else float("nan")


def path_length(poses: np.ndarray) -> float:
    """Sum of the distances between successive positions of poses (t, 4, 4)."""
    return float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())


def rotation_angle_deg(rotations: np.ndarray) -> np.ndarray:
    """Angle of each rotation (..., 3, 3), in degrees, 0 to 180; exact for small angles too."""
    skew = np.stack(
        [
            rotations[..., 2, 1] - rotations[..., 1, 2],
            rotations[..., 0, 2] - rotations[..., 2, 0],
            rotations[..., 1, 0] - rotations[..., 0, 1],
        ],
        axis=-1,
    )
    trace = np.trace(rotations, axis1=-2, axis2=-1)
    return np.degrees(np.arctan2(np.linalg.norm(skew, axis=-1), trace - 1))


def chain(steps: np.ndarray) -> np.ndarray:
    """Add up relative poses (t, 4, 4) to a path (t + 1, 4, 4) that begins at the identity."""
    poses = [np.eye(4)]
    for step in steps:
        poses.append(poses[-1] @ step)
    return np.stack(poses)


def _spread(poses: np.ndarray) -> float:
    return float(poses[:, :3, 3].var(axis=0).sum())


def _steps(poses: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Pose of each camera as its predecessor sees it; lengths times ``scale``."""
    steps = np.linalg.inv(poses[:-1]) @ poses[1:]
    steps[:, :3, 3] *= scale
    return steps
