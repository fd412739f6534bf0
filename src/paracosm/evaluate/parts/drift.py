"""Drift of minutes of free play: how far its views are from real ones, and how long play stays good.

The distance is one of sets: all runs' views of a few seconds against real views from everywhere, so that a
plain picture for ever does not win it. This file does NOT play worlds; it reads what the part "long" kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.drift import coarse_views
from paracosm.evaluate.long_runs import RealGame, is_moving, read_truth
from paracosm.evaluate.metrics.curves import (
    CURVES,
    FAR_VIEW,
    drift_curves,
    energy_distance,
    out_of_bounds,
    per_second,
    seconds_until,
)
from paracosm.evaluate.part import Measured, Result, SkippedUnitError, Tally, Unit, UnitResult, units_after
from paracosm.evaluate.quality import STATISTICS

MOMENTS = (10, 30, 60, 120, 300)
"""Seconds before which the distance to real views is reported."""
WINDOW_SECONDS = 10
"""Seconds before each moment whose views are compared, two of each second."""
REAL_VIEWS = 256
"""Real views that they are compared with, each of another moment of the held-out recordings."""
DRAWS = 200
"""Resamples of an interval: each compares all views anew."""
WHO = ("world", "true_game", "copy_last")
"""Whose curves are kept."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Curves by second of the long runs, and the seconds until they leave the bounds of the real game."""

    num_runs: int
    """as for the long runs"""

    name: ClassVar[str] = "drift"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("long",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a run that was played."""
        return units_after(bench.results("long"))

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure the curves of one run, of the frames really seen, and of the start shown for ever."""
        game = bench.real
        if game is None:
            raise SkippedUnitError("no recordings were given from which the game's views are learnt")
        run = bench.runs(self.num_runs, unit.data["steps"])[unit.case]
        start = run.rollout.start[-1:]
        shown = bench.result("long", unit.key).array("world")
        real = np.concatenate([part[1:] for part in read_truth([run])[0]])
        space, fps = bench.info.controls, bench.info.fps
        held = per_second(is_moving(space.to_vectors(run.rollout.controls), space)[: len(shown)], fps) > 0.5
        numbers: dict[str, Any] = {}
        arrays: dict[str, np.ndarray] = {}
        clips = {"world": shown, "true_game": real, "copy_last": np.repeat(start, len(shown), axis=0)}
        for who, frames in clips.items():
            curves = per_second(drift_curves(np.concatenate([start, frames]), game.places), fps)
            bad = _bad_seconds(curves, held, game)
            numbers[who] = {
                "view_distance": np.round(curves[:, CURVES.index("view_distance")], 4).tolist(),
                "seconds": seconds_until(bad),
            }
            arrays[who] = _two_a_second(frames, len(curves), fps)
        return UnitResult(numbers=numbers, arrays=arrays)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Distance before each moment that the runs reach, and seconds of good play."""
        figures: dict[str, Any] = {}
        views = [{who: one.array(who) for who in WHO} for one in results]
        real = self._real_views(bench)
        for moment in MOMENTS:
            name = f"stability.distance_to_real@{moment}s"
            rows = [index for index, part in enumerate(views) if len(part["world"]) >= 2 * moment]
            if not rows and results:
                longest = max(len(part["world"]) // 2 for part in views)
                figures[name] = not_computed("skipped", f"the longest run lasts {longest} s", "view distance")
                continue
            cases = tuple(results[index].unit.case for index in rows)
            window = slice(2 * max(0, moment - WINDOW_SECONDS), 2 * moment)
            sides = {who: np.array([views[index][who][window] for index in rows]) for who in WHO}
            figures[name] = replace(
                _figure(cases, sides, "view distance", better=False), combine=_DistanceTo(real), draws=DRAWS
            )
        seconds = {who: np.array([one.numbers[who]["seconds"] for one in results], float) for who in WHO}
        cases = tuple(one.unit.case for one in results)
        figures["stability.seconds_until_drift"] = _figure(cases, seconds, "s", better=True)
        return figures

    @staticmethod
    def _real_views(bench: Bench) -> np.ndarray:
        cases = list(bench.cases(REAL_VIEWS, 1).values())
        return coarse_views(np.concatenate([case.truth for case in cases if case.split == cases[0].split]))


@dataclass(frozen=True)
class _DistanceTo:
    """Energy distance of the views of some runs (runs, views, d) to real views."""

    real: np.ndarray

    def __call__(self, rows: np.ndarray) -> float:
        return energy_distance(rows.reshape(-1, rows.shape[-1]), self.real) if len(rows) else float("nan")


def _two_a_second(frames: np.ndarray, seconds: int, fps: float) -> np.ndarray:
    """Coarse views at the beginning and in the middle of each whole second; float32 (2 x seconds, d)."""
    rows = np.floor(np.arange(2 * seconds) * fps / 2).astype(int)
    return coarse_views(frames[rows])


def _bad_seconds(curves: np.ndarray, held: np.ndarray, game: RealGame) -> np.ndarray:
    """Tell which seconds are unlike the real game, or stand still although a movement control is held."""
    low, high = np.full(len(CURVES), -np.inf), np.full(len(CURVES), np.inf)
    high[CURVES.index("view_distance")] = FAR_VIEW
    for curve, statistic in (
        ("sharpness", "sharpness"),
        ("brightness", "brightness"),
        ("saturation", "chroma"),
    ):
        column = STATISTICS.index(statistic)
        low[CURVES.index(curve)], high[CURVES.index(curve)] = game.band.low[column], game.band.high[column]
    frozen = (curves[:, CURVES.index("motion")] <= game.still) & held[: len(curves)]
    return out_of_bounds(curves, low, high) | frozen


def _figure(cases: tuple[str, ...], rows: dict[str, np.ndarray], unit: str, better: bool) -> Tally:
    anchors: dict[str, np.ndarray | float | None] = {
        "true_game": rows["true_game"], "copy_last": rows["copy_last"], "shuffled": None, "no_control": None
    }  # fmt: skip
    return Tally(cases=cases, world=rows["world"], anchors=anchors, unit=unit, higher_is_better=better)
