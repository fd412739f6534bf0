"""The whole street in order: record, tokenizer, encode, dynamics, reader, world.

Each stretch goes on where it was stopped and costs nothing when it is done, so running a street again is how
to go on. This file does NOT know any game: a recipe hands it a :class:`Street`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.collect.record import RecordConfig, record
from paracosm.core.errors import DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world_spec import PlayDefaults, Starts
from paracosm.data.clips import control_rows
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.models.world_model import build_world
from paracosm.train.stages import encode, inverse_dynamics, teacher, tokenizer
from paracosm.worlds import make_policy, open_world

from . import small

START_FRAMES = 4
"""Frames of a start clip: enough to tell how fast everything moves."""
WORLD_FOLDER = "world"
"""Where in a run folder the playable world lands."""


@dataclass(frozen=True, kw_only=True)
class Street:
    """One pipeline: what is recorded, what is trained on it, and how the world is called."""

    run: Path
    """run folder; every stage has a folder of its own in it"""
    name: str
    """short name of the world"""
    description: str
    """one or two sentences for people"""
    recordings: Mapping[str, RecordConfig]
    """recording of each split; none when the data lies in RUN/data already"""
    games: Mapping[str, Any]
    """config of the recorded game, for each split"""
    tokenizer: tokenizer.TokenizerStageConfig
    """frames to latents"""
    dynamics: teacher.TeacherStageConfig
    """latents and controls to the next latents"""
    reader: inverse_dynamics.InverseDynamicsStageConfig | None
    """frames to controls, for the evaluation; None for a world without controls"""
    play: PlayDefaults = field(default_factory=PlayDefaults)
    """how the world is played by default"""
    num_starts: int = 24
    """start clips that ship with the world"""

    @property
    def world(self) -> Path:
        """Folder of the playable world."""
        return self.run / WORLD_FOLDER


def small_street(
    run: Path,
    shape: small.Shape,
    *,
    name: str,
    description: str,
    recordings: Mapping[str, RecordConfig] | None = None,
    games: Mapping[str, Any] | None = None,
) -> Street:
    """Describe the pipeline at the sizes of :mod:`.small`: where the recipes of single worlds begin.

    A world that offers neither keys nor turns has no reader of controls.
    """
    controls = shape.controls
    steered = bool(controls.keys) or max(controls.look_limit) > 0
    return Street(
        run=run,
        name=name,
        description=description,
        recordings=recordings or {},
        games=games or {},
        tokenizer=small.tokenizer(run, shape),
        dynamics=small.dynamics(run, shape),
        reader=small.reader(run, shape) if steered else None,
    )


def begin_with_world(street: Street, world: Path) -> Street:
    """The same street, begun with the networks of another world: what they know of light and motion stays.

    A tokenizer that has seen other pictures takes a third of the steps of one that has seen none.

    Args:
        street: at the sizes of :mod:`.small`.
        world: folder of a world of those sizes, e.g. a bundled one; its frames and controls may be others.
    """
    loop = street.tokenizer.loop
    if street.tokenizer.initial is None:
        optim = replace(loop.optim, decay_steps=loop.num_steps // 6)
        loop = replace(loop, num_steps=loop.num_steps // 3, optim=optim)
    return replace(
        street,
        tokenizer=replace(street.tokenizer, initial=world / "tokenizer", loop=loop),
        dynamics=replace(street.dynamics, initial=world / "dynamics"),
    )


def shorten(street: Street) -> Street:
    """The same street at toy size: a few minutes on two cores, to see and test every stretch."""
    lengths = {"train": (16, 100), "held_out": (6, 160), "unseen": (2, 160)}
    recordings = {
        split: replace(config, num_episodes=lengths[split][0], max_steps=lengths[split][1])
        for split, config in street.recordings.items()
    }
    return replace(
        street,
        name=f"{street.name}-tiny",
        recordings=recordings,
        tokenizer=small.shorten_tokenizer(street.tokenizer),
        dynamics=small.shorten_dynamics(street.dynamics),
        reader=small.shorten_reader(street.reader) if street.reader is not None else None,
        num_starts=6,
    )


def run_street(street: Street, progress: ProgressMaker = no_progress) -> Path:
    """Walk the whole street and return the folder of the playable world.

    Raises:
        ParacosmError: whatever a stage refuses; running again goes on from there.
    """
    for split, config in street.recordings.items():
        record(config, open_world, make_policy, world_config=street.games[split], progress=progress)
    made = tokenizer.main(street.tokenizer, progress)
    encode.main(encode.EncodeStageConfig(data=street.dynamics.data, tokenizer=made), progress)
    teacher.main(street.dynamics, progress)
    if street.reader is not None:
        inverse_dynamics.main(street.reader, progress)
    return build(street, street.world)


def build(
    street: Street,
    out: Path,
    dynamics: Literal["finished", "checkpoint"] | Path = "finished",
    play: PlayDefaults | None = None,
) -> Path:
    """Build the playable world from the models as they lie in the run folder.

    Args:
        street: whose models.
        out: folder of the world; an earlier one is replaced.
        dynamics: the finished model, the running average of the newest checkpoint while it is being
            trained, or the folder of another model, e.g. a student.
        play: how it is played; None takes that of the recipe.

    Raises:
        DataError: when a model or a checkpoint is not there yet.
    """
    dataset = Dataset(street.dynamics.data)
    info, game = dataset.info, dataset.episode(0).recipe
    can_open = game.world.startswith(("game:", "gym:"))
    if dynamics == "checkpoint":
        teacher.save_average(street.dynamics)
    build_world(
        out,
        tokenizer=street.tokenizer.run / "tokenizer",
        dynamics=dynamics if isinstance(dynamics, Path) else street.dynamics.run / "dynamics",
        starts=choose_starts(dataset.select(street.dynamics.split), street.num_starts),
        name=street.name,
        description=street.description,
        fps=info.fps,
        controls=info.controls,
        play=play or street.play,
        game=game.world if can_open else "",
        game_config=game.config if can_open else None,
    )
    return out


def choose_starts(episodes: tuple[EpisodeRef, ...], count: int) -> Starts:
    """Cut start clips from episodes spread evenly over the recordings, and evenly over each episode.

    Where there are fewer places than asked for, as in one short video, there are fewer starts.

    Args:
        episodes: what may be cut.
        count: starts wanted, >= 1; one of an episode is its middle.

    Raises:
        DataError: when no episode is long enough.
    """
    long_enough = [episode for episode in episodes if episode.num_frames >= 2 * START_FRAMES]
    if not long_enough:
        raise DataError(
            f"no episode has {2 * START_FRAMES} frames, so none can give a start; record longer episodes"
        )
    picked = Counter(i * len(long_enough) // count for i in range(count))
    frames, controls = [], []
    for index, number in picked.items():
        episode = long_enough[index]
        latest = episode.num_frames - START_FRAMES
        places = {min(part * episode.num_frames // (number + 1), latest) for part in range(1, number + 1)}
        vectors = control_rows(episode)
        for first in sorted(places):
            frames.append(episode.read_frames(first, first + START_FRAMES))
            controls.append(vectors[first : first + START_FRAMES - 1])
    return Starts(frames=np.stack(frames), controls=np.stack(controls))
