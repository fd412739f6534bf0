import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.metrics.structure import changed_pixels, moving_psnr_db, ssim
from paracosm.evaluate.quality import PSNR_CAP_DB

SCIKIT_IMAGE = {(20, 24, 3): 0.745579498745701, (48, 64, 3): 0.8002365797534144}
"""scikit-image 0.26.0, structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
data_range=255) of the brightness of :func:`pair`."""

BRIGHTNESS_TOLERANCE = 1e-7
"""Brightness is summed in float32, in another order on another processor."""


def pair(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    row, column, colour = np.indices(shape)
    base = row * 37 + column * 11 + colour * 5
    return (base % 256).astype(np.uint8), ((base + (row * column) % 23) % 256).astype(np.uint8)


@pytest.mark.parametrize("shape", SCIKIT_IMAGE)
def test_ssim_is_that_of_scikit_image(shape: tuple[int, int, int]) -> None:
    assert float(ssim(*pair(shape))) == pytest.approx(SCIKIT_IMAGE[shape], abs=BRIGHTNESS_TOLERANCE)


def test_ssim_of_equal_frames_is_1() -> None:
    image, _ = pair((20, 24, 3))
    assert float(ssim(image, image)) == pytest.approx(1.0)


def test_ssim_of_two_plain_pictures_is_the_ratio_of_their_means() -> None:
    # no structure: (2 m1 m2 + C1) / (m1² + m2² + C1), with C1 = 2.55² = 6.5025
    dark, light = np.full((12, 12, 3), 100, np.uint8), np.full((12, 12, 3), 200, np.uint8)
    assert float(ssim(dark, light)) == pytest.approx((2 * 100 * 200 + 6.5025) / (100**2 + 200**2 + 6.5025))


def test_ssim_takes_stacks_and_judges_each() -> None:
    image, other = pair((20, 24, 3))
    scores = ssim(np.stack([image, image]), np.stack([image, other]))
    assert scores[0] == pytest.approx(1.0)
    assert scores[1] == pytest.approx(SCIKIT_IMAGE[20, 24, 3], abs=BRIGHTNESS_TOLERANCE)


def test_ssim_refuses_frames_smaller_than_its_window() -> None:
    small = np.zeros((8, 20, 3), np.uint8)
    with pytest.raises(DataError, match="SSIM needs frames of at least 11 x 11 pixels; these are 8 x 20"):
        ssim(small, small)


def test_shapes_must_agree() -> None:
    with pytest.raises(
        DataError, match=r"frames of shape \(12, 12, 3\) cannot be compared with \(12, 13, 3\)"
    ):
        ssim(np.zeros((12, 12, 3), np.uint8), np.zeros((12, 13, 3), np.uint8))


def test_changed_pixels_grow_by_one_all_round() -> None:
    start = np.zeros((9, 9, 3), np.uint8)
    truth = start.copy()
    truth[4, 4, 1] = 9  # one level above the bound, in one channel
    expected = np.zeros((9, 9), bool)
    expected[3:6, 3:6] = True
    assert np.array_equal(changed_pixels(truth, start), expected)
    truth[4, 4, 1] = 8
    assert not changed_pixels(truth, start).any()


def test_moving_psnr_counts_only_what_the_true_game_changed() -> None:
    start = np.zeros((12, 12, 3), np.uint8)
    truth = start.copy()
    truth[4:8, 4:8] = 100  # grown: 36 pixels judged, 16 of them moved
    image = truth.copy()
    image[:3] = 255  # wrong, but far from anything that moved
    assert moving_psnr_db(image, truth, start) == PSNR_CAP_DB
    # the copied start is off by 100 in 16 of 36 pixels
    assert moving_psnr_db(start, truth, start) == pytest.approx(10 * np.log10(255**2 / (100**2 * 16 / 36)))


def test_moving_psnr_has_no_value_where_nothing_moved() -> None:
    start = np.zeros((12, 12, 3), np.uint8)
    assert np.isnan(moving_psnr_db(start, start, start))
