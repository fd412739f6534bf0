"""A suite run from beginning to end: recordings or case set, parts, report.

    run_suite(SuiteConfig(world="model:doom", suite="core"), out)  ->  Report, results.json, report.html

This file does NOT compute figures.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.figures import Report, make_report, write_report
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import WorldInfo
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.models.inverse_dynamics import InverseDynamics
from paracosm.worlds import open_world

from .bench import BenchConfig
from .case_set import find_case_set, load_case_set, render_case_set
from .cases import NUM_NOISE_SEEDS, LevelSplit
from .compare import compare, read_outcome
from .judge_client import JudgeConfig
from .long_runs import RealGame, learn_game
from .metrics.plug_ins import PlugIn
from .part import Part
from .parts.control import CONTROL_STEPS
from .parts.judged import with_judge
from .parts.plug_ins import with_plug_ins
from .report import Page, write_page
from .rollouts import ConfiguredOpener, Subject
from .runner import LEAST_COVERAGE, NOT_MEASURED, Outcome, run_parts
from .scenes import SceneSet
from .setup_world import describe_world, folder_hash, json_hash, own_part, read_card, world_spec
from .sources import RecordedCases, ShippedCases
from .suites import SizeName, SuiteName, parts_of
from .targets import TARGETS

logger = logging.getLogger(__name__)

PARTS = tuple(part.name for part in parts_of("first", "full"))
"""Parts of the suite "first", in the order in which their figures stand."""


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """What is measured, and against what."""

    world: str
    """world to measure, e.g. "model:doom"; the game that made the recordings measures the ceiling"""
    data: Path | None = None
    """held-out recordings of the true game; None takes the case set that ships for the world's game"""
    reference: Path | None = None
    """recordings from which the game's band and places are learnt, best those that the world was trained
    on; needed with data"""
    unseen: Path | None = None
    """recordings of levels that the world was not trained on, reported on lines of their own"""
    case_set: Path | None = None
    """folder of a case set, in place of the one that ships"""
    reader: Path | None = None
    """model folder of inverse dynamics; None takes that of the world's folder or of the case set, and
    without any control is not read back"""
    tokenizer: Path | None = None
    """model folder of the world's tokenizer; None takes that of the world's folder"""
    suite: SuiteName = "first"
    """which figures"""
    size: SizeName = "full"
    """how many cases; quick is for a look and for tests"""
    workers: int = 2
    """processes that play"""
    seed: int = 0
    """seed of the choice of cases; noise seeds are 0, 1 and 2 in turn"""
    world_config: Mapping[str, Any] | None = None
    """config of the world measured, for worlds that take one; games take that of the recordings"""
    parts: frozenset[str] = frozenset()
    """which parts to measure, with those that they need; none named takes all"""
    limit: int | None = None
    """at most so many units of each part that plays, for a quick look; None for all"""
    against: str | None = None
    """another world, or a results folder, to take paired differences to"""
    judge: JudgeConfig | None = None
    """vision model that marks interactions beside engine truth; None asks none"""
    plug_ins: tuple[PlugIn, ...] = ()
    """networks of the user's own that measure frames or clips too"""

    def __post_init__(self) -> None:
        """Refuse numbers that measure nothing, and suites and parts that there are not."""
        if self.workers < 1 or self.seed < 0:
            raise ConfigError(f"workers {self.workers} and seed {self.seed} must be at least 1 and 0")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit {self.limit} measures nothing; give 1 or more, or leave it out")
        if not parts_of(self.suite, self.size, sorted(self.parts)):
            raise ConfigError(f'the suite "{self.suite}" has no part yet; choose another')


@dataclass(frozen=True, kw_only=True)
class Cases:
    """What a world is held against.

    Attributes:
        source: gives the cases.
        episodes: the main recordings.
        real: what real frames look like.
        identity: says which cases they are, for ``setup.json``.
        reader: model folder of inverse dynamics that came with them, or None.
        scenes: scenes of interaction that came with them, or None.
        name: for the report.
    """

    source: RecordedCases | ShippedCases
    episodes: tuple[EpisodeRef, ...]
    real: RealGame
    identity: Mapping[str, Any]
    reader: Path | None
    name: str
    scenes: SceneSet | None = None


