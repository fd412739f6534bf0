"""Runs the stages over all sources: resumable, safe to kill at any moment, and one bad file stops nothing.

Each finished stage of each source is one whole file; a run that goes on does what is missing and repeats
nothing. Sources are spread over processes or a Ray cluster. This file does NOT know what the stages measure.
"""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.config import save_config
from paracosm.core.errors import DataError, MissingPackageError
from paracosm.core.files import append_json, whole_file
from paracosm.core.judges import FrameEncoder, FrameJudge
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.workers import end_with_parent, ending_workers

from .cuts import LEFT_OUT, left_out_of
from .footage import Source, as_text, find_sources
from .handed_in import add_handed_in
from .probe import NoVideoError, as_row
from .ray_pool import run_on_ray
from .remote import RemoteFolder
from .stages import SOURCE_STAGES, CurateConfig, run_stage, stage_keys
from .store import ScoreStore

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.json"
SOURCES_FILE = "sources.parquet"
LOG_FILE = "log.jsonl"
LINES = ".jsonl"
"""Ending of the files that a folder's ratings, captions and log are kept in, line by line."""
REMADE = (CONFIG_FILE, SOURCES_FILE)
"""Files that every run writes anew."""

Status = Literal["ok", "passed over", "refused", "not written", "failed"]
"""ok: scored; passed over: no video and does not say so; refused: bad input; not written: the disk failed;
failed: our own fault, so that nothing is kept of it and the next run tries again."""
BAD: tuple[Status, ...] = ("refused", "not written", "failed")
"""What a run tells at its end as sources that could not be used."""

SOURCES_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("game", pa.string()),
        ("identity", pa.string()),
        ("status", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("clips", pa.int32()),
        ("seconds", pa.float64()),
        ("clip_seconds", pa.float64()),
        *((f"{reason.replace(' ', '_')}_seconds", pa.float64()) for reason in LEFT_OUT),
    ]
)
"""Columns of sources.parquet: a row for each file. The seconds are its own, those in clips, and those in none
by their reason; null where they are not known."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one source.

    Attributes:
        source: its name.
        status: how it ended.
        stage: the stage that refused it; "" when none did.
        reason: why, in words; "" when all is well.
        seconds: processor seconds of each stage that ran now; stages done by an earlier run are not in it.
        num_frames: frames that were measured now.
        gave: its seconds and clips as far as they are known, by the columns of SOURCES_SCHEMA.
    """

    source: str
    status: Status
    stage: str = ""
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    num_frames: int = 0
    gave: dict[str, float] = field(default_factory=dict)


def run(
    config: CurateConfig,
    *,
    encoder: FrameEncoder | None = None,
    judge: FrameJudge | None = None,
    progress: ProgressMaker = no_progress,
) -> list[Outcome]:
    """Score everything in a folder.

    Args:
        config: what and how.
        encoder: makes the columns similar and similar_to; None leaves them out.
        judge: makes the column aesthetic; None leaves it out.
        progress: makes the progress line.

    Returns:
        What became of each source, in order of names; read the scores with
        :func:`paracosm.curate.scores.read_scores`.

    Raises:
        DataError: when the folder holds nothing, or what became of the sources cannot be written.
        BusyError: when another process curates into the same folder.
        MissingPackageError: when a stage or Ray is asked for and not installed.
        ParacosmError: when no Ray cluster starts or answers.
    """
    store = ScoreStore(config.out)
    if config.origin:
        RemoteFolder(config.origin).fetch(config.folder)
    sources = find_sources(config.folder, config.game)
    with store.lock():
        mirror = RemoteFolder(config.mirror, joined=LINES) if config.mirror else None
        if mirror is not None:
            mirror.fetch(config.out, remade=REMADE)
        save_config(config, config.out / CONFIG_FILE)
        outcomes = []
        for outcome in _run_all(sources, config, progress):
            outcomes.append(outcome)
            if mirror is not None and outcome.seconds:
                mirror.put(config.out)
        outcomes.sort(key=lambda outcome: outcome.source)
        _write_outcomes(sources, outcomes, config)
        if encoder is not None or judge is not None:
            add_handed_in(config, encoder, judge, progress)
        if mirror is not None:
            mirror.put(config.out)
    return outcomes


