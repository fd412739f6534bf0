"""One HTML page about a curated folder: yields, distributions, contact sheets, balance, provenance.

It holds everything in one file, runs no script and fetches nothing, so it can be kept beside the data. This
file does NOT work scores out, and knows no markup: ``report_page`` writes it.
"""

from __future__ import annotations

import fnmatch
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.files import whole_file
from paracosm.core.rng import stream

from . import report_page as page
from .captions import join_fields, read_captions
from .footage import open_episode_of
from .pictures import read_pictures, tile
from .pipeline import stage_speeds
from .probe import control_vectors_of
from .ratings import add_taste
from .review import encode
from .scores import Scores, find_source, read_scores, show_origin
from .select import SelectConfig, Selection, decide, kind_of, read_selection

PROVENANCE_FILE = "provenance.json"
"""In the folder of videos, by hand: {"PATTERN": {"licence": ..., "origin": ...}}, the first that fits
counts."""

SHOWN = (
    "seconds", "motion", "moving", "zoom", "jitter", "frozen", "black", "luma", "contrast", "sharpness",
    "flicker", "hud", "hud_area", "paused", "text", "aesthetic_proxy", "aesthetic", "colourfulness",
    "duplicate", "similar", "taste",
)  # fmt: skip
"""Columns whose distribution is drawn, where they are there and known."""


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What the page shows."""

    out: Path = Path("curated")
    """The curated folder."""
    selection: str = ""
    """Name of a selection; without one every clip that is no duplicate counts as kept."""
    page: str = "report.html"
    """File name of the page in the curated folder."""
    sheets: int = 12
    """Clips on each contact sheet."""
    seed: int = 0
    """Seed of which clips are shown."""


def write_report(config: ReportConfig) -> Path:
    """Write the page.

    Returns:
        Where it lies.

    Raises:
        DataError: when the folder was not curated, the selection does not exist or the disk is full.
    """
    scores = read_scores(config.out)
    selection = decide(scores, _selection_config(config))
    path = config.out / config.page
    with whole_file(path) as temporary:
        temporary.write_text(build_page(scores, selection, config), encoding="utf-8")
    return path


def build_page(scores: Scores, selection: Selection, config: ReportConfig) -> str:
    """Return the whole page as HTML."""
    rows = add_taste(scores).to_pylist()
    reasons = selection.table["reason"].to_pylist()
    kept = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    dropped = [(row, reason) for row, reason in zip(rows, reasons, strict=True) if reason]
    sections = [
        ("In short", _summary(scores, rows, kept, selection)),
        ("Sources that gave nothing, with reasons", _refused(scores)),
        ("Yield of each condition", _yield_table(selection)),
        ("Distributions", _distributions(rows, {row["clip"] for row in kept})),
        ("Kept", _sheet(scores, kept, config, read_captions(config.out))),
        ("Dropped, with reasons", _dropped_sheets(scores, dropped, config)),
        ("Balance of kinds", _kinds(rows, selection)),
        ("Balance of controls", _controls(scores, kept)),
        ("Controls and pictures on one clock", _alignment(rows)),
        ("Duplicates", _duplicates(scores, rows, config)),
        ("Speed of each stage", _speeds(scores)),
        ("Licences and provenance", _provenance(scores, kept)),
    ]
    return page.document(f"Curation of {scores.config.folder.name}", sections)


def find_provenance(folder: Path, source: str) -> tuple[str, str]:
    """Return licence and origin of a source as PROVENANCE_FILE tells them; "not told" where it does not.

    Raises:
        DataError: when the file is no such table.
    """
    path = folder / PROVENANCE_FILE
    if not path.exists():
        return "not told", "not told"
    try:
        table = json.loads(path.read_text())
        for pattern, facts in table.items():
            if fnmatch.fnmatch(source, pattern):
                return str(facts.get("licence", "not told")), str(facts.get("origin", "not told"))
    except (json.JSONDecodeError, AttributeError, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f'{path} cannot be read ({error}); write {{"PATTERN": {{"licence": "...", "origin": "..."}}}}'
        ) from error
    return "not told", "not told"


def _selection_config(config: ReportConfig) -> SelectConfig:
    if not config.selection:
        return SelectConfig(out=config.out)
    stored, _ = read_selection(config.out, config.selection)
    return SelectConfig(
        out=config.out,
        name=config.selection,
        where=stored["where"],
        duplicates=stored["duplicates"],
        balance=stored["balance"],
        most_weight=stored["most_weight"],
    )


def _summary(
    scores: Scores, rows: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]], selection: Selection
) -> str:
    states = Counter(scores.sources["status"].to_pylist())
    hours = [sum(row["seconds"] for row in part) / 3600 for part in (rows, kept)]
    where = selection.config.where or "no condition"
    facts = {
        "footage": show_origin(selection.origin),
        "sources": ", ".join(f"{count} {state}" for state, count in states.most_common()),
        "clips": f"{len(rows):,} ({hours[0]:.2f} h)",
        "kept": f"{len(kept):,} ({hours[1]:.2f} h, {len(kept) / max(len(rows), 1):.0%} of clips)",
        "selection": f"{where}; duplicates: {selection.config.duplicates}",
        "games": ", ".join(f"{name or 'not named'} {count}" for name, count in _count(rows, "game")),
    }
    return page.facts(facts)


def _refused(scores: Scores) -> str:
    rows = [row for row in scores.sources.to_pylist() if row["status"] != "ok" or row["reason"]]
    if not rows:
        return page.words("None: every file was scored and gave clips.")
    return page.table(
        ("source", "status", "stage", "reason"),
        [(row["source"], row["status"], row["stage"], row["reason"]) for row in rows],
    )


def _yield_table(selection: Selection) -> str:
    total = max(selection.yields[0].clips, 1)
    return page.words(f"{show_origin(selection.origin)}.") + page.table(
        ("condition", "clips left", "hours left", "share", "alone it would leave", "not known"),
        [
            (
                step.condition,
                f"{step.clips:,}",
                f"{step.seconds / 3600:.3f}",
                page.Bar(step.clips / total),
                f"{step.alone:,}",
                f"{step.unknown:,}",
            )
            for step in selection.yields
        ],
    )


def _distributions(rows: Sequence[Mapping[str, Any]], kept: set[str]) -> str:
    charts = []
    for name in SHOWN:
        known = [(float(row[name]), row["clip"] in kept) for row in rows if row.get(name) is not None]
        if not known:
            continue
        values = np.array([value for value, _ in known])
        low, high = float(values.min()), float(np.percentile(values, 99.5))
        edges = np.linspace(low, high if high > low else low + 1, 21)
        clipped = np.clip(values, edges[0], edges[-1])
        chosen = np.array([is_kept for _, is_kept in known])
        charts.append(
            page.histogram(
                name,
                edges,
                np.histogram(clipped[chosen], edges)[0],
                np.histogram(clipped[~chosen], edges)[0],
                len(rows) - len(known),
            )
        )
    return page.grid(charts) + page.legend()


def _sheet(
    scores: Scores,
    rows: Sequence[Mapping[str, Any]],
    config: ReportConfig,
    captions: Mapping[str, Mapping[str, str]],
) -> str:
    if not rows:
        return page.words("Nothing was kept.")
    order = stream(config.seed, "sheet").permutation(len(rows))[: config.sheets]
    cards = []
    for index in sorted(order.tolist()):
        row = rows[index]
        pictures = read_pictures(scores, row, 8)
        text = join_fields(captions[row["clip"]]) if row["clip"] in captions else _in_words(row)
        cards.append(page.card(encode(tile(pictures, 4)) if pictures else None, row["clip"], text))
    return page.cards(cards)


def _dropped_sheets(
    scores: Scores, dropped: Sequence[tuple[Mapping[str, Any], str]], config: ReportConfig
) -> str:
    if not dropped:
        return page.words("Nothing was dropped.")
    by_reason: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row, reason in dropped:
        by_reason[reason].append(row)
    parts = []
    for reason, rows in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        parts.append(page.heading(f"{reason}: {len(rows):,} clips"))
        parts.append(_sheet(scores, rows, config, {}))
    return "".join(parts)


def _kinds(rows: Sequence[Mapping[str, Any]], selection: Selection) -> str:
    before = Counter(kind_of(row) for row in rows)
    return page.table(
        ("kind of play", "clips", "share of kept", "", "weight"),
        [
            (kind, f"{before[kind]:,}", f"{share:.1%}", page.Bar(share), f"{weight:.2f}")
            for kind, (share, weight) in selection.weights.items()
        ],
    )


def _controls(scores: Scores, kept: Sequence[Mapping[str, Any]]) -> str:
    known = [row for row in kept if row["controls_known"]]
    if not known:
        return page.words("Not known: videos tell no controls.")
    sources = {name: find_source(scores, name) for name in dict.fromkeys(row["source"] for row in known)}
    keys = open_episode_of(next(iter(sources.values()))).info.controls.keys
    parts = [control_vectors_of(sources[row["source"]], row["start"], row["stop"]) for row in known]
    controls = np.concatenate([part for part in parts if part is not None])
    held, yaw = (controls[:, :-2] > 0.5).mean(axis=0), controls[:, -2]
    shares = {f"key {key}": float(share) for key, share in zip(keys, held, strict=True)}
    shares |= {"turn left": float((yaw < 0).mean()), "turn right": float((yaw > 0).mean())}
    shares["nothing"] = float(
        (~(controls[:, :-2] > 0.5).any(axis=1) & (controls[:, -2:] == 0).all(axis=1)).mean()
    )
    return page.table(
        ("control", "share of steps", ""),
        [(name, f"{share:.1%}", page.Bar(share)) for name, share in shares.items()],
    )


def _alignment(rows: Sequence[Mapping[str, Any]]) -> str:
    told = {row["source"]: row for row in rows if row["align_lag"] is not None}
    if not told:
        return page.words("Cannot be told: no source has known turns.")
    lags = Counter(row["align_lag"] for row in told.values())
    middle = float(np.median([row["align"] for row in told.values()]))
    text = f"{len(told)} sources with turns; median correlation at the best lag {middle:.2f}."
    return page.words(text) + page.table(
        ("best lag in frames", "sources", ""),
        [(str(lag), str(count), page.Bar(count / len(told))) for lag, count in sorted(lags.items())],
    )


def _duplicates(scores: Scores, rows: Sequence[Mapping[str, Any]], config: ReportConfig) -> str:
    by_name = {row["clip"]: row for row in rows}
    copies = [row for row in rows if row["duplicate_of"] is not None]
    text = page.words(
        f"{len(copies):,} of {len(rows):,} clips show what an earlier clip of their game shows."
    )
    cards = []
    for row in copies[: config.sheets]:
        pair = read_pictures(scores, by_name[row["duplicate_of"]], 4) + read_pictures(scores, row, 4)
        same = len({picture.shape for picture in pair}) == 1
        sheet = encode(tile(pair, 4)) if pair and same else None
        found = f"below: {row['clip']}; {row['duplicate']:.0%} of its pictures are found above"
        cards.append(page.card(sheet, f"above: {row['duplicate_of']}", found))
    return text + page.cards(cards)


def _speeds(scores: Scores) -> str:
    speeds = stage_speeds(scores.config)
    if not speeds:
        return page.words("Not measured: the log is gone.")
    slowest = max(1 / speed for speed in speeds.values())
    return page.table(
        ("stage", "frames a processor second", "cost"),
        [(name, f"{speed:,.0f}", page.Bar(1 / speed / slowest)) for name, speed in speeds.items()],
    )


def _provenance(scores: Scores, kept: Sequence[Mapping[str, Any]]) -> str:
    clips = Counter(row["source"] for row in kept)
    hashes = {row["source"]: row["sha256"] for row in kept}
    rows = [
        (name, f"{count:,}", hashes[name][:16], *find_provenance(scores.config.folder, name))
        for name, count in clips.items()
    ]
    return page.table(("source", "clips kept", "sha256 begins", "licence", "origin"), rows)


def _in_words(row: Mapping[str, Any]) -> str:
    names = ("motion", "camera", "view", "hud", "paused", "luma", "aesthetic_proxy")
    shown = {name: row[name] for name in names if row[name] is not None}
    return ", ".join(
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in shown.items()
    )


def _count(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[str, int]]:
    return Counter(row[name] for row in rows).most_common()
