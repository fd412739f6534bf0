"""Values that others wrote: parsed, checked and shown without trusting them.

This file does NOT know what the values mean, nor whose mistake a wrong one is.
"""

import json
from typing import Any


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
