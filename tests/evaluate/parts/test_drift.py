import functools

import pytest

from paracosm.data.reader import Dataset
from paracosm.evaluate.parts.drift import Drift
from paracosm.evaluate.parts.long import Long

from .benches import measure_toy, value

PARTS = [Long(num_runs=2, steps=140), Drift(num_runs=2)]


@pytest.fixture(scope="module")
def measure(held_out: Dataset, reference: Dataset):
    return functools.cache(lambda kind: measure_toy(kind, PARTS, held_out, reference))


def test_the_oracle_drifts_no_sooner_than_the_true_game(measure) -> None:
    figures = measure("oracle")
    assert value(figures, "stability.seconds_until_drift") == 35.0
    figure = figures["stability.distance_to_real@30s"]
    assert value(figures, "stability.distance_to_real@30s") < 1.2 * figure.anchors["true_game"]
    late = figures["stability.distance_to_real@60s"]
    assert (late.status, late.reason) == ("skipped", "the longest run lasts 35 s")


def test_a_frozen_world_drifts_at_once_and_does_not_win_the_distance(measure) -> None:
    figures = measure("frozen")
    assert value(figures, "stability.seconds_until_drift") == 0.0
    figure = figures["stability.distance_to_real@30s"]
    assert value(figures, "stability.distance_to_real@30s") == pytest.approx(figure.anchors["copy_last"])
    assert value(figures, "stability.distance_to_real@30s") > 1.2 * figure.anchors["true_game"]


@pytest.mark.parametrize("kind", ["grey", "noise"])
def test_a_world_that_fades_or_breaks_is_far_and_drifts_soon(kind: str, measure) -> None:
    figures = measure(kind)
    assert value(figures, "stability.seconds_until_drift") < 10
    figure = figures["stability.distance_to_real@30s"]
    assert value(figures, "stability.distance_to_real@30s") > 1.5 * figure.anchors["true_game"]
