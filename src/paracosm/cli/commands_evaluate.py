"""The command that measures a world against the true game: evaluate."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from paracosm.cli.arguments import File, Folder, command_line, full_name, parse, show, stderr_progress
from paracosm.core.errors import ConfigError, DataError
from paracosm.evaluate.case_set import SETS, find_case_set, render_case_set
from paracosm.evaluate.case_set_maker import CaseSetConfig, make_case_set
from paracosm.evaluate.files_suite import FilesConfig, run_files
from paracosm.evaluate.judge_client import JudgeConfig
from paracosm.evaluate.metrics.plug_ins import parse_plug_ins
from paracosm.evaluate.scene_maker import SceneSetConfig, make_scenes
from paracosm.evaluate.suite import SuiteConfig, run_suite, why_incomplete
from paracosm.evaluate.suites import SuiteName
from paracosm.worlds import open_world


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """Measure a world against the true game, with the anchors beside each figure.

    The cases of the bundled worlds' games ship with the package: paracosm evaluate model:doom --suite core.
    A world of your own is measured on the held-out recordings of the run folder that it lies in, where there
    are some; each can be named. Stopped at any moment, the same command with the same --out goes on where it
    was.
    """

    world: tyro.conf.Positional[str] = ""
    """World to measure, e.g. "model:doom", "runs/own/world", or "game:doom" for the ceiling itself."""
    videos: Folder = None
    """Measure no world but a folder of clips, of any project, by files alone; --reference: the true clips."""
    suite: SuiteName = "first"
    """Which figures."""
    size: Literal["full", "quick"] = "full"
    """How many cases; quick is for a look."""
    parts: tuple[str, ...] = ()
    """Only these parts of the suite, with those that they need; none named takes all."""
    limit: int | None = None
    """At most so many units of each part that plays, for a look; the rest runs later into the same --out."""
    against: str | None = None
    """Another world, or a results folder: adds the paired difference of every figure to it."""
    run: Folder = None
    """Run folder of the recipe, whose recordings are taken; without it, the folder that the world lies in."""
    data: Folder = None
    """Held-out recordings of the true game; RUN/data/held_out, or the case set of its game, without it."""
    reference: Folder = None
    """Recordings from which the game's band is learnt; RUN/data/train without it."""
    unseen: Folder = None
    """Recordings of levels never trained on; RUN/data/unseen without it, where there is one."""
    cases: Folder = None
    """Folder of a case set, in place of the one that ships."""
    reader: Folder = None
    """Model folder of inverse dynamics; that of the world, of the case set, or of RUN without it."""
    tokenizer: Folder = None
    """Model folder of the tokenizer; that of the world, or RUN/tokenizer/tokenizer, without it."""
    plug_in: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """NAME=FILE, a TorchScript network of yours that measures too, in suites that play short cases and with
    --videos; two inputs compare frames (LPIPS), one describes clips (I3D, suite full). May be repeated."""
    judge_url: str = ""
    """OpenAI-compatible endpoint of a vision model that marks interactions too, up to its version; its key
    is read from PARACOSM_JUDGE_KEY."""
    judge_model: str = ""
    """Name of that model."""
    judge_id: str = ""
    """Id under which it must answer; its name without it."""
    judge_cache: Path = Path("judge_replies")
    """Folder of its kept replies."""
    judge_mode: Literal["live", "replay"] = "live"
    """Ask it, or only read kept replies."""
    seed: int = 0
    """Seed of the choice of cases."""
    workers: int = 2
    """Processes that play, one thread each."""
    out: Folder = None
    """Folder for results.json, cases.jsonl and report.html; none is written without it."""
    json: File = None
    """Also write the figures to this file."""
    make_cases: int | None = None
    """Do not measure: make case set number N of this game from --data, --reference and --unseen in --out."""
    make_scenes: int | None = None
    """Do not measure: find scenes of interaction, version N, into this game's case set or that of --cases."""


def evaluate(arguments: list[str]) -> None:
    """Run ``paracosm evaluate``.

    Raises:
        ConfigError: when neither a world nor a folder of clips is named, or both are.
        SystemExit: with 1, after the report was written, when too few units ended well.
    """
    command = parse(EvaluateCommand, arguments, "paracosm evaluate")
    if (command.videos is None) == (not command.world):
        raise ConfigError("name one world to measure, or a folder of clips with --videos")
    if command.make_cases is not None:
        _make_cases(command, command.make_cases)
        return
    if command.make_scenes is not None:
        _make_scenes(command, command.make_scenes)
        return
    line = command_line("evaluate", arguments)
    if command.videos is not None:
        files = FilesConfig(
            videos=command.videos,
            reference=command.reference,
            seed=command.seed,
            plug_ins=parse_plug_ins(command.plug_in),
        )
        report = run_files(files, command.out, progress=stderr_progress(), command=line).report
    else:
        report = run_suite(suite_config(command), command.out, progress=stderr_progress(), command=line)
    show(report, command.json)
    problem = why_incomplete(report, command.out)
    if problem:
        print(f"paracosm: {problem}", file=sys.stderr)
        raise SystemExit(1)


