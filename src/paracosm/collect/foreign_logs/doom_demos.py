"""Demos of Doom: inside the game's archives (``*.wad``), or files of one's own (``*.lmp``) beside one.

A demo is a header and four bytes for each tic: steps forward and aside, turn, buttons. Nothing is filmed: the
frames are drawn by an engine that makes the same play of the same bytes (``doom_replay.py``), and the turns
of the bytes are held against those that the engine then made. A player whom another engine leads astray still
turns; but it runs into walls and dies long before the end, so both are told. This file does NOT draw.

Source: the demo format of Doom 1.9 as the Doom Wiki describes it ("Demo", "Lump").
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from paracosm.collect.games.private_screen import keep, stop_all
from paracosm.core.errors import DataError
from paracosm.data.format import hash_file

from .doom_replay import UNDRAWN, Replay, find_programs, replay
from .keys import DOOM_KEYS
from .log import ForeignLog, LogRow, LogSet

VERSIONS = range(104, 110)
"""Of the game, 1.4 to 1.9: those that write four bytes a tic."""
HEADER, VIEWER, PLAYERS = 13, 8, 9
"""Bytes before the first row; place in it of whose eyes one sees through, and of who plays, a byte each."""
ROW, END = 4, 0x80
"""Bytes of a player's row; the byte after the last row."""
DEGREES = 360 / 256
"""Of one step of a turn."""
WALK = (25, 24)
"""Steps forward and aside of a walking player; more is running."""
ATTACK, USE, CHANGE, WEAPON, SPECIAL = 1, 2, 4, 0b111, 128
"""Bits of the buttons: which weapon follows CHANGE by three bits; SPECIAL is a pause or a saved game."""
STILL = 0.5
"""Units of a tic below which a walking player stands still; a walk makes 8, a run 16."""
DEAF = 8
"""Rows after the last turn made in which the view turns otherwise: so many, and the player is dead."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """One demo, through the eyes of one of its players.

    Attributes:
        name: of the episode.
        wad: archive that it is played with.
        data: its bytes.
        player: whose eyes, counted from 0 among those who play.
    """

    name: str
    wad: Path
    data: bytes
    player: int = 0

    @property
    def players(self) -> list[int]:
        """Places of those who play; [] for a version that is not read."""
        known = len(self.data) > HEADER and self.data[0] in VERSIONS
        return [place for place in range(4) if self.data[PLAYERS + place]] if known else []

    @property
    def seen(self) -> bytes:
        """The bytes with this player's eyes: a demo names one, and plays the same whoever it is."""
        return self.data[:VIEWER] + bytes([self.players[self.player]]) + self.data[VIEWER + 1 :]

    @property
    def rows(self) -> np.ndarray:
        """int8 (tics, 4) of the player: steps forward, steps to the right, turn to the left, buttons."""
        count = len(self.players)
        body = self.data[HEADER:]
        stop = next((place for place in range(0, len(body), ROW * count) if body[place] == END), len(body))
        whole = stop // (ROW * count) * ROW * count
        return np.frombuffer(body[:whole], np.int8).reshape(-1, count, ROW)[:, self.player]


def open_logs(folder: Path) -> LogSet:
    """Find the demos, one log for each of their players.

    What is drawn of one lies on disk until the next is read, and no longer than this set lives.

    Raises:
        MissingPackageError: when the engine is not installed.
        DataError: when there is none, or it is not clear which archive a file is played with.
    """
    find_programs()
    wads = [file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".wad" and _holds_game(file)]
    found = [demo for wad in wads for demo in _demos_inside(wad)]
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".lmp"]
    if files and len(wads) != 1:
        raise DataError(
            f"{folder} holds {files[0].name} and {len(wads)} games (IWAD archives) to play it with; put one "
            "there"
        )
    found += [Demo(name=file.stem, wad=wads[0], data=file.read_bytes()) for file in files]
    demos = [one for demo in found for one in _of_each_player(demo)]
    if not demos:
        raise DataError(
            f"{folder} holds no demo of Doom 1.4 to 1.9 ({len(found)} of others); put an IWAD archive with "
            "demos there, e.g. /usr/share/games/doom/freedoom2.wad of Debian's freedoom"
        )
    reader = _Reader()
    return LogSet(
        keys=DOOM_KEYS,
        logs={demo.name: lambda demo=demo: reader.read(demo) for demo in demos},
        policy="person",
    )


