"""The words that page and server exchange: names of messages, their binary form, what each may hold.

A message in either direction is binary: 4 bytes, the length of the header as a little-endian number; the
header, a JSON object with its name under "type"; then the payload, which most messages leave empty and a
frame fills with a JPEG. The same names stand in ``client/wire.js``; a test compares the two. This file does
NOT know sessions or sockets.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from paracosm.core.errors import ParacosmError
from paracosm.play.guides import DRAWN_KINDS
from paracosm.play.inputs import Hands

PROTOCOL = 2
"""Raised when a page of before could misread a message of today."""

MAX_HEADER_BYTES = 4 * 2**20
"""The greeting of a world of learnt actions carries a picture of each."""
MAX_TEXT = 2_000
MAX_CODES = 64
MAX_TURN = 36_000.0
"""Degrees in one message; more is a broken client, not a fast hand."""


class ClientMessage(StrEnum):
    """What a page may say."""

    HELLO = "hello"
    OPEN = "open"
    INPUT = "input"
    ACK = "ack"
    INSTRUCT = "instruct"
    GUIDE = "guide"
    PLAY = "play"
    PAUSE = "pause"
    STEP = "step"
    SEEK = "seek"
    PEEK = "peek"
    PACE = "pace"
    TUNE = "tune"
    RECORD = "record"
    SAVE = "save"
    LOAD = "load"
    CLIP = "clip"


class ServerMessage(StrEnum):
    """What the server may say."""

    HELLO = "hello"
    WORLD = "world"
    FRAME = "frame"
    STATE = "state"
    DIALS = "dials"
    TIMELINE = "timeline"
    PICTURE = "picture"
    REPLAY = "replay"
    CLIP = "clip"
    VERDICT = "verdict"
    NOTICE = "notice"
    ERROR = "error"


class CloseCode:
    """Why a connection was closed; 4000 to 4999 are the application's own."""

    MALFORMED = 4400
    NO_TOKEN = 4401
    IDLE = 4408
    OTHER_PROTOCOL = 4409
    TOO_MANY_MESSAGES = 4429
    OUR_FAULT = 4500
    FULL = 4503


class WireError(ParacosmError):
    """A message that is not understood; it closes its own session and no other."""

    def __init__(self, text: str, code: int = CloseCode.MALFORMED) -> None:
        """Say what is wrong and with which code the connection is closed."""
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Message:
    """One checked message of a client.

    Attributes:
        type: its name.
        values: what its header holds, all fields present.
        payload: the bytes behind the header.
    """

    type: ClientMessage
    values: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def hands(self) -> Hands:
        """Return the values of an INPUT message."""
        return Hands(**self.values)


