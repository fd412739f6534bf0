"""Case sets: held-out moments of a game, shipped without frames but the first, and drawn again by the game.

    case_sets/doom-1/
        cases.json        which game, episodes (recipe, length, hash of all frames), places, training seeds
        controls.parquet  what the players did, every episode after the other
        starts.png        the start clips of the listed places, a row each, to look at and to check against
        real.npz          band, places and stillness of real frames, learnt from training recordings
        scenes.json       scenes of interaction, with scenes.parquet: see ``scenes.py``; optional
        reader/           a model folder of inverse dynamics; optional

This file does NOT know worlds that dream, and knows no metric.
"""

from __future__ import annotations

import concurrent.futures
import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from paracosm.core.controls import Control
from paracosm.core.episode import Recipe
from paracosm.core.errors import DataError, WorldError
from paracosm.core.files import file_hash, read_json
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import WorldInfo
from paracosm.data.format import info_from_json, read_controls, recipe_from_json
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.data.writer import EpisodeWriter, prepare_dataset

from .cases import START_FRAMES, LevelSplit
from .drift import Band, Places
from .long_runs import RealGame
from .rollouts import ConfiguredOpener
from .scenes import SceneSet, load_scenes
from .sources import Place

FORMAT_VERSION = 1
"""Version of the files of a case set; not that of a set, which its own number tells."""
SETS = Path(__file__).parent / "case_sets"
"""Where the sets lie that ship with the package."""


@dataclass(frozen=True, kw_only=True)
class CaseSet:
    """A case set as its files tell it.

    Attributes:
        folder: where it lies.
        name: name of the game, e.g. "doom".
        version: raised with every change of its cases.
        info: the game's size, pace and controls.
        split: whether the main episodes are of levels that training shows.
        seed: seed of further draws.
        most_steps: steps that every listed place has after it.
        episodes: recipe, length and hash of each episode, by name.
        places: where the listed cases begin.
        training: seeds and level seeds of the training episodes, which no case may share.
    """

    folder: Path
    name: str
    version: int
    info: WorldInfo
    split: LevelSplit
    seed: int
    most_steps: int
    episodes: Mapping[str, Mapping[str, Any]]
    places: tuple[Place, ...]
    training: Mapping[str, Sequence[int]]

    @property
    def main_config(self) -> dict[str, Any]:
        """Config of the game in the main episodes."""
        return dict(next(iter(self.episodes.values()))["recipe"]["config"] or {})

    @cached_property
    def hash(self) -> str:
        """Of everything that decides a figure."""
        files = ("cases.json", "controls.parquet", "real.npz")
        return hashlib.sha256("".join(file_hash(self.folder / file) for file in files).encode()).hexdigest()[
            :16
        ]

    @property
    def reader(self) -> Path | None:
        """Model folder of inverse dynamics that ships with the set, or None."""
        return self.folder / "reader" if (self.folder / "reader").is_dir() else None

    @cached_property
    def real(self) -> RealGame:
        """What real frames look like."""
        with np.load(self.folder / "real.npz") as kept:
            return RealGame(
                band=Band(low=kept["low"], high=kept["high"]),
                places=Places(centres=kept["centres"], radius=float(kept["radius"])),
                still=float(kept["still"]),
            )

    @cached_property
    def scenes(self) -> SceneSet | None:
        """Scenes of interaction, or None."""
        return load_scenes(self.folder, self.info.controls)

    @property
    def whole(self) -> frozenset[str]:
        """Episodes that were not cut short."""
        return frozenset(name for name, episode in self.episodes.items() if episode["whole"])

    def recipe(self, episode: str) -> Recipe:
        """How an episode begins."""
        return recipe_from_json(self.episodes[episode]["recipe"], None, self.folder / "cases.json")

    def controls(self) -> dict[str, list[Control]]:
        """What the players did in each episode."""
        table = pq.read_table(self.folder / "controls.parquet")
        found, first = {}, 0
        for name, episode in self.episodes.items():
            count = episode["num_frames"]
            found[name] = read_controls(self.info.controls, table.slice(first, count))
            first += count
        return found

    def starts(self) -> np.ndarray:
        """Start clips of the listed places, uint8 (places, START_FRAMES, h, w, 3)."""
        sheet = np.asarray(Image.open(self.folder / "starts.png").convert("RGB"))
        rows, columns = len(self.places), START_FRAMES
        shape = (rows, self.info.height, columns, self.info.width, 3)
        return sheet.reshape(shape).swapaxes(1, 2)


def find_case_set(game: str) -> Path | None:
    """Find the newest set that ships for a game, "game:doom"; None when there is none."""
    name = game.partition(":")[2]
    found = [folder for folder in SETS.glob(f"{name}-*") if folder.name.removeprefix(f"{name}-").isdigit()]
    return max(found, key=_version) if game.startswith("game:") and found else None


