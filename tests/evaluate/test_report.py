"""The page: what a person sees of a measurement, whatever the parts were."""

from dataclasses import replace
from pathlib import Path

from paracosm.core.figures import make_report
from paracosm.data.reader import Dataset
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
