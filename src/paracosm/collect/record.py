"""The recorder: many episodes of one world, on several processes, that goes on after any kill.

Episode i depends on nothing but the config and i, so that a run that was killed and went on equals a straight
one. This file does NOT know any game or policy: it gets a function that opens worlds and one that makes
players, both importable by name, since every process makes its own.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import logging
import multiprocessing
import multiprocessing.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from paracosm.core.config import to_json
from paracosm.core.episode import Recipe, Split, play_recipe
from paracosm.core.errors import ConfigError, DataError, LostWorldError, WorldError
from paracosm.core.files import TEMPORARY_PREFIX, read_json
from paracosm.core.locks import lock_folder
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream, sub_seed
from paracosm.core.workers import end_group, end_with_parent, ending_workers
from paracosm.core.world import REPEATS, Policy, World
from paracosm.data.format import EPISODE_FILE, EPISODES_FOLDER, FrameEncoding, recipe_to_json
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.data.writer import EpisodeWriter, prepare_dataset

from .stills import StillFilter

logger = logging.getLogger(__name__)

LOCK_FILE = ".lock"
TRIES = 3
"""How often an episode is begun whose world breaks."""


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """What to record."""

    world: str
    """World to record, e.g. "game:doom"."""
    out: Path
    """Folder of the dataset; made when it is missing, added to when it is there."""
    num_episodes: int
    """Episodes in all; those that an earlier run finished count."""
    max_steps: int = 500
    """Steps of an episode at most; it is shorter when the game ends it."""
    policy: str = "explorer"
    """Who plays, a name that the policy maker knows: "explorer", "mixed", "sticky",
    "random" or "idle"."""
    seed: int = 0
    """All of the recording's own draws come from this: the world seed and the player's seed of each
    episode."""
    first_world_seed: int = 0
    """World seeds are drawn from first_world_seed .. first_world_seed + num_world_seeds - 1; keep the ranges
    of splits apart."""
    num_world_seeds: int = 1_000_000
    """How many world seeds to draw from."""
    split: Split = "train"
    """What the episodes may be used for."""
    name: str = "episode"
    """Episode folders are called NAME-000000 and so on; take another name to add a second recording to one
    dataset."""
    workers: int = 2
    """Processes that play; 1 plays in this process."""
    shard: int = 0
    """Which of ``num_shards`` this machine records, from 0."""
    num_shards: int = 1
    """So many machines record into one folder on a disk that they share, each every num_shards-th episode;
    give all of them the same settings."""
    frames: FrameEncoding = "raw"
    """How exact frames are kept: "raw" is fastest to train from, "ffv1" is smaller."""
    stills: Literal["keep", "drop"] = "keep"
    """Frames that look like the one before: "drop" leaves them out and keeps their controls and the original
    frame numbers beside the rest."""
    still_change: float = 0.0
    """With stills "drop": mean absolute difference, of 255, up to which a frame is still; 0: equal bytes."""
    video: bool = False
    """Also write an H.264 video of each episode for people."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no recording and splits that nobody would read."""
        if self.split not in get_args(Split):
            raise ConfigError(f"split {self.split} is not known; choose one of {', '.join(get_args(Split))}")
        for name in ("num_episodes", "max_steps", "num_world_seeds", "workers", "num_shards"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} is too small; use 1 or more")
        for name in ("seed", "first_world_seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} {getattr(self, name)} is negative; use 0 or more")
        if not 0 <= self.shard < self.num_shards:
            raise ConfigError(
                f"shard {self.shard} of {self.num_shards} is none; use 0 to {self.num_shards - 1}"
            )
        if self.still_change < 0 or (self.still_change and self.stills == "keep"):
            raise ConfigError(
                f"still_change {self.still_change:g} with stills {self.stills} drops nothing; "
                'use 0 or more, with stills "drop"'
            )


class ConfiguredOpener(Protocol):
    """Opens a world by name with a configuration of its own; ``paracosm.worlds.open_world`` is one."""

    def __call__(self, name: str, config: Any = None) -> World:
        """Open the world called ``name``; ``config`` is its dataclass, the same as JSON values, or None."""
        ...


class PolicyMaker(Protocol):
    """Makes a player by name for a world by name; ``paracosm.worlds.make_policy`` is one."""

    def __call__(self, world: str, policy: str) -> Policy:
        """Make the player called ``policy``."""
        ...


@runtime_checkable
class Configured(Protocol):
    """A world that was made from a config; the whole of it becomes part of every recipe."""

    @property
    def config(self) -> Any:
        """The config dataclass."""
        ...


