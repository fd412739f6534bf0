"""What all players of one server share: the worlds on offer, the places, and the check at the door.

This file does NOT know HTTP or the page's files; ``server`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.local_page import same_origin, same_token
from paracosm.core.world import Policy, World, WorldOpener
from paracosm.play.beside import Beside
from paracosm.play.connection import Connection
from paracosm.play.painter import Painter
from paracosm.play.session import Session
from paracosm.play.takes import Recorder
from paracosm.play.timeline import TimelineConfig
from paracosm.play.wire import PROTOCOL, ClientMessage, CloseCode, ServerMessage, WireError, pack, parse

logger = logging.getLogger(__name__)

HELLO_S = 10.0
MAX_REASON_BYTES = 120


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Where the page is served and how much its players may ask."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets in other machines of the network, with the token."""
    port: int = 8720
    """Port to listen on; 0 takes any free one."""
    allow_hosts: tuple[str, ...] = ()
    """Further names under which the page may be opened, e.g. the name of this machine."""
    max_sessions: int = 4
    """Players at once; each has a world of its own."""
    idle_s: float = 900.0
    """Seconds without a sign of the player after which a session ends."""
    max_message_mb: float = 16.0
    """Largest message that is accepted: a first picture or a replay file."""
    timeline: TimelineConfig = field(default_factory=TimelineConfig)
    """How much of the past each player can go back to."""
    painter: Painter | None = None
    """Paints the first frame from words where a world reads none."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ConfigError(f"port {self.port} does not exist; use 1 to 65535, or 0 for any free one")
        if self.max_sessions < 1 or self.idle_s <= 0 or self.max_message_mb <= 0:
            raise ConfigError(
                f"max_sessions {self.max_sessions}, idle_s {self.idle_s:g} and "
                f"max_message_mb {self.max_message_mb:g} must all be above 0"
            )


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One entry of the chooser: one world, or several side by side under the same controls."""

    name: str
    worlds: tuple[str, ...]
    title: str = ""

    def open(self, open_world: WorldOpener) -> World:
        """Open the world, or all of them as one."""
        if len(self.worlds) == 1:
            return open_world(self.worlds[0])
        with contextlib.ExitStack() as opened:
            worlds: list[World] = []
            for name in self.worlds:
                worlds.append(open_world(name))
                opened.callback(worlds[-1].close)
            joined = Beside(worlds)
            opened.pop_all()
        return joined


class House:
    """What all sessions of one server share."""

    def __init__(
        self,
        config: ServeConfig,
        open_world: WorldOpener,
        worlds: Sequence[str | Offer],
        *,
        token: str,
        recorder: Recorder | None = None,
        open_policy: Callable[[str], Policy] | None = None,
    ) -> None:
        if not worlds:
            raise ConfigError("no world is offered; name at least one")
        offers = [
            Offer(name=one, worlds=(one,), title=one) if isinstance(one, str) else one for one in worlds
        ]
        self.config, self.token = config, token
        self.offers = {offer.name: offer for offer in offers}
        self._open_world, self._recorder, self._open_policy = open_world, recorder, open_policy
        self._lock = threading.Lock()
        self._num_sessions = 0

    def open_world(self, name: str) -> World:
        """Open an offered world.

        Raises:
            WorldError: when it is not offered.
        """
        if name not in self.offers:
            raise WorldError(f'"{name}" is not offered here; choose one of {", ".join(self.offers)}')
        return self.offers[name].open(self._open_world)

    def make_session(self) -> Session:
        """Make a session without a world."""
        return Session(
            self.open_world,
            timeline=self.config.timeline,
            recorder=self._recorder,
            open_policy=self._open_policy,
            painter=self.config.painter,
        )

    @property
    def features(self) -> dict[str, bool]:
        """What is offered beside playing."""
        return {"record": self._recorder is not None, "agent": self._open_policy is not None}

    def enter(self) -> None:
        """Count one player in.

        Raises:
            WireError: when all places are taken.
        """
        with self._lock:
            if self._num_sessions >= self.config.max_sessions:
                raise WireError(
                    f"all {self.config.max_sessions} places are taken; try again when a player has left",
                    CloseCode.FULL,
                )
            self._num_sessions += 1

    def leave(self) -> None:
        """Count one player out."""
        with self._lock:
            self._num_sessions -= 1

    async def join(self, websocket: WebSocket) -> None:
        """Let one player in, if they may, and play with them until they leave."""
        if not same_origin(websocket.headers.get("origin"), websocket.headers.get("host")):
            await websocket.close()
            return
        await websocket.accept()
        try:
            await self._greet(websocket)
            self.enter()
            connection = Connection(
                websocket, self.make_session(), idle_s=self.config.idle_s, features=self.features
            )
            try:
                await connection.run()
            finally:
                connection.end(self.leave)
        except WireError as error:
            await _close(websocket, str(error), error.code)
        except WebSocketDisconnect:
            pass
        except Exception as error:
            logger.exception("a connection failed")
            await _close(
                websocket, f"the server failed ({type(error).__name__}); see its log", CloseCode.OUR_FAULT
            )

    async def _greet(self, websocket: WebSocket) -> None:
        try:
            data = await asyncio.wait_for(websocket.receive_bytes(), HELLO_S)
        except TimeoutError:
            raise WireError(f"no hello came within {HELLO_S:g} seconds", CloseCode.NO_TOKEN) from None
        except KeyError:
            raise WireError("a text message came; this protocol is binary, see docs/play.md") from None
        message = parse(data)
        if message.type is not ClientMessage.HELLO:
            raise WireError(f"{message.type} came before hello; say hello first", CloseCode.NO_TOKEN)
        if not same_token(message.values["token"], self.token):
            raise WireError(
                "the token is not right; open the address that the player printed", CloseCode.NO_TOKEN
            )
        theirs = message.values["protocol"]
        if theirs != PROTOCOL:
            raise WireError(
                f"the page speaks protocol {theirs}, the server {PROTOCOL}; reload the page",
                CloseCode.OTHER_PROTOCOL,
            )
        worlds = [{"name": offer.name, "title": offer.title or offer.name} for offer in self.offers.values()]
        await websocket.send_bytes(pack(ServerMessage.HELLO, protocol=PROTOCOL, worlds=worlds))


async def _close(websocket: WebSocket, text: str, code: int) -> None:
    """Say why in full, then close with as much of it as a close frame holds."""
    if websocket.application_state is not WebSocketState.CONNECTED:
        return
    reason = text.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.send_bytes(pack(ServerMessage.ERROR, text=text, during=None))
        await websocket.close(code, reason)
