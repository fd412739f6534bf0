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

from .socket_wire import VERSION, Connection, EngineRefusalError, Kind


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
        truth = found.get("truth", {})
        if not isinstance(truth, dict):
            self._give_up()
            raise WorldError(f"{self._info.name} sent truth that is no JSON object; correct the engine")
        told = {"reward": 0.0, "ended": False, "events": ()} | truth
        told |= {"ended": bool(told["ended"]), "events": tuple(told["events"])}
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
        limits = tuple(float(limit) for limit in hello.get("look_limit", (0, 0)))
        controls = ControlSpace(
            keys=tuple(hello.get("keys", ())),
            bindings=dict(hello.get("bindings", {})),
            look_limit=(limits[0], limits[1]),
            text=bool(hello.get("text", False)),
        )
        info = WorldInfo(
            name=f"socket:{address}",
            fps=float(hello["fps"]),
            height=int(hello["height"]),
            width=int(hello["width"]),
            controls=controls,
            engine=str(hello["engine"]),
            description=str(hello.get("description", "")),
        )
    except (KeyError, TypeError, ValueError, IndexError, ControlError) as error:
        raise WorldError(
            f"the engine at {address} does not say what it is ({error!r}); HELLO needs fps, height, width "
            "and engine"
        ) from error
    if min(info.height, info.width) < 1 or info.fps <= 0:
        raise WorldError(
            f"the engine at {address} offers {info.height} x {info.width} at {info.fps:g} frames/s; use "
            "numbers above 0"
        )
    return info, bool(hello.get("snapshots", False))


def _control_to_json(control: Control) -> dict[str, Any]:
    text = control.text if control.text is None or isinstance(control.text, str) else dict(control.text)
    return {"keys": sorted(control.keys), "look": list(control.look), "text": text}