def run_suite(
    config: SuiteConfig,
    out: Path | None = None,
    *,
    opener: ConfiguredOpener = open_world,
    progress: ProgressMaker = no_progress,
    command: str = "",
) -> Report:
    """Measure a world.

    Args:
        config: what is measured.
        out: folder for results.json, cases.jsonl and report.html, or None to write nothing. A run that was
            killed goes on in it.
        opener: opens worlds; importable by name, since every process opens its own.
        progress: makes progress lines.
        command: the command line, for the report.

    Raises:
        DataError: when recordings are missing, too short, of another size, or were trained on; when ``out``
            was begun with something else.
        WorldError: when the world cannot be opened or begun.
    """
    began = time.monotonic()
    parts = with_judge(parts_of(config.suite, config.size, sorted(config.parts)), config.judge)
    cases = open_cases(config, opener, progress)
    bench = _set_up(config, cases, opener, parts)
    parts = with_plug_ins(parts, config.plug_ins, bench.info.height, bench.info.width)
    outcome = run_parts(
        parts,
        bench,
        out,
        setup=describe_setup(config, cases, bench),
        workers=config.workers,
        limit=config.limit,
        progress=progress,
    )
    figures = outcome.figures
    if config.against is not None:
        other = _other_outcome(config, outcome, cases, parts, out, opener, progress)
        figures |= compare(outcome.measured, other.measured)
    figures |= outcome.coverage_figure()
    report = make_report(command, figures, range(NUM_NOISE_SEEDS))
    logger.info("measured %s in %.0f s", config.world, time.monotonic() - began)
    if out is not None:
        _write(config, out, outcome, report, cases, parts)
    return report


def _write(
    config: SuiteConfig, out: Path, outcome: Outcome, report: Report, cases: Cases, parts: Sequence[Part]
) -> None:
    write_report(report, out / "results.json")
    game = cases.episodes[0].recipe.world
    page = Page(
        outcome=outcome,
        report=report,
        targets=[target for target in TARGETS.get(game, ()) if target.figure in report.figures],
        cases=cases.name,
        against=config.against or "",
        card=read_card(config.world),
        versions={part.name: part.version for part in parts},
    )
    write_page(out / "report.html", page)


def why_incomplete(report: Report, out: Path | None) -> str:
    """Say in one line that too little was measured, or "" when enough was.

    Args:
        report: what :func:`run_suite` gave.
        out: its results folder.
    """
    for name, figure in report.figures.items():
        if name.endswith(NOT_MEASURED) and figure.status == "failed":
            return f"{name.removesuffix(NOT_MEASURED)} could not be measured: {figure.reason}"
    done = report.figures.get("coverage")
    if done is None or done.value is None or done.value >= LEAST_COVERAGE:
        return ""
    where = f"; the reasons stand in {out / 'cases.jsonl'}" if out is not None else "; name --out for reasons"
    return f"only {done.value:.1%} of {done.n} units ended well, {LEAST_COVERAGE:.0%} are needed{where}"


def open_cases(config: SuiteConfig, opener: ConfiguredOpener, progress: ProgressMaker) -> Cases:
    """Open the user's recordings, or draw the case set of the world's game again.

    Raises:
        DataError: when there are neither, or they do not fit; when recordings were trained on.
    """
    if config.data is None:
        return _shipped_cases(config, opener, progress)
    if config.reference is None:
        raise DataError(
            f"{config.data} was given without reference recordings, from which the game's band is learnt; "
            "name the training recordings with --reference"
        )
    held_out, reference, unseen = _open_recordings(config.data, config.reference, config.unseen)
    levels = {episode.recipe.level_seed for episode in reference}
    known = all(episode.recipe.level_seed in levels for episode in held_out)
    split: LevelSplit = "seen_level" if known or unseen else "unseen_level"
    hashes = {
        name: json_hash({episode.name: episode.frames_sha256 for episode in episodes})
        for name, episodes in (("data", held_out), ("reference", reference), ("unseen", unseen))
    }
    return Cases(
        source=RecordedCases(main=held_out, unseen=unseen, split=split, seed=config.seed),
        episodes=held_out,
        real=learn_game(reference, held_out[0].info.controls, config.seed),
        identity={**hashes, "seed": config.seed},
        reader=None,
        name=f"recordings in {config.data}",
    )


def describe_setup(config: SuiteConfig, cases: Cases, bench: BenchConfig) -> dict[str, Any]:
    """Say what the results hang on; see ``store.ResultsFolder.keep_setup``."""
    real = cases.real
    band = np.concatenate([real.band.low, real.band.high, [real.still, real.places.radius]])
    return {
        **describe_world(config.world),
        "world_config": bench.subject.config,
        "engine": bench.info.engine,
        "cases": dict(cases.identity),
        "reader": folder_hash(bench.reader),
        "encoder": folder_hash(bench.encoder),
        "real": json_hash({"band": band.tolist(), "places": real.places.centres.sum(axis=0).tolist()}),
    }


