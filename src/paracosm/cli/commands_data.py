"""Commands that bring recordings in: record and import."""

import dataclasses
import functools
import importlib.util
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import tyro

from paracosm.cli.arguments import name_first, parse, stderr_progress
from paracosm.collect import record as recorder
from paracosm.collect.foreign_logs.bring_in import LogImportConfig, LogOutcome, import_logs
from paracosm.collect.record import RecordConfig
from paracosm.collect.report import describe_dataset, show_description
from paracosm.collect.videos import ImportConfig, import_videos
from paracosm.core.files import write_json
from paracosm.worlds import make_policy, open_world, world_config


@dataclass(frozen=True, kw_only=True)
class RecordCommand:
    """Record episodes of a world: paracosm record game:doom --out recordings/doom --num-episodes 100.

    A recording that was stopped goes on where it was. Name the world to see its own options, as --game.NAME.
    """

    record: tyro.conf.OmitArgPrefixes[RecordConfig]
    """What to record."""
    report: Literal["full", "off"] = "full"
    """Whether to print afterwards how evenly keys, turns, places and looks are covered, and how often the
    player ran into something; kept as OUT/report.json."""


@dataclass(frozen=True, kw_only=True)
class ImportCommand:
    """Bring a folder of videos in: paracosm import FOLDER --out DATASET --height 64 --width 64 --fps 15.

    With --format, logs of another recorder with their controls; paracosm import --format vpt --help tells the
    options of those.
    """

    videos: tyro.conf.OmitArgPrefixes[ImportConfig]
    """Which videos, and how their frames are kept."""
    format: Literal["video", "vpt", "gamefactory", "owl", "lerobot"] = "video"
    """What lies in the folder."""


@dataclass(frozen=True, kw_only=True)
class ImportLogsCommand:
    """Bring logs of another recorder in, with their controls.

    paracosm import FOLDER --format vpt --out DATASET --height 96 --width 128 --fps 20. What a log held and no
    table names stays in each episode's inputs.jsonl; DATASET/import.json tells what became of every log.
    """

    logs: tyro.conf.OmitArgPrefixes[LogImportConfig]
    """Which logs, and how they become episodes."""


def record(arguments: list[str]) -> None:
    """Run ``paracosm record``."""
    command, game = _parse_record(arguments)
    config = command.record
    dataset = recorder.record(config, open_world, make_policy, world_config=game, progress=stderr_progress())
    print(f"{config.out}: {len(dataset)} episodes, {dataset.num_frames:,} frames of {dataset.info.name}")
    if command.report == "full":
        found = describe_dataset(config.out)
        write_json(config.out / "report.json", found)
        print(show_description(found))


def _parse_record(arguments: list[str]) -> tuple[RecordCommand, Any]:
    """Read the options; those of the game are known once the world's name is, first or after --world."""
    arguments = name_first(arguments, "--world")
    game = world_config(_find_value(arguments, "--world"))
    if game is None:
        return parse(RecordCommand, arguments, "paracosm record"), None
    with_game = dataclasses.make_dataclass(
        "RecordCommand",
        [("game", type(game), dataclasses.field(default=game))],
        bases=(RecordCommand,),
        frozen=True,
        kw_only=True,
    )
    with_game.__doc__ = RecordCommand.__doc__
    parsed: Any = parse(with_game, arguments, "paracosm record")
    return parsed, parsed.game


def _find_value(arguments: list[str], option: str) -> str:
    """Return the value of one option before all of them are read; "" when it is not there."""
    for i, word in enumerate(arguments):
        if word == option and i + 1 < len(arguments):
            return arguments[i + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def import_recordings(arguments: list[str]) -> None:
    """Run ``paracosm import``."""
    words = name_first(arguments, "--folder")
    if _find_value(words, "--format") not in ("", "video"):
        _import_logs(parse(ImportLogsCommand, words, "paracosm import").logs)
        return
    config = parse(ImportCommand, words, "paracosm import").videos
    dataset = import_videos(config, progress=stderr_progress())
    print(f"{config.out}: {len(dataset)} episodes, {dataset.num_frames:,} frames; controls are not known")


def _import_logs(config: LogImportConfig) -> None:
    from paracosm.curate.clock import AlignmentReport, ClockConfig, EpisodeClock

    can_see = importlib.util.find_spec("cv2") is not None
    clock = ClockConfig(off=config.off_clock)
    dataset, outcomes = import_logs(
        config,
        make_clock=functools.partial(EpisodeClock, clock) if can_see else None,
        progress=stderr_progress(),
    )
    print(f"{config.out}: {len(dataset)} episodes, {dataset.num_frames:,} frames of {dataset.info.name}")
    _show_outcomes(outcomes)
    if not can_see:
        print('alignment: not measured, OpenCV is missing; run: pip install -e ".[curate]"')
    elif outcomes:
        report = AlignmentReport(episodes={outcome.name: outcome.alignment for outcome in outcomes})
        print(f"alignment: {report.show()}")


def _show_outcomes(outcomes: list[LogOutcome]) -> None:
    notes = Counter(note for outcome in outcomes for note in outcome.notes)
    for note, count in notes.most_common(12):
        print(f"  {count} logs: {note}" if count > 1 else f"  {note}")
    unknown: Counter[str] = Counter()
    for outcome in outcomes:
        unknown.update(outcome.unknown)
    if unknown:
        told = ", ".join(f"{name} ({count:,})" for name, count in unknown.most_common(20))
        more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
        print(f"not among the keys, kept in inputs.jsonl: {told}{more}")
