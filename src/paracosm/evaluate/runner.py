"""Runs parts: their units on several processes, each kept as it ends, failures told apart from the rest.

    outcome = run_parts(parts, BenchConfig(...), out, workers=2, limit=None)

Parts run in waves: those that need nothing together, then those that read them, then those that must be
alone. Killed and started again, it repeats no finished unit. This file does NOT know any metric.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import multiprocessing
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from paracosm.core.errors import ConfigError, ParacosmError
from paracosm.core.figures import Figure, not_computed
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.workers import end_with_parent, ending_workers

from .bench import Bench, BenchConfig
from .part import Measured, Part, Result, SkippedUnitError, Tally, Unit
from .rollouts import take_core
from .store import ResultsFolder, finished, keep_arrays, kept_file
from .tally import UNSEEN, figure_of_tally

logger = logging.getLogger(__name__)

LEAST_COVERAGE = 0.95
"""Share of the units due that must be ok, else the command fails."""
NOT_MEASURED = ".measured"
"""Ends the name of the figure that stands for a part whose formula broke."""
DIED = "its process died twice, once on its own: killed, out of memory, or a crash in the engine"
"""Reason of a unit that takes its process with it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What running gave.

    Attributes:
        bench: the bench, holding every finished unit.
        results: every unit of each part, in the order of its units, whatever its status.
        measured: figures of each part, as its ``measure`` gave them; those of unseen levels begin with
            "unseen." and stand last, where there are both splits.
    """

    bench: Bench
    results: Mapping[str, Sequence[Result]]
    measured: Measured

    @property
    def figures(self) -> dict[str, Figure]:
        """Figures by name, tallies added up."""
        return {
            name: figure_of_tally(value) if isinstance(value, Tally) else value
            for name, value in self.measured.items()
        }

    def count(self, status: str) -> int:
        """Count units of a status."""
        return sum(result.status == status for results in self.results.values() for result in results)

    @property
    def coverage(self) -> float:
        """Share of the units due (ok or failed) that are ok; 1 when none was due."""
        due = self.count("ok") + self.count("failed")
        return self.count("ok") / due if due else 1.0

    def coverage_figure(self) -> dict[str, Figure]:
        """The coverage as a figure, by its name; nothing when no unit was due."""
        due = self.count("ok") + self.count("failed")
        return {"coverage": Figure(value=self.coverage, unit="share", n=due)} if due else {}


def run_parts(
    parts: Sequence[Part],
    config: BenchConfig,
    out: Path | None = None,
    *,
    setup: Mapping[str, Any] | None = None,
    workers: int = 1,
    limit: int | None = None,
    progress: ProgressMaker = no_progress,
) -> Outcome:
    """Run parts and measure them.

    Args:
        parts: what to run; those that others need must be among them.
        config: the bench.
        out: results folder, or None to keep nothing. With None the outcome's arrays are gone when the next
            call begins; its tallies and figures stay.
        setup: what the folder must have been begun with; see :func:`describe_parts` for the parts' share.
        workers: processes that play; 1 plays in this one.
        limit: at most so many units of each part that plays, for a quick look; parts that read what others
            played read all of it. The rest can be run later.
        progress: makes progress lines.

    Raises:
        DataError: when ``out`` was begun with something else.
        ConfigError: when a part is missing or stands there twice.
    """
    waves = order_parts(parts)
    with contextlib.ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) if out is None else out
        folder = stack.enter_context(ResultsFolder(path))
        folder.keep_setup({**(setup or {}), "parts": describe_parts(parts)})
        bench = Bench(config)
        stack.callback(bench.close)
        known = folder.read()
        results: dict[str, list[Result]] = {}
        for wave in waves:
            found = _run_wave(wave, bench, folder, known, workers, limit, progress)
            results |= found
            bench.finished.update(found)
        ordered = {part.name: results[part.name] for part in parts}
        return Outcome(bench=bench, results=ordered, measured=measure_parts(parts, bench))


def measure_parts(parts: Sequence[Part], bench: Bench) -> Measured:
    """Measure every part from the finished units of a bench; figures of unseen levels stand last."""
    measured, unseen = {}, {}
    for part in parts:
        try:
            own, other = _measure(part, bench)
        except Exception as error:  # hours of play must not be lost to one formula; the command fails later
            logger.exception("%s could not be measured", part.name)
            own, other = {part.name + NOT_MEASURED: not_computed("failed", _one_line(error))}, {}
        measured |= own
        unseen |= {UNSEEN + name: value for name, value in other.items()}
    return measured | unseen


def describe_parts(parts: Sequence[Part]) -> dict[str, Any]:
    """Describe parts for ``setup.json``: version and settings of each."""
    return {
        part.name: {"version": part.version}
        | {field.name: _plain(getattr(part, field.name)) for field in fields(part)}  # pyright: ignore[reportArgumentType]
        for part in parts
    }


def order_parts(parts: Sequence[Part]) -> list[list[Part]]:
    """Put parts into waves: each after what it needs, and every lone part in a wave of its own, last.

    Raises:
        ConfigError: when a part that is needed is missing, or a name stands twice.
    """
    names = [part.name for part in parts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"parts {twice} stand twice in the suite; name each once")
    left = [part for part in parts if not part.alone]
    waves, done = [], set[str]()
    while left:
        wave = [part for part in left if done.issuperset(part.needs)]
        if not wave:
            missing = sorted({name for part in left for name in part.needs if name not in done})
            raise ConfigError(f"parts {missing} are needed by {left[0].name} and missing; add them")
        waves.append(wave)
        done |= {part.name for part in wave}
        left = [part for part in left if part not in wave]
    return waves + [[part] for part in parts if part.alone]


def _run_wave(
    wave: Sequence[Part],
    bench: Bench,
    folder: ResultsFolder,
    known: Mapping[tuple[str, str], Result],
    workers: int,
    limit: int | None,
    progress: ProgressMaker,
) -> dict[str, list[Result]]:
    due = {part.name: list(part.units(bench))[: None if part.needs else limit] for part in wave}
    done = {part.name: finished(known, part.name, part.version, due[part.name]) for part in wave}
    jobs = [(part, unit) for part in wave for unit in due[part.name] if unit.key not in done[part.name]]
    splits = bench.splits()
    total = sum(unit.steps for units in due.values() for unit in units)
    ready = total - sum(unit.steps for _, unit in jobs)
    names = [part.name for part in wave if due[part.name]]
    line = progress("measure " + ", ".join(names), total, "step", ready) if jobs else None
    alone = len(wave) == 1 and wave[0].alone
    failed = 0
    with contextlib.closing(_run_jobs(jobs, bench, folder.path, 1 if alone else workers)) as results:
        for result in results:
            folder.add(result, splits.get(result.unit.case, ""))
            done[result.part][result.unit.key] = result
            ready += result.unit.steps
            failed += result.status == "failed"
            if result.status == "failed":
                logger.warning("%s %s failed: %s", result.part, result.unit.key, result.reason)
            if line is not None:
                line.update(ready, {"failed": failed} if failed else None)
    if line is not None:
        line.close()
    return {part.name: [done[part.name][unit.key] for unit in due[part.name]] for part in wave}


def _measure(part: Part, bench: Bench) -> tuple[dict[str, Tally | Figure], dict[str, Tally | Figure]]:
    """Measure a part, its two splits apart: figures of the main split, and of unseen levels where both are.

    A part whose units all failed names its figures nevertheless, each with the reason.
    """
    everything, results = bench.finished[part.name], bench.results(part.name)
    if everything and not results:
        return _not_measured(part, bench, everything), {}
    splits = bench.splits()
    unseen = [one for one in results if splits.get(one.unit.case) == "unseen_level"]
    rest = [one for one in results if splits.get(one.unit.case) != "unseen_level"]
    if not unseen or not rest:
        return dict(part.measure(bench, results)), {}
    return dict(part.measure(bench, rest)), dict(part.measure(bench, unseen))


def _not_measured(part: Part, bench: Bench, results: Sequence[Result]) -> dict[str, Tally | Figure]:
    word = "failed" if any(result.status == "failed" for result in results) else "skipped"
    reason = next(result.reason for result in results if result.status == word)
    return {
        name: value
        if isinstance(value, Figure) and value.status == "skipped"
        else not_computed(word, reason, value.unit)
        for name, value in part.measure(bench, []).items()
    }


def _run_jobs(
    jobs: Sequence[tuple[Part, Unit]], bench: Bench, folder: Path, workers: int
) -> Generator[Result, None, None]:
    if workers <= 1 or len(jobs) <= 1:
        for part, unit in jobs:
            yield _run_unit(bench, folder, part, unit)
        return
    left = deque(jobs)
    while left:
        suspects: list[tuple[Part, Unit]] = []
        with _pool(bench, folder, workers) as pool:
            yield from _drain(pool, left, suspects, workers)
        for job in suspects:  # one of them took the pool with it; each is tried once more, on its own
            with _pool(bench, folder, 1) as pool:
                alone: list[tuple[Part, Unit]] = []
                yield from _drain(pool, deque([job]), alone, 1)
                if alone:
                    yield Result(
                        part=job[0].name, version=job[0].version, unit=job[1], status="failed", reason=DIED
                    )


def _drain(
    pool: concurrent.futures.ProcessPoolExecutor,
    left: deque[tuple[Part, Unit]],
    suspects: list[tuple[Part, Unit]],
    workers: int,
) -> Iterator[Result]:
    """Run jobs until none is left or the pool breaks; then ``suspects`` holds those that were running."""
    running: dict[concurrent.futures.Future[Result], tuple[Part, Unit]] = {}
    while left or running:
        while left and len(running) < workers:
            job = left.popleft()
            try:
                running[pool.submit(_run_here, *job)] = job
            except BrokenProcessPool:
                left.appendleft(job)
                break
        ended, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        for future in ended:
            job = running.pop(future)
            try:
                yield future.result()
            except BrokenProcessPool:
                suspects.append(job)
        if suspects:
            suspects.extend(running.values())
            return


@contextlib.contextmanager
def _pool(bench: Bench, folder: Path, workers: int) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    slots = context.SimpleQueue()
    for slot in range(workers):
        slots.put(slot)
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, context, _open_here, (bench, folder, slots, workers)
    )
    try:
        with ending_workers():
            yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_here: dict[str, Any] = {}
"""The bench of this worker process; a pool has no other way to keep one."""


def _open_here(bench: Bench, folder: Path, slots: Any, workers: int) -> None:
    end_with_parent()
    take_core(slots.get(), workers)
    if "torch" in sys.modules:
        # torch counted the cores before this process was kept to one; more threads than cores crawl
        sys.modules["torch"].set_num_threads(1)
    _here.update(bench=bench, folder=folder)


def _run_here(part: Part, unit: Unit) -> Result:
    return _run_unit(_here["bench"], _here["folder"], part, unit)


def _run_unit(bench: Bench, folder: Path, part: Part, unit: Unit) -> Result:
    """Run one unit; whatever it raises becomes its status and reason."""
    began = time.monotonic()
    status, reason, numbers, file = "ok", "", {}, None
    try:
        given = part.run(bench, unit)
        numbers = given.numbers
        if given.arrays:
            file = kept_file(folder, part.name, unit.key)
            keep_arrays(file, given.arrays)
    except SkippedUnitError as error:
        status, reason = "skipped", str(error)
    except Exception as error:  # a broken unit must not end a night's work; its reason stands in the report
        status, reason = "failed", _one_line(error)
        logger.debug("%s %s", part.name, unit.key, exc_info=True)
    return Result(
        part=part.name,
        version=part.version,
        unit=unit,
        status=status,  # pyright: ignore[reportArgumentType]
        reason=reason,
        seconds=time.monotonic() - began,
        numbers=numbers,
        file=file,
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ParacosmError) and text else f"{type(error).__name__}: {text}"


def _plain(value: Any) -> Any:
    """JSON values of a setting; a field marked ``identity`` False (where a file lies) decides no figure."""
    if isinstance(value, tuple | frozenset):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        return {
            one.name: _plain(getattr(value, one.name))
            for one in fields(value)
            if one.metadata.get("identity", True)
        }
    return value
