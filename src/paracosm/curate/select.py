"""Selection: which clips are kept, as a decision of its own that can be replayed, with its yields.

    OUT/selections/NAME.json      the expression, the versions of the scores, the yield table
    OUT/selections/NAME.parquet   every clip: kept, its weight, and the first condition that dropped it

Nothing is deleted, and the same expression over the same scores gives the same bytes. This file does NOT
measure anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import read_json, whole_file, write_json

from .expression import Condition, parse_expression
from .ratings import add_taste
from .scores import Origin, Scores, add_up, read_scores, show_origin

FOLDER = "selections"
DUPLICATE = "not a duplicate"

SCHEMA = pa.schema(
    [
        ("clip", pa.string()),
        ("source", pa.string()),
        ("start", pa.int32()),
        ("stop", pa.int32()),
        ("kept", pa.bool_()),
        ("weight", pa.float64()),
        ("reason", pa.string()),
    ]
)
"""reason: the first condition that did not hold; "CONDITION: not known" when it could not be told."""


@dataclass(frozen=True, kw_only=True)
class SelectConfig:
    """What is kept."""

    out: Path = Path("curated")
    """The curated folder."""
    where: str = ""
    """Conditions, e.g. "motion > 0.2 and hud < 0.5"; paracosm curate select --help names the columns."""
    name: str = "selection"
    """Name under which the decision is kept."""
    duplicates: str = "drop"
    """"drop" leaves clips out whose original is kept, "keep" keeps them."""
    balance: float = 0.0
    """How far rare kinds of play are favoured, 0 not at all to 1 as often as common ones; kinds are strata,
    or camera moves where controls are not known."""
    most_weight: float = 8.0
    """Largest weight of a clip."""

    def __post_init__(self) -> None:
        """Refuse what selects nothing or cannot be named."""
        if self.duplicates not in ("drop", "keep"):
            raise ConfigError(f'duplicates "{self.duplicates}" is neither "drop" nor "keep"; choose one')
        if not self.name or self.name != Path(self.name).name or self.name.startswith("."):
            raise ConfigError(f'name "{self.name}" is no plain file name; use letters, digits and dashes')
        if not 0 <= self.balance <= 1 or self.most_weight < 1:
            raise ConfigError(
                f"balance {self.balance:g} must be 0 to 1 and most_weight {self.most_weight:g} 1 or more"
            )


@dataclass(frozen=True, kw_only=True)
class Yield:
    """What one condition left.

    Attributes:
        condition: as it was written.
        clips: clips left after it and those before it.
        seconds: their length.
        alone: clips that it would leave on its own.
        unknown: clips that it dropped because it could not be told.
    """

    condition: str
    clips: int
    seconds: float
    alone: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A decision and what came of it.

    Attributes:
        config: what was asked.
        keys: versions of the scores that it read.
        yields: one for all clips, then one for each condition in order.
        origin: what the files of the folder came to before.
        table: a row of SCHEMA for each clip.
        weights: kind of play to (share of kept clips, weight).
    """

    config: SelectConfig
    keys: Mapping[str, str]
    yields: Sequence[Yield]
    origin: Origin
    table: pa.Table
    weights: Mapping[str, tuple[float, float]]


def select(config: SelectConfig) -> Selection:
    """Select clips and write the decision.

    Raises:
        ConfigError: when the expression cannot be read.
        DataError: when the folder was not curated or the disk is full.
    """
    selection = decide(read_scores(config.out), config)
    folder = config.out / FOLDER
    with whole_file(folder / f"{config.name}.parquet") as temporary:
        pq.write_table(selection.table, temporary)
    write_json(folder / f"{config.name}.json", _to_json(selection))
    return selection


def decide(scores: Scores, config: SelectConfig) -> Selection:
    """Work a selection out; writes nothing."""
    clips = add_taste(scores)
    conditions = parse_expression(config.where, column_kinds(clips))
    rows = clips.to_pylist()
    for row in rows:
        # nan is how parquet tells 0/0; a comparison with it must be "not known", not silently false
        row.update(
            {name: None for name, value in row.items() if isinstance(value, float) and math.isnan(value)}
        )
    reasons = [_first_failed(row, conditions) for row in rows]
    if config.duplicates == "drop":
        kept_names = {row["clip"] for row, reason in zip(rows, reasons, strict=True) if not reason}
        reasons = [
            reason or (DUPLICATE if row["duplicate_of"] in kept_names else "")
            for row, reason in zip(rows, reasons, strict=True)
        ]
    weights = _weigh([row for row, reason in zip(rows, reasons, strict=True) if not reason], config)
    table = pa.Table.from_pylist(
        [
            {
                **{name: row[name] for name in ("clip", "source", "start", "stop")},
                "kept": not reason,
                "weight": 0.0 if reason else weights[kind_of(row)][1],
                "reason": reason,
            }
            for row, reason in zip(rows, reasons, strict=True)
        ],
        schema=SCHEMA,
    )
    return Selection(
        config=config,
        keys=scores.keys,
        yields=_yields(rows, reasons, conditions, config),
        origin=add_up(scores.sources),
        table=table,
        weights=weights,
    )


