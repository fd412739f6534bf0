"""When the next step is due: a steady beat that starts anew after a missed deadline and never rushes.

This file does NOT sleep; it says how long to.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from paracosm.core.errors import WorldError

MAX_FACTOR = 8.0


class Pacer:
    """Deadlines one period apart; a late start moves all later deadlines instead of squeezing them.

    Attributes:
        missed: starts that came more than one period late.
    """

    def __init__(self, fps: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fps = fps
        self._period = 1.0 / fps
        self._deadline = clock()
        self.missed = 0

    @property
    def period_s(self) -> float:
        """Seconds between two steps; 0 when not paced at all."""
        return self._period

    def set_factor(self, factor: float) -> None:
        """Run slower or faster than the world's own pace.

        Args:
            factor: 1 is the world's own pace, 0 means as fast as it goes, otherwise 1/8 to 8.

        Raises:
            WorldError: for any other factor.
        """
        if factor != 0 and not (math.isfinite(factor) and 1 / MAX_FACTOR <= factor <= MAX_FACTOR):
            raise WorldError(
                f"pace {factor:g} is not possible; use 0 for unpaced, or 1/8 to 8 times the world's own"
            )
        self._period = 0.0 if factor == 0 else 1.0 / (self._fps * factor)
        self.anchor()

    def anchor(self) -> None:
        """Make the next step due now, after a pause."""
        self._deadline = self._clock()

    def delay_s(self) -> float:
        """Return the seconds until the next step is due, 0 when it is."""
        return max(0.0, self._deadline - self._clock()) if self._period else 0.0

    def started(self) -> float:
        """Say that a step starts now.

        Returns:
            How late it is, in seconds.
        """
        now = self._clock()
        late = max(0.0, now - self._deadline)
        if late > self._period > 0:
            self.missed += 1
            self._deadline = now
        self._deadline += self._period
        return late