def run_source(source: Source, config: CurateConfig) -> Outcome:
    """Run every missing stage of one source and write its tables; never raises for what one file can cause.

    Raises:
        MissingPackageError: when a stage needs a package that is not installed.
    """
    store, keys = ScoreStore(config.out), stage_keys(config)
    tables: dict[str, pa.Table] = {}
    seconds: dict[str, float] = {}

    def end(status: Status, stage: str = "", reason: str = "") -> Outcome:
        return Outcome(
            source=source.name,
            status=status,
            stage=stage,
            reason=as_text(reason),
            seconds=seconds,
            num_frames=len(tables["measure"]) if status == "ok" and "measure" in seconds else 0,
            gave=_what_it_gave(tables),
        )

    for name in SOURCE_STAGES:
        address = (name, keys[name], source.name, source.identity)
        try:
            if not store.has(*address):
                begun = time.process_time()
                refusal = _run_and_write(store, address, source, config, tables)
                seconds[name] = time.process_time() - begun
            else:
                refusal = store.refusal(*address)
            if refusal is not None:
                return end(_status(refusal), name, refusal["reason"])
            if name in ("probe", "measure", "cuts") and name not in tables:
                tables[name] = store.read(*address)
        except DataError as error:
            return end("not written", name, str(error))
        except MissingPackageError:
            raise
        except Exception as error:  # one odd file must not cost the others their scores
            return end("failed", name, _describe_fault(source, name, error))
    return end("ok", reason="" if len(tables["cuts"]) else _why_no_clip(source, tables["cuts"]))


def _what_it_gave(tables: Mapping[str, pa.Table]) -> dict[str, float]:
    gave: dict[str, float] = {}
    if "probe" in tables:
        gave["seconds"] = as_row(tables["probe"])["seconds"]
    if "cuts" in tables:
        gave["clips"] = len(tables["cuts"])
        gave["clip_seconds"] = sum(tables["cuts"]["seconds"].to_pylist())
        left = left_out_of(tables["cuts"])
        gave |= {f"{reason.replace(' ', '_')}_seconds": left[reason] for reason in LEFT_OUT}
    return gave


def _why_no_clip(source: Source, cuts: pa.Table) -> str:
    left = ", ".join(f"{seconds:.1f} s {reason}" for reason, seconds in left_out_of(cuts).items() if seconds)
    return f"{source.name} gave no clip: {left or 'it has no length'}"


