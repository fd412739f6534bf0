import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.quality import (
    PSNR_CAP_DB,
    STATISTICS,
    frame_statistics,
    luma,
    motion,
    psnr_db,
    sharpness,
)


def plain(level: int, shape: tuple[int, ...] = (4, 4, 3)) -> np.ndarray:
    return np.full(shape, level, np.uint8)


def test_psnr_of_an_error_of_one_level_is_48_13_db() -> None:
    assert psnr_db(plain(10), plain(11)) == pytest.approx(10 * np.log10(255**2), abs=1e-9)


def test_psnr_of_black_against_white_is_0_db() -> None:
    assert psnr_db(plain(0), plain(255)) == pytest.approx(0.0)


def test_psnr_averages_the_error_and_not_the_decibels_within_a_frame() -> None:
    image = plain(100)
    image[0, 0] = 104  # one pixel in sixteen is off by 4: mean square error 1
    assert psnr_db(image, plain(100)) == pytest.approx(48.1308, abs=1e-3)


def test_equal_frames_count_as_the_cap_and_each_frame_by_itself() -> None:
    clip = np.stack([plain(3), plain(9)])
    assert psnr_db(clip, clip).tolist() == [PSNR_CAP_DB, PSNR_CAP_DB]


def test_psnr_refuses_frames_of_different_shapes() -> None:
    with pytest.raises(DataError, match=r"frames of shape \(4, 4, 3\) cannot be compared with \(4, 5, 3\)"):
        psnr_db(plain(0), plain(0, (4, 5, 3)))


def test_luma_follows_bt_601() -> None:
    pixel = np.array([[[100, 200, 50]]], np.uint8)
    assert luma(pixel)[0, 0] == pytest.approx(0.299 * 100 + 0.587 * 200 + 0.114 * 50, abs=1e-3)


def test_sharpness_of_one_pixel_stripes_is_half_their_step() -> None:
    stripes = np.zeros((6, 6, 3), np.uint8)
    stripes[:, 1::2] = 80  # every step across is 80, every step down 0
    assert sharpness(stripes) == pytest.approx(40.0, abs=1e-4)


def test_blur_lowers_sharpness_and_noise_raises_it() -> None:
    picture = np.random.default_rng(0).integers(60, 190, (24, 24, 3)).astype(np.uint8)
    blurred = ((picture[1:-1, 1:-1].astype(int) + picture[:-2, 1:-1] + picture[2:, 1:-1]) // 3).astype(
        np.uint8
    )
    noisy = np.clip(picture + np.random.default_rng(1).normal(0, 40, picture.shape), 0, 255).astype(np.uint8)
    assert sharpness(blurred) < sharpness(picture) < sharpness(noisy)


def test_motion_is_the_mean_change_of_brightness() -> None:
    clip = np.stack([plain(10), plain(10), plain(25)])
    assert motion(clip).tolist() == pytest.approx([0.0, 15.0], abs=1e-4)


def test_statistics_of_a_red_clip_are_those_computed_by_hand() -> None:
    clip = np.zeros((2, 4, 4, 3), np.uint8)
    clip[1, ..., 0] = 100
    row = dict(zip(STATISTICS, frame_statistics(clip)[0], strict=True))
    expected = {
        "sharpness": 0,
        "brightness": 29.9,
        "chroma": 100,
        "red_green": 100,
        "yellow_blue": 50,
        "motion": 29.9,
    }
    assert row == pytest.approx(expected, abs=1e-4)
