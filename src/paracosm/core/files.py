"""Files that are either whole or absent: written under a temporary name, flushed, then renamed.

This file does NOT know what is written.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from paracosm.core.errors import DataError
from paracosm.core.foreign import parse_json

TEMPORARY_PREFIX = ".partial-"
"""Names that begin so were being written when a process died; readers skip them, writers may delete them."""
WRITE_FAULTS = (OSError, SafetensorError)
"""What a full disk raises: safetensors has a class of its own for it."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; rename it to ``path`` when the block ends well, delete it otherwise.

    Raises:
        DataError: when the disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except WRITE_FAULTS as error:
        raise _explain(path, error) from error
    finally:
        # a place that cannot be written holds nothing to remove; complaining would hide the real error
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def whole_folder(path: Path, holds: str | None) -> Iterator[Path]:
    """Give a temporary folder to fill; rename it to ``path`` when the block ends well, delete it otherwise.

    An existing ``path`` is replaced only after the new folder is complete, and only when it is ours: what
    somebody else keeps there is refused before anything is written.

    Args:
        path: the folder; a link is followed.
        holds: JSON file with a format_version, by which a folder that was written here before is known, e.g.
            "world.json"; None for a place inside a run, where nobody else keeps anything.

    Raises:
        DataError: when ``path`` is a file or a folder of others, the disk is full or the folder cannot be
            written; nothing is left behind.
    """
    place = path.resolve()
    _refuse_foreign(path, holds)
    temporary = place.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{place.name}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        if place.exists():
            old = place.with_name(f"{TEMPORARY_PREFIX}old-{os.getpid()}-{place.name}")
            place.rename(old)
            temporary.rename(place)
            shutil.rmtree(old)
        else:
            temporary.rename(place)
    except WRITE_FAULTS as error:
        raise _explain(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_foreign(path: Path, holds: str | None) -> None:
    """Refuse to replace what was not written here."""
    try:
        names = sorted(entry.name for entry in path.iterdir()) if path.exists() else []
    except OSError as error:
        raise _explain(path, error) from error
    if not names or holds is None:
        return
    try:
        document = read_json(path / holds)
    except DataError:
        document = None
    if not isinstance(document, dict) or "format_version" not in document:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise DataError(
            f"{path} holds {', '.join(names[:3])}{more} and no {holds} of this project, so it is not "
            "replaced; give a new or an empty folder, or delete it first"
        )


def refuse_overlap(out: Path, sources: Iterable[Path]) -> None:
    """Refuse to write a folder that is, contains or lies inside one of those that are read.

    Args:
        out: folder to be written.
        sources: files and folders to be read.

    Raises:
        DataError: names both.
    """
    place = out.resolve()
    for source in sources:
        read = source.resolve()
        if place == read or place in read.parents or read in place.parents:
            how = "is" if place == read else "contains" if place in read.parents else "lies inside"
            raise DataError(f"{out} {how} {source}, which is read; write to a folder beside it")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: when it is missing or is not JSON; names the file and the place.
    """
    try:
        return parse_json(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path} is missing; check the folder name or make it anew") from None
    except ValueError as error:
        raise DataError(
            f"{path} is not valid JSON ({error}); restore it from a copy or make it anew"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error})") from error


def file_hash(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file: its name in worlds, datasets and recipes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(path: Path, error: OSError | SafetensorError) -> DataError:
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return DataError(f"{path} could not be written ({reason}); free some space or choose another folder")
