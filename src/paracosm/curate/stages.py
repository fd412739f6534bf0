"""The stages in their order, each a pure function of a source or a clip and its config, with a version.

Raise a stage's VERSION when its code gives other numbers: then its tables are made anew beside the old ones.
This file does NOT run anything: ``pipeline`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from paracosm.core.config import to_json
from paracosm.core.errors import ConfigError

from . import aesthetic, alignment, cuts, duplicates, measure, motion, overlay, probe, quality, strata
from .clip import Clip, make_clips
from .footage import Source
from .store import settings_key


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """What is curated, where its scores go, and how each stage works."""

    folder: Path
    """Folder of videos, with or without a folder for each game; or a recording."""
    out: Path = Path("curated")
    """Folder of the scores; a run that was stopped goes on there."""
    game: str = ""
    """Game of the videos that lie in no folder of their own; duplicates are sought within a game."""
    workers: int = 2
    """Processes, or with on "ray" tasks, that read sources at the same time."""
    on: Literal["processes", "ray"] = "processes"
    """Where sources are read: by processes of this machine, or on a Ray cluster (extra "ray")."""
    ray_address: str = ""
    """Ray cluster to join, e.g. "auto" or "head:6379"; its nodes must reach folder and out. Without one, on
    "ray" starts a cluster of as many cores as workers on this machine, for the run."""
    origin: str = ""
    """Object-store address of the videos, e.g. s3://bucket/videos; what folder lacks is fetched from there
    first."""
    mirror: str = ""
    """Object-store address of the scores: finished tables are taken from there and put there, source by
    source, so that another machine goes on."""
    probe: probe.ProbeConfig = field(default_factory=probe.ProbeConfig)
    """What a file must be."""
    measure: measure.MeasureConfig = field(default_factory=measure.MeasureConfig)
    """How finely frames are measured."""
    cuts: cuts.CutsConfig = field(default_factory=cuts.CutsConfig)
    """What counts as a cut, and how long a clip is."""
    quality: quality.QualityConfig = field(default_factory=quality.QualityConfig)
    """What counts as black and frozen."""
    motion: motion.MotionConfig = field(default_factory=motion.MotionConfig)
    """Where a camera's move begins to have a name."""
    overlay: overlay.OverlayConfig = field(default_factory=overlay.OverlayConfig)
    """Displays, menus and text."""
    aesthetic: aesthetic.AestheticConfig = field(default_factory=aesthetic.AestheticConfig)
    """The deterministic proxy."""
    strata: strata.StrataConfig = field(default_factory=strata.StrataConfig)
    """Kinds of play."""
    alignment: alignment.AlignmentConfig = field(default_factory=alignment.AlignmentConfig)
    """How controls and pictures are compared."""
    duplicates: duplicates.DuplicatesConfig = field(default_factory=duplicates.DuplicatesConfig)
    """When two clips are the same."""

    def __post_init__(self) -> None:
        """Refuse a number of workers that does nothing, and an address that nobody would join."""
        if self.workers < 1:
            raise ConfigError(f"workers {self.workers} would do nothing; use 1 or more")
        if self.ray_address and self.on != "ray":
            raise ConfigError(
                f'ray_address "{self.ray_address}" is joined by on "ray" alone, not by "{self.on}"; '
                "add --on ray or leave the address out"
            )


@dataclass(frozen=True, kw_only=True)
class ClipStage:
    """One stage that scores clips.

    Attributes:
        version: version of its code.
        columns: what it writes.
        score: the pure function of a clip and the stage's config.
    """

    version: int
    columns: Mapping[str, pa.DataType]
    score: Callable[[Clip, Any], Mapping[str, Any]]


CLIP_STAGES: dict[str, ClipStage] = {
    "quality": ClipStage(version=quality.VERSION, columns=quality.COLUMNS, score=quality.score_quality),
    "motion": ClipStage(version=motion.VERSION, columns=motion.COLUMNS, score=motion.score_motion),
    "overlay": ClipStage(version=overlay.VERSION, columns=overlay.COLUMNS, score=overlay.score_overlay),
    "aesthetic": ClipStage(
        version=aesthetic.VERSION, columns=aesthetic.COLUMNS, score=aesthetic.score_aesthetic
    ),
    "strata": ClipStage(version=strata.VERSION, columns=strata.COLUMNS, score=strata.score_strata),
}
"""Stages that score clips; a stage of one's own is one more entry and one more field of CurateConfig."""

SOURCE_STAGES = ("probe", "measure", "cuts", "alignment", *CLIP_STAGES)
"""Stages that each source goes through, in order."""


def stage_keys(config: CurateConfig) -> dict[str, str]:
    """Name every stage by its version, its settings and those of the stages that it reads."""
    keys = {"probe": settings_key(probe.VERSION, to_json(config.probe), [])}
    keys["measure"] = settings_key(measure.VERSION, to_json(config.measure), [keys["probe"]])
    keys["cuts"] = settings_key(cuts.VERSION, to_json(config.cuts), [keys["measure"]])
    keys["alignment"] = settings_key(alignment.VERSION, to_json(config.alignment), [keys["measure"]])
    for name, stage in CLIP_STAGES.items():
        keys[name] = settings_key(stage.version, to_json(getattr(config, name)), [keys["cuts"]])
    keys["duplicates"] = settings_key(duplicates.VERSION, to_json(config.duplicates), [keys["cuts"]])
    return keys


def run_stage(name: str, source: Source, config: CurateConfig, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Run one stage on one source; pure: the same source and config give the same table.

    Args:
        name: one of SOURCE_STAGES.
        source: what is curated.
        config: the whole config.
        tables: what the earlier stages found: "probe", "measure" and "cuts" as far as they are needed.

    Raises:
        DataError: when the source cannot be used; the text says why.
        MissingPackageError: when the stage needs a package that is not installed.
    """
    if name == "probe":
        return probe.probe(source, config.probe)
    facts = probe.as_row(tables["probe"])
    if name == "measure":
        return measure.measure(source, facts["fps"], config.measure)
    if name == "cuts":
        return cuts.cut(source, tables["measure"], facts["fps"], config.cuts)
    if name == "alignment":
        return alignment.align(source, tables["measure"], config.alignment)
    stage = CLIP_STAGES[name]
    clips = make_clips(source, facts, tables["measure"], tables["cuts"])
    rows = [{"clip": clip.name, **stage.score(clip, getattr(config, name))} for clip in clips]
    return pa.Table.from_pylist(rows, schema=pa.schema([("clip", pa.string()), *stage.columns.items()]))
