"""Pictures drawn of a known box, so that every motion is known: the estimator must find it."""

import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.evaluate.metrics.ego_motion import Lens, estimate_motion, motion_matrix

HEIGHT, WIDTH = 48, 64
LENS = Lens(kind="pinhole", fx=32.0, fy=38.4, cx=32.0, cy=24.0, unit=8.0)
FLAT = Lens(kind="flat", fx=5.0, fy=5.0, cx=32.0, cy=32.0, unit=0.5)


def draw(x: float, y: float, z: float, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and depth inside a room of 400 x 300 units, 120 high, seen from (x, y, z)."""
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    aside, rise = (columns - LENS.cx) / LENS.fx, (LENS.cy - rows) / LENS.fy
    ray = [np.sin(yaw) + aside * np.cos(yaw), np.cos(yaw) - aside * np.sin(yaw), rise]
    place, size = (x, y, z), (400.0, 300.0, 120.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = [
            np.where(r > 0, (s - p) / r, np.where(r < 0, -p / r, np.inf))
            for r, p, s in zip(ray, place, size, strict=True)
        ]
    depth = np.minimum.reduce(hits)
    point = [p + depth * r for p, r in zip(place, ray, strict=True)]
    wave = sum(np.sin(point[axis] / scale + axis) for axis, scale in enumerate((17, 23, 19)))
    return 128 + 35 * wave, depth


@pytest.mark.parametrize(
    "motion",
    [(0, 0, 0, 0), (12, 0, 0, 0), (0, 10, 0, 0), (0, 0, 4, 0), (0, 0, 0, 6), (8, -6, 2, -5), (-10, 5, 0, 4)],
)
def test_walking_and_turning_are_found(motion: tuple[float, float, float, float]) -> None:
    forward, right, up, turn = motion
    yaw = 0.3
    x, y = (
        200 + forward * np.sin(yaw) + right * np.cos(yaw),
        150 + forward * np.cos(yaw) - right * np.sin(yaw),
    )
    before, depth = draw(200, 150, 60, yaw)
    after, _ = draw(x, y, 60 + up, yaw + np.radians(turn))
    found = estimate_motion(before, after, depth, LENS)
    assert found.valid
    assert (found.forward, found.right, found.up) == pytest.approx((forward, right, up), abs=0.7)
    assert np.degrees(found.turn_rad) == pytest.approx(turn, abs=0.3)


def test_a_weapon_painted_on_the_lens_does_not_hold_the_picture_still() -> None:
    before, depth = draw(200, 150, 60, 0.3)
    after, _ = draw(200, 150, 60, 0.3 + np.radians(5))
    for image in (before, after):
        image[36:, 26:40] = 20
    found = estimate_motion(before, after, depth, LENS)
    assert np.degrees(found.turn_rad) == pytest.approx(5.0, abs=0.5)


def test_a_side_view_scrolls() -> None:
    generator = stream(3, "scene")
    scene = generator.normal(size=(30, 30)).repeat(4, 0).repeat(4, 1) * 40 + 128
    before, after = scene[20:84, 20:84], scene[17:81, 25:89]  # the camera went 5 right and 3 up
    found = estimate_motion(before, after, None, FLAT)
    assert (found.right, found.up) == pytest.approx((1.0, 0.6), abs=0.05)
    assert (found.forward, found.turn_rad, found.valid) == (0.0, 0.0, True)


def test_another_scene_is_no_valid_step() -> None:
    before, depth = draw(200, 150, 60, 0.3)
    after, _ = draw(60, 40, 60, 3.5)
    assert not estimate_motion(before, after, depth, LENS).valid


def test_a_turn_to_the_right_takes_what_is_ahead_to_the_left() -> None:
    ahead = np.array([0, 0, 10.0, 1])
    seen = np.linalg.inv(motion_matrix(0, 0, 0, np.radians(90))) @ ahead
    assert np.allclose(seen[:3], [-10, 0, 0])


def test_a_pinhole_without_depth_is_refused() -> None:
    with pytest.raises(
        DataError, match="no depth cannot be found; give equal shapes, and depth for a pinhole"
    ):
        estimate_motion(np.zeros((48, 64)), np.zeros((48, 64)), None, LENS)
