"""What a player may change in how a world is made while it is played: passes, guidance, and the cache.

A tuning acts from the next step on and belongs to that step as a control does, so whoever replays the steps
and the tunings gets the same bytes. This file does NOT know any network; a game offers nothing to tune.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from paracosm.core.errors import ConfigError, WorldError

CacheAction = Literal["keep", "drop", "rebuild"]
"""What happens to the past that the networks see: it stays, it is forgotten, or it is computed anew."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """A change between two frames; what is left at its default stays as it is."""

    passes: int = 0
    """network passes a frame or block; 0 leaves them"""
    levels: tuple[float, ...] = ()
    """noise levels of the passes, where they are known exactly; () leaves the choice to the world"""
    guidance: float = 0.0
    """push from no control towards the control; 1 is plain, 0 leaves it"""
    cache: CacheAction = "keep"
    """what happens to the past"""

    def __post_init__(self) -> None:
        """Refuse what no world can do."""
        if self.passes < 0 or self.guidance < 0.0:
            raise ConfigError(
                f"passes {self.passes} and guidance {self.guidance:g} must be above 0; 0 leaves them"
            )
        if self.levels and self.passes not in (0, len(self.levels)):
            raise ConfigError(
                f"{len(self.levels)} levels make {len(self.levels)} passes, not {self.passes}; drop passes"
            )
        if self.cache not in ("keep", "drop", "rebuild"):
            raise ConfigError(f'cache is "{self.cache}"; use "keep", "drop" or "rebuild"')


@dataclass(frozen=True, kw_only=True)
class Dials:
    """What of a world may be tuned, and how it stands; empty where nothing may.

    Attributes:
        passes: numbers of passes on offer.
        guidance: values of guidance on offer.
        cache: what may be done to the past.
        now: what is in force, complete enough to be set again.
    """

    passes: tuple[int, ...] = ()
    guidance: tuple[float, ...] = ()
    cache: tuple[CacheAction, ...] = ()
    now: Tuning = field(default_factory=Tuning)

    def check(self, tuning: Tuning) -> None:
        """Refuse a player's wish that is not on offer.

        Raises:
            WorldError: says what was asked for and what there is.
        """
        wishes = [
            ("passes", tuning.passes, self.passes, 0),
            ("guidance", tuning.guidance, self.guidance, 0.0),
            ("cache", tuning.cache, self.cache, "keep"),
        ]
        for what, wanted, offered, nothing in wishes:
            if wanted != nothing and wanted not in offered:
                there_is = ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in offered)
                raise WorldError(f"{what} {wanted} is not on offer; this world takes {there_is or 'none'}")


@runtime_checkable
class Tunable(Protocol):
    """A world whose making can be changed while it is played."""

    @property
    def dials(self) -> Dials:
        """What may be tuned, and how it stands."""
        ...

    def tune(self, tuning: Tuning) -> None:
        """Change what the next step is made with.

        Raises:
            ConfigError: when it cannot be run.
            WorldError: before reset or after close, when the past is to be changed.
        """
        ...
