"""The GameWorld-style card on the toy game: the oracle at the ceiling, still pictures at nothing."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from paracosm.core.figures import Figure
from paracosm.data.reader import Dataset
from paracosm.evaluate.long_runs import learn_game
from paracosm.evaluate.parts.gameworld import GameWorld
from paracosm.evaluate.parts.short import Short
from paracosm.evaluate.runner import run_parts
from tests.evaluate.toys import SPACE, toy_config, use_toy_judges

PARTS = (Short(num_cases=4, steps=18), GameWorld(num_cases=4, steps=18, num_walks=2, depth_steps=8))
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module", autouse=True)
def _judges() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_toy_judges(patch)
        yield


@pytest.fixture(scope="module")
def measure(held_out: Dataset, reference: Dataset):
    game = learn_game(reference.episodes, SPACE, seed=0)

    @functools.cache
    def of(kind: str) -> dict[str, Figure]:
        return run_parts(PARTS, toy_config(kind, held_out.episodes, real=game)).figures

    return of


def value(figures: dict[str, Figure], name: str) -> float:
    found = figures[f"gameworld.{name}"].value
    assert found is not None, (name, figures[f"gameworld.{name}"].reason)
    return float(found)


def test_the_oracle_reaches_the_true_games_own_values(measure) -> None:
    figures = measure("oracle")
    for name in ("band_share", "own_reader_key_accuracy", "own_reader_turn_accuracy", "mirrored_walk_score"):
        assert value(figures, name) == figures[f"gameworld.{name}"].anchors["true_game"]
    assert value(figures, "mirrored_walk_score") == 1.0
    assert value(figures, "interpolation_share") == pytest.approx(1.0)
    assert value(figures, "scenario_mse") == 0.0


def test_a_frozen_world_gains_nothing_by_being_consistent(measure) -> None:
    figures = measure("frozen")
    assert value(figures, "mirrored_walk_score") == 0.0
    assert value(figures, "interpolation_share") == 0.0
    assert value(figures, "scenario_mse") == 0.0  # the original is won by standing still: hence the score
    name = "own_reader_key_accuracy"
    assert value(figures, name) == figures[f"gameworld.{name}"].anchors["copy_last"]


def test_a_world_with_controls_swapped_is_caught(measure) -> None:
    swapped, oracle = measure("swapped"), measure("oracle")
    for name in ("own_reader_key_accuracy", "own_reader_turn_accuracy"):
        assert value(swapped, name) < value(oracle, name) - 0.2


def test_originals_and_unknown_depth_say_why_they_were_not_computed(measure) -> None:
    figures = measure("oracle")
    assert figures["gameworld.image_quality_musiq"].reason == "MUSIQ is not shipped; give its ONNX file"
    assert figures["gameworld.keyboard_accuracy_vpt"].reason.startswith(
        "VPT's inverse dynamics knows Minecraft"
    )
    assert figures["gameworld.true_depth_gain"].status == "undefined"


def test_every_figure_has_its_card(measure) -> None:
    text = (DOCS / "interaction.md").read_text()
    for name in measure("oracle"):
        if name.startswith("gameworld."):
            assert re.search(rf"`{re.escape(name)}`", text), name