def _describe_fault(source: Source, stage: str, error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(str(error).split())
    return (
        f"{source.name}: internal error in stage {stage}: {type(error).__name__}: {said} "
        f"({Path(place.filename).name}:{place.lineno}); leave it out and tell us"
    )


def _run_and_write(
    store: ScoreStore,
    address: tuple[str, str, str, str],
    source: Source,
    config: CurateConfig,
    tables: dict[str, pa.Table],
) -> dict[str, str] | None:
    try:
        table = run_stage(address[0], source, config, tables)
    except NoVideoError as error:
        refusal = {"status": "passed over", "reason": as_text(str(error))}
    except DataError as error:
        refusal = {"status": "refused", "reason": as_text(str(error))}
    else:
        store.write(*address, table)
        return None
    store.refuse(*address, refusal)
    return refusal


def _status(refusal: dict[str, str]) -> Status:
    return "passed over" if refusal["status"] == "passed over" else "refused"


def _run_all(sources: Sequence[Source], config: CurateConfig, progress: ProgressMaker) -> Iterator[Outcome]:
    line = progress("curate", len(sources), "source")
    try:
        for count, outcome in enumerate(_outcomes(sources, config), 1):
            if outcome.reason and outcome.status != "passed over":
                logger.warning("%s: %s", outcome.status, outcome.reason)
            _log(config, outcome)
            line.update(count)
            yield outcome
    finally:
        line.close()


def _outcomes(sources: Sequence[Source], config: CurateConfig) -> Iterator[Outcome]:
    if config.on == "processes" and config.workers == 1:
        for source in sources:
            yield run_source(source, config)
        return
    left = {source.name: source for source in sources}
    try:
        for outcome in _spread(sources, config):
            left.pop(outcome.source)
            yield outcome
    except BrokenProcessPool:
        logger.debug("a worker ended before its work did")
    # Some file took its worker down with it. The others are as good as before: find out which one it was.
    for source in list(left.values()):
        try:
            yield from _run_pool([source], config, 1)
        except BrokenProcessPool:
            yield _blame(source, config)


def _spread(sources: Sequence[Source], config: CurateConfig) -> Iterator[Outcome]:
    """Run sources at the same time; those whose worker was lost have no outcome."""
    if config.on == "ray":
        return run_on_ray(run_source, sources, config)
    return _run_pool(sources, config, config.workers)


def _run_pool(sources: Sequence[Source], config: CurateConfig, workers: int) -> Iterator[Outcome]:
    # Spawned, not forked: decoders and loggers hold threads and locks that a fork would copy half-way.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(
            min(workers, len(sources)) or 1, mp_context=context, initializer=end_with_parent
        ) as pool,
        ending_workers(),
    ):
        futures: list[Future[Outcome]] = [pool.submit(run_source, source, config) for source in sources]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _blame(source: Source, config: CurateConfig) -> Outcome:
    """Refuse a source whose reading ends the process, at the stage that it did not survive."""
    store, keys = ScoreStore(config.out), stage_keys(config)
    name = next(
        stage for stage in SOURCE_STAGES if not store.has(stage, keys[stage], source.name, source.identity)
    )
    reason = (
        f"{source.name} ended the process that read it, in the stage {name}; convert it with ffmpeg first"
    )
    refusal = {"status": "refused", "reason": reason}
    with contextlib.suppress(DataError):  # the outcome tells it all the same
        store.refuse(name, keys[name], source.name, source.identity, refusal)
    return Outcome(source=source.name, status="refused", stage=name, reason=reason)


def _write_outcomes(sources: Sequence[Source], outcomes: Sequence[Outcome], config: CurateConfig) -> None:
    by_name = {outcome.source: outcome for outcome in outcomes}
    rows = [
        {
            "source": source.name,
            "game": source.game,
            "identity": source.identity,
            "status": by_name[source.name].status,
            "stage": by_name[source.name].stage,
            "reason": by_name[source.name].reason,
            **by_name[source.name].gave,
        }
        for source in sources
    ]
    with whole_file(config.out / SOURCES_FILE) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=SOURCES_SCHEMA), temporary)


def _log(config: CurateConfig, outcome: Outcome) -> None:
    """Append what a source cost; what the log cannot take is not worth stopping for."""
    if not outcome.seconds:
        return
    row = {
        "time": round(time.time(), 3),
        "source": outcome.source,
        "status": outcome.status,
        "frames": outcome.num_frames,
        "processor_seconds": {name: round(value, 4) for name, value in outcome.seconds.items()},
    }
    try:
        append_json(config.out / LOG_FILE, row)
    except DataError as error:
        logger.warning("%s", error)


def stage_speeds(config: CurateConfig) -> dict[str, float]:
    """Return frames a processor second of each stage, from the log; {} when nothing was logged."""
    return stage_speeds_of(config.out)


def stage_speeds_of(out: Path) -> dict[str, float]:
    """Return frames a processor second of each stage, from the log of a curated folder."""
    frames: dict[str, int] = {}
    seconds: dict[str, float] = {}
    path = out / LOG_FILE
    if not path.exists():
        return {}
    for line in path.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # a kill may tear the last line
            row = json.loads(line)
            for name, spent in row["processor_seconds"].items():
                if row["frames"]:
                    frames[name] = frames.get(name, 0) + row["frames"]
                    seconds[name] = seconds.get(name, 0.0) + spent
    return {name: frames[name] / max(seconds[name], 1e-9) for name in frames}
