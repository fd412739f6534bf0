import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.flow import block_flow, clip_motion, picture_motion


def texture(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """Smooth random picture: noise at 1/4 of the size, enlarged linearly."""
    coarse = (
        np.random.default_rng(seed).integers(0, 255, (height // 4 + 2, width // 4 + 2)).astype(np.float32)
    )
    rows, columns = np.arange(height) / 4, np.arange(width) / 4
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], (columns - left)[None]
    one = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    two = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    return np.repeat((one * (1 - down) + two * down)[..., None], 3, -1).astype(np.uint8)


def window(picture: np.ndarray, top: int, left: int) -> np.ndarray:
    return picture[top : top + 48, left : left + 64]


@pytest.mark.parametrize(("down", "right"), [(0, 3), (0, -3), (4, 0), (-2, 5), (0, 0), (7, -7)])
def test_a_shifted_picture_gives_its_shift(down: int, right: int) -> None:
    picture = texture()
    motion = picture_motion(block_flow(window(picture, 30, 40), window(picture, 30 - down, 40 - right)))
    assert (motion.down, motion.right) == pytest.approx((down, right), abs=0.1)
    assert motion.growth == pytest.approx(0, abs=0.01)


def test_half_a_pixel_is_seen() -> None:
    fine = texture(240, 320)
    first, second = (
        fine[40:136, left : left + 128].reshape(48, 2, 64, 2, 3).mean((1, 3)) for left in (60, 59)
    )
    motion = picture_motion(block_flow(first.astype(np.uint8), second.astype(np.uint8)))
    assert motion.right == pytest.approx(0.5, abs=0.2)


def test_a_plain_picture_stands_still_with_no_weight() -> None:
    grey = np.full((48, 64, 3), 90, np.uint8)
    flow = block_flow(grey, grey)
    assert not flow.shift.any()
    assert not flow.weight.any()
    assert picture_motion(flow).right == 0.0


@pytest.mark.parametrize("scale", [1.1, 0.9])
def test_growth_away_from_the_centre_has_its_sign_and_size(scale: float) -> None:
    picture = texture()
    rows = 60 + (np.arange(48) - 23.5) / scale
    columns = 80 + (np.arange(64) - 31.5) / scale
    grown = picture[np.rint(rows).astype(int)][:, np.rint(columns).astype(int)]
    motion = picture_motion(block_flow(picture[36:84, 48:112], grown))
    assert motion.growth == pytest.approx(scale - 1, abs=0.03)


def test_steps_of_a_clip_add_up_and_opposite_clips_cancel() -> None:
    picture = texture()
    clip = np.stack([window(picture, 30, 40 + 2 * i) for i in range(5)])
    there, back = clip_motion(clip), clip_motion(clip[::-1])
    assert there.right == pytest.approx(-8, abs=0.3)
    assert back.right == pytest.approx(8, abs=0.3)


def test_frames_too_small_for_one_inner_block_are_refused() -> None:
    small = np.zeros((20, 64, 3), np.uint8)
    with pytest.raises(DataError, match="flow needs two equal frames of at least 24 x 24 pixels"):
        block_flow(small, small)
