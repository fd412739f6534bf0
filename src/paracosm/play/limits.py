"""How much one player may ask: a rate of messages with a burst, and who may come in.

This file does NOT know what the messages say.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from urllib.parse import urlsplit


class RateLimit:
    """A bucket that holds ``burst`` messages and refills with ``per_second``."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._level, self._time = burst, clock()

    def allow(self) -> bool:
        """Count one message; say whether it is still within the limit."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._time) * self._rate)
        self._time = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


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
