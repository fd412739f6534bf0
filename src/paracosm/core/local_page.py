"""What every page served from this machine has in common: who may ask for it, and where it may reach.

A Host allow-list against rebound names, an Origin check, a token for each run, headers that keep the page to
itself. This file does NOT know what a page shows.
"""

from __future__ import annotations

import contextlib
import hmac
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paracosm.core.errors import BusyError, ConfigError

LOOPBACK = ("127.0.0.1", "localhost")
"""Names of this machine that no other reaches."""
EVERYWHERE = ("0.0.0.0", "")
"""Addresses that listen to the whole network."""
SHORTEST_TOKEN = 16
"""Characters of a token below which it could be guessed."""
HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        b"media-src blob:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
"""Of every answer: no script, picture or connection from elsewhere, and no frame around the page."""


def make_page(
    client: Path, routes: Sequence[BaseRoute], *, token: str, host: str, allow_hosts: Sequence[str] = ()
) -> Starlette:
    """Make the application of a page: ``client/index.html``, the files beside it, and what it asks for.

    Args:
        client: folder of the page's files.
        routes: where the page asks for more; each checks the token by :func:`same_token` itself.
        token: secret of this run.
        host: address that the server listens on.
        allow_hosts: further names under which the page may be opened.

    Raises:
        ConfigError: when the token is short.
    """
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"a token of {len(token)} characters can be guessed; use {SHORTEST_TOKEN} or more")

    async def page(_: Request) -> FileResponse:
        return FileResponse(client / "index.html")

    hosts = [*LOOPBACK, *allow_hosts, *network_names(host)]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(_SafeHeaders),
    ]
    files = [Route("/", page, methods=["GET"]), Mount("/client", StaticFiles(directory=client))]
    return Starlette(routes=[*files, *routes], middleware=middleware)


def listen(host: str, port: int) -> socket.socket:
    """Take an address for a page.

    Args:
        host: one of this machine's; 0.0.0.0 lets other machines in.
        port: 0 takes any free one.

    Raises:
        ConfigError: when the host is not an address of this machine.
        BusyError: when the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except socket.gaierror:
        listener.close()
        raise ConfigError(
            f"host {host} is not an address of this machine; use 127.0.0.1 or 0.0.0.0"
        ) from None
    except OSError as error:
        listener.close()
        raise BusyError(
            f"port {port} on {host} cannot be used ({error.strerror}); stop what uses it, or pass --port 0 "
            "for any free one"
        ) from None
    return listener


def page_url(host: str, port: int, token: str) -> str:
    """Address of the page for the machine itself; the token stands where no server is told it."""
    return f"http://{LOOPBACK[0] if host in EVERYWHERE else host}:{port}/#token={token}"


def network_names(host: str) -> list[str]:
    """Names under which other machines reach this one; none while listening on loopback."""
    if host in LOOPBACK:
        return []
    if host not in EVERYWHERE:
        return [host]
    names = [socket.gethostname()]
    with contextlib.suppress(OSError):
        names.extend(str(info[4][0]) for info in socket.getaddrinfo(names[0], None, socket.AF_INET))
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: connecting a datagram socket only chooses the interface that leads outwards.
        probe.connect(("192.0.2.1", 9))
        names.append(probe.getsockname()[0])
    return [name for name in dict.fromkeys(names) if name not in LOOPBACK]


def same_origin(origin: str | None, host: str | None) -> bool:
    """Say whether a page's origin is the server that it talks to.

    A browser sends Origin with every WebSocket handshake but does not act on it: without this check any page
    that the player visits could open a socket to their own machine.

    Args:
        origin: the header, e.g. "http://127.0.0.1:8720".
        host: the Host header, e.g. "127.0.0.1:8720".
    """
    if not origin or not host:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def same_token(given: str, expected: str) -> bool:
    """Compare two tokens in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


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
