"""A viewer without a screen: talks to a running server as the page does, and notes when each frame arrived.

Run as a program in a process of its own it is the simulated viewer of the benchmark:
``python -m paracosm.play.watch PLAN.json RESULT.json``. This file does NOT know worlds.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.play.pictures import decode_jpeg
from paracosm.play.wire import PROTOCOL, ClientMessage, ServerMessage, pack, unpack


def join(netloc: str, origin: str | None = None) -> ClientConnection:
    """Open a socket to a server, with the origin that its own page would have.

    Args:
        netloc: host and port.
        origin: the Origin header, its own when None.
    """
    return connect(
        f"ws://{netloc}/socket",
        additional_headers={"Origin": origin or f"http://{netloc}"},
        compression=None,
        max_size=None,
    ).__enter__()


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One frame as a viewer saw it; times in seconds of one clock.

    Attributes:
        at_s: when it was received and unpacked to a picture.
        index: steps since the first frame.
        seq: newest input message in it.
        step_ms: what the world took for it, as the server says.
        episode: rises when the world ended and was begun again; times across that are no measure of play.
    """

    at_s: float
    index: int
    seq: int
    step_ms: float
    episode: int = 0


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What one viewing gave.

    Attributes:
        opened_s: when the viewer began to connect.
        pressed_s: when each input message was sent, by its number.
        arrivals: all frames.
        dropped: frames that the server dropped.
    """

    opened_s: float
    pressed_s: dict[int, float]
    arrivals: list[Arrival]
    dropped: int


class Viewer:
    """A client of the wire protocol.

    Attributes:
        worlds: names of the worlds on offer.
        world: what the server said of the world that is open.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        """Connect and say hello.

        Args:
            url: the page's address with its token, as the server gives it.
            timeout_s: longest wait for any answer.

        Raises:
            DataError: when the server refuses.
        """
        parts = urlsplit(url)
        token = parse_qs(parts.fragment).get("token", [""])[0]
        self._timeout_s = timeout_s
        self._seq = 0
        self.world: dict[str, Any] = {}
        self._socket = join(parts.netloc)
        self.send(ClientMessage.HELLO, protocol=PROTOCOL, token=token)
        header, _ = self.wait_for(ServerMessage.HELLO)
        self.worlds = [world["name"] for world in header["worlds"]]

    def __enter__(self) -> Viewer:
        """Return the viewer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self._socket.close()

    def send(self, type_: ClientMessage, payload: bytes = b"", **values: Any) -> None:
        """Send one message."""
        self._socket.send(pack(type_, payload, **values))

    def send_raw(self, data: bytes | str) -> None:
        """Send bytes as they are, to see them refused."""
        self._socket.send(data)

    def receive(self, timeout_s: float | None = None) -> tuple[dict[str, Any], bytes]:
        """Return the next message: header and payload; frames are acknowledged.

        Raises:
            TimeoutError: when none comes in time.
            ConnectionClosed: when the server closed; its text says why.
        """
        data = self._socket.recv(self._timeout_s if timeout_s is None else timeout_s)
        header, payload = unpack(data if isinstance(data, bytes) else data.encode())
        if header["type"] == ServerMessage.FRAME:
            self.send(ClientMessage.ACK, number=header["number"])
        return header, payload

    def wait_for(self, type_: ServerMessage) -> tuple[dict[str, Any], bytes]:
        """Return the next message of one type; those before it are dropped.

        Raises:
            DataError: when an error comes instead.
        """
        while True:
            header, payload = self.receive()
            if header["type"] == type_:
                return header, payload
            if header["type"] == ServerMessage.ERROR:
                raise DataError(header["text"])

    def open(self, name: str, *, seed: int = 0, picture: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Begin a world and return its first frame: header and JPEG."""
        self.send(ClientMessage.OPEN, picture, world=name, seed=seed, prompt=None)
        self.world, _ = self.wait_for(ServerMessage.WORLD)
        return self.wait_for(ServerMessage.FRAME)

    def press(self, *held: str, taps: tuple[str, ...] = (), look: tuple[float, float] = (0.0, 0.0)) -> int:
        """Send what the hands do now and return the number of the message."""
        self._seq += 1
        clock = time.perf_counter() * 1000
        self.send(
            ClientMessage.INPUT,
            seq=self._seq,
            clock=clock,
            held=list(held),
            taps=list(taps),
            look=list(look),
            turn=[0, 0],
            latent=None,
        )
        return self._seq

    def frames(self, until_s: float) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield frames until a moment of ``time.perf_counter``."""
        while (left := until_s - time.perf_counter()) > 0:
            try:
                header, payload = self.receive(left)
            except TimeoutError:
                return
            if header["type"] == ServerMessage.FRAME:
                yield header, payload


def watch(url: str, *, world: str, seconds: float, pace: float, seed: int = 0) -> Watched:
    """Play for a while, pressing keys at moments that have nothing to do with the frames.

    Args:
        url: the page's address with its token.
        world: which world to open.
        seconds: how long to watch after the first frame.
        pace: 1 for the world's own pace, 0 for as fast as it goes.
        seed: of the world and of the moments at which keys are pressed.
    """
    opened_s = time.perf_counter()
    rng = stream(seed, "simulated viewer")
    pressed: dict[int, float] = {}
    arrivals: list[Arrival] = []
    dropped, episode = 0, 0
    with Viewer(url) as viewer:
        arrivals.append(_begin(viewer, world, seed, pace, episode))
        codes = list(viewer.world["controls"]["bindings"])
        end = time.perf_counter() + seconds
        press_at = time.perf_counter() + rng.uniform(0.1, 0.5)
        while (now := time.perf_counter()) < end:
            if now >= press_at:
                held = [codes[rng.integers(len(codes))]] if codes and rng.random() < 0.8 else []
                pressed[viewer.press(*held)] = time.perf_counter()
                press_at = now + rng.uniform(0.15, 0.45)
            for header, payload in viewer.frames(min(press_at, end)):
                arrivals.append(_arrival(header, payload, episode))
                dropped = header["dropped"]
                if header["ended"]:
                    episode += 1
                    arrivals.append(_begin(viewer, world, seed + episode, pace, episode))
    return Watched(opened_s=opened_s, pressed_s=pressed, arrivals=arrivals, dropped=dropped)


def _begin(viewer: Viewer, world: str, seed: int, pace: float, episode: int) -> Arrival:
    first = _arrival(*viewer.open(world, seed=seed), episode)
    viewer.send(ClientMessage.PACE, factor=pace)
    viewer.send(ClientMessage.PLAY, driver="player")
    return first


def _arrival(header: dict[str, Any], jpeg: bytes, episode: int) -> Arrival:
    decode_jpeg(jpeg)
    return Arrival(
        at_s=time.perf_counter(),
        index=header["index"],
        seq=header["seq"],
        step_ms=header["step_ms"],
        episode=episode,
    )


def _main(plan_path: str, result_path: str) -> None:
    plan = json.loads(Path(plan_path).read_text())
    try:
        result: dict[str, Any] = dataclasses.asdict(watch(**plan))
    except (ConnectionClosed, DataError, OSError, TimeoutError) as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    Path(result_path).write_text(json.dumps(result))


if __name__ == "__main__":
    _main(*sys.argv[1:])
