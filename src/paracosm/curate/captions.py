"""Structured captions in two families: what a clip shows (GEN), and what changes in it (INS).

    OUT/captions.jsonl   one line for each caption, in order; a later one of the same clip replaces the
    earlier

Each field stands alone, so that a model can be trained and steered by any of them. This file does NOT write
captions: ``caption_truth`` does from what the world knew, ``caption_endpoint`` asks a vision model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paracosm.core.errors import DataError
from paracosm.core.files import append_json

from .ratings import read_ratings

CAPTIONS_FILE = "captions.jsonl"

GEN_FIELDS = ("summary", "game", "character", "frame", "atmosphere")
"""What a clip shows, in the present tense."""
INS_FIELDS = ("environment", "transition", "light", "action", "misc")
"""What changes against the first frame, in the imperative; one sentence each."""
FIELDS = (*GEN_FIELDS, *INS_FIELDS)
UNCHANGED = "maintain current state"
"""What an INS field says when nothing changes."""
MOST_WORDS = {"summary": 20, **dict.fromkeys(INS_FIELDS, 15)}
"""Most words of a field; misc lists figures and is not held to it."""


@dataclass(frozen=True, kw_only=True)
class Caption:
    """The caption of one clip.

    Attributes:
        clip: its name.
        fields: text of each of FIELDS.
        made_by: who wrote it, with version: "truth-v1", or the model's name and a key of the question.
    """

    clip: str
    fields: Mapping[str, str]
    made_by: str


def check_fields(fields: Any) -> dict[str, str]:
    """Return the fields of a caption, or refuse what is not one.

    Raises:
        DataError: names the field that is missing, empty or of the wrong kind.
    """
    if not isinstance(fields, dict):
        raise DataError(
            f"a caption must be an object with {', '.join(FIELDS)}, not a {type(fields).__name__}"
        )
    for name in FIELDS:
        value = fields.get(name)
        if not isinstance(value, str) or not value.strip():
            raise DataError(
                f'the caption\'s field "{name}" is missing or empty; it needs {", ".join(FIELDS)}'
            )
    return {name: " ".join(fields[name].split()) for name in FIELDS}


def add_scores(fields: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, str]:
    """Append a clip's scores to its field misc, as figures that a model can be asked for.

    Source: Open-Sora 1.2, report 3: scores in the text instead of a threshold, where data are few.
    """
    parts = [
        f"{label} {row[name]:.2f}"
        for name, label in (("aesthetic_proxy", "aesthetic proxy"), ("motion", "motion"))
        if row.get(name) is not None
    ]
    parts += [
        f"{label} {row[name]}" for name, label in (("camera", "camera"), ("view", "view")) if row.get(name)
    ]
    return dict(fields) | {
        "misc": f"{fields['misc'].rstrip('.')}; {', '.join(parts)}" if parts else fields["misc"]
    }


def join_fields(fields: Mapping[str, str], names: tuple[str, ...] = FIELDS) -> str:
    """Write a caption as one text, "name: words." for each field."""
    return " ".join(f"{name}: {fields[name].rstrip('.')}." for name in names if fields.get(name))


def append_line(out: Path, row: Mapping[str, Any]) -> None:
    """Append one line to the captions; it is on its way to the disk when this returns.

    Raises:
        DataError: when the disk is full.
    """
    append_json(out / CAPTIONS_FILE, row)


def read_lines(out: Path) -> list[dict[str, Any]]:
    """Return the lines of the captions, oldest first; a last line torn by a kill is left out.

    Raises:
        DataError: when another line is not JSON.
    """
    path = out / CAPTIONS_FILE
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    rows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(f"{path} line {number} is not JSON ({error}); remove that line") from error
    return rows


def read_captions(out: Path) -> dict[str, dict[str, str]]:
    """Return the fields of each captioned clip; what a person wrote in a review replaces the summary.

    Raises:
        DataError: when the file cannot be read.
    """
    found = {row["clip"]: dict(row["fields"]) for row in read_lines(out) if "fields" in row}
    for name, rating in read_ratings(out).items():
        if rating.caption:
            found[name] = found.get(name, {}) | {"summary": rating.caption}
    return found


def shorten(text: str, most_words: int) -> str:
    """Keep at most so many words."""
    words = text.split()
    return text if len(words) <= most_words else " ".join(words[:most_words]).rstrip(",;")
