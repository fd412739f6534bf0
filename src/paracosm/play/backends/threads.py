"""How many threads the networks of a world run on.

This file does NOT know any runtime.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Threads:
    """Threads of two kinds of work.

    Attributes:
        alone: of a pass that nothing runs beside, for which the player waits.
        beside: of what may run while something else of the world does.
    """

    alone: int
    beside: int
