"""How Doom draws: exact shrinking and the camera's arithmetic. No engine needed."""

import math

import numpy as np
import pytest

from paracosm.collect.games.doom_view import area_reduce, camera_intrinsics, camera_rays, project, read_depth
from paracosm.core.rng import stream

POSE = {"x": 100.0, "y": -50.0, "z": 41.0, "yaw": 30.0, "pitch": 0.0, "roll": 0.0, "fov": 90.0}


def overlaps(source: int, target: int) -> np.ndarray:
    """(target, source) share of each source pixel in each target pixel, in units of 1 / target."""
    shares = np.zeros((target, source), np.int64)
    for row in range(target):
        for column in range(source):
            low, high = max(row * source, column * target), min((row + 1) * source, (column + 1) * target)
            shares[row, column] = max(0, high - low)
    return shares


def slow_area_reduce(image: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = overlaps(image.shape[0], height), overlaps(image.shape[1], width)
    sums = np.einsum("hr,rwc->hwc", rows, image.astype(np.int64))
    sums = np.einsum("vw,hwc->hvc", columns, sums)
    weight = image.shape[0] * image.shape[1]
    return ((2 * sums + weight) // (2 * weight)).astype(np.uint8)


@pytest.mark.parametrize("source", [(120, 160), (192, 256), (240, 320)])
@pytest.mark.parametrize("target", [(48, 64), (64, 64), (120, 160)])
def test_shrinking_is_the_exact_area_average(source: tuple[int, int], target: tuple[int, int]) -> None:
    image = stream(0, "image").integers(0, 256, (*source, 3), dtype=np.uint8)
    np.testing.assert_array_equal(area_reduce(image, *target), slow_area_reduce(image, *target))


def test_shrinking_keeps_black_and_white() -> None:
    assert (area_reduce(np.full((120, 160, 3), 255, np.uint8), 48, 64) == 255).all()
    assert (area_reduce(np.zeros((120, 160, 3), np.uint8), 48, 64) == 0).all()


def test_ninety_degrees_fill_the_width() -> None:
    lens = camera_intrinsics(240, 320, 90.0)
    assert lens.fx == pytest.approx(160)
    assert lens.fy == pytest.approx(192)
    assert (lens.cx, lens.cy) == (160, 120)


def test_looking_up_moves_the_horizon_down() -> None:
    assert camera_intrinsics(48, 64, 90.0, pitch=10.0).cy > 24


def test_yaw_is_a_compass_and_grows_to_the_right() -> None:
    _, north = camera_rays(POSE | {"yaw": 0.0}, 48, 64)
    _, east = camera_rays(POSE | {"yaw": 90.0}, 48, 64)
    np.testing.assert_allclose(north[23:25, 31:33].mean((0, 1)), [0, 1, 0], atol=0.01)
    np.testing.assert_allclose(east[23:25, 31:33].mean((0, 1)), [1, 0, 0], atol=0.01)
    assert north[24, 60, 0] > 0.5


@pytest.mark.parametrize("pitch", [-12.0, 0.0, 8.0])
def test_a_point_on_a_ray_projects_to_that_pixel(pitch: float) -> None:
    pose = POSE | {"pitch": pitch}
    eye, directions = camera_rays(pose, 48, 64)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0)
    for row, column in ((0, 0), (20, 40), (47, 63)):
        x, y, z = (eye + 300 * directions[row, column]).tolist()
        shown_column, shown_row, distance = project(pose, (x, y, z), 48, 64)
        assert (shown_column, shown_row) == pytest.approx((column + 0.5, row + 0.5))
        assert 0 < distance <= 300


def test_a_point_behind_has_a_negative_distance() -> None:
    yaw = math.radians(POSE["yaw"])
    behind = (POSE["x"] - 10 * math.sin(yaw), POSE["y"] - 10 * math.cos(yaw), POSE["z"])
    assert project(POSE, behind, 48, 64)[2] == pytest.approx(-10)


def test_depth_is_sampled_at_pixel_centres() -> None:
    buffer = np.arange(120)[:, None].repeat(160, axis=1).astype(np.uint8)
    depth = read_depth(buffer, 48, 64)
    assert depth.shape == (48, 64)
    assert depth.dtype == np.float32
    assert (np.diff(depth[:, 0]) > 0).all()