def load_case_set(folder: Path) -> CaseSet:
    """Read a case set; its large files are read when asked for.

    Raises:
        DataError: when it is missing, of a newer format, or not whole.
    """
    file = folder / "cases.json"
    value = read_json(file)
    if value.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{file} has format version {value.get('format_version')}, this version reads {FORMAT_VERSION}; "
            "upgrade paracosm, or make the set anew with paracosm evaluate --make-cases"
        )
    try:
        return CaseSet(
            folder=folder,
            name=value["name"],
            version=value["version"],
            info=info_from_json(value["world"], file),
            split=value["split"],
            seed=value["seed"],
            most_steps=value["most_steps"],
            episodes=value["episodes"],
            places=tuple(Place(episode=name, row=row) for name, row in value["places"]),
            training=value["training"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file} holds no whole case set ({error}); restore it from a copy or make it anew"
        ) from error


def render_case_set(
    case_set: CaseSet,
    opener: ConfiguredOpener,
    *,
    cache: Path | None = None,
    workers: int = 2,
    progress: ProgressMaker = no_progress,
) -> tuple[tuple[EpisodeRef, ...], tuple[EpisodeRef, ...]]:
    """Have the true game draw the set's episodes, or find those that it drew before.

    Args:
        case_set: the set.
        opener: opens the game; importable by name.
        cache: where recordings are kept; None takes the user's cache.
        workers: processes.
        progress: makes the progress line.

    Returns:
        Episodes of the main split, and of unseen levels.

    Raises:
        WorldError: when the game draws other pixels than it did, or shows another start.
        MissingPackageError: when the game is not installed.
    """
    folder = (cache or cache_folder()) / f"{case_set.name}-{case_set.version}-{case_set.hash}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".rendering").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare_dataset(folder, case_set.info)
        there = {episode.name for episode in Dataset(folder).episodes}
        missing = [name for name in case_set.episodes if name not in there]
        if missing:
            _render(case_set, missing, folder, opener, workers, progress)
    dataset = Dataset(folder)
    for episode in dataset.episodes:
        _check_drawn(case_set, episode)
    _check_starts(case_set, dataset)
    unseen = [name for name, episode in case_set.episodes.items() if episode["split"] == "unseen_level"]
    episodes = {episode.name: episode for episode in dataset.episodes}
    other = tuple(episodes[name] for name in unseen) if len(unseen) < len(episodes) else ()
    main = tuple(episode for name, episode in episodes.items() if episode not in other)
    return main, other


def cache_folder() -> Path:
    """Return the folder of recordings drawn again, ``~/.cache/paracosm/cases``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "paracosm" / "cases"


def _render(
    case_set: CaseSet,
    names: Sequence[str],
    folder: Path,
    opener: ConfiguredOpener,
    workers: int,
    progress: ProgressMaker,
) -> None:
    controls = case_set.controls()
    line = progress("draw the true game", sum(len(controls[name]) for name in names), "frame")
    jobs = [(folder, name, case_set.recipe(name), controls[name], opener) for name in names]
    done = 0
    if workers <= 1:
        for job in jobs:
            done += draw_episode(*job)
            line.update(done)
    else:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
            futures = [pool.submit(draw_episode, *job) for job in jobs]
            for future in concurrent.futures.as_completed(futures):
                done += future.result()
                line.update(done)
    line.close()


def draw_episode(
    folder: Path, name: str, recipe: Recipe, controls: Sequence[Control], opener: ConfiguredOpener
) -> int:
    """Play one episode again and record it; returns its number of controls."""
    world = opener(recipe.world, recipe.config)
    try:
        with EpisodeWriter(folder, name, world.info, recipe) as writer:
            writer.begin(world.reset(recipe.seed, recipe.start, recipe.start_controls, recipe.prompt))
            for control in controls:
                writer.step(control, world.step(control))
    finally:
        world.close()
    return len(controls)


def _check_drawn(case_set: CaseSet, episode: EpisodeRef) -> None:
    wanted = case_set.episodes[episode.name]
    if episode.frames_sha256 == wanted["frames_sha256"]:
        return
    shutil.rmtree(episode.path)
    raise WorldError(
        f"{wanted['recipe']['world']} does not repeat {episode.name} of the case set {case_set.name} "
        f"{case_set.version}, made with {wanted['recipe']['engine']}; install that version, or measure on "
        "recordings of your own with --data"
    )


def _check_starts(case_set: CaseSet, dataset: Dataset) -> None:
    for place, start in zip(case_set.places, case_set.starts(), strict=True):
        drawn = dataset.episode(place.episode).read_frames(place.row - START_FRAMES + 1, place.row + 1)
        if not np.array_equal(drawn, start):
            raise WorldError(
                f"{case_set.folder / 'starts.png'} shows another start than {place.episode} at row "
                f"{place.row}; restore the case set from a copy"
            )


def _version(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def write_json_lines(file: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with one line for each entry of its large parts, so that a change reads well."""
    parts = []
    for key, item in value.items():
        if key == "episodes":
            rows = ",\n".join(
                f"  {json.dumps(name)}: {json.dumps(one, sort_keys=True)}" for name, one in item.items()
            )
            parts.append(f'"{key}": {{\n{rows}\n}}')
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(item)}")
    file.write_text("{\n" + ",\n".join(parts) + "\n}\n")
