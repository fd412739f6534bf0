"""The command that measures a world against the true game: evaluate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from paracosm.cli.arguments import File, Folder, command_line, full_name, parse, show, stderr_progress
from paracosm.cli.commands_recipe import BUNDLED, find_street
from paracosm.collect.record import record
from paracosm.core.errors import DataError
from paracosm.evaluate.suite import PARTS, SuiteConfig, run_suite
from paracosm.worlds import make_policy, open_world

Part = Literal["tokenizer", "short", "opposites", "long", "speed", "play", "determinism"]


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """Measure a world against the true game, with the anchors beside each figure.

    Recordings, tokenizer and reader are looked for in the recipe's run folder; each of them can be named.
    What a bundled world's recipe would record and is not there is recorded first.
    """

    world: tyro.conf.Positional[str]
    """World to measure, e.g. "doom", "runs/own/world", or "game:doom" for the ceiling itself."""
    suite: Literal["first"] = "first"
    """Which figures."""
    size: Literal["full", "quick"] = "full"
    """How many cases; quick is for a look."""
    parts: tuple[Part, ...] = ()
    """Only these parts of the suite; none named takes all."""
    run: Folder = None
    """Run folder of the recipe; the folder that the world lies in, or runs/NAME, without it."""
    data: Folder = None
    """Held-out recordings of the true game; RUN/data/held_out without it."""
    reference: Folder = None
    """Recordings from which the game's band is learnt; RUN/data/train without it."""
    unseen: Folder = None
    """Recordings of levels never trained on; RUN/data/unseen without it, where there is one."""
    reader: Folder = None
    """Model folder of inverse dynamics; RUN/inverse_dynamics/inverse_dynamics without it."""
    tokenizer: Folder = None
    """Model folder of the tokenizer; RUN/tokenizer/tokenizer without it."""
    seed: int = 0
    """Seed of the choice of cases."""
    workers: int = 2
    """Processes that play."""
    out: Folder = None
    """Folder for results.json and report.html with pictures; none is written without it."""
    json: File = None
    """Also write the figures to this file."""


def evaluate(arguments: list[str]) -> None:
    """Run ``paracosm evaluate``."""
    command = parse(EvaluateCommand, arguments, "paracosm evaluate")
    report = run_suite(
        suite_config(command),
        command.out,
        progress=stderr_progress(),
        command=command_line("evaluate", arguments),
    )
    show(report, command.json)


def suite_config(command: EvaluateCommand) -> SuiteConfig:
    """Fill in the places that were not named from the run folder.

    Raises:
        DataError: when held-out or reference recordings are neither named nor in the run folder.
    """
    folder = Path(command.world.partition(":")[2] or command.world)
    name = folder.name
    beside = folder.parent if (folder.parent / "data").is_dir() else Path("runs") / name
    run = command.run or beside
    if command.data is None and name in BUNDLED:
        _record_missing(name, run)
    return SuiteConfig(
        world=full_name(command.world),
        data=command.data or _must_be(run / "data" / "held_out", "--data", "held-out recordings"),
        reference=command.reference or _must_be(run / "data" / "train", "--reference", "training recordings"),
        unseen=command.unseen or _may_be(run / "data" / "unseen"),
        reader=command.reader or _may_be(run / "inverse_dynamics" / "inverse_dynamics"),
        tokenizer=command.tokenizer or _may_be(run / "tokenizer" / "tokenizer"),
        suite=command.suite,
        size=command.size,
        workers=command.workers,
        seed=command.seed,
        parts=frozenset(command.parts or PARTS),
    )


def _record_missing(recipe: str, run: Path) -> None:
    """Record what the recipe of a bundled world records; episodes that are there are kept."""
    street = find_street(recipe, "", run, tiny=False, progress=stderr_progress())
    for split, config in street.recordings.items():
        if not config.out.is_dir():
            record(
                config, open_world, make_policy, world_config=street.games[split], progress=stderr_progress()
            )


def _may_be(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def _must_be(folder: Path, option: str, what: str) -> Path:
    if not folder.is_dir():
        raise DataError(
            f"{folder} holds no {what}; record some, or name another folder with {option} or --run"
        )
    return folder
