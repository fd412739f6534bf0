"""Distances of distributions: clips of the world against real clips, by the frozen encoder of clips.

Each case is played for 16 steps; its first and its second eight frames are clips. As many real clips of other
moments are the reference, drawn apart. The true clips of the played moments against the same reference are
the floor, the anchor "true_game". Plug-ins that describe clips (I3D) see all 16 frames of a case as one clip.
This file does NOT know how features are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.cases import Case
from paracosm.evaluate.metrics import plug_ins as plugged
from paracosm.evaluate.metrics.clip_features import (
    CLIP_FRAMES,
    DIRECTIONS,
    NAME,
    clip_statistics,
    fit_encoder,
)
from paracosm.evaluate.metrics.distances import LEAST_CLIPS, MOST_FEATURES, ResampledKernel, frechet_distance
from paracosm.evaluate.part import Measured, Result, Tally, Unit, UnitResult

LAST_STEPS = (CLIP_FRAMES, 2 * CLIP_FRAMES)
"""Last step of each clip of a case."""
STEPS = 2 * CLIP_FRAMES
"""Steps of a case."""
BATCH = 16
"""Cases of a unit."""
SPARE = 1.3
"""More cases are drawn than needed, since draws may fall on one moment, and listed ones are always first."""
WHO = ("world", "true_game", "copy_last")
"""Whose clips are compared with the reference."""
DRAWS = 500
"""Resamples of an interval."""


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Fréchet and unbiased kernel distance of clips after 8 and 16 steps."""

    num_cases: int = LEAST_CLIPS
    """cases played, and real clips of the reference; figures need at least 1,024"""
    encoder: Literal["clip-statistics-1"] = NAME
    """the frozen encoder, by name and version"""
    plug_ins: tuple[plugged.PlugIn, ...] = ()
    """networks of the user's own that describe clips"""

    name: ClassVar[str] = "distances"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """Batches of cases to play, of real clips to compare with, and of real clips to fit directions to."""
        units = []
        for kind, count in (
            ("played", self.num_cases),
            ("reference", self.num_cases),
            ("fit", self._num_fit),
        ):
            for first in range(0, min(count, len(self._cases(bench, kind))), BATCH):
                steps = STEPS * BATCH if kind == "played" else BATCH
                units.append(
                    Unit(key=f"{kind}_{first:05d}", steps=steps, data={"kind": kind, "first": first})
                )
        return units

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Describe the clips of a batch."""
        first = unit.data["first"]
        cases = self._cases(bench, unit.data["kind"])[first : first + BATCH]
        names = [case.name for case in cases]
        truth = np.stack([case.truth for case in cases])
        kind = unit.data["kind"]
        if kind != "played":
            arrays = {"real": clip_statistics(truth[:, :CLIP_FRAMES])}
            if kind == "reference":
                arrays |= self._described(bench, {"real": truth[:, :STEPS]})
            return UnitResult(arrays=arrays)
        frames = {
            "world": np.stack([bench.play(case.rollout) for case in cases]),
            "true_game": truth,
            "copy_last": np.stack([np.repeat(case.rollout.start[-1:], STEPS, axis=0) for case in cases]),
        }
        arrays = {
            f"{who}_{last}": clip_statistics(clips[:, last - CLIP_FRAMES : last])
            for who, clips in frames.items()
            for last in LAST_STEPS
        }
        arrays |= self._described(bench, frames)
        return UnitResult(numbers={"cases": names}, arrays=arrays)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Both distances of both clips; undefined with the reason for fewer than 1,024 clips."""
        kinds = {kind: [one for one in results if one.unit.data["kind"] == kind] for kind in FREE_STEPS}
        cases = tuple(name for one in kinds["played"] for name in one.numbers["cases"])
        names = [f"distance.{kind}@{last}" for last in LAST_STEPS for kind in ("frechet", "kernel")]
        real = _join(kinds["reference"], "real")
        count = min(len(cases), len(real))
        fit = _join(kinds["fit"], "real")
        if count < LEAST_CLIPS or len(fit) < 2 * DIRECTIONS:
            reason = (
                f"{count} clips on each side and {len(fit)} to fit directions to; needed are {LEAST_CLIPS}"
            )
            names += [f"{plug_in.figure}@{STEPS}" for plug_in in self.plug_ins]
            return {name: not_computed("undefined", f"{reason} and {2 * DIRECTIONS}") for name in names}
        encoder = fit_encoder(fit)
        reference = encoder.encode(real[:count])
        figures: dict[str, Any] = {}
        for last in LAST_STEPS:
            sides = {who: encoder.encode(_join(kinds["played"], f"{who}_{last}")[:count]) for who in WHO}
            figures |= _tallies(cases[:count], sides, reference, last)
        for plug_in in self.plug_ins:
            own = {who: _join(kinds["played"], f"{plug_in.name}_{who}")[:count] for who in WHO}
            there = _join(kinds["reference"], f"{plug_in.name}_real")[:count]
            figures[f"{plug_in.figure}@{STEPS}"] = _frechet(cases[:count], own, there, plug_in.unit, None)
        return figures

    @property
    def _num_fit(self) -> int:
        return max(2 * DIRECTIONS, self.num_cases // 2)

    def _described(self, bench: Bench, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Features of clips (n, STEPS, h, w, 3) by every plug-in."""
        found = {}
        for plug_in in self.plug_ins:
            network = bench.plug_in(plug_in)
            assert isinstance(network, plugged.ScriptedClips)
            found |= {f"{plug_in.name}_{who}": network.encode(part) for who, part in clips.items()}
        return found

    def _cases(self, bench: Bench, kind: str) -> list[Case]:
        """Cases of the main split; another number of steps draws other moments, and none serves twice."""
        taken: set[str] = set()
        if kind != "played":
            taken |= {case.name for case in self._cases(bench, "played")}
        if kind == "fit":
            taken |= {case.name for case in self._cases(bench, "reference")}
        count = self._num_fit if kind == "fit" else self.num_cases
        # a plug-in needs whole clips of the reference, too
        steps = STEPS + 1 if self.plug_ins and kind == "reference" else FREE_STEPS[kind]
        found = list(bench.cases(round(count * SPARE), steps).values())
        split = found[0].split
        return [case for case in found if case.split == split and case.name not in taken][:count]


FREE_STEPS = {"played": STEPS, "reference": CLIP_FRAMES, "fit": CLIP_FRAMES + 1}
"""Kinds of units, and the steps of their cases where no plug-in needs more."""


@dataclass(frozen=True)
class _Frechet:
    """Fréchet distance of features (n, d) to a reference of as many; nan for another number."""

    reference: np.ndarray
    most_features: int | None

    def __call__(self, rows: np.ndarray) -> float:
        if rows.shape != self.reference.shape:
            return float("nan")
        return frechet_distance(rows, self.reference, self.most_features)


def _frechet(
    cases: tuple[str, ...],
    sides: dict[str, np.ndarray],
    reference: np.ndarray,
    unit: str,
    most_features: int | None,
) -> Tally:
    return Tally(
        cases=cases,
        world=sides["world"],
        combine=_Frechet(reference, most_features),
        anchors={"true_game": sides["true_game"], "copy_last": sides["copy_last"]},
        unit=unit,
        higher_is_better=False,
        # no interval: a resample holds clips twice, which the Fréchet distance takes for a narrower Gaussian
        draws=0,
        reason=f"fewer than {LEAST_CLIPS} clips",
    )


def _tallies(
    cases: tuple[str, ...], sides: dict[str, np.ndarray], reference: np.ndarray, last: int
) -> dict[str, Tally]:
    kernel = ResampledKernel(sides, reference)
    return {
        f"distance.frechet@{last}": _frechet(cases, sides, reference, "feature variance", MOST_FEATURES),
        f"distance.kernel@{last}": Tally(
            cases=cases,
            world=kernel.rows("world"),
            combine=kernel,
            anchors={"true_game": kernel.rows("true_game"), "copy_last": kernel.rows("copy_last")},
            unit="MMD²",
            higher_is_better=False,
            draws=DRAWS,
            reason=f"fewer than {LEAST_CLIPS} clips",
        ),
    }


def _join(results: Sequence[Result], name: str) -> np.ndarray:
    parts = [one.array(name) for one in results]
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