def record(
    config: RecordConfig,
    open_world: ConfiguredOpener,
    make_policy: PolicyMaker,
    *,
    world_config: Any = None,
    progress: ProgressMaker = no_progress,
) -> Dataset:
    """Record episodes until the dataset holds ``config.num_episodes`` of this name.

    Finished episodes of an earlier run are kept and skipped; what a killed run left half-written is removed.
    One of several shards records its own share of them.
    With more than one worker, call it from a script guarded by ``if __name__ == "__main__"``, as for any
    process pool.

    Args:
        config: what to record.
        open_world: opens the world; importable by name, since every process opens its own.
        make_policy: makes the player; importable by name.
        world_config: config of the world (picklable), or None for its defaults.
        progress: makes the progress line.

    Returns:
        The dataset.

    Raises:
        BusyError: when another recorder works in this folder.
        DataError: when the folder holds something else, an episode recorded with other settings, or the disk
            is full.
        WorldError: when the world cannot be opened or stepped.
    """
    job = _Job(config, open_world, make_policy, world_config)
    config.out.mkdir(parents=True, exist_ok=True)
    with _lock(config):
        _remove_leftovers(config)
        with contextlib.closing(job.open()) as world:
            prepare_dataset(config.out, world.info)
            todo = _find_missing(config, world, world_config)
        total = len(_own_episodes(config))
        done = total - len(todo)
        line = progress(f"record {config.world}", total, "episode", done)
        num_frames = 0
        try:
            for count, steps in enumerate(_play_all(job, todo), 1):
                num_frames += steps
                line.update(done + count, {"frames": num_frames})
        finally:
            line.close()
    return Dataset(config.out)


def make_recipe(config: RecordConfig, index: int, world: World, world_config: Any = None) -> Recipe:
    """Make the recipe of episode ``index``; its level seed is known only once the world has begun."""
    draw = stream(config.seed, "record", "world", index)
    seed = config.first_world_seed + int(draw.integers(config.num_world_seeds))
    stored = world.config if isinstance(world, Configured) else world_config
    return Recipe(
        world=config.world,
        config=to_json(stored) if dataclasses.is_dataclass(stored) else stored,
        engine=world.info.engine,
        seed=seed,
        level_seed=seed,
        policy=config.policy,
        policy_seed=sub_seed(config.seed, "record", "policy", index),
        split=config.split,
    )


def rerender(episode: EpisodeRef, open_world: ConfiguredOpener) -> None:
    """Play the recipe of an episode again and compare every pixel.

    Args:
        episode: a recorded episode.
        open_world: opens worlds.

    Raises:
        DataError: when the engine is another version, the world does not repeat itself, or a frame differs;
            names the first one.
    """
    recipe = episode.recipe
    frames = episode.frames
    with contextlib.closing(open_world(recipe.world, recipe.config)) as world:
        if world.info.engine != recipe.engine:
            raise DataError(
                f"{episode.path} was recorded with {recipe.engine}, here is {world.info.engine}; "
                "install that version to play it again"
            )
        if world.info.details.get(REPEATS) == "no":
            raise DataError(
                f"{episode.path} cannot play again to the same bytes: {recipe.world} does not repeat itself; "
                "its frames are the data, keep them"
            )
        for index, frame in enumerate(play_recipe(world, recipe, episode.controls)):
            if not np.array_equal(frame.image, frames[index]):
                raise DataError(
                    f"{episode.path} does not play again: frame {index} differs; record it anew with "
                    "this engine"
                )


@dataclass(frozen=True)
class _Job:
    """What a worker process needs; all of it can be pickled."""

    config: RecordConfig
    opener: ConfiguredOpener
    make_policy: PolicyMaker
    world_config: Any

    def open(self) -> World:
        return self.opener(self.config.world, self.world_config)


