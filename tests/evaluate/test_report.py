"""The page: what a person sees of a measurement, whatever the parts were."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from paracosm.core.figures import Figure, Report, make_report, not_computed
from paracosm.data.reader import Dataset
from paracosm.evaluate.card_page import card_markup
from paracosm.evaluate.page_style import contents, heading
from paracosm.evaluate.parts.short import Short
from paracosm.evaluate.report import Page, write_page
from paracosm.evaluate.runner import Outcome, run_parts
from paracosm.evaluate.sources import Place, ShippedCases

from .toys import toy_config


def page_of(outcome: Outcome) -> Page:
    return Page(outcome=outcome, report=make_report("paracosm evaluate toy", outcome.figures, [0]))


def test_clips_are_shown_where_another_part_asked_for_longer_cases(held_out: Dataset, tmp_path: Path) -> None:
    episodes = held_out.episodes
    source = ShippedCases(
        main=episodes,
        unseen=(),
        split="unseen_level",
        places=(Place(episode=episodes[0].name, row=9),),
        whole=frozenset(),
        most_steps=30,
        seed=0,
    )
    config = replace(toy_config("oracle", episodes), source=source)
    outcome = run_parts([Short(num_cases=1, steps=18)], config, tmp_path / "out")
    assert list(outcome.bench.cases(1, 30)) == list(outcome.bench.cases(1, 18))
    write_page(tmp_path / "report.html", page_of(outcome))
    assert "Worst cases first" in (tmp_path / "report.html").read_text()


def test_the_page_counts_the_cases_that_were_played_and_not_those_that_were_chosen(
    held_out: Dataset, tmp_path: Path
) -> None:
    parts = [Short(num_cases=5, steps=18)]
    outcome = run_parts(parts, toy_config("oracle", held_out.episodes), tmp_path / "out", limit=2)
    write_page(tmp_path / "report.html", page_of(outcome))
    text = (tmp_path / "report.html").read_text()
    assert "2 on seen levels" in text
    assert 'counter(section) ". "' in text


def test_figures_that_were_not_computed_for_one_reason_share_a_row(held_out: Dataset, tmp_path: Path) -> None:
    outcome = run_parts([Short(num_cases=1, steps=18)], toy_config("oracle", held_out.episodes), tmp_path)
    figures = {
        "stability.a@120s": not_computed("skipped", "too short", "share"),
        "stability.b@120s": not_computed("skipped", "too short", "share"),
        "stability.c": Figure(value=0.5, unit="share"),
        "stability.d": not_computed("failed", "it broke", "share"),
    }
    report = Report(command="paracosm", commit="", hardware={}, seeds=(0,), figures=figures)
    write_page(tmp_path / "report.html", Page(outcome=outcome, report=report))
    text = (tmp_path / "report.html").read_text()
    assert "stability.a@120s, stability.b@120s</td>" in text
    assert text.count("skipped: too short") == 1
    assert "failed: it broke" in text


def test_the_page_lists_its_sections_and_every_link_leads_to_one() -> None:
    body = heading("Figures") + "<p>x</p>" + heading("This world minus a/b") + heading("Clips")
    links = contents(body)
    assert re.findall(r"href='#([^']*)'", links) == ["figures", "this-world-minus-a-b", "clips"]
    assert all(f"id='{anchor}'" in body for anchor in re.findall(r"href='#([^']*)'", links))
    assert contents(heading("Figures")) == ""


LINES = "**Still** in `training`:\nsee [here](x.md) & there"
TABLE = "| | |\n|---|---|\n| frames | 64 x 48 |"


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        ("# doom", "<h4>doom</h4>"),
        (LINES, "<p><b>Still</b> in <code>training</code>: see here &amp; there</p>"),
        (TABLE, "<table class='facts'><tr><td>frames</td><td>64 x 48</td></tr></table>"),
        ("- one\n- two", "<ul><li>one</li><li>two</li></ul>"),
        ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>"),
        ("a <!-- note --> b", "<p>a b</p>"),
    ],
)
def test_a_card_becomes_markup_with_every_text_escaped(card: str, shown: str) -> None:
    assert card_markup(card) == shown