def suite_config(command: EvaluateCommand) -> SuiteConfig:
    """Fill in the places that were not named: from the run folder where it holds held-out recordings.

    Bundled worlds take the case set of their game, so that their figures are comparable everywhere.

    Raises:
        DataError: when a run folder was named, or holds a part of what is needed, and the rest is missing.
    """
    folder = Path(command.world.partition(":")[2] or command.world)
    name = folder.name
    beside = folder.parent if (folder.parent / "data").is_dir() else Path("runs") / name
    run = command.run or beside
    data, reference, unseen = command.data, command.reference, command.unseen
    there = find_case_set(f"game:{name}") is None and (run / "data" / "held_out").is_dir()
    if command.cases is None and (data is not None or command.run is not None or there):
        data = data or _must_be(run / "data" / "held_out", "--data", "held-out recordings")
        reference = reference or _must_be(run / "data" / "train", "--reference", "training recordings")
        unseen = unseen or _may_be(run / "data" / "unseen")
    return SuiteConfig(
        world=full_name(command.world),
        data=data,
        reference=reference,
        unseen=unseen,
        case_set=command.cases,
        reader=command.reader or _may_be(run / "inverse_dynamics" / "inverse_dynamics"),
        tokenizer=command.tokenizer or _may_be(run / "tokenizer" / "tokenizer"),
        suite=command.suite,
        size=command.size,
        workers=command.workers,
        seed=command.seed,
        parts=frozenset(command.parts),
        limit=command.limit,
        against=None if command.against is None else _other(command.against),
        judge=_judge(command),
        plug_ins=parse_plug_ins(command.plug_in),
    )


def _judge(command: EvaluateCommand) -> JudgeConfig | None:
    """The vision model that was named, None without one."""
    if not command.judge_url and not command.judge_model:
        return None
    return JudgeConfig(
        url=command.judge_url,
        model=command.judge_model,
        judge_id=command.judge_id,
        cache=command.judge_cache,
        mode=command.judge_mode,
    )


def _other(name: str) -> str:
    """A results folder as it is, a world by its full name."""
    return name if (Path(name) / "setup.json").is_file() else full_name(name)


def _make_cases(command: EvaluateCommand, version: int) -> None:
    """Make a case set, and have the true game draw it once to prove it."""
    name = command.world.partition(":")[2] or command.world
    if command.data is None or command.reference is None:
        raise ConfigError(
            "--make-cases needs held-out recordings in --data and training recordings in --reference"
        )
    config = CaseSetConfig(
        name=name,
        version=version,
        data=command.data,
        reference=command.reference,
        unseen=command.unseen,
        reader=command.reader,
        out=command.out or SETS / f"{name}-{version}",
        seed=command.seed,
    )
    case_set = make_case_set(config)
    render_case_set(case_set, open_world, workers=command.workers, progress=stderr_progress())
    size = sum(file.stat().st_size for file in config.out.rglob("*") if file.is_file())
    print(
        f"{config.out}: {len(case_set.places)} places, {len(case_set.episodes)} episodes, {size / 1e6:.1f} MB"
    )


def _make_scenes(command: EvaluateCommand, version: int) -> None:
    """Find the scenes of a case set anew."""
    name = command.world.partition(":")[2] or command.world
    folder = command.cases or find_case_set(f"game:{name}")
    if folder is None:
        raise ConfigError(f"no case set of {name} ships, in which scenes could lie; name one with --cases")
    made = make_scenes(
        SceneSetConfig(case_set=folder, version=version), open_world, progress=stderr_progress()
    )
    size = sum((folder / part).stat().st_size for part in ("scenes.json", "scenes.parquet"))
    print(f"{folder}: {len(made.scenes)} scenes, {size / 1e3:.0f} kB")


def _may_be(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def _must_be(folder: Path, option: str, what: str) -> Path:
    if not folder.is_dir():
        raise DataError(
            f"{folder} holds no {what}; record some, or name another folder with {option} or --run"
        )
    return folder
