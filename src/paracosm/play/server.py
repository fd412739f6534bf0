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
from starlette.routing import WebSocketRoute

from paracosm.core.local_page import listen, make_page, network_names, page_url
from paracosm.core.world import Policy, WorldOpener
from paracosm.play.house import House, Offer, ServeConfig
from paracosm.play.takes import Recorder

__all__ = ["Address", "Offer", "ServeConfig", "create_app", "open_browser", "serve", "serving"]

CLIENT = Path(__file__).parent / "client"


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
    house = House(config, open_world, worlds, token=token, recorder=recorder, open_policy=open_policy)
    return make_page(
        CLIENT,
        [WebSocketRoute("/socket", house.join)],
        token=token,
        host=config.host,
        allow_hosts=config.allow_hosts,
    )


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
    listener = listen(config.host, config.port)
    port = listener.getsockname()[1]
    address = Address(
        url=page_url(config.host, port, token),
        network_urls=tuple(page_url(name, port, token) for name in network_names(config.host)),
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
