from pathlib import Path

import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.compare import check_comparable, compare, read_outcome
from paracosm.evaluate.runner import describe_parts, run_parts

from .test_runner import CONFIG, Lengths, Newer, Squares

SETUP = {"cases": {"set": "toy", "version": 1}, "reader": None, "encoder": "e1", "real": "r1"}


def test_results_of_another_world_are_read_and_subtracted_unit_by_unit(tmp_path: Path) -> None:
    parts = [Squares(), Lengths()]
    run_parts(parts, CONFIG, tmp_path / "other", setup=SETUP)
    own = run_parts(parts, CONFIG, tmp_path / "own", setup=SETUP)
    other = read_outcome(tmp_path / "other", own, SETUP, parts)
    figures = compare(own.measured, other.measured)
    assert list(figures) == ["difference.squares.mean", "difference.lengths.mean"]
    figure = figures["difference.squares.mean"]
    assert (figure.value, figure.n, figure.ci95) == (0.0, 4, (0.0, 0.0))


def test_only_units_that_both_measured_are_compared(tmp_path: Path) -> None:
    parts = [Squares()]
    run_parts(parts, CONFIG, tmp_path / "other", setup=SETUP, limit=2)
    own = run_parts(parts, CONFIG, tmp_path / "own", setup=SETUP)
    other = read_outcome(tmp_path / "other", own, SETUP, parts)
    assert compare(own.measured, other.measured)["difference.squares.mean"].n == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"cases": {"set": "toy", "version": 2}},
            r"cases.version is 1 here and 2 in .*, so the two cannot",
        ),
        (
            {"encoder": "e2"},
            r'encoder is "e1" here and "e2" in .*; measure that world again',
        ),
        ({"parts": describe_parts([Newer()])}, r"parts.squares.version is 1 here and 2 in "),
        ({"parts": describe_parts([Squares(count=9)])}, r"parts.squares.count is 4 here and 9 in "),
        ({"parts": {}}, r"parts.squares.version is 1 here and null in "),
    ],
)
def test_other_cases_judges_versions_and_settings_refuse_comparison(
    tmp_path: Path, change: dict[str, object], text: str
) -> None:
    ours = {**SETUP, "parts": describe_parts([Squares()])}
    with pytest.raises(DataError, match=text):
        check_comparable(tmp_path, {**ours, **change}, ours)
    check_comparable(tmp_path, {**ours, "world": "model:other", "weights": "w2"}, ours)
