"""What counts as a cut: frames whose story is known, judged one proposal at a time."""

import cv2
import numpy as np

from paracosm.curate.cut_evidence import cut_chance
from paracosm.curate.motion_field import slid_difference
from tests.curate.made import pan, texture

PLACE = 6


def chance(frames: list[np.ndarray], place: int = PLACE) -> float:
    smalls = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    return cut_chance(smalls, [cv2.cvtColor(small, cv2.COLOR_BGR2GRAY) for small in smalls], place)


def plain_ground(level: int, seed: int = 0) -> np.ndarray:
    """Sky over grass with a few bushes, (300, 128, 3); the view's top row chooses how high one stands."""
    picture = np.full((300, 128, 3), (200, 240, 245), np.uint8)
    picture[level:] = (160, 215, 70)
    for place in np.random.default_rng(seed).integers(0, 110, 4):
        picture[level - 8 : level, place : place + 14] = (120, 180, 30)
    return picture


def test_a_cut_between_quick_turns_is_believed():
    assert chance([*pan(1, 6, step=9), *pan(2, 7, step=-9)]) > 0.9


def test_a_quick_turn_is_not_believed():
    assert chance(pan(1, 13, step=12)) < 0.1


def test_a_jump_over_a_plain_picture_is_not_believed():
    ground = plain_ground(200)
    tops = [150] * PLACE + [138, 127, 117, 108, 100, 93, 87]
    assert chance([ground[top : top + 72] for top in tops]) < 0.1


def test_a_cut_between_plain_pictures_is_believed():
    one, two = plain_ground(200, seed=1), plain_ground(170, seed=2)
    frames = [one[150:222]] * PLACE + [two[150:222]] * 7
    assert chance(frames) > 0.5


def test_a_small_flash_in_a_still_picture_is_not_believed():
    still = texture(3, 72, 128)
    lit = still.copy()
    lit[40:56, 58:72] = 255
    assert chance([still] * PLACE + [lit] * 3 + [still] * 4) < 0.1


def test_a_flash_of_the_whole_picture_is_not_believed():
    frames = pan(4, 13)
    frames[PLACE] = np.minimum(frames[PLACE].astype(int) + 120, 255).astype(np.uint8)
    assert chance(frames) < 0.1


def test_the_first_and_last_frames_of_a_source_can_be_judged():
    frames = [*pan(1, 1), *pan(2, 1)]
    assert 0 <= chance(frames, 1) <= 1


def test_a_shift_of_up_to_a_fifth_is_explained_in_colour():
    big = texture(5, 60, 100)
    before, after, other = big[6:54, 10:74], big[0:48, 0:64], texture(6, 48, 64)
    difference, replaced = slid_difference(np.ascontiguousarray(before), np.ascontiguousarray(after))
    assert difference < 0.001
    assert replaced == 0
    difference, replaced = slid_difference(np.ascontiguousarray(before), other)
    assert difference > 0.1
    assert replaced > 0.2
