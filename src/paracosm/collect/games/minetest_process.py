"""A Minetest of one's own: started on a private X server, under a clock that stands still between steps.

The game runs as Debian ships it. A preloaded library answers it with the time in a file, and this module
moves that time: one step of the clock is one frame of the game's world, however slow the machine. This file
does NOT know what a step means to a player.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import secrets
import subprocess
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Literal

import numpy as np

from paracosm.core.errors import LostWorldError, WorldError

from .minetest_files import Programs
from .minetest_number import MODULUS, read_number
from .minetest_record import FrameRecord, InputSeen, parse_record, parse_seen
from .minetest_x11 import XClient
from .private_screen import keep, start_screen, stop_all

EARLIEST_START, START_CHOICES = 1_700_000_000, 100_000_000
"""The game's clock first shows a whole second since 1970 drawn from so many. The game draws its network port
by what that clock shows: two games that start at the same time would take the same port."""

PORT_TAKEN = "Failed to bind socket"
"""What the game says, and then waits for ever, when another program has its port."""

PATIENCE_S = 300.0
"""Real seconds without a sign of the game after which it is given up."""

Pace = Literal["loose", "exact"]
"""Under an exact clock, time stands still between two steps; but the game's timed waits end at once, so that
it asks and asks. Under a loose one they take their real time, and the clock wavers by what a thread is
interrupted for: good enough for loading, and three times as cheap."""

QUIET_S = 1.0
"""Seconds without a new frame after which none is owed any more."""
SETTLE_S = 10.0
"""How far the clock is moved on from a loose one: further than that can have run ahead. The game itself takes
any such leap for half a second."""

CLOCK_SLACK_S = 1e-4
"""Seconds by which a frame's clock may differ from ours: it has six decimals."""

LOADING_WAIT_S, STILL_S = 0.05, 0.4
"""Real seconds between two steps of the clock while the game loads, and without a change after which a
picture is whole."""

WAITER_NICENESS = 5
"""By how much the game's waiting threads are made nicer than its drawing one."""


class PortTakenError(LostWorldError):
    """Another program has the network port that the game drew."""


