"""Makes a case set from recordings: ``paracosm evaluate --make-cases doom --data ... --reference ...``.

This file does NOT play: what it writes is checked when the true game draws it again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from paracosm.core.errors import DataError
from paracosm.core.files import whole_folder
from paracosm.data.format import KEY_PREFIX, info_to_json, recipe_to_json
from paracosm.data.reader import Dataset, EpisodeRef

from .case_set import FORMAT_VERSION, CaseSet, load_case_set, write_json_lines
from .cases import Case, LevelSplit, choose_cases
from .long_runs import RealGame, learn_game
from .sources import LARGEST_PAST

MAIN = "held-out-"
"""Begins the names of episodes of the main split; the others begin with "unseen-"."""


@dataclass(frozen=True, kw_only=True)
class CaseSetConfig:
    """What a case set is made of."""

    name: str
    """name of the game, e.g. "doom" """
    version: int
    """raise it with every change"""
    data: Path
    """held-out recordings"""
    reference: Path
    """training recordings: their seeds are kept so that a test can refuse them, and the band is learnt"""
    out: Path
    """folder of the set"""
    unseen: Path | None = None
    """recordings of levels never trained on"""
    reader: Path | None = None
    """model folder of inverse dynamics to ship with it"""
    num_places: int = 64
    """listed cases of the main split; half as many of the other"""
    most_steps: int = 66
    """steps that every listed place has after it"""
    run_steps: int = 25_000
    """steps of the main episodes that are kept whole for long runs; the others end after their last place"""
    seed: int = 0
    """seed of the draw"""


def make_case_set(config: CaseSetConfig) -> CaseSet:
    """Write a case set.

    Raises:
        DataError: when training and held-out episodes share a seed, or a level of the unseen was trained on.
    """
    main, reference = Dataset(config.data).episodes, Dataset(config.reference).episodes
    unseen = Dataset(config.unseen).episodes if config.unseen else ()
    learnt = [episode for episode in reference if episode.split == "train"]
    training = {
        "seeds": sorted({episode.recipe.seed for episode in learnt}),
        "level_seeds": sorted({episode.recipe.level_seed for episode in learnt}),
    }
    split: LevelSplit = (
        "seen_level"
        if all(one.recipe.level_seed in training["level_seeds"] for one in main)
        else "unseen_level"
    )
    _refuse_meeting(main, unseen, training["seeds"], training["level_seeds"])
    named = {f"{MAIN}{index:03d}": one for index, one in enumerate(main)}
    named |= {f"unseen-{index:03d}": one for index, one in enumerate(unseen)}
    by_path = {episode.path: name for name, episode in named.items()}
    chosen = [*_choose(main, config.num_places, config)]
    chosen += _choose(unseen, config.num_places // 2, config) if unseen else []
    kept = _frames_kept(named, chosen, config)
    named = {name: episode for name, episode in named.items() if name in kept}
    with whole_folder(config.out, "cases.json") as folder:
        write_json_lines(
            folder / "cases.json",
            {
                "format_version": FORMAT_VERSION,
                "name": config.name,
                "version": config.version,
                "world": info_to_json(main[0].info),
                "split": split,
                "seed": config.seed,
                "most_steps": config.most_steps,
                "places": [[by_path[episode.path], row] for episode, row, _ in chosen],
                "training": training,
                "episodes": _describe(named, kept, split),
            },
        )
        _write_controls(folder / "controls.parquet", named, kept)
        _write_starts(folder / "starts.png", [case for _, _, case in chosen])
        _write_real(folder / "real.npz", learn_game(reference, main[0].info.controls, config.seed))
        if config.reader is not None:
            shutil.copytree(config.reader, folder / "reader")
    return load_case_set(config.out)


def _describe(
    named: Mapping[str, EpisodeRef], kept: Mapping[str, int], split: LevelSplit
) -> dict[str, dict[str, Any]]:
    """What the set says of each episode: its split, how much is kept, its frames' hash, its recipe."""
    return {
        name: {
            "split": split if name.startswith(MAIN) else "unseen_level",
            "whole": kept[name] == one.num_frames,
            "num_frames": kept[name],
            "frames_sha256": hashlib.sha256(one.read_frames(0, kept[name]).tobytes()).hexdigest(),
            "recipe": recipe_to_json(one.recipe),
        }
        for name, one in named.items()
    }


def _refuse_meeting(
    main: Sequence[EpisodeRef],
    unseen: Sequence[EpisodeRef],
    seeds: Sequence[int],
    level_seeds: Sequence[int],
) -> None:
    for episode in [*main, *unseen]:
        if episode.recipe.seed in set(seeds):
            raise DataError(
                f"{episode.path} has seed {episode.recipe.seed}, which is a training seed; record held-out "
                "episodes with seeds of their own"
            )
    for episode in unseen:
        if episode.recipe.level_seed in set(level_seeds):
            raise DataError(
                f"{episode.path} plays level {episode.recipe.level_seed}, which is trained on; record other "
                "levels"
            )


def _choose(
    episodes: Sequence[EpisodeRef], count: int, config: CaseSetConfig
) -> list[tuple[EpisodeRef, int, Case]]:
    by_name = {episode.name: episode for episode in episodes}
    found = choose_cases(episodes, count, config.most_steps, config.seed, largest_past=LARGEST_PAST)
    return [(by_name[case.name.partition("@")[0]], int(case.name.partition("@")[2]), case) for case in found]


def _frames_kept(
    named: Mapping[str, EpisodeRef], chosen: Sequence[tuple[EpisodeRef, int, Case]], config: CaseSetConfig
) -> dict[str, int]:
    """Choose how many frames of each episode are kept; one without a place and not whole keeps none."""
    last = dict.fromkeys(named, 0)
    names = {episode.path: name for name, episode in named.items()}
    for episode, row, _ in chosen:
        last[names[episode.path]] = max(last[names[episode.path]], row + config.most_steps + 1)
    steps = 0
    for name, episode in named.items():
        if name.startswith(MAIN) and steps < config.run_steps:
            last[name] = episode.num_frames
            steps += episode.num_frames - 1
    return {name: count for name, count in last.items() if count}


def _write_controls(file: Path, named: Mapping[str, EpisodeRef], kept: Mapping[str, int]) -> None:
    space = next(iter(named.values())).info.controls
    names = [*(KEY_PREFIX + key for key in space.keys), "look_yaw", "look_pitch"]
    names += ["text", "text_parts", "latent"]
    parts = [episode.table.select(names).slice(0, kept[name]) for name, episode in named.items()]
    table = pa.concat_tables(parts)
    pq.write_table(table, file, compression="zstd", compression_level=19)


def _write_starts(file: Path, cases: Sequence[Case]) -> None:
    rows = [np.concatenate(list(case.rollout.start), axis=1) for case in cases]
    Image.fromarray(np.concatenate(rows)).save(file, optimize=True)


def _write_real(file: Path, real: RealGame) -> None:
    np.savez_compressed(
        file,
        low=real.band.low,
        high=real.band.high,
        centres=real.places.centres,
        radius=np.float64(real.places.radius),
        still=np.float64(real.still),
    )
