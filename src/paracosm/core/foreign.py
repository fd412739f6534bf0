"""Values that others wrote: parsed, checked and shown without trusting them.

This file does NOT know what the values mean, nor whose mistake a wrong one is.
"""

import json
from typing import Any

LARGEST_NUMBER = 1e15
"""Numbers lie below it: whole numbers of this size are still told apart, and fit 64 bits."""


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that others wrote.

    Raises:
        ValueError: when it is no JSON or no UTF-8, is nested more deeply than can be read, or holds half a
            character (a lone surrogate), which no file could keep.
    """
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        value = json.loads(plain)
        if "\\ud" in plain.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds half a character, {error.object[error.start]!r}") from None
    return value


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number below LARGEST_NUMBER; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def show_value(value: Any) -> str:
    """Show in a message what was given, however large it is."""
    if isinstance(value, dict | list):
        return f"an object of {len(value)}" if isinstance(value, dict) else f"a list of {len(value)}"
    return "null" if value is None else repr(value)[:60]
