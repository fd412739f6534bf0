"""One line of progress for long work: what, n of N, rate, time left, latest metrics.

The library receives a :class:`Progress` and calls :meth:`Progress.update`; whoever talks to the user (the
command line) decides where the line goes. This file does NOT print: it writes to the stream it was given.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol, TextIO

TTY_EVERY_S = 0.2
"""How often a line on a terminal is rewritten: often enough to look alive, too seldom to cost anything."""

PLAIN_EVERY_S = 30.0
"""How often a line is added where lines cannot be rewritten, as in a log file."""


class Progress(Protocol):
    """What the library knows of progress."""

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Say that ``done`` of the total is done, and the latest metrics."""
        ...

    def close(self) -> None:
        """Finish the line."""
        ...


class ProgressMaker(Protocol):
    """Begins a progress line; the command line passes one of these down."""

    def __call__(self, what: str, total: int, unit: str = "step", start: int = 0) -> Progress:
        """Begin: ``total`` units in all, ``start`` of them done by an earlier run."""
        ...


class NoProgress:
    """Says nothing; for tests and for callers who do not care."""

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing."""


def no_progress(what: str, total: int, unit: str = "step", start: int = 0) -> Progress:
    """Make a progress that says nothing; the default of library functions."""
    return NoProgress()


class LineProgress:
    """Writes one line: rewritten in place on a terminal, a new line every half minute elsewhere."""

    def __init__(
        self,
        what: str,
        total: int,
        unit: str = "step",
        start: int = 0,
        *,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            what: what is going on, e.g. "train dynamics".
            total: units in all, >= 0; 0 when it is not known.
            unit: one unit, in the singular.
            start: units done by an earlier run; they count as done but not into the rate.
            stream: where the line goes, usually standard error.
            clock: seconds, for tests.
        """
        self._what, self._total, self._unit, self._start = what, total, unit, start
        self._stream, self._clock = stream, clock
        self._rewrites = stream.isatty()
        self._began = self._last_shown = clock()
        self._done, self._metrics = start, dict[str, float]()
        self._shown_width = 0
        self._closed = False

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Say that ``done`` of the total is done; the line is shown when it is due."""
        self._done = done
        self._metrics = dict(metrics) if metrics is not None else self._metrics
        now = self._clock()
        if now - self._last_shown >= (TTY_EVERY_S if self._rewrites else PLAIN_EVERY_S):
            self._last_shown = now
            self._show()

    def close(self) -> None:
        """Show the last state and end the line; calling it twice does no harm."""
        if self._closed:
            return
        self._closed = True
        self._show()
        if self._rewrites:
            self._stream.write("\n")
            self._stream.flush()

    def line(self) -> str:
        """Return the line as it stands now."""
        seconds = max(self._clock() - self._began, 1e-9)
        rate = (self._done - self._start) / seconds
        count = f"{self._done:,} of {self._total:,}" if self._total else f"{self._done:,}"
        parts = [f"{self._what}: {count}", _show_rate(rate, self._unit)]
        if self._total and rate > 0 and self._done < self._total:
            parts.append(f"{show_duration((self._total - self._done) / rate)} left")
        elif self._done >= self._total > 0:
            parts.append(f"took {show_duration(seconds)}")
        parts += [f"{name} {value:.4g}" for name, value in self._metrics.items()]
        return "  ".join(parts)

    def _show(self) -> None:
        line = self.line()
        if self._rewrites:
            self._stream.write("\r" + line.ljust(self._shown_width))
            self._shown_width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()


def show_duration(seconds: float) -> str:
    """Write a duration for people: "12 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _show_rate(rate: float, unit: str) -> str:
    if 0 < rate < 0.5:
        return f"{1 / rate:.1f} s/{unit}"
    return f"{rate:,.1f} {unit}/s"
