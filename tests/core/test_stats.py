import math

import numpy as np
import pytest

from paracosm.core.rng import stream
from paracosm.core.stats import bootstrap_ci95, estimate, paired_difference, percentiles


def test_the_interval_covers_the_true_mean_about_19_times_in_20():
    draws = stream(0, "coverage")
    hits = 0
    for seed in range(100):
        low, high = bootstrap_ci95(draws.normal(3.0, 1.0, 60), seed)
        hits += low <= 3.0 <= high
    assert hits >= 88


def test_the_same_seed_gives_the_same_interval():
    values = stream(1, "values").normal(size=50)
    assert bootstrap_ci95(values, 5) == bootstrap_ci95(values, 5)
    assert bootstrap_ci95(values, 5) != bootstrap_ci95(values, 6)


def test_mean_and_standard_error_are_the_textbook_ones():
    found = estimate([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5
    assert found.n == 4
    assert found.standard_error == pytest.approx(math.sqrt(5 / 3) / 2)
    assert found.ci95[0] < 2.5 < found.ci95[1]


def test_one_value_has_no_standard_error():
    found = estimate([2.0])
    assert math.isnan(found.standard_error)
    assert found.ci95 == (2.0, 2.0)


def test_a_paired_difference_is_sharper_than_two_estimates():
    draws = stream(2, "pairs")
    base = draws.normal(0, 10, 40)
    paired = paired_difference(base + 1.0, base + draws.normal(0, 0.1, 40))
    assert paired.ci95[0] > 0.9
    with pytest.raises(ValueError, match="40 and 39 values cannot be paired"):
        paired_difference(base, base[:-1])


def test_nothing_and_nan_are_refused():
    with pytest.raises(
        ValueError, match="no values were given; a figure of nothing is not computed, never 0"
    ):
        estimate([])
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        percentiles([1.0, float("nan")])


def test_percentiles_are_named():
    assert percentiles(np.arange(101), (50, 99.9)) == {"p50": 50.0, "p99.9": pytest.approx(99.9)}
