"""The figures in a model card are those of the stored report."""

import pytest

from benchmarks.cards import BEGIN, END, card_file, figures_table, fresh_card, report_file
from paracosm.core.figures import Figure, Report, not_computed, read_report
from paracosm.zoo import bundled_worlds


@pytest.mark.parametrize("world", sorted(bundled_worlds()))
def test_a_card_shows_the_stored_report(world: str) -> None:
    card = card_file(bundled_worlds()[world]).read_text()
    assert card == fresh_card(card, figures_table(world, read_report(report_file(world))))


def test_a_table_tells_values_anchors_targets_and_what_was_not_computed() -> None:
    figures = {
        "tokenizer.psnr_db": Figure(
            value=27.5, unit="dB", n=8, ci95=(27.0, 28.0), anchors={"copy_last": 12.0}
        ),
        "control.keys_share_of_ceiling": not_computed("skipped", "no reader"),
    }
    report = Report(
        command="paracosm evaluate doom",
        commit="abc",
        hardware={"cores": 2, "cpu": "x"},
        seeds=(0,),
        figures=figures,
    )
    table = figures_table("doom", report)
    assert "| tokenizer.psnr_db | 27.5 dB | 27 to 28 | 8 |  | 12 |  |  | >= 28 **missed** |" in table
    assert "| control.keys_share_of_ceiling | skipped |" in table


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    card = f"# A\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    assert fresh_card(card, "new") == f"# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"
