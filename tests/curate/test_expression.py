import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paracosm.core.errors import ConfigError
from paracosm.curate.expression import parse_expression

COLUMNS = {"motion": "number", "hud": "number", "camera": "text", "kept": "truth"}


def holds(text: str, **row: object) -> list[object]:
    full = dict.fromkeys(COLUMNS) | row
    return [condition.holds(full) for condition in parse_expression(text, COLUMNS)]


def test_conditions_are_parted_at_and():
    conditions = parse_expression("motion > 0.2 and hud < 0.5", COLUMNS)
    assert [condition.text for condition in conditions] == ["motion > 0.2", "hud < 0.5"]


def test_conditions_are_parted_at_a_comma_outside_brackets():
    conditions = parse_expression("motion > 0.2 , hud < 0.5 or kept, camera in ('a', 'b')", COLUMNS)
    parted = ["motion > 0.2", "hud < 0.5 or kept", "camera in ('a', 'b')"]
    assert [condition.text for condition in conditions] == parted


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("motion > 0.2", {"motion": 0.3}, [True]),
        ("motion > 0.2", {"motion": None}, [None]),
        ("not motion > 0.2", {"motion": None}, [None]),
        ("hud < 0.5 or not known(hud)", {"hud": None}, [True]),
        ("hud < 0.5 or motion > 1", {"hud": None, "motion": 2}, [True]),
        ("motion > 1 or hud < 1 and motion < 0", {"hud": 0, "motion": 0.5}, [False]),
        ("camera in ('pan-left', \"still\")", {"camera": "still"}, [True]),
        ("camera not in ('pan-left')", {"camera": "still"}, [True]),
        ("motion * 2 - 1 >= hud / 4", {"motion": 1, "hud": 4}, [True]),
        ("motion / hud > 1", {"motion": 1, "hud": 0}, [None]),
        ("kept == true and (motion) > -1e-3", {"kept": True, "motion": 0}, [True, True]),
        ("kept", {"kept": False}, [False]),
        ("", {}, []),
        ("motion > 0.2, hud < 0.5", {"motion": 0.3, "hud": 0.6}, [True, False]),
        ("motion > 1 or hud < 1, kept", {"motion": 0, "hud": 0, "kept": False}, [True, False]),
        ("camera in ('pan', 'still'), kept", {"camera": "still", "kept": True}, [True, True]),
        ("1e999 - 1e999 < 1", {}, [None]),
        ("not 1e999 * 0 == motion", {"motion": 1}, [None]),
    ],
)
def test_expressions_mean_what_they_say(text, row, expected):
    assert holds(text, **row) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("moton > 1", 'there is no column "moton"; did you mean motion?'),
        ("motion >", "cannot be read at its end: a column, a number or a bracket must stand here"),
        ("motion > 'a'", "a number cannot be compared with a text"),
        ("camera < 'a'", "< compares numbers; use == or != here"),
        ("motion", "a condition is needed, not a number"),
        ("motion > 1,", "cannot be read at its end: a column, a number or a bracket must stand here"),
        ("(motion > 1, hud < 1)", '")" is missing'),
        ("motion > 1 hud < 2", 'at "hud < 2": nothing more can stand here'),
        ("__import__('os')", 'there is no column "__import__"'),
        ("motion.real > 1", 'unknown sign "."'),
        ("(motion > 1", '")" is missing'),
        ("(" * 100 + "motion > 1" + ")" * 100, "more than 60 brackets are open"),
        ("motion > 1 " * 1000, "is too long"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_expression(text, COLUMNS)
    assert said in str(caught.value)


@given(st.text(alphabet="motinhudcamer ()<>=!andor0.5'+-*/,", max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_text_does_more_than_be_parsed_or_refused(text):
    try:
        conditions = parse_expression(text, COLUMNS)
    except ConfigError:
        return
    for condition in conditions:
        assert condition.holds(dict.fromkeys(COLUMNS)) in (True, False, None)