def _shipped_cases(config: SuiteConfig, opener: ConfiguredOpener, progress: ProgressMaker) -> Cases:
    spec = world_spec(config.world)
    game = spec.game if spec is not None else config.world
    folder = config.case_set or find_case_set(game)
    if folder is None:
        raise DataError(
            f"no case set ships for {config.world}; name held-out recordings with --data and training "
            "recordings with --reference"
        )
    case_set = load_case_set(folder)
    if spec is not None and dict(spec.game_config) != case_set.main_config:
        raise DataError(
            f"{config.world} was trained on {game} with another config than the case set {case_set.name}; "
            "name held-out recordings of its own with --data and --reference"
        )
    main, unseen = render_case_set(case_set, opener, workers=config.workers, progress=progress)
    return Cases(
        source=ShippedCases(
            main=main,
            unseen=unseen,
            split=case_set.split,
            places=case_set.places,
            whole=case_set.whole,
            most_steps=case_set.most_steps,
            seed=case_set.seed,
        ),
        episodes=main,
        real=case_set.real,
        identity={
            "set": case_set.name,
            "version": case_set.version,
            "hash": case_set.hash,
            "scenes": None if case_set.scenes is None else case_set.scenes.hash,
        },
        reader=case_set.reader,
        name=f"case set {case_set.name}, version {case_set.version}",
        scenes=case_set.scenes,
    )


def _set_up(
    config: SuiteConfig, cases: Cases, opener: ConfiguredOpener, parts: Sequence[Part]
) -> BenchConfig:
    recorded = cases.episodes[0].recipe
    world_config = config.world_config
    if world_config is None and config.world == recorded.world:
        world_config = recorded.config
    subject = Subject(name=config.world, opener=opener, config=world_config)
    with contextlib.closing(subject.open()) as world:
        info = world.info
    bench = BenchConfig(
        subject=subject,
        game=Subject(name=recorded.world, opener=opener, config=recorded.config),
        info=info,
        source=cases.source,
        reader=config.reader or own_part(config.world, "inverse_dynamics") or cases.reader,
        encoder=config.tokenizer or own_part(config.world, "tokenizer"),
        real=cases.real,
        scenes=cases.scenes,
    )
    _check_fit(bench, cases.episodes[0].info, cases.name)
    for part in parts:
        if part.name == "control" and part.steps <= CONTROL_STEPS:  # pyright: ignore[reportAttributeAccessIssue]
            raise ConfigError(f"control is read over {CONTROL_STEPS} steps; make the cases longer")
    return bench


def _other_outcome(
    config: SuiteConfig,
    outcome: Outcome,
    cases: Cases,
    parts: Sequence[Part],
    out: Path | None,
    opener: ConfiguredOpener,
    progress: ProgressMaker,
) -> Outcome:
    """Results of the world to compare with: read from its folder, or measured now with the same judges."""
    assert config.against is not None
    setup = describe_setup(config, cases, outcome.bench.config)
    if Path(config.against).is_dir() and (Path(config.against) / "setup.json").is_file():
        return read_outcome(Path(config.against), outcome, setup, parts)
    theirs = replace(config, world=config.against, against=None, world_config=None)
    bench = replace(
        _set_up(theirs, cases, opener, parts),
        reader=outcome.bench.config.reader,
        encoder=outcome.bench.config.encoder,
    )
    return run_parts(
        parts,
        bench,
        None if out is None else out / "against",
        setup=describe_setup(theirs, cases, bench),
        workers=config.workers,
        limit=config.limit,
        progress=progress,
    )


def _open_recordings(
    data: Path, reference: Path, unseen: Path | None
) -> tuple[tuple[EpisodeRef, ...], tuple[EpisodeRef, ...], tuple[EpisodeRef, ...]]:
    held_out, learnt = Dataset(data).episodes, Dataset(reference).episodes
    others = Dataset(unseen).episodes if unseen else ()
    known = {episode.frames_sha256 for episode in learnt}
    for path, episodes in ((data, held_out), (unseen, others)):
        trained = [one.name for one in episodes if one.split == "train" or one.frames_sha256 in known]
        if trained:
            raise DataError(
                f"{path} holds {len(trained)} training episodes, such as {trained[0]}; "
                "measure on recordings made for it, of split held_out"
            )
    if not held_out:
        raise DataError(f"{data} holds no episode; record some with split held_out")
    return held_out, learnt, others


def _check_fit(bench: BenchConfig, recorded: WorldInfo, cases: str) -> None:
    world = bench.info
    advice = "give recordings of the game that the world was trained on"
    if (recorded.height, recorded.width) != (world.height, world.width):
        raise DataError(
            f"{cases} has frames of {recorded.height} x {recorded.width}, {world.name} shows "
            f"{world.height} x {world.width}; {advice}"
        )
    keys = list(world.controls.keys)
    if list(recorded.controls.keys) != keys:
        raise DataError(
            f"{cases} was played with the keys {list(recorded.controls.keys)}, {world.name} has {keys}; "
            f"{advice}"
        )
    if bench.reader is not None:
        model = InverseDynamics.load(bench.reader).config
        if not set(model.keys) <= set(keys) or (model.height, model.width) != (world.height, world.width):
            raise DataError(
                f"{bench.reader} reads {model.height} x {model.width} frames and {list(model.keys)}, "
                f"{world.name} shows {world.height} x {world.width} and has {keys}; train it on this game"
            )
