"""What the machine gives: speed, what a player sees, and whether the same input gives the same bytes.

Each runs alone, in fresh processes of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from paracosm.core.config import from_json, to_json
from paracosm.core.figures import Figure
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.determinism import LEAD_STEPS, TAIL_STEPS, measure_determinism
from paracosm.evaluate.latency import measure_play
from paracosm.evaluate.part import Measured, Result, Unit, UnitResult
from paracosm.evaluate.speed import measure_speed


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Frames a second, time to the first frame, memory, early and late."""

    steps: int
    """steps that are timed"""

    name: ClassVar[str] = "speed"
    version: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = True

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit."""
        return [Unit(key="engine", steps=self.steps)]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Time the world in a process of its own."""
        rollout = next(iter(bench.cases(1, LEAD_STEPS + TAIL_STEPS, near=True).values())).rollout
        return _keep(measure_speed(bench.config.subject, rollout, self.steps))

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """The figures as they were measured."""
        return _give(results)


@dataclass(frozen=True, kw_only=True)
class Play:
    """Frames a second and latency through server, socket and page."""

    seconds: float
    """length of each run of the player's benchmark"""

    name: ClassVar[str] = "play"
    version: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = True

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit."""
        return [Unit(key="viewer", steps=round(3 * self.seconds * bench.info.fps))]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Play through the server in a process of its own."""
        return _keep(measure_play(bench.config.subject, self.seconds))

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """The figures as they were measured."""
        return _give(results)


@dataclass(frozen=True, kw_only=True)
class Determinism:
    """Share of starts whose bytes agree between processes, after a restore and on a branch."""

    num_traces: int
    """starts"""

    name: ClassVar[str] = "determinism"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = True

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit."""
        return [Unit(key="bytes", steps=self.num_traces * 2 * (LEAD_STEPS + 4 * TAIL_STEPS))]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Play every start in two processes."""
        cases = bench.cases(self.num_traces, LEAD_STEPS + TAIL_STEPS, near=True)
        rollouts = [case.rollout for case in cases.values()][: self.num_traces]
        return _keep(measure_determinism(bench.config.subject, rollouts))

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """The figures as they were measured."""
        return _give(results)


def _keep(figures: dict[str, Figure]) -> UnitResult:
    return UnitResult(numbers={name: to_json(figure) for name, figure in figures.items()})


def _give(results: Sequence[Result]) -> dict[str, Figure]:
    return {name: from_json(Figure, value) for result in results for name, value in result.numbers.items()}
