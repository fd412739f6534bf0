"""The server behind the page: who may come in, how many, and where the page's files lie.

Loopback unless told otherwise, a Host allow-list against rebound names, an Origin check on the socket, a
token for each run, limits on sizes, rates and sessions. This file does NOT know any world: it is given a
function that opens them.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paracosm.core.errors import BusyError, ConfigError
from paracosm.core.world import Policy, WorldOpener
from paracosm.play.house import House, Offer, ServeConfig
from paracosm.play.takes import Recorder

__all__ = ["Address", "Offer", "ServeConfig", "create_app", "open_browser", "serve", "serving"]

CLIENT = Path(__file__).parent / "client"
LOOPBACK = ("127.0.0.1", "localhost")

HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-cache",
    b"cross-origin-opener-policy": b"same-origin",
}


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a running server is found.

    Attributes:
        url: the page with its token, for the machine itself.
        network_urls: the same for other machines; empty on loopback.
        port: the port that was taken.
        token: secret of this run.
    """

    url: str
    network_urls: tuple[str, ...]
    port: int
    token: str


def create_app(
    config: ServeConfig,
    open_world: WorldOpener,
    worlds: Sequence[str | Offer],
    *,
    token: str,
    recorder: Recorder | None = None,
    open_policy: Callable[[str], Policy] | None = None,
) -> Starlette:
    """Make the ASGI application: the page, its files, and the socket.

    Args:
        config: addresses and limits.
        open_world: opens a world by name.
        worlds: what is offered, the first is opened when the page loads.
        token: secret of this run, at least 16 characters.
        recorder: stores what players record; None offers no recording.
        open_policy: makes an agent for a world by name; None offers none.

    Raises:
        ConfigError: when no world is offered or the token is short.
    """
    if len(token) < 16:
        raise ConfigError(f"a token of {len(token)} characters can be guessed; use 16 or more")
    house = House(config, open_world, worlds, token=token, recorder=recorder, open_policy=open_policy)
    routes = [
        Route("/", _page, methods=["GET"]),
        Mount("/client", StaticFiles(directory=CLIENT)),
        WebSocketRoute("/socket", house.join),
    ]
    hosts = [*LOOPBACK, *config.allow_hosts, *_network_names(config.host)]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(_SafeHeaders),
    ]
    return Starlette(routes=routes, middleware=middleware)


def serve(
    config: ServeConfig,
    open_world: WorldOpener,
    worlds: Sequence[str | Offer],
    *,
    recorder: Recorder | None = None,
    open_policy: Callable[[str], Policy] | None = None,
    ready: Callable[[Address], None] | None = None,
) -> None:
    """Serve the page until interrupted.

    Args:
        config: addresses and limits.
        open_world: opens a world by name.
        worlds: what is offered, the first is opened when the page loads.
        recorder: stores what players record.
        open_policy: makes an agent for a world by name.
        ready: called once the page can be opened.

    Raises:
        BusyError: when the port is taken.
        ConfigError: when no world is offered or the host does not exist.
    """
    server, listener = _prepare(config, open_world, worlds, recorder, open_policy, ready)
    with listener:
        server.run(sockets=[listener])


@contextlib.contextmanager
def serving(
    config: ServeConfig,
    open_world: WorldOpener,
    worlds: Sequence[str | Offer],
    *,
    recorder: Recorder | None = None,
    open_policy: Callable[[str], Policy] | None = None,
) -> Iterator[Address]:
    """Serve the page from a thread for as long as the block lasts, as tests and benchmarks do.

    Raises:
        BusyError: when the port is taken.
    """
    started: list[Address] = []
    up = threading.Event()

    def ready(address: Address) -> None:
        started.append(address)
        up.set()

    server, listener = _prepare(config, open_world, worlds, recorder, open_policy, ready)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    with listener:
        thread.start()
        try:
            if not up.wait(30):
                raise RuntimeError("the server did not start within 30 seconds")
            yield started[0]
        finally:
            server.should_exit = True
            thread.join(10)


def open_browser(url: str) -> bool:
    """Open the page in the player's browser.

    Returns:
        False when there is none that can show it, e.g. on a machine without a display.
    """
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if isinstance(browser, webbrowser.GenericBrowser) and not isinstance(
        browser, webbrowser.BackgroundBrowser
    ):
        return False  # a text browser would take over the terminal
    return browser.open(url)


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


class _SafeHeaders:
    """Adds the headers that keep the page to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)


def _prepare(
    config: ServeConfig,
    open_world: WorldOpener,
    worlds: Sequence[str | Offer],
    recorder: Recorder | None,
    open_policy: Callable[[str], Policy] | None,
    ready: Callable[[Address], None] | None,
) -> tuple[uvicorn.Server, socket.socket]:
    token = secrets.token_urlsafe(24)
    app = create_app(config, open_world, worlds, token=token, recorder=recorder, open_policy=open_policy)
    listener = _listen(config)
    port = listener.getsockname()[1]
    address = Address(
        url=f"http://{_shown_host(config.host)}:{port}/#token={token}",
        network_urls=tuple(f"http://{name}:{port}/#token={token}" for name in _network_names(config.host)),
        port=port,
        token=token,
    )
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws_max_size=int(config.max_message_mb * 1e6),
        # JPEG does not shrink: compression would only cost time and 50 KiB for each player.
        ws_per_message_deflate=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return _Server(settings, lambda: ready(address) if ready else None), listener


def _listen(config: ServeConfig) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except socket.gaierror:
        listener.close()
        raise ConfigError(
            f"host {config.host} is not an address of this machine; use 127.0.0.1 or 0.0.0.0"
        ) from None
    except OSError as error:
        listener.close()
        raise BusyError(
            f"port {config.port} on {config.host} cannot be used ({error.strerror}); "
            "stop the other player, or pass --port 0 for any free one"
        ) from None
    return listener


def _shown_host(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "") else host


def _network_names(host: str) -> list[str]:
    """Names under which other machines reach this one; none while listening on loopback."""
    if host in LOOPBACK:
        return []
    if host not in ("0.0.0.0", ""):
        return [host]
    names = [socket.gethostname()]
    with contextlib.suppress(OSError):
        names.extend(str(info[4][0]) for info in socket.getaddrinfo(names[0], None, socket.AF_INET))
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: connecting a datagram socket only chooses the interface that leads outwards.
        probe.connect(("192.0.2.1", 9))
        names.append(probe.getsockname()[0])
    return [name for name in dict.fromkeys(names) if name not in LOOPBACK]


async def _page(_: Request) -> FileResponse:
    return FileResponse(CLIENT / "index.html")
