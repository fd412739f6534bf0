"""Phenomena are read off pictures whose motion was drawn by hand."""

import numpy as np
import pytest

from paracosm.core.rng import stream
from paracosm.evaluate.cameras import View
from paracosm.evaluate.interaction_effect import Quartet
from paracosm.evaluate.metrics.ego_motion import Lens
from paracosm.evaluate.phenomena import compare_arcs, own_motion, rise_curve, standing
from paracosm.evaluate.reprojection import (
    parallax,
    parallax_gain,
    reprojection,
    reprojection_gain,
    sample_at,
    where_to,
)

HEIGHT, WIDTH, STEPS = 48, 64, 12
COARSE = stream(0, "wall").integers(0, 256, (40, 60, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
FINE = COARSE // 2 + np.roll(COARSE, (2, 2), (0, 1)) // 2


def view_at(row: int, column: int) -> np.ndarray:
    return FINE[row : row + HEIGHT, column : column + WIDTH]


IDLE = np.repeat(view_at(40, 40)[None], STEPS, axis=0)
HEIGHTS = np.array([0, 3, 5, 6, 6, 5, 3, 0, 0, 0, 0, 0], float)


def jump(heights: np.ndarray) -> np.ndarray:
    return np.stack([view_at(40 - round(height), 40) for height in heights])


def test_a_dream_stands_at_one_with_the_effect_at_zero_without_and_between_when_half() -> None:
    acted = IDLE.copy()
    acted[3:, 10:30, 20:40] = 255
    half = ((acted.astype(int) + IDLE) // 2).astype(np.uint8)
    for clip, expected in ((acted, 1.0), (IDLE, 0.0), (half, 0.5)):
        stands, idle = standing(Quartet(acted=clip, idle=IDLE, true_acted=acted, true_idle=IDLE))
        assert stands == pytest.approx(expected, abs=0.02)
        assert idle == pytest.approx(0.0)


def test_an_effect_that_nobody_asked_for_stands_beside_the_asked_one() -> None:
    acted = IDLE.copy()
    acted[3:, 10:30, 20:40] = 255
    assert standing(Quartet(acted=acted, idle=acted, true_acted=acted, true_idle=IDLE)) == (1.0, 1.0)


def test_a_jump_is_read_as_the_pixels_that_the_view_moves() -> None:
    assert np.allclose(rise_curve(jump(HEIGHTS), IDLE), HEIGHTS, atol=0.2)


def test_a_jump_by_half_of_the_picture_is_read_to_the_row() -> None:
    tall = 4.0 * HEIGHTS
    assert tall.max() == HEIGHT // 2
    assert rise_curve(jump(tall), IDLE).tolist() == tall.tolist()
    assert rise_curve(IDLE, jump(tall)).tolist() == (-tall).tolist()


def test_arcs_compare_height_time_and_gravity() -> None:
    true = rise_curve(jump(HEIGHTS), IDLE)
    same = compare_arcs(true, true, HEIGHTS)
    assert same is not None
    assert (same.explained, same.height_share, same.apex_error) == (1.0, 1.0, 0)
    assert same.gravity_share == pytest.approx(1.0)
    low = compare_arcs(true / 2, true, HEIGHTS)
    assert low is not None
    assert low.height_share == pytest.approx(0.5)
    assert low.gravity_share == pytest.approx(0.5)
    late = compare_arcs(np.roll(true, 2), true, HEIGHTS)
    assert late is not None
    assert late.apex_error == 2
    none = compare_arcs(np.zeros(STEPS), true, HEIGHTS)
    assert none is not None
    assert (none.explained, none.height_share, none.gravity_share) == (0.0, 0.0, pytest.approx(0.0))
    floating = compare_arcs(np.maximum.accumulate(true), true, HEIGHTS)
    assert floating is not None
    assert floating.explained < 0.2


def test_a_true_arc_that_pictures_do_not_show_cannot_judge() -> None:
    assert compare_arcs(np.zeros(STEPS), np.zeros(STEPS), HEIGHTS) is None
    assert compare_arcs(np.ones(STEPS), HEIGHTS[::-1].copy(), HEIGHTS) is None


def test_own_motion_is_compared_where_the_true_game_moves() -> None:
    torch = IDLE.copy()
    torch[::2, 4:12, 4:12] = 255
    faint = IDLE.copy()
    faint[::2, 4:12, 4:12] = (faint[::2, 4:12, 4:12].astype(int) + 255) // 2
    elsewhere = np.roll(torch, 30, axis=2)
    assert own_motion(IDLE, IDLE) is None
    own, true = own_motion(torch, torch) or (0, 0)
    assert own == true > 0
    assert (own_motion(faint, torch) or (0, 0))[0] == pytest.approx(own / 2, rel=0.05)
    assert (own_motion(elsewhere, torch) or (9, 9))[0] == 0


LENS = Lens(kind="pinhole", fx=32.0, fy=32.0, cx=32.0, cy=24.0, unit=8.0)
DEPTH = np.where(np.arange(WIDTH)[None] < 32, 64.0, 256.0).repeat(HEIGHT, 0).astype(np.float32)


def views(count: int, step: float) -> list[View]:
    """A camera that steps to the right by ``step`` units before a near left half and a far right half."""
    pose = {"x": 0.0, "y": 0.0, "z": 0.0, "yaw": 0.0}
    return [View(image=IDLE[0], lens=LENS, place=pose | {"x": step * i}, depth=DEPTH) for i in range(count)]


def layers(count: int, step: float, flat: bool = False) -> np.ndarray:
    """What it sees: the near half slides by 32 / 64 px a unit, the far half by a quarter of that."""
    frames = []
    for i in range(count):
        near, far = (round(32 / depth * step * i) for depth in (64, 256))
        frame = view_at(40, 60 + (near if flat else far)).copy()
        frame[:, :32] = view_at(40, 20 + near)[:, :32]
        frames.append(frame)
    return np.stack(frames)


def test_pixels_are_led_to_where_depth_and_motion_put_them() -> None:
    before, after = views(2, 8.0)
    rows, columns, seen = where_to(before, after)
    assert np.allclose(rows[20], 20)
    assert columns[20, 10] == pytest.approx(10 - 4)
    assert columns[20, 50] == pytest.approx(50 - 1)
    assert not seen[:, :4].any()
    assert seen[20, 10]
    assert not seen[20, 32]


def test_sampling_between_pixels_is_bilinear() -> None:
    image = np.array([[0.0, 10.0], [20.0, 30.0]])
    assert sample_at(image, np.array([0.5]), np.array([0.25]))[0] == pytest.approx(12.5)


def test_layers_that_move_by_depth_have_parallax_and_a_flat_or_still_picture_has_none() -> None:
    true, cameras = layers(9, 2.0), views(9, 2.0)
    found = parallax(true, cameras)
    assert found is not None
    assert found.speed == 1.0

    def gain(clip: np.ndarray) -> float:
        one = parallax(clip, cameras)
        assert one is not None
        return parallax_gain(np.array([[one.layered, one.flat, one.still, found.still]]))

    assert gain(true) > 0.6
    assert gain(np.repeat(true[:1], 9, axis=0)) == 0.0
    assert gain(np.stack([view_at(40, 20 + i) for i in range(9)])) == 0.0
    slow = layers(9, 1.0)
    half = parallax(slow, cameras)
    assert half is not None
    assert half.speed == 0.5
    assert gain(slow) > 0.2


def test_reprojection_is_one_for_kept_things_zero_for_a_still_picture() -> None:
    true, cameras = layers(9, 2.0), views(9, 2.0)
    kept, still = reprojection(true, cameras), reprojection(np.repeat(true[:1], 9, axis=0), cameras)
    assert kept is not None
    assert still is not None
    assert kept.warped < 0.1 * kept.still
    assert reprojection_gain(np.array([[kept.warped, kept.still, kept.still]])) > 0.9
    assert reprojection_gain(np.array([[still.warped, still.still, kept.still]])) == 0.0
    assert np.isnan(reprojection_gain(np.array([[0.0, 0.0, 0.0]])))
