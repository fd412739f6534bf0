import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from paracosm.core.errors import BusyError, ConfigError, DataError
from paracosm.core.figures import make_report
from paracosm.core.world import WorldInfo
from paracosm.evaluate.bench import Bench, BenchConfig
from paracosm.evaluate.part import Measured, Result, SkippedUnitError, Tally, Unit, UnitResult
from paracosm.evaluate.rollouts import Subject
from paracosm.evaluate.runner import DIED, Outcome, order_parts, run_parts
from paracosm.evaluate.sources import RecordedCases
from paracosm.evaluate.store import ResultsFolder
from paracosm.evaluate.suite import why_incomplete

from .toys import SPACE, open_toy

INFO = WorldInfo(name="model:none", fps=4.0, height=48, width=64, controls=SPACE)
CONFIG = BenchConfig(
    subject=Subject(name="model:none", opener=open_toy),
    game=Subject(name="game:toy", opener=open_toy),
    info=INFO,
    source=RecordedCases(main=()),
)


@dataclass(frozen=True, kw_only=True)
class Squares:
    """Squares numbers, writes down that it ran, and fails, skips or dies where it is told."""

    count: int = 4
    diary: str = ""
    fails: tuple[int, ...] = ()
    skips: tuple[int, ...] = ()
    dies: tuple[int, ...] = ()

    name: ClassVar[str] = "squares"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        return [Unit(key=f"n/{number}", case=str(number)) for number in range(self.count)]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        number = int(unit.case)
        if self.diary:
            with Path(self.diary).open("a") as file:
                file.write(f"{number}\n")
        if number in self.fails:
            raise ValueError(f"{number} is\nodd")
        if number in self.skips:
            raise SkippedUnitError("no such key here")
        if number in self.dies:
            os._exit(3)
        return UnitResult(numbers={"square": number**2}, arrays={"row": np.arange(number, dtype=np.uint8)})

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        values = np.array([result.numbers["square"] for result in results], float)
        return {"squares.mean": Tally(cases=tuple(one.unit.case for one in results), world=values)}


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Reads what the squares kept."""

    name: ClassVar[str] = "lengths"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("squares",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        return [Unit(key=one.unit.key, case=one.unit.case) for one in bench.results("squares")]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        return UnitResult(numbers={"length": len(bench.result("squares", unit.key).array("row"))})

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        values = np.array([result.numbers["length"] for result in results], float)
        return {"lengths.mean": Tally(cases=tuple(one.unit.case for one in results), world=values)}


class TwiceEach(Lengths):
    """Reads every square two times, as a long run is read at two moments."""

    def units(self, bench: Bench) -> Sequence[Unit]:
        once = super().units(bench)
        return [replace(one, key=f"{one.key}.{moment}s") for moment in (60, 120) for one in once]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        return super().run(bench, replace(unit, key=unit.key.partition(".")[0]))

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        return {}


class Newer(Squares):
    version: ClassVar[int] = 2


class Stop:
    """A progress line that stops the run after some units, as Ctrl+C does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, what: str, total: int, unit: str = "step", start: int = 0) -> "Stop":
        return self

    def update(self, done: int, metrics: object = None) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass


def value(outcome: Outcome, name: str) -> float | int | None:
    return outcome.figures[name].value


def test_a_run_that_was_stopped_goes_on_and_repeats_no_finished_unit(tmp_path: Path) -> None:
    parts = [Squares(diary=str(tmp_path / "diary")), Lengths()]
    with pytest.raises(KeyboardInterrupt):
        run_parts(parts, CONFIG, tmp_path / "out", progress=Stop(after=3))
    outcome = run_parts(parts, CONFIG, tmp_path / "out")
    assert (tmp_path / "diary").read_text().split() == ["0", "1", "2", "3"]
    assert (value(outcome, "squares.mean"), value(outcome, "lengths.mean")) == (3.5, 1.5)
    run_parts(parts, CONFIG, tmp_path / "out")
    assert len((tmp_path / "diary").read_text().split()) == 4


def test_a_limit_is_for_a_look_and_the_rest_runs_later(tmp_path: Path) -> None:
    part = Squares(diary=str(tmp_path / "diary"))
    assert run_parts([part], CONFIG, tmp_path / "out", limit=2).figures["squares.mean"].n == 2
    assert run_parts([part], CONFIG, tmp_path / "out").figures["squares.mean"].n == 4
    assert (tmp_path / "diary").read_text().split() == ["0", "1", "2", "3"]


def test_a_limit_is_for_what_is_played_and_not_for_how_often_it_is_read(tmp_path: Path) -> None:
    outcome = run_parts([Squares(), TwiceEach()], CONFIG, tmp_path / "out", limit=3)
    assert [len(outcome.results[name]) for name in ("squares", "lengths")] == [3, 6]


