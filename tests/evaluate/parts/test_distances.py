import functools

import pytest

from paracosm.data.reader import Dataset
from paracosm.evaluate.metrics import distances as metric
from paracosm.evaluate.parts import distances as part
from paracosm.evaluate.parts.distances import Distances

from .benches import measure_toy, value

FEW = 48
"""Clips on each side in these tests; the figures ask for 1,024, which would take minutes."""


@pytest.fixture(scope="module")
def measure(held_out: Dataset, reference: Dataset):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric, "LEAST_CLIPS", FEW)
        patch.setattr(part, "LEAST_CLIPS", FEW)
        yield functools.cache(lambda kind: measure_toy(kind, [Distances(num_cases=FEW)], held_out, reference))


def test_the_oracle_stands_at_the_floor(measure) -> None:
    figures = measure("oracle")
    for name, figure in figures.items():
        assert value(figures, name) == pytest.approx(figure.anchors["true_game"]), name
        assert figure.anchors["true_game"] < figure.anchors["copy_last"]
    assert figures["distance.kernel@8"].ci95 is not None
    assert figures["distance.frechet@8"].ci95 is None


@pytest.mark.parametrize("kind", ["frozen", "noise"])
def test_frozen_and_noisy_worlds_stand_above_the_floor(kind: str, measure) -> None:
    figures = measure(kind)
    for name, figure in figures.items():
        assert value(figures, name) > 2 * abs(figure.anchors["true_game"]), name


def test_few_clips_have_no_distance(held_out: Dataset, reference: Dataset) -> None:
    figures = measure_toy("oracle", [Distances(num_cases=2)], held_out, reference)
    figure = figures["distance.frechet@8"]
    assert figure.status == "undefined"
    assert figure.reason.startswith("2 clips on each side")
    assert "needed are" in figure.reason
