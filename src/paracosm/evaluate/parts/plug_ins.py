"""Distances of frames by the user's own networks, such as LPIPS, beside the anchors, by horizon.

This file does NOT play worlds; it reads what the part "short" kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from paracosm.core.errors import ConfigError
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.metrics.plug_ins import PlugIn, ScriptedPair, try_plug_in
from paracosm.evaluate.part import Measured, Part, Result, Unit, UnitResult

from .at_horizons import AtHorizons, tally_at
from .distances import Distances
from .short import Short

HORIZONS = (1, 4, 8, 16, 32, 64)
"""Horizons at which plug-ins compare frames."""


@dataclass(frozen=True, kw_only=True)
class PlugInPairs(AtHorizons):
    """Distances of the world's frames to the true ones, by each plug-in that takes pairs."""

    horizons: tuple[int, ...] = HORIZONS
    """steps after which frames are compared; those beyond the cases' length are skipped"""
    plug_ins: tuple[PlugIn, ...]
    """the user's networks"""

    name: ClassVar[str] = "plug_ins"
    version: ClassVar[int] = 1

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one case by every plug-in, at every horizon that it reaches."""
        at = self.moments(bench, unit)
        numbers = {}
        for plug_in in self.plug_ins:
            measure = bench.plug_in(plug_in)
            assert isinstance(measure, ScriptedPair)
            numbers[plug_in.name] = {
                name: measure.measure(clip, at.truth).tolist() for name, clip in at.shown.items()
            }
        return UnitResult(numbers=numbers)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """One figure a plug-in and horizon."""
        reached = self.reached
        return {
            f"{plug_in.figure}@{horizon}": tally_at(
                results, plug_in.name, reached.index(horizon), plug_in.unit, higher_is_better=False
            )
            if horizon in reached
            else self.too_far(plug_in.unit)
            for plug_in in self.plug_ins
            for horizon in self.horizons
        }


def with_plug_ins(parts: Sequence[Part], plug_ins: Sequence[PlugIn], height: int, width: int) -> list[Part]:
    """Add plug-ins to a suite: pairs on its short cases, clips on those of its distances.

    Args:
        parts: of the suite.
        plug_ins: each is loaded and tried once.
        height: rows of a frame.
        width: columns of a frame.

    Raises:
        MissingPackageError: without torch.
        DataError: for a file that is no plug-in.
        ConfigError: when the suite plays nothing that a plug-in could measure.
    """
    kinds = {plug_in: try_plug_in(plug_in, height, width) for plug_in in plug_ins}
    pairs = tuple(plug_in for plug_in, kind in kinds.items() if kind == "pairs")
    clips = tuple(plug_in for plug_in, kind in kinds.items() if kind == "clips")
    short = next((part for part in parts if isinstance(part, Short)), None)
    if pairs and short is None:
        raise ConfigError(
            f"{pairs[0].name} compares frames of short cases, which these parts do not play; choose the "
            "suite core or full"
        )
    if clips and not any(isinstance(part, Distances) for part in parts):
        raise ConfigError(
            f"{clips[0].name} describes clips for a distance, which these parts do not measure; choose the "
            "suite full"
        )
    found = [replace(part, plug_ins=clips) if isinstance(part, Distances) else part for part in parts]
    if pairs and short is not None:
        found.insert(
            [part.name for part in found].index("short") + 1,
            PlugInPairs(num_cases=short.num_cases, steps=short.steps, plug_ins=pairs),
        )
    return found
