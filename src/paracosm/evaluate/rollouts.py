"""Plays worlds for measuring: from a start, under given controls, on several processes.

A neural world begins from the start clip. A game cannot; it is put into the same state by playing the
recording's recipe again. This file does NOT know metrics, and imports no torch, so that its processes start
fast.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.episode import Recipe, play_recipe
from paracosm.core.errors import WorldError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import sub_seed
from paracosm.core.workers import end_with_parent, ending_workers
from paracosm.core.world import Frame, World


class ConfiguredOpener(Protocol):
    """Opens a world by name with a config of its own; ``paracosm.worlds.open_world`` is one."""

    def __call__(self, name: str, config: Any = None) -> World:
        """Open the world called ``name``; ``config`` is its config or the JSON values of one, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A world to be measured: how each process opens its own.

    Attributes:
        name: as ``opener`` takes it.
        opener: importable by name, since every process opens its own world.
        config: the world's config as JSON values, None for a world without one.
    """

    name: str
    opener: ConfiguredOpener
    config: Any = None

    def open(self) -> World:
        """Open the world."""
        return self.opener(self.name) if self.config is None else self.opener(self.name, self.config)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One free run to be played.

    Attributes:
        seed: noise seed of a neural world.
        start: uint8 (t, h, w, 3), true frames up to where the run begins.
        start_controls: the t - 1 controls between them.
        controls: what acts from the last start frame on.
        recipe: how the recording that the start comes from began, for worlds that cannot begin from a clip.
        past: all controls of that recording up to the last start frame.
    """

    seed: int
    start: np.ndarray
    start_controls: tuple[Control, ...]
    controls: tuple[Control, ...]
    recipe: Recipe
    past: tuple[Control, ...]


def begin(world: World, rollout: Rollout) -> Frame:
    """Bring a world to the last frame of a rollout's start.

    Raises:
        WorldError: when it can neither begin from a clip nor replay the recording to the same pixels.
    """
    info = world.info
    if "clip" in info.starts:
        return world.reset(rollout.seed, rollout.start, rollout.start_controls)
    if rollout.recipe.world != info.name:
        raise WorldError(
            f"{info.name} cannot begin from a clip and did not record this one ({rollout.recipe.world} did); "
            "evaluate a neural world, or the game that made the recordings"
        )
    frame = None
    for shown in play_recipe(world, rollout.recipe, rollout.past):
        frame = shown
    if frame is None or not np.array_equal(frame.image, rollout.start[-1]):
        raise WorldError(
            f"{info.name} ({info.engine}) does not repeat the recording made by {rollout.recipe.engine}; "
            "record the held-out episodes anew"
        )
    return frame


def play(world: World, rollout: Rollout) -> np.ndarray:
    """Play one rollout; a game that ends goes on with a new episode, as it would for a player.

    Returns:
        uint8 (steps, h, w, 3), the frame after each control.
    """
    return play_with_truth(world, rollout)[0]


def play_with_truth(world: World, rollout: Rollout) -> tuple[np.ndarray, list[Mapping[str, Any]]]:
    """Play one rollout as :func:`play` does, and keep what the world knew.

    Returns:
        The frames, and the truth of each (``Frame.truth``; {} where the world knows nothing).
    """
    begin(world, rollout)
    info = world.info
    frames = np.empty((len(rollout.controls), info.height, info.width, 3), np.uint8)
    truths = []
    for index, control in enumerate(rollout.controls):
        frame = world.step(control)
        frames[index] = frame.image
        truths.append(frame.truth)
        if frame.truth.get("ended"):
            world.reset(sub_seed(rollout.seed, "goes on", index))
    return frames, truths


def play_all(
    subject: Subject,
    rollouts: Sequence[Rollout],
    workers: int,
    progress: ProgressMaker = no_progress,
    what: str = "play",
) -> list[np.ndarray]:
    """Play many rollouts, in the order given.

    Args:
        subject: the world.
        rollouts: what to play.
        workers: processes; 1 plays in this one.
        progress: makes the progress line.
        what: what the progress line says.

    Returns:
        The frames of each, as :func:`play` gives them.
    """
    line = progress(what, sum(len(rollout.controls) for rollout in rollouts), "frame")
    played: list[np.ndarray] = []
    done = 0
    with contextlib.closing(_play_in_order(subject, rollouts, workers)) as results:
        for frames in results:
            played.append(frames)
            done += len(frames)
            line.update(done)
    line.close()
    return played


@contextlib.contextmanager
def fresh_process() -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Give a pool of one new process, whose memory and start-up time are its own."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, end_with_parent) as pool, ending_workers():
        yield pool


def _play_in_order(
    subject: Subject, rollouts: Sequence[Rollout], workers: int
) -> Generator[np.ndarray, None, None]:
    if not rollouts:
        return
    if workers <= 1:
        with contextlib.closing(subject.open()) as world:
            for rollout in rollouts:
                yield play(world, rollout)
        return
    context = multiprocessing.get_context("spawn")
    slots = context.SimpleQueue()
    for slot in range(workers):
        slots.put(slot)
    with (
        concurrent.futures.ProcessPoolExecutor(
            workers, context, _open_here, (subject, slots, workers)
        ) as pool,
        ending_workers(),
    ):
        futures = [pool.submit(_play_here, rollout) for rollout in rollouts]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


_here: dict[str, World] = {}
"""The world of this worker process, opened once; a pool has no other way to keep one."""


def _open_here(subject: Subject, slots: Any, workers: int) -> None:
    end_with_parent()
    take_core(slots.get(), workers)
    _here["world"] = subject.open()


def _play_here(rollout: Rollout) -> np.ndarray:
    return play(_here["world"], rollout)


def take_core(slot: int, workers: int) -> None:
    """Keep each worker to its share of the cores: two engines of two threads each make both crawl."""
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) >= workers:
            os.sched_setaffinity(0, cores[slot::workers])
