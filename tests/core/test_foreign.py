"""What others wrote is read as it stands or refused in words."""

import pytest

from paracosm.core.foreign import is_number, parse_json, show_value


@pytest.mark.parametrize("wrap", [str, str.encode])
def test_json_of_others_is_parsed_or_refused(wrap):
    assert parse_json(wrap('{"a": "\\ud83d\\ude00 \\\\ud800"}')) == {"a": "\U0001f600 \\ud800"}
    for text, said in (
        ("[" * 100_000, "nested too deeply"),
        ('["\\uD800"]', r"holds half a character, '\\ud800'"),
        ("[" + "9" * 5000 + "]", "Exceeds the limit"),
        ("{", "Expecting property name"),
    ):
        with pytest.raises(ValueError, match=said):
            parse_json(wrap(text))


def test_numbers_are_finite_and_of_a_size_that_can_be_kept():
    assert [is_number(value) for value in (0, -1.5, 1e14)] == [True] * 3
    odd = (True, "1", None, [1], float("nan"), float("-inf"), 1e15, 10**400)
    assert [is_number(value) for value in odd] == [False] * len(odd)


def test_values_are_shown_briefly():
    shown = [show_value(value) for value in (None, "a", [1, 2], {"a": 1}, "x" * 1000)]
    assert shown == ["null", "'a'", "a list of 2", "an object of 1", "'" + "x" * 59]