class MinetestProcess:
    """A running game, its screen and its clock.

    Args:
        programs: where the programs are.
        folder: a private folder with the game's files, see :mod:`.minetest_files`; removed at the end.
        window: columns and rows of the window.

    Raises:
        WorldError: when the screen or the game does not start.
    """

    def __init__(self, programs: Programs, folder: Path, window: tuple[int, int]) -> None:
        self._window = window
        self._folder = folder
        self._now = float(EARLIEST_START + secrets.randbelow(START_CHOICES))
        self._pace: Pace = "loose"
        self._clock = folder / "clock"
        self._orders = folder / "world" / "orders.txt"
        self._num_orders = 0
        self._seen: InputSeen | None = None
        self._write_clock()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last_lines: collections.deque[str] = collections.deque(maxlen=8)
        screen, display = start_screen(programs.screen, window, folder)
        game = keep(
            [str(programs.game), *_arguments(folder)], _environment(programs, folder, display), folder
        )
        self._stop = weakref.finalize(self, stop_all, game, screen)
        threading.Thread(target=_pump, args=(game, self._lines), daemon=True).start()
        self.screen = XClient(display)

    def close(self) -> None:
        """End the game and the screen and remove their folder; calling it twice does no harm."""
        if self._stop.alive:
            self.screen.close()
        self._stop()

    def order(self, name: str, *values: object) -> int:
        """Give the server mod an order; returns its number, which records repeat once it is done."""
        self._num_orders += 1
        words = " ".join(str(word) for word in (self._num_orders, name, *values))
        with self._orders.open("a") as file:
            file.write(words + "\n")
        return self._num_orders

    def advance(self, seconds: float) -> None:
        """Move the game's clock."""
        self._now += seconds
        self._write_clock()

    def run_until_drawing(self, tick: float, patience_s: float = 2 * PATIENCE_S) -> None:
        """Let the clock run until the game has loaded and tells its first frames.

        Raises:
            PortTakenError: when another program has the port that the game drew.
            WorldError: when the game ended or does not draw for too long.
        """
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            self.advance(tick)
            if self.poll_record(LOADING_WAIT_S) is not None:
                return
            if PORT_TAKEN in self._tail():
                raise PortTakenError(
                    f"another program has the network port that minetest drew; it said: {self._tail()}; "
                    "open the world again, which draws another port"
                )
        raise LostWorldError(f"minetest drew nothing for {patience_s:.0f} s; it said last: {self._tail()}")

    def calm(self) -> None:
        """Give the game's busiest waiters the lower hand.

        Under a clock that stands still their timed waits end at once, so that they ask again and again.
        """
        for task in Path("/proc").glob("[0-9]*/task/*"):
            with contextlib.suppress(OSError):
                if (task.parent.parent / "environ").read_bytes().find(str(self._folder).encode()) < 0:
                    continue
                name = (task / "comm").read_text().strip()
                if name.startswith("Connection") or name == "Server":
                    thread = int(task.name)
                    nicer = os.getpriority(os.PRIO_PROCESS, thread) + WAITER_NICENESS
                    os.setpriority(os.PRIO_PROCESS, thread, min(19, nicer))

    def wait_until_still(self, record: FrameRecord, patience_s: float = 20.0) -> None:
        """Wait until a frame's picture stays as it is: the game builds what it draws on other threads."""
        until = time.monotonic() + patience_s
        picture, same_since = self.picture_of(record), time.monotonic()
        while time.monotonic() < until and time.monotonic() - same_since < STILL_S:
            time.sleep(STILL_S / 4)
            newer = self.picture_of(record)
            if not np.array_equal(newer, picture):
                picture, same_since = newer, time.monotonic()

    def next_record(self, patience_s: float = PATIENCE_S) -> FrameRecord:
        """Wait for the record of the next frame.

        Raises:
            WorldError: when the game ended or says nothing for too long.
        """
        until = time.monotonic() + patience_s
        while True:
            record = self.poll_record(max(0.0, until - time.monotonic()))
            if record is not None:
                return record
            if time.monotonic() >= until:
                raise WorldError(
                    f"minetest told no frame for {patience_s:.0f} s; is the machine that busy? It said last: "
                    f"{self._tail()}"
                )

    def poll_record(self, wait_s: float) -> FrameRecord | None:
        """The next record, or None when there was none for so long or another line came.

        Raises:
            WorldError: when the game ended.
        """
        try:
            line = self._lines.get(timeout=wait_s)
        except queue.Empty:
            return None
        if line is None:
            raise LostWorldError(f"minetest ended by itself; it said last: {self._tail()}")
        record = parse_record(line)
        self._seen = parse_seen(line) or self._seen
        if record is None and line and "PARACOSM_" not in line:
            self._last_lines.append(line)
        return record

    def set_pace(self, pace: Pace) -> None:
        """Change how still the clock stands between two steps, see :data:`Pace`."""
        self._pace = pace
        self._write_clock()

    def settle(self) -> FrameRecord:
        """Wait until the game has used up all time that it was given under a loose clock.

        Returns:
            The record of the frame that the window shows now.
        """
        self.advance(SETTLE_S)
        record = self.next_record()
        while not self.is_current(record):
            record = self.next_record()
        # A busy machine may owe one frame more: the last one told is the one that stays.
        until = time.monotonic() + QUIET_S
        while time.monotonic() < until:
            newer = self.poll_record(QUIET_S / 10)
            if newer is not None:
                record, until = newer, time.monotonic() + QUIET_S
        return record

    def is_current(self, record: FrameRecord) -> bool:
        """Whether a frame was drawn after the last move of the clock."""
        return abs(record.numbers["clock"] - self._now) < CLOCK_SLACK_S

    def nudge(self, seconds: float) -> None:
        """Move the clock so little that no frame counts, but the game looks at its mouse again."""
        self.advance(seconds)

    def wait_until_seen(self, keys: frozenset[str], yaw: float, pitch: float, slack: float) -> None:
        """Wait until the game holds these keys and looks there.

        Args:
            keys: keys held, by our names.
            yaw: degrees counter-clockwise from +x.
            pitch: degrees, up positive.
            slack: degrees by which yaw and pitch may differ.

        Raises:
            WorldError: when the game ended or the input does not arrive.
        """
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            seen = self._seen
            if (
                seen
                and seen.keys == keys
                and abs(seen.yaw - yaw) <= slack
                and abs(seen.pitch - pitch) <= slack
            ):
                return
            if self.poll_record(0.05) is not None:
                raise LostWorldError("minetest drew a frame that was not asked for; open the world again")
        raise LostWorldError(
            f"minetest does not take its input: asked were {sorted(keys)}, yaw {yaw:.2f} and pitch "
            f"{pitch:.2f}, it has {self._seen}; open the world again"
        )

    def picture_of(self, record: FrameRecord) -> np.ndarray:
        """Wait until the window shows a frame and read it.

        Returns:
            uint8 (window rows, window columns, 3), the strip of its number included.

        Raises:
            WorldError: when the window shows another frame for too long.
        """
        until = time.monotonic() + PATIENCE_S
        width, height = self._window
        seen = None
        while time.monotonic() < until:
            picture = self.screen.grab(0, 0, width, height)
            seen = read_number(picture)
            if seen == record.frame % MODULUS:
                return picture
            time.sleep(0.001)
        raise LostWorldError(
            f"minetest's window shows frame {seen}, frame {record.frame} was told; open the world again"
        )

    def _write_clock(self) -> None:
        new = self._clock.with_name("clock.new")
        new.write_text(f"{'@' * (self._pace == 'loose')}{self._now:.6f}\n")
        new.replace(self._clock)

    def _tail(self) -> str:
        return " / ".join(self._last_lines) or "nothing"


def private_folder() -> Path:
    """Make the folder that a game lives in."""
    return Path(tempfile.mkdtemp(prefix="paracosm-minetest-"))


def _arguments(folder: Path) -> list[str]:
    user = folder / "home" / ".minetest"
    return ["--go", "--world", str(folder / "world"), "--config", str(user / "minetest.conf"),
            "--logfile", str(folder / "log.txt")]  # fmt: skip


def _environment(programs: Programs, folder: Path, display: int) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(folder / "home"),
        "MINETEST_USER_PATH": str(folder / "home" / ".minetest"),
        "XDG_RUNTIME_DIR": str(folder),
        "TMPDIR": str(folder),
        "DISPLAY": f":{display}",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "LP_NUM_THREADS": "1",
        # Only the game may get this: a keeper under a clock that stands still would itself stand still.
        "KEEPER_PRELOAD": f"LD_PRELOAD={programs.clock}",
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_FMT": "%s",
        "FAKETIME_NO_CACHE": "1",
    }


def _pump(game: subprocess.Popen[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    """Read the game's log as it comes; None says that it ended."""
    assert game.stdout is not None
    for line in game.stdout:
        lines.put(line.decode("utf-8", "replace").rstrip("\n"))
    lines.put(None)
