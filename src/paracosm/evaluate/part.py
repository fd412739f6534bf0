"""What a part of a suite is: units of playing, what each gave, and how the cases add up to figures.

    class Part(Protocol):
        units(bench)            -> pieces of work, each with a stable key      (in the command's process)
        run(bench, unit)        -> numbers and frames of one piece             (in a worker process)
        measure(bench, results) -> figures, as contributions of the cases      (in the command's process)

The runner does the rest: processes, resuming, failures, coverage, intervals, the two splits, paired
differences, the report. This file does NOT play, and knows no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from paracosm.core.errors import DataError, ParacosmError
from paracosm.core.figures import Figure
from paracosm.core.stats import BOOTSTRAP_DRAWS

if TYPE_CHECKING:
    from .bench import Bench

UnitStatus = Literal["ok", "failed", "skipped"]
"""ok: it ran; failed: it raised, and counts against the coverage; skipped: it cannot be done here (a package
is missing, the world lacks the control), and does not."""


class SkippedUnitError(ParacosmError):
    """Raised by :meth:`Part.run` when a unit cannot be done here; the text is the reason, one line."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """An independent piece of a part's work.

    Attributes:
        key: stable and readable, unique within the part, e.g. "episode-000012@310"; letters, digits and
            ``@ - _ . /``. The same key means the same work as long as part, version and settings agree.
        case: name of the case that it belongs to; several units of one case (noise seeds) share it.
        steps: steps that it plays, for the time left; 1 where that is unknown.
        data: whatever ``run`` needs beside the case, as JSON values.
    """

    key: str
    case: str = ""
    steps: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UnitResult:
    """What one unit gave.

    Attributes:
        numbers: JSON values, finite; None for what has no value. They stand in cases.jsonl.
        arrays: kept losslessly beside it: frames uint8 (t, h, w, 3), features, anything large.
    """

    numbers: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def units_after(results: Sequence[Result]) -> list[Unit]:
    """Units of a part that reads another: one for each finished unit of the other."""
    return [Unit(key=one.unit.key, case=one.unit.case, data=dict(one.unit.data)) for one in results]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished unit, read back from the results folder.

    Attributes:
        part: name of the part.
        version: its version.
        unit: the unit.
        status: how it ended.
        reason: why it failed or was skipped, one line.
        seconds: how long it took.
        numbers: what it gave.
        file: where its arrays lie, None when it kept none.
    """

    part: str
    version: int
    unit: Unit
    status: UnitStatus = "ok"
    reason: str = ""
    seconds: float = 0.0
    numbers: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None

    def array(self, name: str) -> np.ndarray:
        """Read one array back.

        Raises:
            DataError: when the unit kept no such array.
        """
        if self.file is None or not self.file.is_file():
            raise DataError(f"{self.part} {self.unit.key} kept no arrays; delete its results and run again")
        with np.load(self.file) as kept:
            if name not in kept:
                raise DataError(
                    f"{self.file} has no array {name}; it has {', '.join(kept.files)}; run the part again"
                )
            return kept[name]


def mean_of(rows: np.ndarray) -> float:
    """Mean of the contributions (cases,); nan for none."""
    return float(np.mean(rows, dtype=np.float64)) if len(rows) else float("nan")


def ratio_of(rows: np.ndarray) -> float:
    """Ratio of sums of contributions (cases, 2): steadier than a mean of ratios; nan over nothing."""
    above, below = rows.sum(axis=0, dtype=np.float64).tolist()
    return above / below if below > 0 else float("nan")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What every case contributes to one figure, and how contributions become the number.

    From this alone the runner makes the value, its interval (cases resampled whole), its anchors, a line for
    each split, and the paired difference to another world.

    Attributes:
        cases: names of the cases judged, each once; a case that could not be judged is left out.
        world: (cases, ...), a row for each: whatever ``combine`` takes.
        combine: turns rows (m, ...), with repeats and in any order, into the number; nan for undefined.
        anchors: the same rows measured on an anchor, or a number that is known beforehand (a ceiling of 1).
        unit: unit of the number.
        higher_is_better: None for neither.
        draws: resamples of the interval; fewer where ``combine`` is slow, 0 for no interval.
        reason: what is said when the number is undefined.
    """

    cases: tuple[str, ...]
    world: np.ndarray
    combine: Callable[[np.ndarray], float] = mean_of
    anchors: Mapping[str, np.ndarray | float | None] = field(default_factory=dict)
    unit: str = ""
    higher_is_better: bool | None = True
    draws: int = BOOTSTRAP_DRAWS
    reason: str = "no case could be judged"

    def __post_init__(self) -> None:
        if len(self.cases) != len(self.world) or len(set(self.cases)) != len(self.cases):
            raise ValueError(f"{len(self.world)} rows for cases {self.cases[:3]}...: give one row a case")


Measured = Mapping[str, Tally | Figure]
"""Figures by name; a plain :class:`~paracosm.core.figures.Figure` where cases do not add up (speed)."""


@runtime_checkable
class Part(Protocol):
    """A part of a suite: a frozen dataclass whose fields are its settings, importable by name.

    Attributes:
        name: one word, unique, e.g. "fidelity"; the folder of its frames.
        version: raised by every change that moves one of its numbers; other versions are not compared.
        needs: names of parts that run before; their results are at ``bench.results(name)``.
        alone: True when nothing else may run beside a unit (speed); it runs in the command's process.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    needs: ClassVar[tuple[str, ...]]
    alone: ClassVar[bool]

    def units(self, bench: Bench) -> Sequence[Unit]:
        """List the work; the same bench gives the same list. Empty for a part that only reads others."""
        ...

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Do one unit; whatever it raises makes this unit failed, with the text as reason.

        Raises:
            SkippedUnitError: when it cannot be done here.
        """
        ...

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Make the figures from the results that are ok; pure, and quick (seconds).

        Called once for each split. With no results (every unit failed) it still names its figures, as tallies
        without cases; the runner puts the reason in.
        """
        ...
