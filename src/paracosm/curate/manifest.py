"""What an export was made of, written beside it, so that only the same export goes on in its folder.

    TO/export.json   format, sizes, rate, shift, and a count and hash of everything that goes in

Clips that lie in the folder are passed over by a run that goes on; they would be wrong under other settings.
This file does NOT write clips.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paracosm.core.config import differences
from paracosm.core.errors import DataError
from paracosm.core.files import TEMPORARY_PREFIX, read_json, write_json
from paracosm.data.format import EPISODES_FOLDER

MANIFEST_FILE = "export.json"
MANIFEST_VERSION = 1
SHARDS = "clips-*.tar"


def hold_manifest(folder: Path, made_of: Mapping[str, Any]) -> None:
    """Write down what an export is made of, or check that the one in the folder is the same.

    Args:
        folder: where the export goes.
        made_of: everything that its clips depend on, as JSON values; digests by :func:`digest`.

    Raises:
        DataError: when clips of another export lie there, or clips of which nothing is told.
    """
    file, given = folder / MANIFEST_FILE, {"format_version": MANIFEST_VERSION, **made_of}
    if not _has_clips(folder):
        write_json(file, given)
        return
    if not file.exists():
        raise DataError(
            f"{folder} holds clips or episodes and no {MANIFEST_FILE}, so it is not known what they are; "
            "choose another folder with --to, or delete this one"
        )
    stored = read_json(file)
    if not isinstance(stored, dict):
        raise DataError(f"{file} is no JSON object; delete {folder} and export again")
    different = [
        f"{name} was {before}, now it is {after}"
        for name, (before, after) in differences(stored, given).items()
    ]
    if different:
        raise DataError(
            f"{folder} holds another export: {', '.join(different)}; choose another folder with --to, or "
            "delete this one to export anew"
        )


def digest(values: Sequence[Any], what: str) -> str:
    """Return the count and a hash of JSON values, e.g. "12 clips, 03f9a2c8b1d4"."""
    text = json.dumps(values, sort_keys=True)
    return f"{len(values):,} {what}, {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _has_clips(folder: Path) -> bool:
    episodes = folder / EPISODES_FOLDER
    written = episodes.iterdir() if episodes.is_dir() else ()
    return any(folder.glob(SHARDS)) or any(not part.name.startswith(TEMPORARY_PREFIX) for part in written)
