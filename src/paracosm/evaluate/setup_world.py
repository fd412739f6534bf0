"""Finds what belongs to a world: its game, its weights' hash, its tokenizer and reader, its case set.

This file does NOT load networks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paracosm.core.files import file_hash
from paracosm.core.world_spec import WorldSpec, kind_of, load_spec
from paracosm.zoo import bundled_worlds


def world_folder(world: str) -> Path | None:
    """Folder of a neural world by its name, "model:NAME" or "model:PATH"; None for other worlds."""
    kind, _, rest = world.partition(":")
    return bundled_worlds().get(rest, Path(rest)) if kind == "model" else None


def world_spec(world: str) -> WorldSpec | None:
    """What world.json of an ordinary neural world says; None for other worlds and other kinds of them."""
    folder = world_folder(world)
    if folder is None or not folder.is_dir() or kind_of(folder):
        return None
    return load_spec(folder)


def describe_world(world: str) -> dict[str, str | None]:
    """Say which world results are of: a neural one is its weights, wherever they lie; others are their name.

    So a bundled copy goes on with what the run folder's began, and the same name with other weights does not.
    """
    weights = folder_hash(world_folder(world))
    return {"world": world if weights is None else "model", "weights": weights}


def own_part(world: str, part: str) -> Path | None:
    """Find a model inside the folder of a neural world."""
    folder = world_folder(world)
    return folder / part if folder is not None and (folder / part).is_dir() else None


def read_card(world: str) -> str:
    """Model card of a neural world, which stands beside its folder, up to its own figures; "" without one."""
    folder = world_folder(world)
    file = None if folder is None else folder.with_suffix(".md")
    return (
        file.read_text().partition("<!-- figures")[0].strip() if file is not None and file.is_file() else ""
    )


def folder_hash(folder: Path | None) -> str | None:
    """Hash of the names and contents of every file in a folder; None for none."""
    if folder is None or not folder.is_dir():
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return json_hash({path.relative_to(folder).as_posix(): file_hash(path) for path in files})


def json_hash(value: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of JSON values, keys sorted."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
