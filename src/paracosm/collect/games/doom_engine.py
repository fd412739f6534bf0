"""Starts the Doom engine: the archive of levels, the player, and a check that cannot take us down.

The engine answers a bad level with a segmentation fault, so a new archive is first loaded in a process of its
own. This file does NOT know worlds, controls or episodes.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import shlex
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paracosm.core.errors import WorldError
from paracosm.core.files import whole_file

from .doom_levels import Level
from .doom_wad import map_lumps, write_mapinfo, write_wad

logger = logging.getLogger(__name__)

ROUNDS = 100_000
"""Ammunition at the start: nobody runs out, and each shot still counts one down."""

DECORATE = f"""
actor Rounds : Ammo {{
  Inventory.Amount 1
  Inventory.MaxAmount {ROUNDS}
}}
actor ExplorerPistol : Pistol {{
  Weapon.AmmoType "Rounds"
  Weapon.AmmoUse 1
  Weapon.AmmoGive 0
}}
actor Explorer : DoomPlayer {{
  DamageFactor 0.0
  Player.StartItem "ExplorerPistol"
  Player.StartItem "Rounds", {ROUNDS}
}}
"""
"""The player: never hurt, never out of ammunition, so that no episode ends by itself."""

CHECK_SECONDS = 60
"""Time that the engine has to load every level of a new archive."""

CHECK_SCRIPT = """
import sys, vizdoom
game = vizdoom.DoomGame()
game.set_doom_config_path(sys.argv[1])
game.set_doom_game_path(sys.argv[2])
game.set_doom_scenario_path(sys.argv[3])
game.set_console_enabled(True)
game.set_window_visible(False)
game.set_sound_enabled(False)
names = sys.argv[4:]
game.set_doom_map(names[0])
game.init()
for name in names:
    game.set_doom_map(name)
    game.new_episode()
    assert game.get_state() is not None, name
game.close()
"""
"""Loads every map of an archive; dies, in whatever way, when one of them is bad."""


def map_name(index: int) -> str:
    """Name of the level at a place in the archive: MAP01 to MAP99."""
    return f"MAP{index + 1:02d}"


def cached_wad(vizdoom: Any, levels: Sequence[Level]) -> Path:
    """Path of the archive that holds ``levels``; written and checked on first use, then found by content.

    Args:
        vizdoom: the module.
        levels: none for stock maps: then the archive holds the player only.

    Raises:
        WorldError: when the engine does not load one of the levels.
        DataError: when the cache folder cannot be written.
    """
    names = [map_name(index) for index in range(len(levels))]
    skies = {name: level.sky for name, level in zip(names, levels, strict=True)}
    lumps = [("DECORATE", DECORATE.encode()), ("MAPINFO", write_mapinfo(skies, "Explorer").encode())]
    for name, level in zip(names, levels, strict=True):
        lumps += map_lumps(name, level.regions, level.things)
    data = write_wad(lumps)
    path = _cache_folder() / f"{hashlib.sha256(data).hexdigest()[:24]}.wad"
    if not path.exists():
        logger.info("checking %d Doom levels in a process of their own", len(levels))
        with whole_file(path) as temporary:
            temporary.write_bytes(data)
            check_wad(vizdoom, temporary, names or ["map01"])
    return path


def check_wad(vizdoom: Any, path: Path, names: Sequence[str]) -> None:
    """Load maps in a process of its own.

    Args:
        vizdoom: the module.
        path: the archive.
        names: maps to load.

    Raises:
        WorldError: when that process dies or hangs.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-c",
            CHECK_SCRIPT,
            f"{folder}/engine.ini",
            str(game_path(vizdoom, "freedoom2")),
        ]
        try:
            result = subprocess.run(
                [*command, str(path), *names],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=CHECK_SECONDS,
                cwd=folder,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise WorldError(
                f"Doom did not load {len(names)} levels in {CHECK_SECONDS} s; try fewer level_seeds"
            ) from None
    if result.returncode != 0:
        raise WorldError(
            f"Doom refused {' '.join(names)} (exit {result.returncode}: "
            f"{_last_words(result.stdout + result.stderr)}); change the level settings or level_seeds"
        )


def write_launcher(vizdoom: Any, folder: Path) -> Path:
    """Write a script that starts the engine inside ``folder``, for it litters the folder it is started in.

    Returns:
        Path of the script, to be given to the engine's ``set_vizdoom_path``.
    """
    launcher = folder / "vizdoom.sh"
    engine = Path(vizdoom.__file__).parent / "vizdoom"
    launcher.write_text(f'#!/bin/sh\ncd {shlex.quote(str(folder))} && exec {shlex.quote(str(engine))} "$@"\n')
    launcher.chmod(0o700)
    return launcher


def game_path(vizdoom: Any, game: str) -> Path:
    """Path of "freedoom1" or "freedoom2", which come with the engine.

    Raises:
        WorldError: when the file is missing.
    """
    path = Path(vizdoom.__file__).parent / f"{game}.wad"
    if not path.exists():
        raise WorldError(f"{path.name} is missing beside vizdoom; run: pip install --force-reinstall vizdoom")
    return path


def stock_maps(path: Path) -> list[str]:
    """Names of the maps in a game's own archive: those lumps that are followed by THINGS."""
    with path.open("rb") as file:
        _, count, start = struct.unpack("<4sii", file.read(12))
        file.seek(start)
        directory = file.read(16 * count)
    names = [directory[16 * i + 8 : 16 * i + 16].rstrip(b"\0").decode("ascii") for i in range(count)]
    return [name for name, following in itertools.pairwise(names) if following == "THINGS"]


def _cache_folder() -> Path:
    user = "" if sys.platform == "win32" else f"-{os.getuid()}"
    return Path(tempfile.gettempdir()) / f"paracosm-doom{user}"


def _last_words(output: str) -> str:
    """The line of the engine's console that says why it died, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "script" in line.lower()]
    return (telling or lines or ["no output"])[-1][:200]
