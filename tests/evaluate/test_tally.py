import numpy as np
import pytest

from paracosm.evaluate.part import Tally, ratio_of
from paracosm.evaluate.tally import difference, figure_of_tally

NAMES = tuple("abcdefgh")
VALUES = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])


def test_a_tally_becomes_its_mean_with_interval_and_anchors() -> None:
    anchors = {"true_game": 9.0, "copy_last": VALUES - 1, "shuffled": None}
    figure = figure_of_tally(Tally(cases=NAMES, world=VALUES, anchors=anchors, unit="dB"))
    assert (figure.value, figure.n, figure.unit) == (4.5, 8, "dB")
    assert figure.anchors == {"true_game": 9.0, "copy_last": 3.5, "shuffled": None}
    assert figure.ci95 is not None
    assert figure.ci95[0] == pytest.approx(4.5 - 1.96 * VALUES.std() / 8**0.5, abs=0.2)


def test_a_ratio_is_of_sums_and_resamples_both_together() -> None:
    rows = np.stack([VALUES, 2 * VALUES], axis=1)
    figure = figure_of_tally(Tally(cases=NAMES, world=rows, combine=ratio_of))
    assert (figure.value, figure.ci95) == (0.5, (0.5, 0.5))


def test_no_case_and_nothing_below_are_undefined_with_the_reason_and_never_nought() -> None:
    empty = Tally(cases=(), world=np.empty(0), reason="no case turns")
    below = Tally(cases=("a",), world=np.zeros((1, 2)), combine=ratio_of, reason="nothing moved")
    for tally, reason in ((empty, "no case turns"), (below, "nothing moved")):
        figure = figure_of_tally(tally)
        assert (figure.value, figure.status, figure.reason) == (None, "undefined", reason)


def test_a_difference_is_paired_over_the_cases_that_both_judged() -> None:
    one = Tally(cases=NAMES, world=VALUES + 1)
    other = Tally(cases=tuple(reversed(NAMES[2:])), world=VALUES[:1:-1])
    figure = difference(one, other)
    # every case differs by one: paired, nothing is left to chance, though the cases spread widely
    assert (figure.value, figure.n, figure.ci95) == (1.0, 6, (1.0, 1.0))
    alone = figure_of_tally(one).ci95
    assert alone is not None
    assert alone[1] - alone[0] > 2


def test_worlds_without_a_common_case_have_no_difference() -> None:
    figure = difference(Tally(cases=("a",), world=np.ones(1)), Tally(cases=("b",), world=np.ones(1)))
    assert (figure.value, figure.status) == (None, "undefined")
    assert figure.reason == "no case could be judged; 0 cases were judged in both"


def test_a_case_may_stand_in_a_tally_only_once() -> None:
    with pytest.raises(ValueError, match="give one row a case"):
        Tally(cases=("a", "a"), world=np.zeros(2))
