import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.metrics.responses import (
    action_margin,
    changed_share,
    delta_psnr_db,
    effect_delay,
    spread_of_responses,
    stop_time,
    together_margin_db,
)


def test_delta_psnr_is_the_difference_of_both() -> None:
    assert delta_psnr_db(np.array([20.0, 30.0]), np.array([18.0, 33.0])).tolist() == [2.0, -3.0]


def test_action_margin_takes_the_best_wrong_control() -> None:
    margins = action_margin(np.array([10.0, 10.0]), np.array([[50.0, 30.0], [5.0, 90.0]]))
    assert margins.tolist() == [20.0, -5.0]


def test_action_margin_needs_a_wrong_control() -> None:
    with pytest.raises(
        DataError, match=r"have shape \(2, 0\); give \(cases, controls\), one control or more"
    ):
        action_margin(np.zeros(2), np.zeros((2, 0)))


def test_spread_is_the_mean_squared_difference_over_pairs() -> None:
    frames = np.zeros((3, 2, 2, 3), np.uint8)
    frames[1], frames[2] = 3, 9  # pairs differ by 3, 9 and 6
    assert spread_of_responses(frames) == pytest.approx((9 + 81 + 36) / 3)


def test_spread_of_a_blind_world_is_0_and_of_one_control_refused() -> None:
    assert spread_of_responses(np.full((4, 2, 2, 3), 7, np.uint8)) == 0
    with pytest.raises(DataError, match="pictures of at least two controls; one was given"):
        spread_of_responses(np.zeros((1, 2, 2, 3), np.uint8))


def test_changed_share_counts_pixels_beyond_12_levels_in_any_channel() -> None:
    one = np.zeros((1, 2, 2, 3), np.uint8)
    other = one.copy()
    other[0, 0, 0] = (0, 13, 0)
    other[0, 0, 1] = (12, 12, 12)
    assert changed_share(one, other).tolist() == [0.25]


def test_effect_shows_at_the_first_frame_that_differs() -> None:
    idle = np.zeros((5, 10, 10, 3), np.uint8)
    held = idle.copy()
    held[2:, 0, 0] = 255  # one pixel in a hundred
    assert effect_delay(held, idle) == 3
    held[0, 0, 0] = 255
    assert effect_delay(held, idle) == 1


def test_no_effect_has_no_delay() -> None:
    frames = np.zeros((5, 20, 20, 3), np.uint8)
    held = frames.copy()
    held[:, 0, 0] = 255  # one pixel in four hundred is ripple
    assert effect_delay(held, frames) is None


def test_stop_time_needs_three_calm_steps() -> None:
    assert stop_time(np.array([5.0, 0.1, 5.0, 0.1, 0.1, 0.1]), calm=0.5) == 3
    assert stop_time(np.array([0.1, 0.1, 0.1]), calm=0.5) == 0
    assert stop_time(np.array([5.0, 5.0, 0.1, 0.1]), calm=0.5) is None


def test_a_world_that_drops_one_of_two_keys_has_no_margin() -> None:
    assert together_margin_db(np.array([30.0, 20.0]), np.array([[18.0, 25.0], [20.0, 15.0]])).tolist() == [
        5.0,
        0.0,
    ]