def read_selection(out: Path, name: str) -> tuple[dict[str, Any], pa.Table]:
    """Read a decision back: its JSON and its table of clips.

    Raises:
        DataError: when there is none of that name; says which there are.
    """
    folder = out / FOLDER
    if not (folder / f"{name}.json").exists():
        there = ", ".join(sorted(path.stem for path in folder.glob("*.json"))) or "none"
        raise DataError(
            f"{out} has no selection {name}; there are: {there}; make one with paracosm curate select"
        )
    return read_json(folder / f"{name}.json"), pq.read_table(folder / f"{name}.parquet")


def show_yields(selection: Selection) -> str:
    """Lay the yields out as a text table, below what the files came to before."""
    total = max(selection.yields[0].clips, 1)
    rows = [
        ("condition", "clips", "hours", "left", "alone", "not known"),
        *(
            (
                step.condition,
                f"{step.clips:,}",
                f"{step.seconds / 3600:.3f}",
                f"{step.clips / total:.1%}",
                f"{step.alone:,}",
                f"{step.unknown:,}",
            )
            for step in selection.yields
        ),
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([show_origin(selection.origin), *lines])


def column_kinds(clips: pa.Table) -> dict[str, str]:
    """Return the kind of every column that an expression may name."""
    kinds = {}
    for field in clips.schema:
        if pa.types.is_boolean(field.type):
            kinds[field.name] = "truth"
        elif pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
            kinds[field.name] = "number"
        elif pa.types.is_string(field.type):
            kinds[field.name] = "text"
    return kinds


def kind_of(row: Mapping[str, Any]) -> str:
    """Return the kind of play of a clip: its stratum, else its camera's move."""
    return row["stratum"] or row["camera"] or "unknown"


def _first_failed(row: Mapping[str, Any], conditions: Sequence[Condition]) -> str:
    for condition in conditions:
        holds = condition.holds(row)
        if not holds:
            return f"{condition.text}: not known" if holds is None else condition.text
    return ""


def _yields(
    rows: Sequence[Mapping[str, Any]],
    reasons: Sequence[str],
    conditions: Sequence[Condition],
    config: SelectConfig,
) -> list[Yield]:
    left = list(range(len(rows)))
    seconds = [row["seconds"] for row in rows]
    found = [_count("all clips", left, seconds, len(rows), 0)]
    for condition in conditions:
        told = [condition.holds(row) for row in rows]
        unknown = sum(told[i] is None for i in left)
        left = [i for i in left if told[i]]
        found.append(_count(condition.text, left, seconds, sum(bool(one) for one in told), unknown))
    if config.duplicates == "drop":
        left = [i for i in left if reasons[i] != DUPLICATE]
        alone = sum(row["duplicate_of"] is None for row in rows)
        found.append(_count(DUPLICATE, left, seconds, alone, 0))
    return found


def _count(condition: str, left: Sequence[int], seconds: Sequence[float], alone: int, unknown: int) -> Yield:
    return Yield(
        condition=condition,
        clips=len(left),
        seconds=sum(seconds[i] for i in left),
        alone=alone,
        unknown=unknown,
    )


def _weigh(rows: Sequence[Mapping[str, Any]], config: SelectConfig) -> dict[str, tuple[float, float]]:
    """Weigh kinds by (mean count / count) ** balance, at most most_weight."""
    counts = Counter(kind_of(row) for row in rows)
    if not counts:
        return {}
    mean = len(rows) / len(counts)
    return {
        kind: (count / len(rows), min((mean / count) ** config.balance, config.most_weight))
        for kind, count in counts.most_common()
    }


def _to_json(selection: Selection) -> dict[str, Any]:
    return {
        "format_version": 1,
        "where": selection.config.where,
        "duplicates": selection.config.duplicates,
        "balance": selection.config.balance,
        "most_weight": selection.config.most_weight,
        "scores": dict(selection.keys),
        "origin": asdict(selection.origin),
        "yields": [
            {
                "condition": step.condition,
                "clips": step.clips,
                "seconds": step.seconds,
                "alone": step.alone,
                "unknown": step.unknown,
            }
            for step in selection.yields
        ],
        "kinds": {
            kind: {"share": share, "weight": weight} for kind, (share, weight) in selection.weights.items()
        },
    }
