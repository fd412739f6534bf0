"""The command that curates: run, select, report, review, caption and export, each a word after ``curate``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from paracosm.cli.arguments import name_first, parse, stderr_progress
from paracosm.core.errors import ConfigError, DataError
from paracosm.curate.caption_endpoint import EndpointConfig, caption_by_endpoint
from paracosm.curate.caption_truth import TruthCaptionConfig, caption_from_truth
from paracosm.curate.export import ExportConfig, export_selection
from paracosm.curate.pipeline import BAD, run, stage_speeds
from paracosm.curate.ratings import add_taste
from paracosm.curate.report import ReportConfig, write_report
from paracosm.curate.review import ReviewConfig, review
from paracosm.curate.scores import add_up, read_scores, show_origin
from paracosm.curate.select import SelectConfig, column_kinds, read_selection, select, show_yields
from paracosm.curate.stages import CurateConfig


@dataclass(frozen=True, kw_only=True)
class RunCommand(CurateConfig):
    """Score a folder of videos or a recording: paracosm curate run FOLDER --out curated.

    Nothing is deleted or chosen. A run that was stopped goes on where it was. Exit code 2 when a file could
    not be used; the others are scored all the same, and paracosm curate report tells the reasons.
    """

    encoder: str = ""
    """World whose tokenizer tells how alike clips are, e.g. doom or a folder; makes the column similar."""


@dataclass(frozen=True, kw_only=True)
class SelectCommand:
    """Choose clips by their scores: paracosm curate select "motion > 0.2 and hud < 0.5" --out curated."""

    select: tyro.conf.OmitArgPrefixes[SelectConfig]
    """What to keep."""


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write one HTML page about a curated folder: paracosm curate report --out curated."""

    report: tyro.conf.OmitArgPrefixes[ReportConfig]
    """What to show."""


@dataclass(frozen=True, kw_only=True)
class ReviewCommand:
    """Rate clips on a local page: paracosm curate review --out curated.

    Ratings teach a small classifier; its column "taste" can be selected on.
    """

    review: tyro.conf.OmitArgPrefixes[ReviewConfig]
    """Where, and which folder."""


@dataclass(frozen=True, kw_only=True)
class CaptionCommand:
    """Caption clips: from what the world knew, or by a vision model behind an OpenAI-compatible address."""

    out: Path = Path("curated")
    """The curated folder."""
    selection: str = ""
    """Name of a selection; without one every clip is captioned."""
    truth: TruthCaptionConfig = field(default_factory=TruthCaptionConfig)
    """How a recording's knowledge becomes words; used when no endpoint is given."""
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    """Whom to ask: give --endpoint.base-url and --endpoint.model."""


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write the clips of a selection as a dataset: paracosm curate export --out curated --to DATASET."""

    export: tyro.conf.OmitArgPrefixes[ExportConfig]
    """What to write, and how."""


def curate(arguments: list[str]) -> None:
    """Run ``paracosm curate WORD``."""
    word = arguments[0] if arguments else "--help"
    if word in ("--help", "-h"):
        print(_overview())
        return
    if word not in WORDS:
        raise ConfigError(f'paracosm curate knows no "{word}"; use one of {", ".join(WORDS)}')
    WORDS[word](arguments[1:])


def _run(arguments: list[str]) -> None:
    command = parse(RunCommand, name_first(arguments, "--folder"), "paracosm curate run")
    parts = {part.name: getattr(command, part.name) for part in dataclasses.fields(CurateConfig)}
    config, encoder = CurateConfig(**parts), None
    if command.encoder:
        from paracosm.cli.tokenizer_encoder import TokenizerEncoder

        encoder = TokenizerEncoder.open(command.encoder)
    outcomes = run(config, encoder=encoder, progress=stderr_progress())
    counts = Counter(outcome.status for outcome in outcomes)
    print(f"{config.out}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    if counts["ok"]:
        scores = read_scores(config.out)
        print(show_origin(add_up(scores.sources)))
        print(f"{len(scores.clips):,} clips; next: paracosm curate select --out {config.out}")
        slowest = min(stage_speeds(config).items(), key=lambda item: item[1], default=None)
        if slowest is not None:
            print(f"slowest stage: {slowest[0]}, {slowest[1]:,.0f} frames a processor second")
    bad = sorted(
        (outcome for outcome in outcomes if outcome.status in BAD), key=lambda o: o.status != "failed"
    )
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise DataError(f"{len(bad)} of {len(outcomes)} sources could not be used: {bad[0].reason}{more}")


def _select(arguments: list[str]) -> None:
    config = parse(SelectCommand, name_first(arguments, "--where"), "paracosm curate select").select
    if not config.where:
        kinds = column_kinds(add_taste(read_scores(config.out)))
        print("columns: " + ", ".join(f"{name} ({kind})" for name, kind in kinds.items()))
    selection = select(config)
    print(show_yields(selection))
    print(f"written to {config.out / 'selections' / config.name}.json and .parquet")


def _report(arguments: list[str]) -> None:
    config = parse(ReportCommand, arguments, "paracosm curate report").report
    print(f"written to {write_report(config)}")


def _review(arguments: list[str]) -> None:
    config = parse(ReviewCommand, arguments, "paracosm curate review").review
    review(config, lambda address: print(f"open {address}\nstop with Ctrl+C", flush=True))


def _caption(arguments: list[str]) -> None:
    command = parse(CaptionCommand, arguments, "paracosm curate caption")
    scores = read_scores(command.out)
    names = scores.clips["clip"].to_pylist()
    if command.selection:
        _, table = read_selection(command.out, command.selection)
        names = table.filter(table["kept"])["clip"].to_pylist()
    if not command.endpoint.base_url:
        captions = caption_from_truth(scores, names, command.truth, stderr_progress())
        print(f"{command.out}: {len(captions)} captions written from what the world knew")
        return
    count = caption_by_endpoint(scores, names, command.endpoint, progress=stderr_progress())
    print(
        f"{command.out}: {count.written} captions written, {count.kept} were there, "
        f"{len(count.failed)} failed, {count.left} left for the cost limit; cost so far {count.cost:.4f}"
    )
    if count.failed:
        clip, reason = next(iter(count.failed.items()))
        raise DataError(
            f"{len(count.failed)} clips have no caption, e.g. {clip}: {reason}; run again to retry"
        )


def _export(arguments: list[str]) -> None:
    config = parse(ExportCommand, arguments, "paracosm curate export").export
    print(export_selection(config, stderr_progress()))


WORDS: dict[str, Callable[[list[str]], Any]] = {
    "run": _run,
    "select": _select,
    "report": _report,
    "review": _review,
    "caption": _caption,
    "export": _export,
}
"""What may stand after ``paracosm curate``."""

SUMMARIES = {
    "run": "score a folder of videos or a recording",
    "select": "choose clips by their scores, with the yield of each condition",
    "report": "write one HTML page about it",
    "review": "rate clips on a local page; the ratings teach a classifier",
    "caption": "caption clips from a world's knowledge or a vision model",
    "export": "write the chosen clips as a dataset",
}


def _overview() -> str:
    lines = [f"  {word.ljust(8)}{SUMMARIES[word]}" for word in WORDS]
    return "\n".join(
        [
            "usage: paracosm curate WORD [OPTIONS]",
            "",
            "Score footage, choose from it, look at it, caption it. Scores are columns; nothing is deleted.",
            "",
            *lines,
            "",
            "paracosm curate WORD --help tells the options of a word.",
        ]
    )
