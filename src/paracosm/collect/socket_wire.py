"""Messages between this project and an engine over a byte stream; ``docs/worlds/socket.md`` specifies them.

A message is a little-endian header (length of the rest, kind, length of the JSON part), a JSON object and raw
bytes. This file does NOT know worlds: it sends and receives, and says what went wrong in words.
"""

from __future__ import annotations

import enum
import ipaddress
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

from paracosm.core.errors import WorldError
from paracosm.core.foreign import parse_json

VERSION = 1
"""Version of the protocol; an engine of another version is refused."""

HEADER = struct.Struct("<IBI")
"""Bytes after the length field (uint32), kind (uint8), bytes of the JSON part (uint32)."""

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest message: 64 MiB, a frame of 4,700 x 4,700."""


class Kind(enum.IntEnum):
    """Kinds of message."""

    HELLO = 1
    RESET = 2
    STEP = 3
    FRAME = 4
    SNAPSHOT = 5
    STATE = 6
    RESTORE = 7
    ERROR = 8
    CLOSE = 9


def pack(kind: Kind, value: Mapping[str, Any], blob: bytes = b"") -> bytes:
    """Return the bytes of one message."""
    text = json.dumps(dict(value)).encode()
    return HEADER.pack(HEADER.size - 4 + len(text) + len(blob), kind, len(text)) + text + blob


class Connection:
    """One connection to an engine: ask, and get the answer."""

    def __init__(self, address: str, timeout_s: float, allow_remote: bool) -> None:
        """Connect.

        Args:
            address: "HOST:PORT" or "unix:/path".
            timeout_s: seconds to wait for any part of an answer.
            allow_remote: whether another machine may be the engine.

        Raises:
            WorldError: when the address is no address, is remote, or nobody listens there.
        """
        self.address = address
        self._timeout_s = timeout_s
        family, where = _resolve(address, allow_remote)
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(where)
        except OSError as error:
            self._socket.close()
            raise WorldError(
                f"no engine answers at {address} ({error.strerror or error}); start it, or check the address"
            ) from error
        if family != socket.AF_UNIX:
            # a step is one small message; waiting to fill a packet would cost 40 ms of it
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(
        self, kind: Kind, value: Mapping[str, Any], answer: Kind, blob: bytes = b""
    ) -> tuple[dict, bytes]:
        """Send a message and return the answer's JSON object and bytes.

        Raises:
            WorldError: when the engine refuses, dies, keeps silent or answers something else. After all but a
                refusal the connection is of no more use.
        """
        try:
            self._socket.sendall(pack(kind, value, blob))
            got, found, rest = self._receive()
        except TimeoutError as error:
            raise WorldError(
                f"the engine at {self.address} did not answer {kind.name} within {self._timeout_s:g} s; it "
                "hangs, or needs a larger timeout_s"
            ) from error
        except OSError as error:
            raise self._died(kind, error.strerror or str(error)) from error
        if got == Kind.ERROR:
            raise EngineRefusalError(
                f"the engine at {self.address} refuses {kind.name}: {found.get('message', '')}"
            )
        if got != answer:
            raise WorldError(
                f"the engine at {self.address} answered {kind.name} with kind {got}, {answer.name} "
                f"({int(answer)}) is due; it does not follow the protocol"
            )
        return found, rest

    def tell(self, kind: Kind) -> None:
        """Send a message that has no answer; a dead engine is none of our concern then."""
        try:
            self._socket.sendall(pack(kind, {}))
        except OSError:
            return

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> tuple[int, dict[str, Any], bytes]:
        header = self._read(HEADER.size)
        length, kind, text_length = HEADER.unpack(header)
        rest = length - (HEADER.size - 4)
        if length > LARGEST or rest < 0 or text_length > rest:
            raise WorldError(
                f"what answers at {self.address} is no engine of this protocol (a message of {length} bytes, "
                f"{text_length} of them JSON); check the address"
            )
        body = self._read(rest)
        try:
            value = parse_json(body[:text_length])
        except ValueError as error:
            raise WorldError(f"the engine at {self.address} sent JSON that is none ({error})") from error
        if not isinstance(value, dict):
            raise WorldError(f"the engine at {self.address} sent {type(value).__name__}, not a JSON object")
        return kind, value, body[text_length:]

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._socket.recv(min(count - len(parts), 1 << 20))
            if not part:
                raise OSError(0, "the connection ended")
            parts += part
        return bytes(parts)

    def _died(self, kind: Kind, reason: str) -> WorldError:
        return WorldError(
            f"the engine at {self.address} died while {kind.name} was asked ({reason}); start it again and "
            "open the world anew"
        )


class EngineRefusalError(WorldError):
    """The engine refuses one request and goes on."""


def _resolve(address: str, allow_remote: bool) -> tuple[socket.AddressFamily, Any]:
    """Return family and address of a name, on this machine unless another is allowed."""
    if address.startswith("unix:"):
        return socket.AF_UNIX, address.removeprefix("unix:")
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise WorldError(f'"socket:{address}" names no engine; use socket:HOST:PORT or socket:unix:/path')
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise WorldError(f"{host} is no host that can be found ({error.strerror}); check its name") from error
    if not allow_remote and not ipaddress.ip_address(found[4][0]).is_loopback:
        raise WorldError(
            f"{host} is another machine; engines are sought on this one only, unless the world's config says "
            'remote "allow"'
        )
    return found[0], found[4]
