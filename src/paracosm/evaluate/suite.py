"""The suite "first": what a world must show before it ships, measured on held-out recordings, in one report.

    run_suite(SuiteConfig(world="model:doom", data=..., reference=...))  ->  Report, results.json, report.html

This file does NOT compute figures; it chooses cases, has them played and hands the frames on.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from paracosm.core.errors import ConfigError, DataError, MissingPackageError, WorldError
from paracosm.core.figures import Figure, Report, figure_of, make_report, not_computed, write_report
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.stats import estimate
from paracosm.core.world import WorldInfo
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.models.inverse_dynamics import InverseDynamics
from paracosm.worlds import open_world
from paracosm.zoo import bundled_worlds

from .cases import NUM_NOISE_SEEDS, Case, choose_cases, choose_runs
from .determinism import LEAD_STEPS, TAIL_STEPS, measure_determinism
from .encoder import TokenizerJudge
from .latency import measure_play
from .long_runs import LongRuns, learn_game, long_steps, measure_late_control, measure_stability, read_truth
from .opposites import HELD_STEPS, measure_opposites, opposite_pairs
from .quality import psnr_db
from .report import write_page
from .rollouts import ConfiguredOpener, Subject, play_all
from .short_runs import CONTROL_STEPS, ShortRuns, measure_control, measure_fidelity, play_short
from .speed import HALF_SPAN, LATE_STEP, measure_speed
from .targets import TARGETS

logger = logging.getLogger(__name__)

LARGEST_PAST = 300
"""Latest row at which a counterfactual case begins: the true game is played up to it once for each
control."""


@dataclass(frozen=True, kw_only=True)
class SuiteSize:
    """How much is measured."""

    num_cases: int
    """short cases on held-out episodes; as many again, halved, on unseen levels"""
    case_steps: int
    """steps of a short case"""
    num_opposites: int
    """starts of opposite controls"""
    num_runs: int
    """long runs"""
    run_steps: int
    """steps of a long run; 0 takes two minutes and at least 2,000"""
    speed_steps: int
    """steps that the speed of the engine is measured over"""
    play_seconds: float
    """seconds of each run of the player's benchmark"""
    num_traces: int
    """starts whose bytes are compared between processes"""


SIZES: Mapping[str, SuiteSize] = {
    "full": SuiteSize(
        num_cases=64,
        case_steps=34,
        num_opposites=16,
        num_runs=6,
        run_steps=0,
        speed_steps=LATE_STEP + HALF_SPAN,
        play_seconds=15.0,
        num_traces=2,
    ),
    "quick": SuiteSize(
        num_cases=8,
        case_steps=18,
        num_opposites=6,
        num_runs=2,
        run_steps=160,
        speed_steps=120,
        play_seconds=2.0,
        num_traces=1,
    ),
}
"""The full size takes up to 15 minutes on two cores for a world of 30 frames a second; quick takes about
one."""


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """What is measured, and against what."""

    world: str
    """world to measure, e.g. "model:doom"; the game that made the recordings measures the ceiling"""
    data: Path
    """held-out recordings of the true game"""
    reference: Path
    """recordings from which the game's band and places are learnt, best those that the world was trained
    on"""
    unseen: Path | None = None
    """recordings of levels that the world was not trained on, reported on lines of their own"""
    reader: Path | None = None
    """model folder of inverse dynamics; None takes that of the world's folder, and without either control is
    not read back"""
    tokenizer: Path | None = None
    """model folder of the world's tokenizer; None takes that of the world's folder"""
    suite: Literal["first"] = "first"
    """which figures"""
    size: Literal["full", "quick"] = "full"
    """how many cases; quick is for a look and for tests"""
    workers: int = 2
    """processes that play"""
    seed: int = 0
    """seed of the choice of cases; noise seeds are 0, 1 and 2 in turn"""
    world_config: Mapping[str, Any] | None = None
    """config of the world measured, for worlds that take one; games take that of the recordings"""
    parts: frozenset[str] = field(default_factory=lambda: frozenset(PARTS))
    """which parts to measure; the others are left out of the report"""

    def __post_init__(self) -> None:
        """Refuse numbers that measure nothing and parts that there are not."""
        if self.workers < 1 or self.seed < 0:
            raise ConfigError(f"workers {self.workers} and seed {self.seed} must be at least 1 and 0")
        unknown = sorted(self.parts - set(PARTS))
        if unknown:
            raise ConfigError(f"parts {unknown} are unknown; choose from {', '.join(PARTS)}")


PARTS = ("tokenizer", "short", "opposites", "long", "speed", "play", "determinism")
"""Parts of the suite, in the order in which they run."""


