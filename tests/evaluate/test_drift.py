import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.drift import (
    FROZEN_SPELL,
    STILL_GREY_LEVELS,
    Places,
    coarse_views,
    count_places,
    fit_band,
    fit_places,
    frozen_steps,
    in_band,
    recognise,
    spread,
    still_threshold,
)


def test_the_band_is_the_1st_to_99th_percentile_and_every_statistic_must_lie_in_it() -> None:
    real = np.stack([np.arange(101.0), np.arange(101.0) * 2], axis=1)
    band = fit_band(real)
    assert (band.low.tolist(), band.high.tolist()) == ([1.0, 2.0], [99.0, 198.0])
    rows = np.array([[1.0, 2.0], [50, 100], [50, 199], [0.5, 100], [99, 198]])
    assert in_band(rows, band).tolist() == [True, True, False, False, True]


def test_a_band_of_too_few_frames_is_refused() -> None:
    with pytest.raises(
        DataError, match="99 real frames are too few for 1st and 99th percentiles; give at least 100"
    ):
        fit_band(np.zeros((99, 2)))


def test_frozen_is_a_long_still_spell_with_a_key_held() -> None:
    motion = np.full(40, 3.0)
    moving = np.ones(40, bool)
    motion[2 : 2 + FROZEN_SPELL - 1] = 0  # one step too short
    motion[20 : 20 + FROZEN_SPELL] = 0
    frozen = frozen_steps(motion, moving, 0.1)
    assert np.flatnonzero(frozen).tolist() == list(range(20, 20 + FROZEN_SPELL))
    moving[24] = False  # letting go ends the spell
    assert not frozen_steps(motion, moving, 0.1).any()


def test_a_spell_that_lasts_to_the_end_is_found() -> None:
    assert frozen_steps(np.zeros(FROZEN_SPELL), np.ones(FROZEN_SPELL, bool), 0.1).all()


def test_the_still_threshold_is_the_games_own_first_percentile_but_never_high() -> None:
    motion = np.concatenate([np.arange(101) / 100, np.full(50, 0.0)])
    moving = np.arange(151) < 101
    assert still_threshold(motion, moving) == pytest.approx(0.01)
    assert still_threshold(motion + 9, moving) == STILL_GREY_LEVELS
    assert still_threshold(motion, np.zeros(151, bool)) == STILL_GREY_LEVELS


def test_spread_is_the_trace_of_the_covariance() -> None:
    assert spread(np.array([[0.0, 0], [2, 0], [0, 4], [2, 4]])) == pytest.approx(1 + 4)
    assert spread(np.ones((5, 3))) == 0.0


def test_coarse_views_are_cell_means_of_colour_and_edges() -> None:
    frame = np.zeros((1, 48, 64, 3), np.uint8)
    frame[0, :, 32:, 0] = 255
    views = coarse_views(frame).reshape(6, 8, 4)
    assert (views[:, :4, :3] == 0).all()
    assert views[:, 4:, 0] == pytest.approx(1.0)
    edge = (
        2 * 0.299 * 7 / 64
    )  # the last of eight columns has the edge; the last row of the picture has none below it
    assert views[5, 3, 3] == pytest.approx(edge, abs=1e-3)


def test_views_are_named_by_the_nearest_place_or_not_at_all() -> None:
    places = Places(centres=np.array([[0.0, 0], [10, 0]], np.float32), radius=2.0)
    labels = recognise(np.array([[1.0, 0], [9, 1], [5, 0], [0, 1.9]]), places)
    assert labels.tolist() == [0, 1, -1, 0]


def test_a_place_counts_after_three_frames() -> None:
    assert count_places(np.array([0, 0, 0, 1, 1, -1, -1, -1, 4, 4, 4, 4])) == 2
    assert count_places(np.array([-1, -1, -1])) == 0


def test_clusters_find_the_rooms_and_strangers_are_not_recognised() -> None:
    generator = np.random.default_rng(0)
    rooms = generator.normal(0, 10, (4, 6))
    views = np.concatenate([room + generator.normal(0, 0.1, (50, 6)) for room in rooms])
    places = fit_places(views, num_places=8)
    assert (recognise(views, places) >= 0).mean() == pytest.approx(0.95, abs=0.01)
    assert (recognise(views + 30, places) == -1).all()


def test_fewer_views_than_places_are_refused() -> None:
    with pytest.raises(DataError, match="3 real views are too few for 64 places; give more frames"):
        fit_places(np.zeros((3, 2)))
