"""A request to stop that waits for the end of the step: Ctrl+C, and the SIGTERM that schedulers send.

This file does NOT know what is saved before the process goes.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Within it the first request to stop is only noted; a second Ctrl+C acts at once, as before.

    A second SIGTERM does not: some senders, such as timeout(1), send it twice.

    Outside the main thread, where Python takes no signals, nothing is noted and nothing changes.
    """

    def __init__(self) -> None:
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self._asked is not None

    def __enter__(self) -> StopRequest:
        """Begin to listen."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Put back what was there."""
        self._put_back()

    def go(self) -> None:
        """Do what the request would have done: raise KeyboardInterrupt, or end the process."""
        if self._asked is not None:
            self._put_back()
            signal.raise_signal(self._asked)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._asked = number
        if signal.SIGINT in self._before:
            signal.signal(signal.SIGINT, self._before.pop(signal.SIGINT))

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
