import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.evaluate.metrics.clip_features import CLIP_FRAMES, DIRECTIONS, clip_statistics, fit_encoder

LAYOUT = 192
"""Numbers of the layout: four for each of 6 x 8 cells; as many for its change follow."""


def scrolling(speed: int, count: int = 1) -> np.ndarray:
    """Clips of a texture that moves right by some pixels a frame."""
    texture = stream(7, "texture").integers(0, 256, (64, 64, 3)).astype(np.uint8)
    clip = np.stack([np.roll(texture, speed * t, axis=1) for t in range(CLIP_FRAMES)])
    return np.stack([clip] * count)


def test_a_plain_grey_clip_by_hand() -> None:
    statistics = clip_statistics(np.full((1, CLIP_FRAMES, 48, 64, 3), 51, np.uint8))[0]
    assert statistics[:LAYOUT].reshape(-1, 4)[:, :3] == pytest.approx(0.2)
    assert np.allclose(statistics[LAYOUT:], 0, atol=1e-5)  # no change, no detail, no motion


def test_flicker_between_two_greys_by_hand() -> None:
    clip = np.full((1, CLIP_FRAMES, 48, 64, 3), 100, np.uint8)
    clip[:, ::2] = 120
    change = clip_statistics(clip)[0, 2 * LAYOUT :]
    # one frame apart: 20 levels everywhere; two or four apart: none; jerk: 40
    assert change[:3] == pytest.approx(np.log1p([20, 0, 100]), abs=1e-4)
    assert change[3:9] == pytest.approx(0, abs=1e-3)
    assert change[9] == pytest.approx(np.log1p(40), abs=1e-4)


def test_speed_shows_and_its_direction_does_not() -> None:
    still, slow, fast = (clip_statistics(scrolling(speed))[0] for speed in (0, 1, 3))
    assert np.allclose(still[LAYOUT : 2 * LAYOUT], 0, atol=1e-6)
    assert np.abs(slow - fast).max() > 0.1


def test_statistics_are_the_same_every_time() -> None:
    assert np.array_equal(clip_statistics(scrolling(1)), clip_statistics(scrolling(1)))


def test_features_of_real_clips_have_unit_variance_on_average_and_a_name() -> None:
    statistics = stream(0, "statistics").normal(size=(2 * DIRECTIONS, 427)).astype(np.float32)
    encoder = fit_encoder(statistics)
    features = encoder.encode(statistics)
    assert features.shape == (2 * DIRECTIONS, DIRECTIONS)
    assert features.var(axis=0).mean() == pytest.approx(1.0)
    assert encoder.name.startswith("clip-statistics-1:")
    other = fit_encoder(statistics + 1)
    assert other.name != encoder.name


def test_clips_of_another_length_and_few_clips_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"clips of shape \(1, 4, 48, 64, 3\) cannot be described; give uint8 \(n, 8"
    ):
        clip_statistics(np.zeros((1, 4, 48, 64, 3), np.uint8))
    with pytest.raises(DataError, match="100 real clips are too few for 64 directions; give 128 or more"):
        fit_encoder(np.zeros((100, 427), np.float32))
