"""Success rates of control and events, computed by hand."""

import pytest

from paracosm.core.errors import ConfigError
from paracosm.evaluate.success_rate import Obeyed, margin, success_rates


def moved(*shown: str) -> Obeyed:
    return Obeyed(rate="control", wanted=("right",) * len(shown), shown=shown)


def lit(*shown: str) -> Obeyed:
    return Obeyed(rate="event", wanted=(None, "night", "night"), shown=shown)


def test_a_control_succeeds_in_most_frames_and_an_event_at_the_last() -> None:
    clips = [
        moved("right", "right", "right", "left"),
        moved("right", "none", "none", "left"),
        moved("right", "left", "right", "left"),
        lit("day", "day", "night"),
        lit("day", "night", "day"),
        lit("night", "night", "night"),
    ]
    assert [clip.is_success for clip in clips] == [True, False, False, True, False, True]
    assert [clip.frame_share for clip in clips] == [0.75, 0.25, 0.5, 0.5, 0.5, 1.0]
    figures = success_rates(clips)
    found = {name: (figure.value, figure.n) for name, figure in figures.items()}
    assert found == {
        "instruct.sr_c.clip": (pytest.approx(1 / 3), 3),
        "instruct.sr_c.frame": (pytest.approx(0.5), 3),
        "instruct.sr_e.clip": (pytest.approx(2 / 3), 3),
        "instruct.sr_e.frame": (pytest.approx(2 / 3), 3),
    }
    interval = figures["instruct.sr_c.clip"].ci95
    assert interval is not None
    assert 0.0 <= interval[0] < 1 / 3 < interval[1] <= 1.0


def test_a_rate_that_no_case_asks_for_is_undefined_and_never_0() -> None:
    figures = success_rates([moved("right")])
    assert figures["instruct.sr_e.clip"].status == "undefined"
    assert figures["instruct.sr_e.clip"].value is None
    assert figures["instruct.sr_e.clip"].reason == "no case asks for it"


def test_the_gain_of_a_branch_is_paired_case_by_case() -> None:
    good, bad = moved("right"), moved("left")
    gains = margin([good, good, bad, lit("day", "day", "night")], [good, bad, bad, lit("day", "day", "day")])
    assert gains["instruct.sr_c.gain"].value == pytest.approx(1 / 3)
    assert gains["instruct.sr_e.gain"].value == 1.0
    with pytest.raises(ConfigError, match="the two lists hold other cases"):
        margin([good], [lit("day", "day", "day")])


def test_frames_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 wanted and 1 shown frames, of which 2 are asked"):
        Obeyed(rate="control", wanted=("right", "right"), shown=("right",))
    with pytest.raises(ConfigError, match="of which 0 are asked"):
        Obeyed(rate="event", wanted=(None,), shown=("day",))
