"""Folders of others, which no command may touch."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from paracosm.core.errors import DataError


@contextlib.contextmanager
def refused(folder: Path) -> Iterator[Path]:
    """Give a folder with somebody's files; writing it must be refused, and they must stay."""
    (folder / "years").mkdir(parents=True)
    mine = {folder / "thesis.txt": b"text", folder / "years" / "photo.png": b"picture"}
    for file, content in mine.items():
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"holds thesis.txt, years and no .* so it is not replaced; give a"):
        yield folder
    assert {file: file.read_bytes() for file in mine} == mine
    assert sorted(file.name for file in folder.iterdir()) == ["thesis.txt", "years"]
