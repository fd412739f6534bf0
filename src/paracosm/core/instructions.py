"""What a player says to a world, as the fields of a structured instruction.

This file does NOT know who understands it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .errors import ControlError


def parse_instruction(text: str | Mapping[str, str], fields: Sequence[str], unchanged: str) -> dict[str, str]:
    """Turn what a player says into the fields of a structured text.

    Args:
        text: a mapping of fields; or "light: make it dark. action: jump"; or free words, which go to the
            first field. "" says nothing.
        fields: those that a network knows; the first takes free words.
        unchanged: what each other field says when nothing is asked of it.

    Raises:
        ControlError: for a field that is not known.
    """
    if isinstance(text, str):
        pieces = re.split(rf"(?:^|[.;,\n])\s*({'|'.join(map(re.escape, fields))})\s*:", text, flags=re.I)
        if len(pieces) == 1:
            return {fields[0]: text.strip()} if text.strip() else {}
        text = dict(zip((name.lower() for name in pieces[1::2]), pieces[2::2], strict=True))
    unknown = sorted(set(text) - set(fields))
    if unknown:
        raise ControlError(f"fields {unknown} of the instruction are not known; use {', '.join(fields)}")
    said = {name: value.strip(" .;,\n") for name, value in text.items() if value.strip(" .;,\n")}
    if not said or fields[0] in said:
        return said
    return {name: said.get(name, unchanged) for name in fields[1:]}
