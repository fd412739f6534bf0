"""Stability of minutes of free play: frames in the game's band, freezing, variety of views, curves by second.

A figure's name never promises more than was played: shorter runs give figures named by their own seconds, and
those of the full length are skipped. This file does NOT play worlds; it reads what the part "long" kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from paracosm.core.figures import Figure, not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.drift import Band, coarse_views, count_places, frozen_steps, in_band, recognise, spread
from paracosm.evaluate.long_runs import RealGame, is_moving, read_truth
from paracosm.evaluate.part import (
    Measured,
    Result,
    SkippedUnitError,
    Tally,
    Unit,
    UnitResult,
    ratio_of,
    units_after,
)
from paracosm.evaluate.quality import STATISTICS, frame_statistics

MOTION = STATISTICS.index("motion")
"""Column of the motion among the statistics of a frame."""


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Shares over the whole of the long runs, and curves by second."""

    num_runs: int
    """as for the long runs"""
    seconds: int = 120
    """what stands behind the figures' names, where the runs are as long"""

    name: ClassVar[str] = "stability"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("long",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a run that was played."""
        return units_after(bench.results("long"))

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one run and the frames that were really seen under its controls."""
        game = bench.real
        if game is None:
            raise SkippedUnitError("no recordings were given from which the game's band is learnt")
        run = bench.runs(self.num_runs, unit.data["steps"])[unit.case]
        shown = bench.result("long", unit.key).array("world")
        clip = np.concatenate([run.rollout.start[-1:], shown])
        truth = read_truth([run])[0]
        real = np.concatenate([part[1:] for part in truth])
        own = frame_statistics(clip)
        seen = np.concatenate([frame_statistics(part) for part in truth])
        views = {"world": coarse_views(shown), "true_game": coarse_views(real)}
        moving = is_moving(bench.info.controls.to_vectors(run.rollout.controls), bench.info.controls)
        numbers: dict[str, Any] = {
            "in_band": _bands(own, seen, game.band),
            "frozen": _frozen(own, seen, moving, game),
            "held": int(moving.sum()),
            "views": {name: spread(part) for name, part in views.items()},
            "places": {
                name: float(count_places(recognise(part, game.places))) for name, part in views.items()
            },
            "per_second": _per_second(own, seen, bench.info.fps),
        }
        if bench.encoder is not None:
            numbers["encoder_views"] = {
                name: spread(bench.encoder.encode(frames))
                for name, frames in (("world", shown), ("true_game", real))
            }
        return UnitResult(numbers=numbers)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """In-band, frozen and variety figures, under the name of as many seconds as every run lasts."""
        steps = min((one.unit.data["steps"] for one in results), default=None)
        wanted = round(self.seconds * bench.info.fps)
        if steps is None or steps >= wanted:
            return _figures(bench, results, f"@{self.seconds}s")
        promised = f"@{self.seconds}s"
        reason = f"the runs are {steps} steps long, {self.seconds} s are {wanted}"
        own = f"@{int(steps / bench.info.fps)}s"
        measured = _figures(bench, results, own)
        skipped = {
            name.removesuffix(own) + promised: not_computed("skipped", reason, figure.unit)
            for name, figure in measured.items()
        }
        return {**measured, **skipped}


def _figures(bench: Bench, results: Sequence[Result], suffix: str) -> dict[str, Tally | Figure]:
    cases = tuple(result.unit.case for result in results)
    figures: dict[str, Tally | Figure] = {**_band_tallies(cases, results, suffix)}
    figures[f"stability.frozen_share{suffix}"] = _frozen_figure(cases, results)
    for kind, reason in (
        ("views", "real views are all one"),
        ("places", "no real place is recognised"),
        ("encoder_views", "real features are all one"),
    ):
        name = f"stability.{kind}_share{suffix}"
        if kind == "encoder_views" and bench.encoder is None:
            reason = "the world has no encoder to read views with"
            figures[name] = not_computed("skipped", reason, "share")
        else:
            figures[name] = _share(cases, [one.numbers[kind] for one in results], reason)
    return figures


def _frozen_figure(cases: tuple[str, ...], results: Sequence[Result]) -> Tally | Figure:
    if results and not sum(result.numbers["held"] for result in results):
        return not_computed("undefined", "the controls never hold a movement key", "share")
    frozen = {
        name: np.array(
            [[one.numbers["frozen"][name], one.numbers["held"]] for one in results], float
        ).reshape(-1, 2)
        for name in ("world", "true_game", "copy_last")
    }
    return Tally(
        cases=cases,
        world=frozen["world"],
        combine=ratio_of,
        anchors=_four({name: frozen[name] for name in ("true_game", "copy_last")}),
        unit="share",
        higher_is_better=False,
    )


def _bands(own: np.ndarray, seen: np.ndarray, band: Band) -> dict[str, Any]:
    """Share of frames in band: all statistics together, and each alone."""
    sides = {"world": own, "true_game": seen, "copy_last": _stopped(own)}
    found: dict[str, Any] = {"all": {name: float(in_band(rows, band).mean()) for name, rows in sides.items()}}
    for column, statistic in enumerate(STATISTICS):
        alone = Band(low=band.low[column : column + 1], high=band.high[column : column + 1])
        found[statistic] = {
            name: float(in_band(sides[name][:, column : column + 1], alone).mean())
            for name in ("world", "true_game")
        }
    return found


def _frozen(own: np.ndarray, seen: np.ndarray, moving: np.ndarray, game: RealGame) -> dict[str, int]:
    sides = {"world": own[:, MOTION], "true_game": seen[:, MOTION], "copy_last": np.zeros(len(own))}
    return {name: int(frozen_steps(rows, moving, game.still).sum()) for name, rows in sides.items()}


def _per_second(own: np.ndarray, seen: np.ndarray, fps: float) -> dict[str, dict[str, list[float]]]:
    """Mean statistics of every whole second, to three digits: enough for a curve."""
    seconds = int(len(own) / fps)
    edges = [round(second * fps) for second in range(seconds + 1)]
    return {
        statistic: {
            name: [
                round(float(rows[first:last, column].mean()), 3) for first, last in itertools.pairwise(edges)
            ]
            for name, rows in (("world", own), ("true_game", seen))
        }
        for column, statistic in enumerate(STATISTICS)
    }


def _band_tallies(cases: tuple[str, ...], results: Sequence[Result], suffix: str) -> dict[str, Tally]:
    def share(statistic: str, name: str) -> np.ndarray:
        return np.array([one.numbers["in_band"][statistic][name] for one in results], float)

    inside, truth = share("all", "world"), share("all", "true_game")
    figures = {
        f"stability.in_band_share{suffix}": Tally(
            cases=cases,
            world=inside,
            anchors=_four({"true_game": truth, "copy_last": share("all", "copy_last")}),
            unit="share",
        ),
        f"stability.in_band_share_of_ceiling{suffix}": Tally(
            cases=cases,
            world=np.stack([inside, truth], axis=1),
            combine=ratio_of,
            anchors={"true_game": 1.0},
            unit="share",
            reason="no real frame lies in the band",
        ),
    }
    for statistic in STATISTICS:
        figures[f"stability.{statistic}_in_band_share{suffix}"] = Tally(
            cases=cases,
            world=share(statistic, "world"),
            anchors={"true_game": share(statistic, "true_game")},
            unit="share",
        )
    return figures


def _share(cases: tuple[str, ...], numbers: Sequence[dict[str, float]], reason: str) -> Tally:
    """Sum over runs of the world's number over that of the true game; a still picture has none of it."""
    rows = np.array([[one["world"], one["true_game"]] for one in numbers], float).reshape(-1, 2)
    anchors: dict[str, np.ndarray | float | None] = {"true_game": 1.0}
    return Tally(cases=cases, world=rows, combine=ratio_of, anchors=anchors, unit="share", reason=reason)


def _four(known: dict[str, np.ndarray]) -> dict[str, np.ndarray | float | None]:
    """Add the two anchors that would need further minutes of play."""
    return {**known, "shuffled": None, "no_control": None}


def _stopped(rows: np.ndarray) -> np.ndarray:
    """Statistics of the first frame shown for ever: everything stays, and nothing moves."""
    still = np.repeat(rows[:1], len(rows), axis=0)
    still[:, MOTION] = 0.0
    return still
