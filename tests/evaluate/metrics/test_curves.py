import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.drift import Places, coarse_views
from paracosm.evaluate.metrics.curves import (
    CURVES,
    drift_curves,
    out_of_bounds,
    per_second,
    seconds_until,
    view_distance,
)


def plain(level: int, count: int = 1) -> np.ndarray:
    return np.full((count, 48, 64, 3), level, np.uint8)


def test_view_distance_is_in_radii_of_the_nearest_place() -> None:
    places = Places(centres=coarse_views(np.concatenate([plain(0), plain(255)])), radius=4.0)
    # grey 51 is 0.2 from black in 144 colour cells of 192: sqrt(144 * 0.04) = 2.4
    assert view_distance(plain(51), places)[0] == pytest.approx(2.4 / 4.0, rel=1e-5)
    assert view_distance(plain(255), places)[0] == pytest.approx(0.0, abs=1e-3)


def test_curves_have_a_row_for_each_frame_but_the_first() -> None:
    places = Places(centres=coarse_views(plain(10)), radius=1.0)
    curves = drift_curves(np.concatenate([plain(10), plain(20), plain(20)]), places)
    assert curves.shape == (2, len(CURVES))
    assert curves[:, CURVES.index("brightness")].tolist() == pytest.approx([20.0, 20.0])
    assert curves[:, CURVES.index("motion")].tolist() == pytest.approx([10.0, 0.0])
    assert curves[:, CURVES.index("saturation")].tolist() == [0.0, 0.0]


def test_seconds_are_whole_and_broken_rates_keep_step() -> None:
    assert per_second(np.arange(7.0), 2.0).tolist() == [0.5, 2.5, 4.5]
    # 2.5 steps a second: two, then three, then two
    assert per_second(np.arange(7.0), 2.5).tolist() == [0.5, 3.0]
    with pytest.raises(DataError, match="3 steps at 4 a second are not one second; play longer"):
        per_second(np.zeros(3), 4.0)


def test_drift_begins_with_three_bad_seconds_in_a_row() -> None:
    assert seconds_until(np.array([0, 1, 1, 0, 0, 1, 1, 1, 0], bool)) == 5
    assert seconds_until(np.array([1, 1, 1], bool)) == 0
    assert seconds_until(np.array([0, 1, 1, 0, 1, 1], bool)) == 6


def test_one_curve_out_of_bounds_is_enough() -> None:
    curves = np.array([[0.5, 5.0], [1.5, 5.0], [0.5, 9.0]])
    assert out_of_bounds(curves, np.array([-np.inf, 4.0]), np.array([1.0, 6.0])).tolist() == [
        False,
        True,
        True,
    ]
