"""How frames of tokens are filled in: the number of passes, and the share masked before each.

Imports neither torch nor numpy: the player without torch reads it too. This file does NOT know arrays.

Source: MaskGIT 2202.04200, section 3.2; Genie 2402.15391, section 3 and table 17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from paracosm.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How frames are filled in."""

    num_passes: int = 25
    """passes a frame; the paper takes 25"""
    temperature: float = 1.0
    """of the sampling: 0 takes the likeliest code; the paper takes 2, and 1 for CoinRun"""

    def __post_init__(self) -> None:
        """Refuse what fills nothing in."""
        if self.num_passes < 1 or self.temperature < 0:
            raise ConfigError(
                f"{self.num_passes} passes at temperature {self.temperature:g} fill nothing in; "
                "use at least 1 pass and a temperature of 0 or more"
            )


def mask_levels(num_passes: int) -> tuple[float, ...]:
    """Share of masked tokens before each pass, falling from 1 along a cosine."""
    return tuple(math.cos(math.pi / 2 * i / num_passes) for i in range(num_passes))


def count_masked(level: float, tokens: int, masked: int) -> int:
    """Tokens that are masked before the pass at a level: at least one is settled a pass, and one is left.

    Args:
        level: share that is to be masked.
        tokens: of a frame.
        masked: that were masked before the last pass.
    """
    return max(1, min(math.ceil(level * tokens), masked - 1))
