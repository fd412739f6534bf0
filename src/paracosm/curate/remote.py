"""Folders in object stores: what is missing here is fetched, what is missing there is put.

An address is anything that fsspec opens, such as s3://bucket/videos, gs://..., file:///... or memory://.
A file that is here is never replaced by the store's: it may be newer, or paid for. Files of lines are joined
line by line where that is asked for, in both directions. What is fetched gets the store's time, so that it
has one identity on every machine. This file does NOT know what the files hold.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.core.files import TEMPORARY_PREFIX, cut_torn_line, whole_file

logger = logging.getLogger(__name__)

LOCAL_ONLY = ("lock",)
"""Files that belong to one machine and are never put."""


class RemoteFolder:
    """One folder in an object store.

    Args:
        address: what fsspec opens.
        joined: ending of files to which lines are only ever added, e.g. ".jsonl": the lines of both sides are
            kept; "" for none.
    """

    def __init__(self, address: str, joined: str = "") -> None:
        self.address, self._joined = address, joined
        try:
            self._files, root = need("fsspec", "train").core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise DataError(f"{address} is no address that fsspec opens here ({error})") from error
        self._root = root.rstrip("/")

    def fetch(self, folder: Path, remade: Collection[str] = ()) -> int:
        """Copy what the local folder lacks; each file appears whole or not at all.

        A file that is here stays as it is, but for the lines that a file of lines lacks. A file of which the
        store has a newer one of another size is told as a warning.

        Args:
            folder: where to; need not exist.
            remade: names of files that differ on every machine, of which nothing is told.

        Returns:
            How many files came or grew.

        Raises:
            DataError: when the store or the disk fails, or a name would leave the folder.
        """
        count = 0
        for name, (size, time) in self._list().items():
            here = folder / name
            if ".." in PurePosixPath(name).parts:
                raise DataError(f"{self.address} holds a file called {name}, which would leave {folder}")
            if not here.exists():
                with whole_file(here) as temporary:
                    self._call("get_file", f"{self._root}/{name}", str(temporary))
                    os.utime(temporary, (time, time))
                count += 1
            elif self._joined and name.endswith(self._joined):
                count += self._take_lines(name, here)
            elif name not in remade and here.stat().st_size != size and here.stat().st_mtime < time:
                logger.warning(
                    "%s stays as it is, though %s has a newer one; delete it here to take that",
                    here,
                    self.address,
                )
        return count

    def put(self, folder: Path) -> int:
        """Copy what the store lacks, or has older or of another size.

        Lines that a file of lines has only there are taken from it first, so that none is lost there either.

        Returns:
            How many files went.

        Raises:
            DataError: when the store or the disk fails.
        """
        there, count = self._list(), 0
        for file in _files_of(folder):
            name = file.relative_to(folder).as_posix()
            if self._joined and name.endswith(self._joined) and name in there:
                self._take_lines(name, file)
            facts = file.stat()
            size, time = there.get(name, (-1, 0.0))
            if size == facts.st_size and time >= facts.st_mtime - 1:
                continue
            partial, _, last = name.rpartition("/")
            temporary = f"{self._root}/{partial}/{TEMPORARY_PREFIX}{last}".replace("//", "/")
            self._call("makedirs", f"{self._root}/{partial}".rstrip("/"), exist_ok=True)
            # a store that copies file by file must not show a half one under its own name
            self._call("put_file", str(file), temporary)
            self._call("mv", temporary, f"{self._root}/{name}")
            count += 1
        return count

    def _take_lines(self, name: str, here: Path) -> bool:
        """Append the store's lines that are not here; say whether there were any."""
        try:
            cut_torn_line(here)
            known = set(here.read_bytes().split(b"\n"))
            *whole, _ = self._call("cat_file", f"{self._root}/{name}").split(b"\n")
            missing = [line for line in whole if line not in known]
            if missing:
                with here.open("ab") as file:
                    file.write(b"".join(line + b"\n" for line in missing))
        except OSError as error:
            raise DataError(f"{here} could not be written ({error.strerror}); free some space") from error
        return bool(missing)

    def _list(self) -> dict[str, tuple[int, float]]:
        """Name below the folder to bytes and time, of everything whole there; {} when it is not there."""
        if not self._call("exists", self._root):
            return {}
        self._files.invalidate_cache()
        found: dict[str, Any] = self._call("find", self._root, detail=True)
        return {
            path[path.index(self._root) + len(self._root) :].lstrip("/"): (
                int(facts["size"]),
                self._call("modified", path).timestamp(),
            )
            for path, facts in sorted(found.items())
            if not PurePosixPath(path).name.startswith(TEMPORARY_PREFIX)
        }

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._files, name)(*arguments, **options)
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{self.address} failed at {name} ({error}); check address and rights") from error


def _files_of(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith(TEMPORARY_PREFIX) and file.name not in LOCAL_ONLY:
            yield file
