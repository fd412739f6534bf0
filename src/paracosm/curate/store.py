"""Score tables on disk: one file for each stage, its settings and each source, whole or absent.

    OUT/scores/STAGE/v1-SETTINGS/SOURCE~IDENTITY.parquet        what the stage found
    OUT/scores/STAGE/v1-SETTINGS/SOURCE~IDENTITY.refused.json   or why it could not

A table's address holds everything that it depends on, so it is never stale: a changed file, setting or
version has another address. This file does NOT know what the tables hold.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.errors import DataError
from paracosm.core.files import TEMPORARY_PREFIX, read_json, whole_file, write_json
from paracosm.core.locks import lock_folder

LONGEST_NAME = 160
"""Characters of a source's name that stand in a file's name; file systems take 255."""


def settings_key(version: int, settings: Any, needs: list[str]) -> str:
    """Name a version of a stage with its settings, e.g. "v1-03f9a2c8".

    Args:
        version: version of the stage's code.
        settings: its config as JSON values.
        needs: keys of the stages that it reads.
    """
    text = json.dumps([settings, needs], sort_keys=True)
    return f"v{version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class ScoreStore:
    """The score tables of one curation folder."""

    def __init__(self, out: Path) -> None:
        """Name the folder; nothing is touched."""
        self.out = out

    def table_path(self, stage: str, key: str, name: str, identity: str) -> Path:
        """Where the table of one source lies or would lie."""
        return self._base(stage, key, name, identity, ".parquet")

    def has(self, stage: str, key: str, name: str, identity: str) -> bool:
        """Whether the stage is done with this source, well or not."""
        return (
            self.table_path(stage, key, name, identity).exists()
            or self._base(stage, key, name, identity, ".refused.json").exists()
        )

    def write(self, stage: str, key: str, name: str, identity: str, table: pa.Table) -> None:
        """Write a table.

        Raises:
            DataError: when the disk is full or the folder cannot be written; nothing is left behind.
        """
        with whole_file(self.table_path(stage, key, name, identity)) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def refuse(self, stage: str, key: str, name: str, identity: str, refusal: dict[str, str]) -> None:
        """Write why a source could not be used.

        Raises:
            DataError: when the disk is full or the folder cannot be written.
        """
        write_json(self._base(stage, key, name, identity, ".refused.json"), refusal)

    def read(self, stage: str, key: str, name: str, identity: str) -> pa.Table:
        """Read a table.

        Raises:
            DataError: when it is missing or corrupt.
        """
        path = self.table_path(stage, key, name, identity)
        try:
            return pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} cannot be read ({error}); delete it and run curate again") from error

    def refusal(self, stage: str, key: str, name: str, identity: str) -> dict[str, str] | None:
        """Return why a source was refused by a stage; None when it was not."""
        path = self._base(stage, key, name, identity, ".refused.json")
        return read_json(path) if path.exists() else None

    def lock(self) -> TextIO:
        """Lock the folder for as long as the returned file is open, and remove what a kill left half written.

        Raises:
            BusyError: when another process curates here.
            DataError: when the folder cannot be made.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            file = lock_folder(self.out, "being curated", instead="another --out")
        except OSError as error:
            raise DataError(f"{self.out} cannot be made ({error.strerror}); choose another --out") from error
        for left_over in self.out.rglob(f"{TEMPORARY_PREFIX}*"):
            left_over.unlink(missing_ok=True)
        return file

    def _base(self, stage: str, key: str, name: str, identity: str, ending: str) -> Path:
        plain = quote(name, safe="", errors="surrogateescape")
        if len(plain) > LONGEST_NAME:
            plain = f"{plain[:LONGEST_NAME]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"
        return self.out / "scores" / stage / key / f"{plain}~{identity}{ending}"
