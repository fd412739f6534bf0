"""Folders in object stores: what is missing here is fetched, what is missing there is put.

An address is anything that fsspec opens, such as s3://bucket/videos, gs://..., file:///... or memory://.
Files are compared by size and time; what is fetched gets the store's time, so that it has one identity on
every machine. This file does NOT know what the files hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.core.files import TEMPORARY_PREFIX, whole_file

LOCAL_ONLY = ("lock",)
"""Files that belong to one machine and are never put."""


class RemoteFolder:
    """One folder in an object store.

    Args:
        address: what fsspec opens.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._files, root = need("fsspec", "train").core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise DataError(f"{address} is no address that fsspec opens here ({error})") from error
        self._root = root.rstrip("/")

    def fetch(self, folder: Path) -> int:
        """Copy what the local folder lacks; each file appears whole or not at all.

        Returns:
            How many files came.

        Raises:
            DataError: when the store or the disk fails, or a name would leave the folder.
        """
        count = 0
        for name, (size, time) in self._list().items():
            here = folder / name
            if ".." in PurePosixPath(name).parts:
                raise DataError(f"{self.address} holds a file called {name}, which would leave {folder}")
            if here.exists() and here.stat().st_size == size and here.stat().st_mtime >= time - 1:
                continue
            with whole_file(here) as temporary:
                self._call("get_file", f"{self._root}/{name}", str(temporary))
                os.utime(temporary, (time, time))
            count += 1
        return count

    def put(self, folder: Path) -> int:
        """Copy what the store lacks, or has older or of another size.

        Returns:
            How many files went.

        Raises:
            DataError: when the store fails.
        """
        there, count = self._list(), 0
        for file in _files_of(folder):
            name, facts = file.relative_to(folder).as_posix(), file.stat()
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
