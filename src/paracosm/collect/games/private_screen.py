"""Programs that draw for us: on a private X server, ended with us in whatever way we end.

This file does NOT know any game.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from paracosm.core.errors import WorldError

GAME_SEARCH_PATH = "/usr/games:/usr/local/games"
"""Where Debian keeps games; often not on root's search path."""

EXACT_SIDE = 480
"""Pixels that are a whole number of millimetres (127) at 96 to the inch."""

_KEEPER = """
exec 9<&0
env $KEEPER_PRELOAD "$@" </dev/null 9<&- &
child=$!
exec >/dev/null 2>&1
read _ <&9
kill -$KEEPER_SIGNAL $child 2>/dev/null
wait $child 2>/dev/null
rm -f /dev/shm/faketime_shm_$child /dev/shm/sem.faketime_sem_$child
rm -rf -- "$KEEPER_FOLDER"
"""
"""Runs a program until our end of a pipe closes, however we end, and removes its folder then. It holds the
program's output no longer than that does, so that the output's end is the program's."""


def find_game(name: str) -> str | None:
    """Path of a game's program, None when it is not installed."""
    return shutil.which(name) or shutil.which(name, path=GAME_SEARCH_PATH)


def start_screen(program: Path, size: tuple[int, int], folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start an X server on a display that it chooses itself; the number lands in a file.

    Args:
        program: of the server, Xvfb.
        size: columns and rows that must fit on it.
        folder: a private folder, removed at the end.

    Returns:
        What :func:`stop_all` ends, and the number of the display.

    Raises:
        WorldError: when it does not start.
    """
    told = folder / "display"
    command = ["sh", "-c", 'exec "$0" -displayfd 3 "$@" 3>"$TOLD"', str(program)]
    # The game scales what it draws by the screen's density, which is exact only on such a grid of pixels.
    wide, high = (-(-side // EXACT_SIDE) * EXACT_SIDE for side in size)
    command += ["-screen", "0", f"{wide}x{high}x24", "-dpi", "96", "-nolisten", "tcp", "-noreset"]
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "TOLD": str(told)}
    screen = keep(command, environment, folder, ends="politely")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            text = told.read_text()
            if text.endswith("\n"):
                return screen, int(text)
        time.sleep(0.02)
    stop_all(screen)
    raise WorldError(f"{program} did not start within 30 s; try it by hand: Xvfb -displayfd 1")


def keep(
    command: Sequence[str],
    environment: dict[str, str],
    folder: Path,
    ends: Literal["politely", "at once"] = "at once",
) -> subprocess.Popen[bytes]:
    """Start a program that ends when we do, in whatever way we end, and removes the folder then.

    A screen is asked to end, so that it removes its socket; a game has nothing worth waiting for, and only
    its words are read.
    """
    politely = ends == "politely"
    return subprocess.Popen(
        ["sh", "-c", _KEEPER, "keeper", *command],
        env={
            **environment,
            "KEEPER_FOLDER": str(folder),
            "KEEPER_SIGNAL": "TERM" if politely else "KILL",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if politely else subprocess.PIPE,
        stderr=subprocess.DEVNULL if politely else subprocess.STDOUT,
        start_new_session=True,  # a recorder that is killed with its group leaves the keeper to clean up
    )


def stop_all(*kept: subprocess.Popen[bytes]) -> None:
    """End what :func:`keep` and :func:`start_screen` started."""
    for process in kept:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()