class _Reader:
    """Draws demos into a folder of its own, one at a time, since their frames need much room."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="paracosm-doom-"))
        # frames of a demo are hundreds of megabytes: they go with us, in whatever way we end
        keeper = keep(["sleep", "infinity"], {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}, self._folder)
        self._remove = weakref.finalize(self, stop_all, keeper)

    def read(self, demo: Demo) -> ForeignLog:
        """Draw a demo, and read it."""
        folder = self._folder / "demo"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return read_log(demo, replay(demo.wad, demo.seen, folder, len(demo.players), demo.player))


def read_log(demo: Demo, played: Replay) -> ForeignLog:
    """Put a demo's rows beside its frames; what follows the player's death is left out.

    Raises:
        DataError: when the engine drew another number of frames than the demo has rows, or the player does
            not turn as the rows say.
    """
    rows, poses = demo.rows, played.poses
    if len(poses) + 1 != len(rows):
        raise DataError(
            f"{demo.name} has {len(rows)} rows, {played.engine} drew {len(poses) + 1} frames; play it with "
            "the archive that it was recorded with"
        )
    told = -DEGREES * rows[:, 2].astype(np.float64)
    made = -((np.diff(poses[:, 3]) + 180) % 360 - 180)  # from row i to i + 1, by row i + 1
    obeyed = np.abs(made - told[1:-1]) < 1e-3
    turning = told[1:-1] != 0
    alive = _rows_alive(obeyed, turning)
    turns = int(np.count_nonzero(turning[:alive]))
    wrong = int(np.count_nonzero(turning[:alive] & ~obeyed[:alive]))
    if wrong > turns / 4:
        raise DataError(
            f"{demo.name} turns otherwise than its rows say in {wrong} of {turns} turning rows; play "
            "it with the archive that it was recorded with"
        )
    first, stop = UNDRAWN, alive  # frame i is seen after row i: what acts on it is row i + 1
    if stop - first < 2:
        raise DataError(f"{demo.name} shows {max(0, stop - first)} frames of play, two are needed; remove it")
    notes = []
    if stop < len(rows):
        notes.append(f"the player answers nothing more from row {stop} of {len(rows)} on; left out")
    if wrong:
        notes.append(f"in {wrong} of {turns} turning rows the game turned the player otherwise")
    walking = (rows[1:-1, :2] != 0).any(1)[:alive]
    still = walking & (np.hypot(*np.diff(poses[:, :2], axis=0).T)[:alive] < STILL)
    notes.append(f"in {still.sum()} of {walking.sum()} walking rows the player stood still")
    return ForeignLog(
        video=played.video,
        rows=[_row(rows[index + 1], poses[index]) for index in range(first, stop - 1)],
        first_frame=first,
        num_frames=stop - first,
        notes=tuple(notes),
        provenance={
            "wad": demo.wad.name,
            "wad_sha256": hash_file(demo.wad),
            "engine": played.engine,
            "skill": demo.data[1] + 1,
            "episode": demo.data[2],
            "map": demo.data[3],
            "players": len(demo.players),
        },
    )


def _rows_alive(obeyed: np.ndarray, turning: np.ndarray) -> int:
    """Rows until the player answers no more; all of them, while it does to the end.

    Args:
        obeyed: bool (t,): whether the player turned by rows 1 to t as they say.
        turning: bool (t,): whether they say that it turns at all.
    """
    answers = np.nonzero(obeyed & turning)[0]
    last = int(answers[-1]) if len(answers) else -1
    return last + 2 if np.count_nonzero(~obeyed[last + 1 :]) >= DEAF else len(obeyed) + 2


def _row(row: np.ndarray, pose: np.ndarray) -> LogRow:
    forward, right, left, buttons = (int(value) for value in row)
    buttons &= 0xFF
    plain = not buttons & SPECIAL
    held = {
        "forward": forward > 0,
        "back": forward < 0,
        "right": right > 0,
        "left": right < 0,
        "run": abs(forward) > WALK[0] or abs(right) > WALK[1],
        "attack": plain and bool(buttons & ATTACK),
        "use": plain and bool(buttons & USE),
    }
    if plain and buttons & CHANGE:
        held[f"weapon{(buttons >> 3 & WEAPON) + 1}"] = True
    return LogRow(
        keys=frozenset(name for name, is_held in held.items() if is_held),
        turn=(-DEGREES * left, 0.0),
        truth={"pose": _pose(pose)},
        raw=[forward, right, left, buttons],
    )


def _pose(pose: np.ndarray) -> dict[str, float]:
    """The player's feet in units of the map, z up; yaw as a compass: degrees clockwise from +y."""
    x, y, z, degrees = (float(value) for value in pose)
    return {"x": x, "y": y, "z": z, "yaw": (90.0 - degrees) % 360.0, "pitch": 0.0}


def _of_each_player(demo: Demo) -> list[Demo]:
    if len(demo.players) < 2:
        return [demo] * len(demo.players)
    return [
        replace(demo, name=f"{demo.name}-player{player + 1}", player=player)
        for player in range(len(demo.players))
    ]


def _holds_game(wad: Path) -> bool:
    with wad.open("rb") as file:
        return file.read(4) == b"IWAD"


def _demos_inside(wad: Path) -> list[Demo]:
    """Lumps called DEMO and a number."""
    data = wad.read_bytes()
    if len(data) < 12:
        raise DataError(f"{wad} ends inside its header; fetch it anew")
    _, count, place = struct.unpack_from("<4sii", data)
    if count < 0 or place < 12 or place + 16 * count > len(data):
        raise DataError(f"{wad} has no whole directory; fetch it anew")
    demos = []
    for start, size, name in struct.iter_unpack("<ii8s", data[place : place + 16 * count]):
        word = name.rstrip(b"\0").decode("latin-1")
        if word.startswith("DEMO") and word[4:].isdigit():
            demos.append(Demo(name=f"{wad.stem}-{word.lower()}", wad=wad, data=data[start : start + size]))
    return demos
