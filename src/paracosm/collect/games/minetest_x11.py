"""The few words of the X11 protocol that a captured game needs: pictures out, keys and mouse in.

A client of some hundred lines instead of a binding: it speaks to a private Xvfb over its socket, so that
nothing but the server itself must be installed. This file does NOT know which program draws or what a key
means to it.

Source: the X Window System Protocol, version 11 (request encodings), and the XTEST extension, version 2.2.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paracosm.core.errors import LostWorldError, WorldError

_QUERY_TREE, _WARP, _FOCUS, _GET_INPUT_FOCUS, _GET_IMAGE, _KEY_MAP, _EXTENSION = 15, 41, 42, 43, 73, 101, 98
_KEY_DOWN, _KEY_UP, _BUTTON_DOWN, _BUTTON_UP = 2, 3, 4, 5
_ALL_PLANES = 0xFFFFFFFF

MOUSE_BUTTONS = {"mouse_left": 1, "mouse_right": 3}
"""Names of the mouse buttons to their X numbers; every other name is a keysym's."""

KEYSYMS = {"space": 0x20, "shift": 0xFFE1, **{chr(code): code for code in range(ord("a"), ord("z") + 1)}}
"""Names of the keys that can be pressed to their X keysyms."""


@dataclass(frozen=True)
class Size:
    """Size of the screen in pixels."""

    width: int
    height: int


class XClient:
    """A connection to one X server with a single screen of 24 bits.

    Args:
        display: number of the display, e.g. 99 for ":99".
        timeout: seconds that an answer may take.

    Raises:
        WorldError: when there is no such server, it refuses, or its pixels are not 32 bits wide.
    """

    def __init__(self, display: int, timeout: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(Path("/tmp/.X11-unix") / f"X{display}"))
        except OSError as error:
            self._socket.close()
            raise LostWorldError(
                f"the X server :{display} does not answer ({error}); open the world again"
            ) from error
        self._sequence = 0
        self.root, self.size, (low, high) = self._greet()
        self._keycodes = self._map_keys(low, high)
        self._test = self._find_extension(b"XTEST")

    def close(self) -> None:
        """Leave the server; calling it twice does no harm."""
        self._socket.close()

    def windows(self) -> tuple[int, ...]:
        """The windows that stand directly on the screen."""
        answer = self._ask(struct.pack("<BBHI", _QUERY_TREE, 0, 2, self.root))
        (count,) = struct.unpack_from("<H", answer, 16)
        return struct.unpack_from(f"<{count}I", answer, 32)

    def focus(self, window: int) -> None:
        """Send keys to a window from now on."""
        self._send(struct.pack("<BBHII", _FOCUS, 1, 3, window, 0))

    def move_mouse(self, x: int, y: int) -> None:
        """Put the mouse on a pixel of the screen."""
        self._send(struct.pack("<BBHIIhhHHhh", _WARP, 0, 6, 0, self.root, 0, 0, 0, 0, x, y))

    def press(self, name: str, down: bool) -> None:
        """Press or release a key of :data:`KEYSYMS` or a button of :data:`MOUSE_BUTTONS`."""
        if name in MOUSE_BUTTONS:
            kind, detail = (_BUTTON_DOWN if down else _BUTTON_UP), MOUSE_BUTTONS[name]
        else:
            kind, detail = (_KEY_DOWN if down else _KEY_UP), self._keycodes[KEYSYMS[name]]
        fake = struct.pack("<BB2xII8xhh7xB", kind, detail, 0, 0, 0, 0, 0)
        self._send(struct.pack("<BBH", self._test, 2, 9) + fake)

    def wait(self) -> None:
        """Return when the server has done everything asked of it so far."""
        self._ask(struct.pack("<BBH", _GET_INPUT_FOCUS, 0, 1))

    def grab(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Read a part of the screen.

        Returns:
            uint8 (height, width, 3), RGB.
        """
        request = struct.pack(
            "<BBHIhhHHI", _GET_IMAGE, 2, 5, self.root, left, top, width, height, _ALL_PLANES
        )
        pixels = np.frombuffer(self._ask(request), np.uint8, height * width * 4, 32)
        return pixels.reshape(height, width, 4)[..., 2::-1].copy()

    def _greet(self) -> tuple[int, Size, tuple[int, int]]:
        self._socket.sendall(struct.pack("<BBHHHHH", ord("l"), 0, 11, 0, 0, 0, 0))
        head = self._read(8)
        body = self._read(4 * struct.unpack_from("<H", head, 6)[0])
        if head[0] != 1:
            reason = body[: head[1]].decode("latin-1") or "no reason given"
            raise LostWorldError(f"the X server refused the connection ({reason}); open the world again")
        (vendor_length,) = struct.unpack_from("<H", body, 16)
        num_formats = body[21]
        low, high = body[26], body[27]
        formats = 32 + (vendor_length + 3) // 4 * 4
        screen = formats + 8 * num_formats
        bits = {body[formats + 8 * i]: body[formats + 8 * i + 1] for i in range(num_formats)}
        if bits.get(24) != 32:
            raise WorldError("the X server has no pixels of 24 bits in 32; start it with -screen 0 WxHx24")
        root = struct.unpack_from("<I", body, screen)[0]
        width, height = struct.unpack_from("<HH", body, screen + 20)
        return root, Size(width, height), (low, high)

    def _map_keys(self, low: int, high: int) -> dict[int, int]:
        """Keysym to keycode, from the server's own keyboard."""
        count = high - low + 1
        answer = self._ask(struct.pack("<BBHBBH", _KEY_MAP, 0, 2, low, count, 0))
        per_code = answer[1]
        symbols = np.frombuffer(answer, "<u4", count * per_code, 32).reshape(count, per_code)
        found = {int(row[0]): low + index for index, row in reversed(list(enumerate(symbols)))}
        missing = [name for name, symbol in KEYSYMS.items() if symbol not in found]
        if missing:
            raise WorldError(f"the X server's keyboard has no keys {missing}; install its layouts (xkb-data)")
        return found

    def _find_extension(self, name: bytes) -> int:
        padded = name + b"\0" * (-len(name) % 4)
        head = struct.pack("<BBHHH", _EXTENSION, 0, 2 + len(padded) // 4, len(name), 0)
        answer = self._ask(head + padded)
        if not answer[8]:
            raise WorldError(f"the X server lacks the extension {name.decode()}; install Debian's xvfb")
        return answer[9]

    def _send(self, request: bytes) -> None:
        self._socket.sendall(request)
        self._sequence = (self._sequence + 1) % 65536

    def _ask(self, request: bytes) -> bytes:
        """Send a request and return its answer; events in between are of no interest."""
        self._send(request)
        while True:
            head = self._read(32)
            if head[0] == 0:
                raise LostWorldError(
                    f"the X server refused request {head[10]} (error {head[1]}); open the world again"
                )
            if head[0] == 1:
                answer = head + self._read(4 * struct.unpack_from("<I", head, 4)[0])
                if struct.unpack_from("<H", answer, 2)[0] == self._sequence:
                    return answer

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._socket.recv(count - len(parts))
            except OSError as error:
                raise LostWorldError(
                    f"the X server does not answer ({error}); open the world again"
                ) from error
            if not part:
                raise LostWorldError("the X server went away; open the world again")
            parts += part
        return bytes(parts)