@dataclass
class _Bench:
    """Everything that the parts share."""

    config: SuiteConfig
    size: SuiteSize
    info: WorldInfo
    opener: ConfiguredOpener
    progress: ProgressMaker
    reader: InverseDynamics | None
    judge: TokenizerJudge | None

    def subject(self, episodes: Sequence[EpisodeRef]) -> Subject:
        """The world measured; a game takes the config of the recordings it is held against."""
        name = self.config.world
        recorded = episodes[0].recipe
        config = self.config.world_config
        if config is None and name == recorded.world:
            config = recorded.config
        return Subject(name=name, opener=self.opener, config=config)

    def true_game(self, episodes: Sequence[EpisodeRef]) -> Subject:
        """The game that made the recordings."""
        recorded = episodes[0].recipe
        return Subject(name=recorded.world, opener=self.opener, config=recorded.config)


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
        out: folder for results.json and report.html, or None to write nothing.
        opener: opens worlds; importable by name, since every process opens its own.
        progress: makes progress lines.
        command: the command line, for the report.

    Raises:
        DataError: when recordings are missing, too short, of another size, or were trained on.
        WorldError: when the world cannot be opened or begun.
    """
    began = time.monotonic()
    held_out, reference, unseen = _open_recordings(config)
    with contextlib.closing(
        Subject(name=config.world, opener=opener, config=_world_config(config, held_out)).open()
    ) as world:
        info = world.info
    bench = _Bench(
        config=config,
        size=SIZES[config.size],
        info=info,
        opener=opener,
        progress=progress,
        reader=_load_reader(config),
        judge=_load_judge(config),
    )
    _check_fit(bench, held_out)
    figures: dict[str, Figure] = {}
    cases = choose_cases(held_out, bench.size.num_cases, bench.size.case_steps, config.seed)
    short = long = None
    if "tokenizer" in config.parts:
        figures |= measure_tokenizer(bench.judge, cases)
    if "short" in config.parts:
        short, found = _measure_short(bench, held_out, cases)
        figures |= found
    if "opposites" in config.parts:
        figures |= _measure_opposites(bench, held_out)
    if "long" in config.parts:
        long, found = _measure_long(bench, held_out, reference)
        figures |= found
    if unseen and "short" in config.parts:
        figures |= _measure_unseen(bench, unseen)
    if "speed" in config.parts:
        figures |= measure_speed(bench.subject(held_out), cases[0].rollout, bench.size.speed_steps)
    if "play" in config.parts:
        figures |= measure_play(bench.subject(held_out), bench.size.play_seconds)
    if "determinism" in config.parts:
        figures |= _measure_determinism(bench, held_out)
    report = make_report(command, figures, range(NUM_NOISE_SEEDS))
    logger.info("measured %s in %.0f s", config.world, time.monotonic() - began)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_report(report, out / "results.json")
        targets = TARGETS.get(held_out[0].recipe.world, ())
        write_page(out / "report.html", info, report, short, long, targets)
    return report


def measure_tokenizer(judge: TokenizerJudge | None, cases: Sequence[Case]) -> dict[str, Figure]:
    """PSNR of true frames encoded and decoded: no dream of this tokenizer can be better."""
    name = "tokenizer.psnr_db"
    if judge is None:
        return {name: not_computed("skipped", "no tokenizer was given; name its model folder", "dB")}
    frames = [case.truth[:: max(1, len(case.truth) // 4)] for case in cases]
    values = [float(psnr_db(judge.reconstruct(part), part).mean()) for part in frames]
    return {name: figure_of(estimate(values), "dB")}


def _measure_short(
    bench: _Bench, episodes: Sequence[EpisodeRef], cases: Sequence[Case]
) -> tuple[ShortRuns, dict[str, Figure]]:
    short = play_short(bench.subject(episodes), cases, bench.config.workers, bench.progress)
    figures = measure_fidelity(short)
    space = bench.info.controls
    if bench.reader is None:
        reason = "no inverse dynamics was given; train it on real recordings and name its model folder"
        return short, figures | _no_control_figures(space.keys, reason)
    config = bench.reader.config
    figures |= measure_control(short, bench.reader, config.keys, config.look, space)
    return short, figures


def _measure_opposites(bench: _Bench, episodes: Sequence[EpisodeRef]) -> dict[str, Figure]:
    cases = choose_cases(
        episodes, bench.size.num_opposites, HELD_STEPS, bench.config.seed + 1, largest_past=LARGEST_PAST
    )
    space = bench.info.controls
    try:
        return measure_opposites(
            bench.subject(episodes),
            bench.true_game(episodes),
            cases,
            space,
            bench.config.workers,
            bench.progress,
        )
    except (MissingPackageError, WorldError) as error:
        # Without the true game nobody knows where a wall stands; the rest of the report is still worth
        # having.
        names = [f"control.opposite_share.{pair.name}" for pair in opposite_pairs(space)]
        return {name: not_computed("failed", str(error), "share") for name in names}


def _measure_long(
    bench: _Bench, episodes: Sequence[EpisodeRef], reference: Sequence[EpisodeRef]
) -> tuple[LongRuns, dict[str, Figure]]:
    space = bench.info.controls
    steps = bench.size.run_steps or long_steps(bench.info.fps)
    runs = choose_runs(episodes, bench.size.num_runs, steps, bench.config.seed)
    rollouts = [run.rollout for run in runs]
    played = play_all(bench.subject(episodes), rollouts, bench.config.workers, bench.progress, "play freely")
    long = LongRuns(runs=runs, world=played, truth=read_truth(runs))
    game = learn_game(reference, space, bench.config.seed)
    figures = measure_stability(long, game, space, bench.judge.encode if bench.judge else None)
    if bench.reader is not None:
        config = bench.reader.config
        figures |= measure_late_control(long, bench.reader, config.keys, config.look, space, bench.info.fps)
    return long, figures


def _measure_unseen(bench: _Bench, episodes: Sequence[EpisodeRef]) -> dict[str, Figure]:
    count = max(1, bench.size.num_cases // 2)
    cases = choose_cases(episodes, count, bench.size.case_steps, bench.config.seed)
    _, figures = _measure_short(bench, episodes, cases)
    figures |= measure_tokenizer(bench.judge, cases)
    return {f"unseen.{name}": figure for name, figure in figures.items()}


def _measure_determinism(bench: _Bench, episodes: Sequence[EpisodeRef]) -> dict[str, Figure]:
    steps = LEAD_STEPS + TAIL_STEPS
    cases = choose_cases(episodes, bench.size.num_traces, steps, bench.config.seed, largest_past=LARGEST_PAST)
    return measure_determinism(bench.subject(episodes), [case.rollout for case in cases])


def _no_control_figures(keys: Sequence[str], reason: str) -> dict[str, Figure]:
    units = {f"control.f1.{key}": "F1" for key in keys}
    units |= {"control.keys_share_of_ceiling": "share", "control.turn_share_of_ceiling": "share"}
    return {name: not_computed("skipped", reason, unit) for name, unit in units.items()}


def _open_recordings(
    config: SuiteConfig,
) -> tuple[tuple[EpisodeRef, ...], tuple[EpisodeRef, ...], tuple[EpisodeRef, ...]]:
    held_out, reference = Dataset(config.data).episodes, Dataset(config.reference).episodes
    unseen = Dataset(config.unseen).episodes if config.unseen else ()
    known = {episode.frames_sha256 for episode in reference}
    for path, episodes in ((config.data, held_out), (config.unseen, unseen)):
        trained = [one.name for one in episodes if one.split == "train" or one.frames_sha256 in known]
        if trained:
            raise DataError(
                f"{path} holds {len(trained)} training episodes, such as {trained[0]}; "
                "measure on recordings made for it, of split held_out"
            )
    if not held_out:
        raise DataError(f"{config.data} holds no episode; record some with split held_out")
    return held_out, reference, unseen


def _load_reader(config: SuiteConfig) -> InverseDynamics | None:
    folder = config.reader or _own_part(config.world, "inverse_dynamics")
    return None if folder is None else InverseDynamics.load(folder)


def _load_judge(config: SuiteConfig) -> TokenizerJudge | None:
    folder = config.tokenizer or _own_part(config.world, "tokenizer")
    return None if folder is None else TokenizerJudge(folder)


def _own_part(world: str, part: str) -> Path | None:
    """Find a model inside the folder of a neural world."""
    kind, _, rest = world.partition(":")
    if kind != "model":
        return None
    folder = bundled_worlds().get(rest, Path(rest)) / part
    return folder if folder.is_dir() else None


def _world_config(config: SuiteConfig, episodes: Sequence[EpisodeRef]) -> Mapping[str, Any] | None:
    recorded = episodes[0].recipe
    if config.world_config is None and config.world == recorded.world:
        return recorded.config
    return config.world_config


def _check_fit(bench: _Bench, episodes: Sequence[EpisodeRef]) -> None:
    recorded, world = episodes[0].info, bench.info
    advice = "give recordings of the game that the world was trained on"
    if (recorded.height, recorded.width) != (world.height, world.width):
        raise DataError(
            f"{bench.config.data} has frames of {recorded.height} x {recorded.width}, {world.name} shows "
            f"{world.height} x {world.width}; {advice}"
        )
    keys = list(world.controls.keys)
    if list(recorded.controls.keys) != keys:
        raise DataError(
            f"{bench.config.data} was played with the keys {list(recorded.controls.keys)}, {world.name} has "
            f"{keys}; {advice}"
        )
    if bench.reader is not None:
        model = bench.reader.config
        if not set(model.keys) <= set(keys) or (model.height, model.width) != (world.height, world.width):
            raise DataError(
                f"{bench.config.reader} reads {model.height} x {model.width} frames and {list(model.keys)}, "
                f"{world.name} shows {world.height} x {world.width} and has {keys}; train it on this game"
            )
    if bench.size.case_steps <= CONTROL_STEPS:
        raise ConfigError(
            f"case_steps {bench.size.case_steps} is too short; control is read over {CONTROL_STEPS} steps"
        )
