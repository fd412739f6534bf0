"""One frame of CoinRun, as many futures as learnt actions: ``python -m benchmarks.genie_trajectories W``.

W is the world of a run that never saw CoinRun (Genie, figure 14). From frames of held-out CoinRun levels
every learnt action is held; ``--sheet FILE`` shows the futures of the first, a row each, and the true game's
below. Reported is how far they are apart, beside the same of two futures of *one* action under other draws,
and beside the true game under its own six actions. Futures of two actions share their draws, so those of a
world that is blind to its actions are not apart at all. Where W is not there yet, ``--videos`` trains it: the
recipe `small` on that recording, every stage shortened to ``--steps``.

Whether W saw CoinRun is not written in its folder: whoever gives it knows. This file does NOT know networks.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from paracosm.collect.pictures import crop_centre, shrink
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.figures import Figure, figure_of, make_report, show_report, write_report
from paracosm.core.stats import estimate, paired_difference
from paracosm.core.world import Snapshot, World
from paracosm.recipes import genie
from paracosm.recipes.genie_street import WORLD_FOLDER, on_recordings, run_genie
from paracosm.train.previews import contact_sheet
from paracosm.worlds import open_world

from .genie_claims import shorten_stage
from .genie_videos import ACTIONS, PROGRESS, coinrun_game, held_out_levels, make_player, open_game

AT = (4, 8, 16)
"""Steps at which distances are told."""
SEED = 99
"""Of the held-out levels: none of those that agents are measured on."""


@dataclass(frozen=True, kw_only=True)
class Futures:
    """How far futures from some starts are apart: mean absolute difference of 255, a row for each start.

    Attributes:
        between: float64 (starts, actions, actions, steps), of two actions under the same draws.
        within: float64 (starts, actions, steps), of one action under two draws.
    """

    between: np.ndarray
    within: np.ndarray

    @property
    def apart(self) -> np.ndarray:
        """Mean over pairs of actions, float64 (starts, steps)."""
        pairs = list(itertools.combinations(range(self.between.shape[1]), 2))
        return np.mean([self.between[:, i, j] for i, j in pairs], axis=0)


@dataclass(frozen=True, kw_only=True)
class Start:
    """A moment of CoinRun: its picture, and the game's own state."""

    picture: np.ndarray
    state: Snapshot


