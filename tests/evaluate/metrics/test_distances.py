import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.evaluate.metrics.distances import ResampledKernel, frechet_distance, kernel_distance


def signs(count: int) -> np.ndarray:
    """Features of width 2, mean 0 and covariance count / (count - 1) times the identity."""
    return np.tile([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], (count // 4, 1))


def test_frechet_of_a_shift_is_its_square() -> None:
    one = signs(1024)
    assert frechet_distance(one, one + np.array([3.0, 4.0])) == pytest.approx(25.0)


def test_frechet_of_a_stretch_compares_standard_deviations() -> None:
    # tr(S + 9 S - 2 (9 S²)^½) = (1 - 3)² tr(S), with tr(S) = 2 * 1024 / 1023
    one = signs(1024)
    assert frechet_distance(one, 3 * one) == pytest.approx(4 * 2 * 1024 / 1023)


def test_frechet_of_a_set_with_itself_in_another_order_is_0() -> None:
    one = stream(0, "features").normal(size=(1024, 64))
    assert frechet_distance(one, one[::-1]) == pytest.approx(0.0, abs=1e-9)


def test_frechet_bias_at_the_smallest_size_and_widest_features_is_the_known_one() -> None:
    generator = stream(1, "features")
    one, two = generator.normal(size=(2, 1024, 64))
    assert frechet_distance(one, two) == pytest.approx(2.2, abs=0.3)


def test_kernel_distance_by_hand() -> None:
    # one set at +-1, the other at 0: k(x, y) = (xy + 1)³ with d = 1
    one = np.tile([[1.0], [-1.0]], (512, 1))
    two = np.zeros((1024, 1))
    # pairs of ones: 8 where signs agree (511 of 1023 others), 0 where not; zeros: 1; across: mean of 1 = 1
    assert kernel_distance(one, two) == pytest.approx(8 * 511 / 1023 + 1 - 2)


def test_kernel_distance_is_unbiased() -> None:
    values = []
    for seed in range(8):
        one, two = stream(seed, "unbiased").normal(size=(2, 1024, 8))
        values.append(kernel_distance(one, two))
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0


def test_resampling_every_clip_once_gives_the_distance_itself() -> None:
    generator = stream(0, "interval")
    one, other, reference = generator.normal(size=(3, 1024, 4))
    kernel = ResampledKernel({"one": one, "other": other + 0.5}, reference)
    assert kernel(kernel.rows("one")) == pytest.approx(kernel_distance(one, reference))
    assert kernel(kernel.rows("other")[::-1]) == pytest.approx(kernel_distance(other + 0.5, reference))


def test_resampling_with_repeats_is_not_biased() -> None:
    generator = stream(3, "repeats")
    one, reference = generator.normal(size=(2, 1024, 4))
    kernel = ResampledKernel({"one": one}, reference)
    rows = kernel.rows("one")
    draws = [kernel(rows[generator.integers(0, 1024, 1024)]) for _ in range(50)]
    error = np.std(draws, ddof=1) / np.sqrt(50)
    assert np.mean(draws) == pytest.approx(kernel_distance(one, reference), abs=4 * error)


def test_a_part_of_the_clips_has_no_resampled_distance() -> None:
    one = stream(0, "few").normal(size=(1024, 2))
    kernel = ResampledKernel({"one": one}, one)
    assert np.isnan(kernel(kernel.rows("one")[:1000]))


def test_few_clips_are_refused() -> None:
    few = np.zeros((1023, 4))
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(DataError, match=r"1023 clips are too few .* give at least 1024 on each side"):
            distance(few, few)


def test_wide_features_are_refused() -> None:
    wide = np.zeros((1024, 65))
    with pytest.raises(
        DataError, match="65 features a clip are too many for 1024 clips; project to at most 64"
    ):
        frechet_distance(wide, wide)


def test_unequal_sets_and_broken_numbers_are_refused() -> None:
    with pytest.raises(DataError, match=r"features of shape \(1024, 4\) and \(1025, 4\) cannot be compared"):
        frechet_distance(np.zeros((1024, 4)), np.zeros((1025, 4)))
    broken = np.zeros((1024, 4))
    broken[5, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        kernel_distance(broken, np.zeros((1024, 4)))
