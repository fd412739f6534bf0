"""Distances of frames by the user's own networks, such as LPIPS, beside the anchors, by horizon.

This file does NOT play worlds; it reads what the part "short" kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from paracosm.core.errors import ConfigError
from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.metrics.plug_ins import PlugIn, ScriptedPair, try_plug_in
from paracosm.evaluate.part import Measured, Part, Result, Tally, Unit, UnitResult, units_after

from .distances import Distances
from .short import VARIANTS, Short, shown

HORIZONS = (1, 4, 8, 16, 32, 64)
"""Steps after which frames are compared, as far as the cases reach."""


@dataclass(frozen=True, kw_only=True)
class PlugInPairs:
    """Distances of the world's frames to the true ones, by each plug-in that takes pairs."""

    num_cases: int
    """as for the short runs"""
    steps: int
    """as for the short runs"""
    plug_ins: tuple[PlugIn, ...]
    """the user's networks"""

    name: ClassVar[str] = "plug_ins"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("short",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a case that was played."""
        return units_after(bench.results("short"))

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one case by every plug-in, at every horizon that it reaches."""
        case = bench.cases(self.num_cases, self.steps)[unit.case]
        rows = [horizon - 1 for horizon in HORIZONS if horizon <= self.steps]
        frames = {name: clip[rows] for name, clip in shown(case, bench.result("short", unit.key)).items()}
        numbers = {}
        for plug_in in self.plug_ins:
            measure = bench.plug_in(plug_in)
            assert isinstance(measure, ScriptedPair)
            numbers[plug_in.name] = {
                name: measure.measure(clip, case.truth[rows]).tolist() for name, clip in frames.items()
            }
        return UnitResult(numbers=numbers)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """One figure a plug-in and horizon; those beyond the cases' length are skipped."""
        figures = {}
        reached = [horizon for horizon in HORIZONS if horizon <= self.steps]
        for plug_in in self.plug_ins:
            for horizon in HORIZONS:
                name = f"{plug_in.figure}@{horizon}"
                if horizon in reached:
                    figures[name] = _tally(results, plug_in, reached.index(horizon))
                else:
                    reason = f"the cases are {self.steps} steps long"
                    figures[name] = not_computed("skipped", reason, plug_in.unit)
        return figures


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


def _tally(results: Sequence[Result], plug_in: PlugIn, index: int) -> Tally:
    def column(name: str) -> np.ndarray:
        return np.array([one.numbers[plug_in.name][name][index] for one in results], float)

    return Tally(
        cases=tuple(one.unit.case for one in results),
        world=column("world"),
        anchors={name: column(name) for name in VARIANTS},
        unit=plug_in.unit,
        higher_is_better=False,
    )
