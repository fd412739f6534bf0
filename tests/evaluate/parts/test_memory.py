import functools

import pytest

from paracosm.data.reader import Dataset
from paracosm.evaluate.parts.memory import Memory

from .benches import measure_toy, value


@pytest.fixture(scope="module")
def measure(held_out: Dataset, reference: Dataset):
    return functools.cache(lambda kind: measure_toy(kind, [Memory(num_cases=2)], held_out, reference))


def test_the_oracle_comes_back(measure) -> None:
    figures = measure("oracle")
    for name in ("memory.score", "memory.score.turn", "memory.score.walk", "memory.score@5_60s"):
        assert value(figures, name) == figures[name].anchors["true_game"] == 1.0
    assert value(figures, "memory.return_ratio") == 0.0


def test_what_the_true_game_does_not_come_back_from_is_not_judged(measure) -> None:
    # 360 columns are no whole turn of the toy's 192
    figure = measure("oracle")["memory.score.full_turn"]
    assert (figure.status, figure.reason) == (
        "undefined",
        "from no start does the true game leave and come back",
    )


def test_a_frozen_world_remembers_nothing_though_its_view_is_the_same(measure) -> None:
    figures = measure("frozen")
    assert value(figures, "memory.return_ratio") == 0.0
    assert value(figures, "memory.score") == figures["memory.score"].anchors["copy_last"] == 0.0


@pytest.mark.parametrize("kind", ["blind", "noise"])
def test_a_world_that_goes_elsewhere_remembers_nothing(kind: str, measure) -> None:
    assert value(measure(kind), "memory.score") < 0.1
