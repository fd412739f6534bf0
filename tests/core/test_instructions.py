"""An instruction is a mapping of fields, named fields in one line, or free words."""

import pytest

from paracosm.core.errors import ControlError
from paracosm.core.instructions import parse_instruction

FIELDS = ("text", "light", "action")


def test_an_instruction_is_a_mapping_or_named_fields_or_free_words() -> None:
    def said(text: object) -> dict[str, str]:
        return parse_instruction(text, FIELDS, "stay")  # pyright: ignore[reportArgumentType]

    assert said("make it dark") == {"text": "make it dark"}
    assert said("light: make it dark. Action: jump") == {"light": "make it dark", "action": "jump"}
    assert said({"action": "jump"}) == {"light": "stay", "action": "jump"}
    assert said("") == said({}) == {}
    with pytest.raises(
        ControlError, match=r"fields \['sound'\] of the instruction are not known; use text, light"
    ):
        said({"sound": "bang"})