def test_every_unit_is_one_line_with_its_status_and_reason(tmp_path: Path) -> None:
    outcome = run_parts([Squares(fails=(1,), skips=(2,))], CONFIG, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert [
        (line["part"], line["version"], line["key"], line["status"], line["reason"]) for line in lines
    ] == [
        ("squares", 1, "n/0", "ok", ""),
        ("squares", 1, "n/1", "failed", "ValueError: 1 is odd"),
        ("squares", 1, "n/2", "skipped", "no such key here"),
        ("squares", 1, "n/3", "ok", ""),
    ]
    assert all(line["seconds"] >= 0 for line in lines)
    assert value(outcome, "squares.mean") == 4.5
    assert outcome.coverage == pytest.approx(2 / 3)


def test_a_part_whose_units_all_fail_names_its_figures_with_the_reason() -> None:
    figure = run_parts([Squares(fails=(0, 1, 2, 3))], CONFIG).figures["squares.mean"]
    assert (figure.status, figure.reason) == ("failed", "ValueError: 0 is odd")
    figure = run_parts([Squares(skips=(0, 1, 2, 3))], CONFIG).figures["squares.mean"]
    assert (figure.status, figure.reason) == ("skipped", "no such key here")


class Broken(Squares):
    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        raise ZeroDivisionError("by nought")


def test_a_broken_formula_loses_no_other_figure_and_fails_the_command() -> None:
    figures = run_parts([Broken()], CONFIG).figures
    assert figures["squares.measured"].reason == "ZeroDivisionError: by nought"
    report = make_report("", figures)
    assert why_incomplete(report, None) == "squares could not be measured: ZeroDivisionError: by nought"


def test_too_little_coverage_is_said_in_one_line(tmp_path: Path) -> None:
    outcome = run_parts([Squares(fails=(1,))], CONFIG)
    report = make_report("", outcome.figures | outcome.coverage_figure())
    text = f"only 75.0% of 4 units ended well, 95% are needed; the reasons stand in {tmp_path}/cases.jsonl"
    assert why_incomplete(report, tmp_path) == text
    outcome = run_parts([Squares()], CONFIG)
    assert why_incomplete(make_report("", outcome.coverage_figure()), tmp_path) == ""


def test_a_failed_unit_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    run_parts([Squares(fails=(1,))], CONFIG, tmp_path / "out")
    setup = tmp_path / "out" / "setup.json"
    setup.write_text(setup.read_text().replace('"fails": [\n        1\n      ]', '"fails": []'))
    outcome = run_parts([Squares()], CONFIG, tmp_path / "out")
    assert (outcome.coverage, value(outcome, "squares.mean")) == (1.0, 3.5)


def test_a_torn_last_line_is_left_out_and_its_unit_runs_again(tmp_path: Path) -> None:
    part = Squares(diary=str(tmp_path / "diary"))
    run_parts([part], CONFIG, tmp_path / "out")
    log = tmp_path / "out" / "cases.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    assert value(run_parts([part], CONFIG, tmp_path / "out"), "squares.mean") == 3.5
    assert (tmp_path / "diary").read_text().split() == ["0", "1", "2", "3", "3"]
    assert len(log.read_text().splitlines()) == 4


def test_lost_arrays_make_their_unit_run_again(tmp_path: Path) -> None:
    run_parts([Squares()], CONFIG, tmp_path)
    (tmp_path / "kept" / "squares" / "n" / "2.npz").unlink()
    outcome = run_parts([Squares(), Lengths()], CONFIG, tmp_path)
    assert value(outcome, "lengths.mean") == 1.5


@pytest.mark.parametrize(
    ("part", "setup", "text"),
    [
        (
            Newer(),
            {"weights": "a"},
            r"parts.squares.version is 2 but the results in .* begun with 1; choose",
        ),
        (Squares(count=5), {"weights": "a"}, r"parts.squares.count is 5 but the results in .* begun with 4"),
        (
            Squares(),
            {"weights": "b"},
            r'weights is "b" but the results in .* begun with "a"; choose another',
        ),
    ],
)
def test_other_weights_versions_and_settings_are_refused(
    tmp_path: Path, part: Squares, setup: dict[str, str], text: str
) -> None:
    run_parts([Squares()], CONFIG, tmp_path, setup={"weights": "a"})
    with pytest.raises(DataError, match=text):
        run_parts([part], CONFIG, tmp_path, setup=setup)


def test_further_parts_may_join_the_results(tmp_path: Path) -> None:
    run_parts([Squares()], CONFIG, tmp_path)
    run_parts([Squares(), Lengths()], CONFIG, tmp_path)
    assert list(json.loads((tmp_path / "setup.json").read_text())["parts"]) == ["squares", "lengths"]


def test_two_processes_may_not_write_the_same_results(tmp_path: Path) -> None:
    with (
        ResultsFolder(tmp_path),
        pytest.raises(BusyError, match=r"is being measured into by process \d+; wait .* another --out"),
    ):
        run_parts([Squares()], CONFIG, tmp_path)


def test_parts_stand_in_waves_after_what_they_need() -> None:
    assert [[part.name for part in wave] for wave in order_parts([Lengths(), Squares()])] == [
        ["squares"],
        ["lengths"],
    ]
    with pytest.raises(ConfigError, match=r"parts \['squares'\] are needed by lengths and missing; add them"):
        order_parts([Lengths()])
    with pytest.raises(ConfigError, match=r"parts \['squares'\] stand twice in the suite; name each once"):
        order_parts([Squares(), Squares(count=2)])


@pytest.mark.timeout(300)
def test_two_workers_outlive_a_unit_that_takes_its_process_with_it(tmp_path: Path) -> None:
    outcome = run_parts([Squares(dies=(1,))], CONFIG, tmp_path, workers=2)
    status = {result.unit.case: (result.status, result.reason) for result in outcome.results["squares"]}
    assert status == {"0": ("ok", ""), "1": ("failed", DIED), "2": ("ok", ""), "3": ("ok", "")}