def main() -> None:
    """Train what is missing, play, measure, draw and write."""
    given = _arguments()
    if not given.world.is_dir():
        train_world(given.world, given.videos, given.steps)
    game, world = open_game("game:coinrun", coinrun_game("hard")), open_world(f"model:{given.world}")
    starts = find_starts(game, given.starts, given.after)
    size = (world.info.height, world.info.width)
    num_steps = max(AT)
    rows = [hold_all(world, fit(start.picture, *size), num_steps, seed=0) for start in starts]
    again = [hold_all(world, fit(start.picture, *size), num_steps, seed=1) for start in starts]
    true = [hold_true(game, start, num_steps) for start in starts]
    futures, truth = measure_futures(rows, again), measure_futures(true, true)
    world.close()
    game.close()
    report = make_report(
        f"python -m benchmarks.genie_trajectories {given.world}", figures_of(futures, truth), seeds=(0, 1)
    )
    print(show_report(report))
    if given.sheet:
        shown = [row[::2] for row in rows[0]]
        Image.fromarray(contact_sheet([*shown, *(row[::2] for row in true[0])], scale=2)).save(given.sheet)
    if given.json:
        write_report(report, given.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("world", type=Path, help="folder of a world of learnt actions, RUN/world")
    parser.add_argument("--videos", type=Path, help="recording without CoinRun, to train the world from")
    parser.add_argument("--steps", type=int, default=400, help="of every stage of that training")
    parser.add_argument("--starts", type=int, default=8, help="frames of CoinRun, each of another level")
    parser.add_argument("--after", type=int, default=12, help="steps of the expert before the frame")
    parser.add_argument(
        "--sheet", type=Path, help="picture: a row for each action, below them the true game's"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def train_world(world: Path, videos: Path | None, steps: int) -> None:
    """Train the recipe `small`, shortened, on a recording; goes on where it was stopped.

    Raises:
        WorldError: when there is no recording to train from.
        ConfigError: when the folder is not where a recipe puts its world.
    """
    if videos is None:
        raise WorldError(f"{world} is no folder of a world; give one, or --videos to train it from")
    if world.name != WORLD_FOLDER:
        raise ConfigError(f"a recipe puts its world into RUN/{WORLD_FOLDER}; give {world / WORLD_FOLDER}")
    recipe = on_recordings(genie.small(world.parent), videos)
    run_genie(
        replace(
            recipe,
            tokenizer=shorten_stage(recipe.tokenizer, steps),
            latent_actions=shorten_stage(recipe.latent_actions, steps),
            dynamics=shorten_stage(recipe.dynamics, steps),
        ),
        PROGRESS,
    )


def find_starts(game: World, count: int, after: int) -> list[Start]:
    """Moments of held-out levels, a few steps into the expert's play, so that there is room on both sides."""
    expert, starts = make_player("game:coinrun", "expert"), []
    for level in held_out_levels(SEED, count):
        frame = game.reset(level)
        expert.reset(game, frame, level)
        while frame.index < after:
            before = game.snapshot()
            frame = game.step(expert.act(frame))
            if frame.truth["ended"]:
                frame = game.restore(before)
                break
        starts.append(Start(picture=frame.image, state=game.snapshot()))
    return starts


def fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bring a picture to a world's size."""
    return shrink(crop_centre(picture, height, width), height, width)


def hold_all(world: World, start: np.ndarray, num_steps: int, seed: int) -> np.ndarray:
    """Hold each learnt action from one picture under the same draws, uint8 (actions, steps + 1, h, w, 3).

    Raises:
        ControlError: when the world offers no learnt actions.
    """
    count = world.info.controls.num_latents
    if count < 2:
        raise ControlError(
            f"{world.info.name} offers {count} learnt actions; open a world that was trained on some"
        )
    return np.stack(
        [
            _hold(world, lambda: world.reset(seed=seed, start=start).image, Control(latent=action), num_steps)
            for action in range(count)
        ]
    )


def hold_true(game: World, start: Start, num_steps: int) -> np.ndarray:
    """Hold each of the true game's own actions; where it ends, its last picture stays."""
    return np.stack(
        [
            _hold(game, lambda: game.restore(start.state).image, control, num_steps)
            for control in ACTIONS.values()
        ]
    )


def _hold(world: World, begin: Callable[[], np.ndarray], control: Control, num_steps: int) -> np.ndarray:
    pictures, ended = [begin()], False
    for _ in range(num_steps):
        if ended:
            pictures.append(pictures[-1])
            continue
        frame = world.step(control)
        pictures.append(frame.image)
        ended = bool(frame.truth.get("ended", False))
    return np.stack(pictures)


def measure_futures(rows: Sequence[np.ndarray], again: Sequence[np.ndarray]) -> Futures:
    """Distances of futures.

    Args:
        rows: for each start uint8 (actions, steps + 1, h, w, 3), all under the same draws.
        again: the same under other draws.
    """
    between, within = [], []
    for one, other in zip(rows, again, strict=True):
        numbers = one[:, 1:].astype(np.float32)
        between.append([[_distance(first, second) for second in numbers] for first in numbers])
        within.append(
            [_distance(a, b) for a, b in zip(numbers, other[:, 1:].astype(np.float32), strict=True)]
        )
    return Futures(between=np.array(between, np.float64), within=np.array(within, np.float64))


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other).mean((1, 2, 3))


def figures_of(futures: Futures, truth: Futures) -> dict[str, Figure]:
    """Distances at some steps with intervals over starts, and of each pair at the last."""
    figures: dict[str, Figure] = {}
    chance = futures.within.mean(1)
    for step in (step for step in AT if step <= futures.between.shape[-1]):
        apart, noise = futures.apart[:, step - 1], chance[:, step - 1]
        true = float(truth.apart[:, step - 1].mean())
        figures[f"trajectories.apart@{step}"] = figure_of(
            estimate(apart), "grey levels", anchors={"true_game": true, "no_control": float(noise.mean())}
        )
        figures[f"trajectories.apart_beyond_chance@{step}"] = figure_of(
            paired_difference(apart, noise), "grey levels", anchors={"true_game": true, "no_control": 0.0}
        )
    last, noise = futures.between[..., -1], futures.within[..., -1]
    distinct = []
    for i, j in itertools.combinations(range(last.shape[1]), 2):
        # Apart by more than either is from itself under other draws.
        distinct.append(last[:, i, j] > np.maximum(noise[:, i], noise[:, j]))
        figures[f"trajectories.distance.{i + 1}.{j + 1}"] = figure_of(
            estimate(last[:, i, j]), "grey levels", higher_is_better=None
        )
    figures["trajectories.distinct_pairs"] = figure_of(
        estimate(np.mean(distinct, axis=0)), "share", anchors={"no_control": 0.0}
    )
    return figures


if __name__ == "__main__":
    main()