def _play_all(job: _Job, todo: list[int]) -> Iterator[int]:
    """Play the episodes on the workers; yields the number of frames of each as it is done."""
    workers = min(job.config.workers, len(todo))
    if workers <= 1:
        with contextlib.closing(_Worker(job)) as worker:
            for index in todo:
                yield worker.play(index)
        return
    context = multiprocessing.get_context("spawn")
    started = context.SimpleQueue()
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(job, started)
    )
    try:
        futures = [pool.submit(_play_in_worker, index) for index in todo]
        with ending_workers():  # an episode of a slow game takes minutes; a stop does not wait for it
            for future in concurrent.futures.as_completed(futures):
                yield future.result()
    except concurrent.futures.process.BrokenProcessPool as error:
        raise WorldError(
            f"a recording process of {job.config.world} died ({error}); run the same command again to go on, "
            "with fewer workers if memory is short"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        while not started.empty():
            end_group(started.get())


class _Worker:
    """One open world and its player, in one process."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._world: World | None = None

    def play(self, index: int) -> int:
        """Play and write one episode; returns its number of frames.

        A world that breaks is opened again and the episode begins anew, TRIES times at most.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return self._play(index)
            except LostWorldError as error:
                self.close()
                if tries == TRIES:
                    raise
                logger.warning("episode %d begins anew: %s", index, error)

    def _play(self, index: int) -> int:
        config = self._job.config
        if self._world is None:
            self._world = self._job.open()
        world, info = self._world, self._world.info
        recipe = make_recipe(config, index, world, self._job.world_config)
        frame = world.reset(recipe.seed)
        recipe = dataclasses.replace(recipe, level_seed=int(frame.truth.get("level_seed", recipe.seed)))
        policy = self._job.make_policy(config.world, config.policy)
        policy.reset(world, frame, recipe.policy_seed)
        name = _episode_name(config, index)
        with EpisodeWriter(
            config.out, name, info, recipe, frames=config.frames, video=config.video
        ) as writer:
            stills = StillFilter(writer, config.still_change) if config.stills == "drop" else None
            keeper = stills or writer
            keeper.begin(frame)
            for _ in range(config.max_steps):
                if frame.truth.get("ended", False):
                    break
                control = policy.act(frame)
                frame = world.step(control)
                keeper.step(control, frame)
            if stills is not None:
                stills.end()
            return writer.num_frames

    def close(self) -> None:
        if self._world is not None:
            self._world.close()
            self._world = None


_worker: _Worker | None = None
"""The worker of this process, in processes that a recorder started."""


def _start_worker(job: _Job, started: Any) -> None:
    global _worker
    end_with_parent()
    started.put(os.getpid())
    _worker = _Worker(job)
    multiprocessing.util.Finalize(None, _worker.close, exitpriority=100)


def _play_in_worker(index: int) -> int:
    assert _worker is not None
    return _worker.play(index)


def _episode_name(config: RecordConfig, index: int) -> str:
    return f"{config.name}-{index:06d}"


def _find_missing(config: RecordConfig, world: World, world_config: Any) -> list[int]:
    """Return the episodes still to play; refuses finished ones that were recorded with other settings."""
    missing = []
    for index in _own_episodes(config):
        file = config.out / EPISODES_FOLDER / _episode_name(config, index) / EPISODE_FILE
        if not file.parent.exists():
            missing.append(index)
            continue
        stored = read_json(file).get("recipe", {})
        wanted = recipe_to_json(make_recipe(config, index, world, world_config))
        for part in wanted:
            if part != "level_seed" and stored.get(part) != wanted[part]:
                raise DataError(
                    f"{file} was recorded with {part} {stored.get(part)}, now it is {wanted[part]}; "
                    "choose another name or folder, or use the settings of the first run"
                )
    return missing


def _own_episodes(config: RecordConfig) -> range:
    return range(config.shard, config.num_episodes, config.num_shards)


@contextlib.contextmanager
def _lock(config: RecordConfig) -> Iterator[None]:
    """Keep out whoever would record the same episodes: a shard only the same shard, and those without any."""
    parts = config.num_shards > 1
    use = "being recorded into"
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock_folder(config.out, use, name=LOCK_FILE, shared=parts))
        if parts:
            own = f"{LOCK_FILE}-{config.shard}-of-{config.num_shards}"
            stack.enter_context(lock_folder(config.out, use, name=own, instead="another shard"))
        yield


def _remove_leftovers(config: RecordConfig) -> None:
    """Remove what dead processes left half-written; what live ones, such as a player, write is let be.

    A shard looks at its own episodes only: the numbers of other machines' processes mean nothing here.
    """
    own = {_episode_name(config, index) for index in _own_episodes(config)}
    for left in (config.out / EPISODES_FOLDER).glob(f"{TEMPORARY_PREFIX}*"):
        process, _, name = left.name.removeprefix(TEMPORARY_PREFIX).removeprefix("old-").partition("-")
        if config.num_shards > 1 and name not in own:
            continue
        if not (process.isdigit() and _is_alive(int(process))):
            logger.warning("removed %s, which a killed recorder left half-written", left)
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    # A process that was killed but not yet waited for still has its number.
    return state != "Z"
