"""All scores as one table, a row for each clip: what selection, report, review and export read.

Stages that compare clips with each other are worked out here from the tables of the sources, which takes
seconds; nothing is decoded. This file does NOT decide anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.config import load_config
from paracosm.core.errors import DataError

from .cuts import LEFT_OUT
from .duplicates import SIMILAR_SCHEMA, Hashed, find_duplicates, find_similar
from .footage import Source, find_sources
from .handed_in import read_names
from .pipeline import CONFIG_FILE, SOURCES_FILE, SOURCES_SCHEMA
from .stages import CLIP_STAGES, CurateConfig, stage_keys
from .store import ScoreStore

FACTS = (
    "game",
    "fps",
    "width",
    "height",
    "variable_rate",
    "rotation",
    "bits",
    "codec",
    "controls_known",
    "sha256",
)
"""Columns of the probe that stand beside each clip."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Everything that is known of a curated folder.

    Attributes:
        config: what it was made with.
        sources: a row for each file, with the columns of ``pipeline.SOURCES_SCHEMA``.
        clips: a row for each clip, in the order of sources and frames; all score columns.
        keys: version and settings of each stage.
    """

    config: CurateConfig
    sources: pa.Table
    clips: pa.Table
    keys: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What all files of a folder came to before anything was chosen.

    Attributes:
        files: files in the folder.
        scored: files that were scored.
        seconds: length of the files as far as they could be opened.
        clip_seconds: length of the clips that they gave.
        left_out: length of what is in no clip, by the reasons of ``cuts.LEFT_OUT``; only those that occur.
        without_clips: scored files that gave none.
    """

    files: int
    scored: int
    seconds: float
    clip_seconds: float
    left_out: dict[str, float]
    without_clips: int


def add_up(sources: pa.Table) -> Origin:
    """Add the sources of a folder up."""

    def total(name: str) -> float:
        return math.fsum(value for value in sources[name].to_pylist() if value is not None)

    left = {reason: total(f"{reason.replace(' ', '_')}_seconds") for reason in LEFT_OUT}
    rows = list(zip(sources["status"].to_pylist(), sources["clips"].to_pylist(), strict=True))
    return Origin(
        files=len(rows),
        scored=sum(status == "ok" for status, _ in rows),
        seconds=total("seconds"),
        clip_seconds=total("clip_seconds"),
        left_out={reason: seconds for reason, seconds in left.items() if seconds},
        without_clips=sum(status == "ok" and not clips for status, clips in rows),
    )


def show_origin(origin: Origin) -> str:
    """Tell files, hours probed, hours in clips and why the rest is in none, in one line."""
    left = ", ".join(f"{seconds / 3600:.3f} {reason}" for reason, seconds in origin.left_out.items())
    none = f"; {origin.without_clips} gave no clip" if origin.without_clips else ""
    return (
        f"{origin.files:,} files, {origin.scored:,} scored{none}; {origin.seconds / 3600:.3f} hours probed, "
        f"{origin.clip_seconds / 3600:.3f} in clips" + (f"; hours in no clip: {left}" if left else "")
    )


def read_scores(out: Path) -> Scores:
    """Read the scores of a curated folder.

    Raises:
        DataError: when the folder was not curated, or a table is missing or corrupt.
    """
    config, files = open_folder(out)
    store, keys = ScoreStore(out), stage_keys(config) | read_names(out)
    parts, hashed, vectors = [], [], []
    for row in files.to_pylist():
        if row["status"] != "ok":
            continue
        place = (row["source"], row["identity"])
        table = _read_source(store, keys, place)
        parts.append(table)
        hashed += _read_hashes(store, keys, place, table)
        vectors += _read_vectors(store, keys, place, table)
    if not parts:
        raise DataError(f"{out} holds no scored source; see {out / SOURCES_FILE} for the reasons")
    clips = pa.concat_tables(parts, promote_options="permissive")
    clips = _beside(clips, find_duplicates(hashed, config.duplicates))
    if "embedding" in keys:
        clips = _beside(clips, _similar(clips, vectors))
    return Scores(config=config, sources=files, clips=clips, keys=keys)


