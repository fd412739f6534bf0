"""Doom demos drawn by Debian's dsda-doom, one frame for each tic, with where the player stood.

A demo holds what the player pressed and nothing else; an engine that keeps the old rules makes the same play
of it. Ours runs on a private X server and hands each frame to a pipe, so that none is lost and none is kept
twice. This file does NOT know what the buttons mean.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paracosm.collect.games.private_screen import find_game, keep, start_screen, stop_all
from paracosm.collect.pictures import shrink
from paracosm.core.errors import DataError, MissingPackageError
from paracosm.data.video import VideoWriter

TICS_PER_SECOND = 35
"""Of the game: it draws a frame and reads the player once a tic."""
DRAWN, KEPT = (480, 640), (240, 320)
"""Rows and columns that the engine draws, and that are kept: the mean of four pixels each."""
UNDRAWN = 2
"""Frames that the engine hands over before it draws the level: black, or the window as it was."""
PACKAGES = "dsda-doom xvfb"
"""The Debian packages that draw demos."""

_SETTINGS = f"""\
cap_soundcommand "cat > /dev/null"
cap_videocommand "cat > frames"
cap_muxcommand "true"
cap_wipescreen 0
cap_fps {TICS_PER_SECOND}
uncapped_framerate 0
screenblocks 11
show_messages 0
hudadd_demoprogressbar 0
render_wipescreen 0
use_fullscreen 0
screen_resolution "320x200"
"""
"""No bar, no words and no fading between pictures: all that is seen is the play."""

_RUN = 'cd "$0" && exec 3>frames && exec "$@" >words 2>&1'
"""The engine itself holds the pipe open, so that the pipe's end is the engine's, whether it drew or not."""

_POSE_WORDS = 9
"""Numbers that the engine writes of a tic: x, y, z, angle, sprite, its frame, map, episode, tic."""
_POSE_HEADER = 8
"""Bytes before the first of them."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A demo that was played.

    Attributes:
        video: lossless file of one frame for each row of the demo, seen after that row.
        poses: float64 (tics - 1, 4): x, y, z in units of the map and degrees counter-clockwise from east;
            row i is where the player stands in frame i; of the last frame nothing is told.
        engine: what the engine calls itself, e.g. "dsda-doom v0.25.6".
    """

    video: Path
    poses: np.ndarray
    engine: str


def find_programs() -> tuple[Path, Path]:
    """Find the engine and the X server.

    Raises:
        MissingPackageError: when one is missing; names the Debian packages.
    """
    engine = find_game("dsda-doom")
    screen = shutil.which("Xvfb")
    if not engine or not screen:
        missing = [name for name, path in (("dsda-doom", engine), ("Xvfb", screen)) if not path]
        raise MissingPackageError(
            f"Doom demos need {', '.join(missing)} to be drawn, not found; run: apt-get install {PACKAGES}"
        )
    return Path(engine), Path(screen)


def replay(wad: Path, demo: bytes, folder: Path, players: int = 1, player: int = 0) -> Replay:
    """Play a demo and keep what is seen.

    Args:
        wad: the game's data, which the demo was recorded with.
        demo: the demo as it stands in its file.
        folder: an empty folder; the video stays in it.
        players: how many play.
        player: whose poses are kept, counted from 0 among them; the demo itself says whose eyes are seen
            through.

    Raises:
        MissingPackageError: when the engine or the X server is not installed.
        DataError: when the engine does not play the demo, or tells another number of tics than it drew.
    """
    engine, screen_program = find_programs()
    private = folder / "engine"
    private.mkdir()
    (private / "demo.lmp").write_bytes(demo)
    (private / "settings.cfg").write_text(_SETTINGS)
    os.mkfifo(private / "frames")
    screen, display = start_screen(screen_program, (DRAWN[1], DRAWN[0]), private)
    command = ["sh", "-c", _RUN, str(private), str(engine), "-iwad", str(wad.resolve()), "-config",
               "settings.cfg", "-timedemo", "demo.lmp", "-viddump", "none", "-export_ghost", "poses.bin",
               "-nosound"]  # fmt: skip
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(private),
        "DISPLAY": f":{display}",
        "SDL_VIDEODRIVER": "x11",
        "SDL_AUDIODRIVER": "dummy",
    }
    game = keep(command, environment, private)
    try:
        video = folder / "replay.mkv"
        count = _write(video, _frames(private / "frames"))
        words = (private / "words").read_text(errors="replace").strip()
        poses = _read_poses(private / "poses.bin")[player::players]
    finally:
        stop_all(game, screen)
    if not count or count != len(poses) + 1:
        raise DataError(
            f"{wad} has a demo of which {count} frames were drawn and {len(poses)} tics told; "
            f"{engine.name} said: {words[-300:] or 'nothing'}"
        )
    return Replay(video=video, poses=poses, engine=words.split(" (")[0])


def _frames(pipe: Path) -> Iterator[np.ndarray]:
    """Yield frames, uint8 (240, 320, 3), until the engine has ended."""
    size = DRAWN[0] * DRAWN[1] * 3
    with pipe.open("rb") as file:
        while len(data := file.read(size)) == size:
            yield shrink(np.frombuffer(data, np.uint8).reshape(*DRAWN, 3), *KEPT)


def _write(video: Path, frames: Iterator[np.ndarray]) -> int:
    """Write frames as a lossless video; returns how many there were."""
    writer, count = VideoWriter(video, TICS_PER_SECOND, *KEPT, codec="ffv1"), 0
    try:
        for image in frames:
            writer.add(image)
            count += 1
        writer.close()
    finally:
        writer.abandon()
    return count


def _read_poses(file: Path) -> np.ndarray:
    """Read what the engine tells of each tic and player, see :class:`Replay`."""
    data = file.read_bytes()[_POSE_HEADER:] if file.exists() else b""
    words = np.frombuffer(data[: len(data) // (4 * _POSE_WORDS) * 4 * _POSE_WORDS], "<i4")
    rows = words.reshape(-1, _POSE_WORDS)
    degrees = (rows[:, 3].astype(np.int64) & 0xFFFFFFFF) * (360.0 / 2**32)
    return np.column_stack([rows[:, :3] / 65536.0, degrees])
