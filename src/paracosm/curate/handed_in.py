"""Stages that are handed in from higher floors: an encoder for likeness, a judge for looks.

They run in the process that was handed them, source by source, and are stored and resumed like every stage,
under the name of what was handed in. This file does NOT know what stands behind either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from paracosm.core.errors import DataError
from paracosm.core.files import read_json, write_json
from paracosm.core.judges import FrameEncoder, FrameJudge
from paracosm.core.progress import ProgressMaker

from .clip import Clip, evenly, make_clips
from .footage import Source, find_sources
from .probe import as_row
from .stages import CurateConfig, stage_keys
from .store import ScoreStore, settings_key

VERSION = 1
PICTURES = 8
"""Pictures of each clip that are shown to either."""
NAMES_FILE = "handed_in.json"
"""Which encoder and judge the folder's scores were last made with: {"embedding": KEY, "aesthetic_judge":
KEY}."""


def add_handed_in(
    config: CurateConfig, encoder: FrameEncoder | None, judge: FrameJudge | None, progress: ProgressMaker
) -> None:
    """Encode and judge the clips of every source that has clips, as far as that is missing.

    Raises:
        DataError: when a table cannot be read or written.
    """
    keys = read_names(config.out)
    if encoder is not None:
        keys["embedding"] = _key(encoder.name, config)
    if judge is not None:
        keys["aesthetic_judge"] = _key(judge.name, config)
    write_json(config.out / NAMES_FILE, keys)
    sources = find_sources(config.folder, config.game)
    line = progress("encode and judge", len(sources), "source")
    for count, source in enumerate(sources, 1):
        if encoder is not None:
            _add(config, "embedding", keys["embedding"], source, lambda clip, by=encoder: _embed(clip, by))
        if judge is not None:
            _add(
                config,
                "aesthetic_judge",
                keys["aesthetic_judge"],
                source,
                lambda clip, by=judge: _judge(clip, by),
            )
        line.update(count)
    line.close()


def read_names(out: Path) -> dict[str, str]:
    """Return the keys of the stages that were handed in; {} when none was."""
    path = out / NAMES_FILE
    return dict(read_json(path)) if path.exists() else {}


SCHEMAS = {
    "embedding": pa.schema([("clip", pa.string()), ("vector", pa.list_(pa.float32()))]),
    "aesthetic_judge": pa.schema([("clip", pa.string()), ("aesthetic", pa.float64())]),
}
"""Columns of both tables; null for a clip without pictures."""


def _add(
    config: CurateConfig, name: str, key: str, source: Source, score: Callable[[Clip], dict[str, Any]]
) -> None:
    store, keys = ScoreStore(config.out), stage_keys(config)
    place = (source.name, source.identity)
    if store.has(name, key, *place) or not store.table_path("cuts", keys["cuts"], *place).exists():
        return
    facts, measured, cuts = (store.read(stage, keys[stage], *place) for stage in ("probe", "measure", "cuts"))
    rows = [{"clip": clip.name, **score(clip)} for clip in make_clips(source, as_row(facts), measured, cuts)]
    store.write(name, key, *place, pa.Table.from_pylist(rows, schema=SCHEMAS[name]))


def _embed(clip: Clip, encoder: FrameEncoder) -> dict[str, Any]:
    pictures = evenly(clip.pictures, PICTURES)
    if not pictures:
        return {"vector": None}
    vectors = np.asarray(encoder(np.stack(pictures)), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(pictures):
        raise DataError(
            f"encoder {encoder.name} gave {vectors.shape} for {len(pictures)} pictures; it must give (n, d)"
        )
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return {"vector": unit.mean(axis=0).tolist()}


def _judge(clip: Clip, judge: FrameJudge) -> dict[str, Any]:
    pictures = evenly(clip.pictures, PICTURES)
    return {"aesthetic": float(np.mean(judge(np.stack(pictures)))) if pictures else None}


def _key(name: str, config: CurateConfig) -> str:
    key = settings_key(VERSION, [name, PICTURES], [stage_keys(config)["cuts"]])
    tag = hashlib.sha256(json.dumps(name).encode()).hexdigest()[:4]
    return f"{key}-{tag}"