def open_folder(out: Path) -> tuple[CurateConfig, pa.Table]:
    """Return what a folder was curated with, and its table of sources.

    Raises:
        DataError: when it was not curated.
    """
    if not (out / CONFIG_FILE).exists() or not (out / SOURCES_FILE).exists():
        raise DataError(f"{out} was not curated yet; run: paracosm curate run FOLDER --out {out}")
    # The folder may have been moved or copied since: what is read and written is here, not where it was made.
    config, sources = load_config(CurateConfig, out / CONFIG_FILE), pq.read_table(out / SOURCES_FILE)
    if sources.schema.names != SOURCES_SCHEMA.names:
        raise DataError(f"{out} was curated by an older version; run: paracosm curate run FOLDER --out {out}")
    return replace(config, out=out), sources


def find_source(scores: Scores, name: str) -> Source:
    """Find the source of a clip again.

    Raises:
        DataError: when it has gone or was changed since it was scored.
    """
    known = dict(
        zip(scores.sources["source"].to_pylist(), scores.sources["identity"].to_pylist(), strict=True)
    )
    for source in find_sources(scores.config.folder, scores.config.game):
        if source.name == name and source.identity == known.get(name):
            return source
    raise DataError(f"{name} was moved or changed since it was scored; run paracosm curate run again")


def _read_source(store: ScoreStore, keys: dict[str, str], place: tuple[str, str]) -> pa.Table:
    table = store.read("cuts", keys["cuts"], *place)
    facts = store.read("probe", keys["probe"], *place)
    for name in FACTS:
        column = pa.array(facts[name].to_pylist() * len(table), facts.schema.field(name).type)
        table = table.append_column(name, column)
    aligned = store.read("alignment", keys["alignment"], *place)
    for name in aligned.column_names[1:]:
        column = pa.array(aligned[name].to_pylist() * len(table), aligned.schema.field(name).type)
        table = table.append_column(name, column)
    for stage in CLIP_STAGES:
        table = _beside(table, store.read(stage, keys[stage], *place))
    if "aesthetic_judge" in keys and store.has("aesthetic_judge", keys["aesthetic_judge"], *place):
        table = _beside(table, store.read("aesthetic_judge", keys["aesthetic_judge"], *place))
    return table


def _read_hashes(
    store: ScoreStore, keys: dict[str, str], place: tuple[str, str], clips: pa.Table
) -> list[Hashed]:
    measured = pq.read_table(store.table_path("measure", keys["measure"], *place), columns=["phash"])["phash"]
    found = []
    for row in clips.select(["clip", "game", "start", "stop"]).to_pylist():
        part = measured.slice(row["start"], row["stop"] - row["start"]).drop_null()
        found.append(Hashed(name=row["clip"], game=row["game"], hashes=part.to_numpy().astype(np.uint64)))
    return found


def _read_vectors(
    store: ScoreStore, keys: dict[str, str], place: tuple[str, str], clips: pa.Table
) -> list[list[float] | None]:
    if "embedding" not in keys or not store.has("embedding", keys["embedding"], *place):
        return [None] * len(clips)
    return store.read("embedding", keys["embedding"], *place)["vector"].to_pylist()


def _similar(clips: pa.Table, vectors: list[list[float] | None]) -> pa.Table:
    width = max((len(vector) for vector in vectors if vector), default=0)
    if not width:
        nothing = {"clip": clips["clip"], "similar": pa.nulls(len(clips)), "similar_to": pa.nulls(len(clips))}
        return pa.table(nothing).cast(SIMILAR_SCHEMA)
    filled = np.array([vector or [np.nan] * width for vector in vectors], np.float32)
    return find_similar(clips["clip"].to_pylist(), clips["game"].to_pylist(), filled)


def _beside(left: pa.Table, right: pa.Table) -> pa.Table:
    """Put tables of the same clips in the same order side by side."""
    if left["clip"].to_pylist() != right["clip"].to_pylist():
        raise DataError(
            "two score tables name different clips; delete the folder scores and run curate again"
        )
    for name in right.column_names:
        if name != "clip":
            left = left.append_column(right.schema.field(name), right[name])
    return left
