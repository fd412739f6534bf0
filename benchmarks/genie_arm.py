"""Does a learnt action move an arm the same way from everywhere? ``python -m benchmarks.genie_arm RUN``.

RUN is a run folder of `genie.robotics_tiny`. From frames of its held-out recordings every learnt action is
held; where the hand of the arm is in a dreamt picture is read by a small network that learnt it from the
training recordings, whose pictures come with the simulator's own answer (RUN/hand_reader). An action goes the
*same way* from a start when its displacement makes an angle below 90 degrees with the action's mean
displacement from all *other* starts. Beside it stand displacements whose actions were shuffled within each
start (no control), and the simulator under its own six commands from the same moments, as it tells them
itself, without the reader.

Source: Genie 2402.15391, section 3.2: the same latent action on a robot has the same meaning from everywhere.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from paracosm.collect.gym_games import GymWorld
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError
from paracosm.core.figures import Figure, figure_of, make_report, show_report, write_report
from paracosm.core.progress import LineProgress
from paracosm.core.rng import stream
from paracosm.core.stats import estimate, paired_difference
from paracosm.core.world import World
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.recipes import genie
from paracosm.train.previews import contact_sheet
from paracosm.worlds import open_world

from .arm_reader import HandReader, HandStageConfig, train_reader
from .genie_trajectories import hold_all

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
POSE = "truth_observation.observation"
"""Column of the simulator's own numbers; the first three are the place of the hand in metres."""
COMMANDS = tuple(f"axis{axis}_{way}" for axis in range(3) for way in ("minus", "plus"))
"""Keys of the simulator that move the hand."""


def main() -> None:
    """Read, play, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--starts", type=int, default=60, help="held-out episodes that give a start each")
    parser.add_argument("--after", type=int, default=8, help="steps of the episode before the start")
    parser.add_argument("--steps", type=int, default=6, help="steps that an action is held")
    parser.add_argument("--sheet", type=Path, help="picture: from two starts, a row for each action")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    held_out = Dataset(given.run / "data" / "held_out").episodes[: given.starts]
    reader = learn_reader(given.run / "hand_reader", Dataset(given.run / "data" / "train").episodes)
    world = open_world(f"model:{given.run / 'world'}")
    starts = [episode.read_frames(given.after, given.after + 1)[0] for episode in held_out]
    rows = [hold_all(world, start, given.steps, seed=0) for start in starts]
    world.close()
    true = np.stack([true_moves(episode, given.after, given.steps) for episode in held_out])
    dreamt = np.stack([[reader.read(row[[0, -1]]) for row in futures] for futures in rows])
    figures = reader_figures(reader, held_out) | way_figures(dreamt[:, :, 1] - dreamt[:, :, 0], true)
    report = make_report(f"python -m benchmarks.genie_arm {given.run}", figures, seeds=(0,))
    print(show_report(report))
    if given.sheet:
        Image.fromarray(contact_sheet([*rows[0], *rows[1]], scale=1)).save(given.sheet)
    if given.json:
        write_report(report, given.json)


def learn_reader(run: Path, episodes: tuple[EpisodeRef, ...]) -> HandReader:
    """Learn where the hand is from recordings.

    Raises:
        ConfigError: when there are none, or they are of another simulator.
    """
    pictures = [np.ascontiguousarray(episode.frames) for episode in episodes]
    places = [hand_of(episode) for episode in episodes]
    return train_reader(
        HandStageConfig(run=run), np.concatenate(pictures or [[]]), np.concatenate(places or [[]]), PROGRESS
    )


def hand_of(episode: EpisodeRef) -> np.ndarray:
    """Place of the hand at each frame as the simulator tells it, metres, float64 (t, 3).

    Raises:
        ConfigError: when it tells none.
    """
    if POSE not in episode.columns:
        raise ConfigError(f"{episode.path} has no column {POSE}; record with the recipe genie.robotics_tiny")
    return np.stack([np.asarray(row, np.float64)[:3] for row in episode.truth(POSE)])


def true_moves(episode: EpisodeRef, after: int, num_steps: int) -> np.ndarray:
    """Displacement of the hand under each command of the simulator, held from a moment of an episode.

    Returns:
        Metres, float64 (commands, 3).
    """
    world: World = GymWorld(episode.recipe.world.partition(":")[2], genie.arm())
    moved = []
    try:
        for command in COMMANDS:
            frame = world.reset(seed=episode.recipe.seed)
            for control in episode.controls[:after]:
                frame = world.step(control)
            before = np.array(frame.truth[POSE.removeprefix("truth_")][:3])
            for _ in range(num_steps):
                frame = world.step(Control({command}))
            moved.append(np.array(frame.truth[POSE.removeprefix("truth_")][:3]) - before)
    finally:
        world.close()
    return np.stack(moved)


def same_way(moves: np.ndarray) -> np.ndarray:
    """Whether each displacement agrees with the mean of its action from all other starts.

    Args:
        moves: displacements, float64 (starts, actions, 3).

    Returns:
        1 below 90 degrees, 0 above, one half where either has no length; float64 (starts, actions).
    """
    others = (moves.sum(0) - moves) / (len(moves) - 1)
    return (np.sign((moves * others).sum(-1)) + 1) / 2


def shuffle_actions(moves: np.ndarray) -> np.ndarray:
    """The same displacements, their actions shuffled within each start: what a blind name would give."""
    draws = stream(0, "shuffled actions")
    return np.stack([start[draws.permutation(len(start))] for start in moves])


def way_figures(dreamt: np.ndarray, true: np.ndarray) -> dict[str, Figure]:
    """Figures of displacements in metres; intervals are over starts.

    Args:
        dreamt: float64 (starts, learnt actions, 3).
        true: float64 (starts, commands, 3).
    """
    agree, blind = same_way(dreamt), same_way(shuffle_actions(dreamt))
    anchors = {"no_control": float(blind.mean()), "true_game": float(same_way(true).mean())}
    figures = {
        "arm.same_way": figure_of(estimate(agree.mean(1)), "share", anchors=anchors),
        "arm.same_way_beyond_chance": figure_of(paired_difference(agree.mean(1), blind.mean(1)), "share"),
    }
    for action in range(dreamt.shape[1]):
        length = 100 * np.linalg.norm(dreamt[:, action].mean(0))
        figures[f"arm.same_way.action_{action + 1}"] = figure_of(
            estimate(agree[:, action]), "share", anchors={"mean_cm": float(length)}
        )
    return figures


def reader_figures(reader: HandReader, episodes: tuple[EpisodeRef, ...]) -> dict[str, Figure]:
    """How well the reader reads pictures that it has not seen."""
    errors = [
        100 * np.linalg.norm(reader.read(episode.frames) - hand_of(episode), axis=1).mean()
        for episode in episodes
    ]
    return {"arm.reader_error": figure_of(estimate(errors), "cm", higher_is_better=False)}


if __name__ == "__main__":
    main()
