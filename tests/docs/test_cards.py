"""Figures of bundled worlds, in cards and pages, are those of the stored reports."""

import re
from dataclasses import replace

import pytest

from benchmarks.cards import (
    BEGIN,
    END,
    FOLDER,
    HEAD_BEGIN,
    HEAD_END,
    HEADLINES,
    REPORTS,
    ROOT,
    card_file,
    figures_table,
    fresh_documents,
    fresh_text,
    headlines_table,
    join_figures,
    pages,
    results_table,
)
from paracosm.core.figures import Figure, Report, not_computed
from paracosm.zoo import bundled_worlds

MEASURED = re.compile(r"\d[\d.,]*\s*(dB|frames/s|frames a second|ms|%)(?!\w)")
"""What reads like a measured number."""


def report_of(figures: dict[str, Figure]) -> Report:
    return Report(
        command="paracosm evaluate doom",
        commit="abc",
        hardware={"cores": 2, "cpu": "x"},
        seeds=(0,),
        figures=figures,
    )


def test_every_card_and_page_shows_the_stored_reports() -> None:
    documents = fresh_documents()
    assert {card_file(folder) for folder in bundled_worlds().values()} <= set(documents)
    assert ROOT / "README.md" in pages()
    for file, text in documents.items():
        assert file.read_text() == text, f"{file.relative_to(ROOT)} is stale; run: python -m benchmarks.cards"


def test_every_bundled_world_has_a_stored_report() -> None:
    assert set(REPORTS) == set(bundled_worlds())
    assert all((FOLDER / name).is_file() for names in REPORTS.values() for name in names)


def test_the_readme_tells_no_measured_number_outside_the_markers() -> None:
    text = (ROOT / "README.md").read_text()
    outside = text.partition(HEAD_BEGIN)[0] + text.partition(HEAD_END)[2]
    assert MEASURED.search("reaches 31.5 dB")
    assert not MEASURED.search("64 pixels a side")
    assert [found[0] for found in MEASURED.finditer(outside)] == []


def test_a_table_tells_values_anchors_targets_and_what_was_not_computed() -> None:
    figures = {
        "tokenizer.psnr_db": Figure(
            value=27.5, unit="dB", n=8, ci95=(27.0, 28.0), anchors={"copy_last": 12.0}
        ),
        "control.keys_share_of_ceiling": not_computed("skipped", "no reader"),
    }
    table = figures_table("doom", [report_of(figures)])
    assert "| tokenizer.psnr_db | 27.5 dB | 27 to 28 | 8 |  | 12 |  |  | >= 28 **missed** |" in table
    assert "| control.keys_share_of_ceiling | skipped | | | | | | | no reader; >= 0.9 not measured |" in table


def test_headlines_tell_world_value_interval_and_bar_and_leave_out_what_has_no_meaning() -> None:
    doom = report_of({
        "tokenizer.psnr_db": Figure(value=28.25, unit="dB", n=8, ci95=(27.0, 29.0)),
        "control.keys_share_of_ceiling": not_computed("skipped", "no reader"),
        "control.f1.forward": Figure(value=0.5, unit="F1"),
    })  # fmt: skip
    coinrun = report_of({"control.turn_share_of_ceiling": not_computed("undefined", "no camera", "share")})
    table = headlines_table({"doom": [doom], "coinrun": [coinrun]})
    words = HEADLINES["tokenizer.psnr_db"]
    assert table.startswith("| | doom | coinrun |")
    assert f"| {words} (`tokenizer.psnr_db`) | 28.2 dB (27 to 29; n = 8); >= 28 met |  |" in table
    assert "| skipped: no reader; >= 0.9 not measured |  |" in table
    assert "f1.forward" not in table
    assert "turn_share" not in table
    assert "- doom: `paracosm evaluate doom` at commit abc, on 2 cores of x" in table


def test_a_later_report_stands_before_an_earlier_but_not_before_a_value_with_none() -> None:
    first = report_of({"a": Figure(value=1.0), "b": Figure(value=1.0), "c": not_computed("skipped", "short")})
    later = report_of({"b": Figure(value=2.0), "a": not_computed("skipped", "idle"), "c": Figure(value=3.0)})
    joined = join_figures([first, later])
    assert {name: figure.value for name, figure in joined.items()} == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_the_page_of_results_has_every_report_under_the_name_of_its_suite() -> None:
    figure = {"tokenizer.psnr_db": Figure(value=28.25, unit="dB", n=8)}
    core = replace(report_of(figure), command="paracosm evaluate model:doom --suite core --out x")
    text = results_table({"doom": [core, report_of({})]})
    assert text.startswith("## doom: suite core\n\n`paracosm evaluate model:doom --suite core --out x` at")
    assert "\n\n## doom: suite first\n\n" in text


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    card = f"# A\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    assert fresh_text(card, "new") == f"# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"


@pytest.mark.parametrize("text", ["none", f"{BEGIN} only", f"{END} {BEGIN}", f"{BEGIN} {END} {END}"])
def test_markers_that_do_not_stand_once_each_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each and in this order"):
        fresh_text(text, "new")