def pack(type_: ClientMessage | ServerMessage, payload: bytes = b"", **values: Any) -> bytes:
    """Make the binary form of a message.

    Args:
        type_: its name.
        payload: bytes behind the header.
        values: what the header holds beside the name; JSON values.
    """
    header = json.dumps({"type": type_, **values}, separators=(",", ":"), allow_nan=False).encode()
    return struct.pack("<I", len(header)) + header + payload


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Split the binary form of a message into header and payload.

    Raises:
        WireError: when it is cut short, its header too long or not a JSON object with a "type".
    """
    if len(data) < 4:
        raise WireError(
            f"a message of {len(data)} bytes is too short; it begins with 4 bytes, the length of its header"
        )
    (length,) = struct.unpack_from("<I", data)
    if length > MAX_HEADER_BYTES or 4 + length > len(data):
        raise WireError(
            f"a header of {length} bytes in a message of {len(data)} is not possible; "
            f"at most {MAX_HEADER_BYTES} are allowed and all must be there"
        )
    try:
        header = json.loads(data[4 : 4 + length], parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the header is not valid JSON ({error})") from None
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise WireError('the header is not a JSON object with a "type"')
    return header, data[4 + length :]


def parse(data: bytes) -> Message:
    """Read and check one message of a client; nothing unknown, missing or out of range gets past here.

    Raises:
        WireError: names the message, the field, what was given and what is allowed.
    """
    header, payload = unpack(data)
    name = header.pop("type")
    try:
        type_ = ClientMessage(name)
    except ValueError:
        allowed = ", ".join(ClientMessage)
        raise WireError(f'there is no message "{name[:40]}"; there are {allowed}') from None
    fields = FIELDS[type_]
    unknown, missing = sorted(set(header) - set(fields)), sorted(set(fields) - set(header))
    if unknown or missing:
        raise WireError(
            f"{type_}: unknown fields {unknown}, missing fields {missing}; it has {sorted(fields)}"
        )
    if payload and type_ not in WITH_PAYLOAD:
        raise WireError(f"{type_} carries no payload; {len(payload)} bytes came with it")
    values: dict[str, Any] = {}
    for key, check in fields.items():
        try:
            values[key] = check(header[key])
        except (TypeError, ValueError) as error:
            raise WireError(f"{type_}: {key} is {header[key]!r:.60}; it must be {error}") from None
    return Message(type=type_, values=values, payload=payload)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError("a whole number from 0 to 2^53")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a finite number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"a text of at most {MAX_TEXT} characters")
    return value


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _codes(value: Any) -> frozenset[str]:
    fits = isinstance(value, list) and len(value) <= MAX_CODES
    if not fits or not all(isinstance(code, str) and 0 < len(code) <= 32 for code in value):
        raise ValueError(f"a list of at most {MAX_CODES} names of keys")
    return frozenset(value)


def _pair(value: Any, limit: float) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("two numbers")
    first, second = _number(value[0]), _number(value[1])
    if max(abs(first), abs(second)) > limit:
        raise ValueError(f"two numbers from {-limit:g} to {limit:g}")
    return first, second


def _degrees(value: Any) -> tuple[float, float]:
    return _pair(value, MAX_TURN)


def _share(value: Any) -> tuple[float, float]:
    return _pair(value, 1.0)


def _driver(value: Any) -> str | None:
    if value not in (None, "player", "replay", "agent"):
        raise ValueError('"player", "replay", "agent" or null')
    return value


def _factor(value: Any) -> float:
    number = _number(value)
    if number < 0.0:
        raise ValueError("a number from 0 up")
    return number


def _cache(value: Any) -> str:
    if value not in ("keep", "drop", "rebuild"):
        raise ValueError('"keep", "drop" or "rebuild"')
    return value


def _guide_kind(value: Any) -> str:
    if value not in DRAWN_KINDS:
        raise ValueError(", ".join(f'"{kind}"' for kind in DRAWN_KINDS))
    return value


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        return None if value is None else check(value)

    return checked


FIELDS: dict[ClientMessage, dict[str, Callable[[Any], Any]]] = {
    ClientMessage.HELLO: {"protocol": _whole, "token": _text},
    ClientMessage.OPEN: {"world": _text, "seed": _whole, "prompt": _optional(_text)},
    ClientMessage.INPUT: {
        "seq": _whole,
        "clock": _number,
        "held": _codes,
        "taps": _codes,
        "look": _degrees,
        "turn": _share,
        "latent": _optional(_whole),
    },
    ClientMessage.ACK: {"number": _whole},
    ClientMessage.INSTRUCT: {"text": _text},
    ClientMessage.GUIDE: {"kind": _guide_kind},
    ClientMessage.PLAY: {"driver": _driver},
    ClientMessage.PAUSE: {},
    ClientMessage.STEP: {},
    ClientMessage.SEEK: {"branch": _whole, "index": _whole},
    ClientMessage.PEEK: {"branch": _whole, "index": _whole},
    ClientMessage.PACE: {"factor": _number},
    ClientMessage.TUNE: {"passes": _whole, "guidance": _factor, "cache": _cache},
    ClientMessage.RECORD: {"on": _yes_no},
    ClientMessage.SAVE: {},
    ClientMessage.LOAD: {},
    ClientMessage.CLIP: {"seconds": _number},
}
"""The fields of each message and the check of each field."""

WITH_PAYLOAD = frozenset({ClientMessage.OPEN, ClientMessage.GUIDE, ClientMessage.LOAD})
"""OPEN may bring a first picture, GUIDE brings the frames of a clip, LOAD a replay file."""
