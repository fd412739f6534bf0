"""How much one player may ask: a rate of messages with a burst.

This file does NOT know what the messages say.
"""

from __future__ import annotations

from collections.abc import Callable


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
