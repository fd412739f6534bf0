"""Any engine behind a socket as a World: Unreal, Godot, a mod; it draws, this file only asks.

The engine says what it is when the connection begins, and everything it sends is checked. Where it keeps no
states of its own, a state is its seed and controls, played again. This file does NOT start the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.foreign import is_number, show_value
from paracosm.core.world import (
    Frame,
    Snapshot,
    WorldInfo,
    check_begun,
    check_open,
    check_snapshot,
    check_start,
    check_step,
)

from .socket_wire import LARGEST, VERSION, Connection, EngineRefusalError, Kind


@dataclass(frozen=True, kw_only=True)
class SocketConfig:
    """How an engine is reached."""

    timeout_s: float = 10.0
    """Seconds to wait for an answer before the engine counts as hanging."""
    remote: Literal["refuse", "allow"] = "refuse"
    """Whether the engine may run on another machine; nothing on the way is encrypted."""

    def __post_init__(self) -> None:
        """Refuse a wait that waits for nothing."""
        if self.timeout_s <= 0:
            raise ConfigError(f"timeout_s {self.timeout_s:g} waits for nothing; use seconds above 0")


class SocketWorld:
    """One connection to one engine, as a World."""

    def __init__(self, address: str, config: SocketConfig = SocketConfig()) -> None:
        """Connect and ask what the engine is.

        Args:
            address: "HOST:PORT" or "unix:/path".
            config: how long to wait, and where it may run.

        Raises:
            WorldError: when nobody answers, or what answers is no engine of this version.
        """
        self.config = config
        self._connection: Connection | None = Connection(address, config.timeout_s, config.remote == "allow")
        self._frame: Frame | None = None
        self._seed = 0
        self._played: list[Control] = []
        try:
            hello, _ = self._connection.ask(
                Kind.HELLO, {"protocol": "paracosm", "version": VERSION}, Kind.HELLO
            )
            self._info, self._keeps_states = _read_hello(hello, address)
        except BaseException:
            self._connection.close()
            raise

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        return self._info

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin an episode of the engine."""
        check_open(self._info, self._connection)
        check_start(self._info, start, controls, prompt)
        self._seed, self._played = seed, []
        self._frame = self._ask_frame(Kind.RESET, {"seed": seed}, 0)
        return self._frame

    def step(self, control: Control) -> Frame:
        """Let the engine apply one control."""
        check_open(self._info, self._connection)
        shown = check_step(self._info, self._frame, control)
        self._frame = self._ask_frame(Kind.STEP, _control_to_json(control), shown.index + 1)
        self._played.append(control)
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the complete state: the engine's own, or the seed and the controls so far."""
        connection = check_open(self._info, self._connection)
        frame = check_begun(self._info, self._frame)
        state: bytes | None = None
        if self._keeps_states:
            state = self._guard(connection, Kind.SNAPSHOT, {}, Kind.STATE)[1]
        payload = (self._seed, tuple(self._played), state)
        return Snapshot(world=self._info.name, frame=frame, payload=payload)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back to a snapshot."""
        check_snapshot(self._info, snapshot)
        check_open(self._info, self._connection)
        self._seed, played, state = snapshot.payload
        if state is not None:
            found = self._ask_frame(
                Kind.RESTORE, {"index": snapshot.frame.index}, snapshot.frame.index, state
            )
        else:
            found = self._ask_frame(Kind.RESET, {"seed": self._seed}, 0)
            for index, control in enumerate(played, 1):
                found = self._ask_frame(Kind.STEP, _control_to_json(control), index)
        if not np.array_equal(found.image, snapshot.frame.image):
            raise WorldError(
                f"{self._info.name} shows another picture after going back to frame {found.index}; the "
                "engine does not repeat itself, so it cannot be restored"
            )
        self._played = list(played)
        self._frame = snapshot.frame
        return snapshot.frame

    def close(self) -> None:
        """Say goodbye to the engine and close the connection."""
        if self._connection is not None:
            self._connection.tell(Kind.CLOSE)
            self._connection.close()
            self._connection = None

    def _ask_frame(self, kind: Kind, value: Mapping[str, Any], index: int, blob: bytes = b"") -> Frame:
        connection = check_open(self._info, self._connection)
        found, pixels = self._guard(connection, kind, value, Kind.FRAME, blob)
        size = (self._info.height, self._info.width, 3)
        if found.get("index") != index or len(pixels) != int(np.prod(size)):
            self._give_up()
            raise WorldError(
                f"{self._info.name} sent frame {found.get('index')} of {len(pixels)} bytes where frame "
                f"{index} of {int(np.prod(size))} ({size[0]} x {size[1]} x 3) was due; correct the engine"
            )
        try:
            told = _read_truth(found.get("truth", {}))
        except ValueError as error:
            self._give_up()
            raise WorldError(f"{self._info.name} sent {error}; correct the engine") from error
        image = np.frombuffer(pixels, np.uint8).reshape(size).copy()
        return Frame(image=image, index=index, truth=told)

    def _guard(
        self, connection: Connection, kind: Kind, value: Mapping[str, Any], answer: Kind, blob: bytes = b""
    ) -> tuple[dict[str, Any], bytes]:
        """Ask; after anything but a refusal the stream is out of step, so the world closes."""
        try:
            return connection.ask(kind, value, answer, blob)
        except EngineRefusalError:
            raise
        except WorldError:
            self._give_up()
            raise

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read_hello(hello: Mapping[str, Any], address: str) -> tuple[WorldInfo, bool]:
    """Turn what the engine says of itself into a WorldInfo, and whether it keeps states."""
    if hello.get("version") != VERSION:
        raise WorldError(
            f"the engine at {address} speaks version {hello.get('version')} of the protocol, this is "
            f"{VERSION}; update the older one"
        )
    try:
        info = _read_info(hello, address)
    except (KeyError, ValueError, ControlError) as error:
        raise WorldError(
            f"the engine at {address} does not say what it is ({error!r}); HELLO needs fps, height, width "
            "and engine"
        ) from error
    if min(info.height, info.width) < 1 or info.fps <= 0 or info.height * info.width * 3 > LARGEST:
        raise WorldError(
            f"the engine at {address} offers {info.height} x {info.width} at {info.fps:g} frames/s; use "
            f"numbers above 0, and frames of at most {LARGEST:,} bytes"
        )
    return info, bool(hello.get("snapshots", False))


def _read_info(hello: Mapping[str, Any], address: str) -> WorldInfo:
    """Read HELLO.

    Raises:
        KeyError: when a field is missing.
        ValueError: names the field that is of the wrong kind.
        ControlError: when bindings or limits do not fit the keys.
    """
    numbers = {name: hello[name] for name in ("fps", "height", "width")}
    limits, keys, bindings = hello.get("look_limit", [0, 0]), hello.get("keys", []), hello.get("bindings", {})
    for name, value in numbers.items():
        _need(is_number(value) and (name == "fps" or value == int(value)), name, value, _NUMBERS[name])
    two = isinstance(limits, list) and len(limits) == 2 and all(is_number(limit) for limit in limits)
    _need(two, "look_limit", limits, "two finite numbers")
    _need(_are_texts(keys), "keys", keys, "a list of texts")
    codes = isinstance(bindings, dict) and _are_texts([*bindings.values()])
    _need(codes, "bindings", bindings, "an object of texts")
    controls = ControlSpace(
        keys=tuple(keys),
        bindings=dict(bindings),
        look_limit=(float(limits[0]), float(limits[1])),
        text=bool(hello.get("text", False)),
    )
    return WorldInfo(
        name=f"socket:{address}",
        fps=float(numbers["fps"]),
        height=int(numbers["height"]),
        width=int(numbers["width"]),
        controls=controls,
        engine=str(hello["engine"]),
        description=str(hello.get("description", "")),
    )


_NUMBERS = {"fps": "a finite number", "height": "a whole number", "width": "a whole number"}
_MOST_DEPTH = 16
"""Objects and lists within each other that an engine may tell; tables take no more."""


def _read_truth(told: Any) -> dict[str, Any]:
    """Check what the engine tells beside a frame, and fill in what every world tells.

    Raises:
        ValueError: names the entry that is of the wrong kind.
    """
    _need(isinstance(told, dict), "truth", told, "a JSON object")
    truth = {"reward": 0.0, "ended": False, "events": []} | told
    _need(is_number(truth["reward"]), "truth.reward", truth["reward"], "a finite number")
    _need(truth["ended"] in (True, False), "truth.ended", truth["ended"], "true or false")
    _need(_are_texts(truth["events"]), "truth.events", truth["events"], "a list of texts")
    _need(isinstance(truth.get("pose", {}), dict), "truth.pose", truth.get("pose"), "an object of numbers")
    seed = truth.get("level_seed", 0)
    _need(isinstance(seed, int), "truth.level_seed", seed, "a whole number")
    _check_depth(truth, "truth", _MOST_DEPTH)
    return truth | {"ended": bool(truth["ended"]), "events": tuple(truth["events"])}


def _check_depth(value: Any, name: str, depth: int) -> None:
    """Refuse whole numbers that no table can keep, and what is nested without end."""
    _need(depth > 0, name[:60], value, f"at most {_MOST_DEPTH} levels")
    if isinstance(value, int):
        _need(-(2**63) <= value < 2**63, name, value, "a number of at most 64 bits")
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        _check_depth(part, f"{name}.{key}", depth - 1)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _need(holds: bool, name: str, value: Any, due: str) -> None:
    if not holds:
        raise ValueError(f"{name} that is {show_value(value)}, {due} is due")


def _control_to_json(control: Control) -> dict[str, Any]:
    text = control.text if control.text is None or isinstance(control.text, str) else dict(control.text)
    return {"keys": sorted(control.keys), "look": list(control.look), "text": text}
