"""Every figure that the parts give has a card that agrees with it, and the page holds every card."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from paracosm.core.figures import Figure
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.metrics.cards import SECTIONS, card_of, cards_page
from paracosm.evaluate.part import Part
from paracosm.evaluate.parts.camera import Camera
from paracosm.evaluate.parts.distances import Distances
from paracosm.evaluate.parts.memory import Memory
from paracosm.evaluate.parts.responses import Responses
from paracosm.evaluate.parts.structure import Structure

PARTS: Sequence[Part] = (
    Structure(num_cases=1, steps=64, horizons=(1, 4, 8, 16, 32, 64)),
    Responses(num_cases=1),
    Camera(num_cases=1),
    Memory(num_cases=1),
    Distances(),
)
NO_BENCH = cast(Bench, None)
"""Measuring nothing asks the bench for nothing."""


def figures_of(part: Part) -> dict[str, Any]:
    return dict(part.measure(NO_BENCH, []))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_figure_has_a_card_that_agrees(part: Part) -> None:
    figures = figures_of(part)
    assert figures
    for name, figure in figures.items():
        card = card_of(name)
        assert card is not None, f"{name} has no card in evaluate/metrics/cards.py"
        if not isinstance(figure, Figure):
            assert (figure.unit, figure.higher_is_better) == (card.unit, card.higher_is_better), name


def test_figures_of_long_runs_have_cards() -> None:
    # the part needs real views even to measure nothing
    for name in ("stability.distance_to_real@300s", "stability.seconds_until_drift"):
        assert card_of(name) is not None
        assert card_of(f"unseen.{name}") is not None


def test_every_card_says_all_it_must() -> None:
    for cards in SECTIONS.values():
        for card in cards:
            assert len(card.formula) > 20 or card.formula.startswith("the same"), card.name
            assert card.traps, card.name
            assert card.low is None or card.high is None or card.low < card.high, card.name


def test_no_two_cards_claim_one_figure() -> None:
    names = [card.name for cards in SECTIONS.values() for card in cards]
    assert len(set(names)) == len(names)
    for name in names:
        claims = [card.name for cards in SECTIONS.values() for card in cards if card.fits(name.lower())]
        assert claims == [name]


def test_the_page_is_fresh() -> None:
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert page.read_text() == cards_page(), "run make docs"
