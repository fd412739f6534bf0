"""Commands that bring recordings in: record and import."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import tyro

from paracosm.cli.arguments import name_first, parse, stderr_progress
from paracosm.collect import record as recorder
from paracosm.collect.record import RecordConfig
from paracosm.collect.videos import ImportConfig, import_videos
from paracosm.worlds import make_policy, open_world, world_config


@dataclass(frozen=True, kw_only=True)
class RecordCommand:
    """Record episodes of a world: paracosm record game:doom --out recordings/doom --num-episodes 100.

    A recording that was stopped goes on where it was. Name the world to see its own options, as --game.NAME.
    """

    record: tyro.conf.OmitArgPrefixes[RecordConfig]
    """What to record."""


@dataclass(frozen=True, kw_only=True)
class ImportCommand:
    """Bring a folder of videos in: paracosm import FOLDER --out DATASET --height 64 --width 64 --fps 15."""

    videos: tyro.conf.OmitArgPrefixes[ImportConfig]
    """Which videos, and how their frames are kept."""


def record(arguments: list[str]) -> None:
    """Run ``paracosm record``."""
    config, game = _parse_record(arguments)
    dataset = recorder.record(config, open_world, make_policy, world_config=game, progress=stderr_progress())
    print(f"{config.out}: {len(dataset)} episodes, {dataset.num_frames:,} frames of {dataset.info.name}")


def _parse_record(arguments: list[str]) -> tuple[RecordConfig, Any]:
    """Read the options; those of the game are known once the world's name is, first or after --world."""
    arguments = name_first(arguments, "--world")
    game = world_config(_find_value(arguments, "--world"))
    if game is None:
        return parse(RecordCommand, arguments, "paracosm record").record, None
    with_game = dataclasses.make_dataclass(
        "RecordCommand",
        [("game", type(game), dataclasses.field(default=game))],
        bases=(RecordCommand,),
        frozen=True,
        kw_only=True,
    )
    with_game.__doc__ = RecordCommand.__doc__
    parsed: Any = parse(with_game, arguments, "paracosm record")
    return parsed.record, parsed.game


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
    config = parse(ImportCommand, words, "paracosm import").videos
    dataset = import_videos(config, progress=stderr_progress())
    print(f"{config.out}: {len(dataset)} episodes, {dataset.num_frames:,} frames; controls are not known")
