"""What others wrote is read as it stands or refused in words."""

import pytest

from paracosm.core.foreign import parse_json


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
