"""Proof that the controls in a recording are those that were applied: the game draws its episodes again.

An episode is played from its recipe under the logged controls, and every frame, pose and event is compared.
As an anchor it is also played with every control one step late, which shows how much the comparison can see.
This file does NOT know any game.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.figures import Figure
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import World
from paracosm.data.format import POSE_PREFIX, TRUTH_PREFIX
from paracosm.data.reader import Dataset, EpisodeRef

from .record import ConfiguredOpener
from .stills import LEFT_OUT, SOURCE_FRAME, all_controls


@dataclass(frozen=True, kw_only=True)
class EpisodeCheck:
    """How one episode came out when it was drawn again.

    Attributes:
        name: of the episode.
        steps: steps compared.
        equal: steps whose frame has the same bytes.
        agreeing: steps whose frame, pose and events are all the same.
        first_difference: row of the first frame with other bytes; None when there is none.
        late: steps with the same frame when every control is given one step late.
    """

    name: str
    steps: int
    equal: int
    agreeing: int
    first_difference: int | None
    late: int


def check_replay(
    dataset: Dataset,
    count: int,
    open_world: ConfiguredOpener,
    *,
    progress: ProgressMaker = no_progress,
) -> list[EpisodeCheck]:
    """Draw episodes of a recording again and compare them.

    Args:
        dataset: with recipes and controls.
        count: how many episodes, evenly spread over the recording; all when it has fewer.
        open_world: opens worlds.
        progress: makes the progress line.

    Raises:
        ConfigError: when ``count`` is below 1.
        DataError: when the recording has no controls, was made by a person or with another engine.
    """
    if count < 1:
        raise ConfigError(f"{count} episodes prove nothing; give 1 or more")
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int))
    line, checks = progress("draw again", len(chosen), "episode", 0), []
    try:
        for done, index in enumerate(chosen.tolist(), 1):
            checks.append(check_episode(dataset.episode(index), open_world))
            line.update(done, {"equal": sum(check.equal for check in checks)})
    finally:
        line.close()
    return checks


def check_episode(episode: EpisodeRef, open_world: ConfiguredOpener) -> EpisodeCheck:
    """Draw one episode again; see :func:`check_replay`."""
    recipe = episode.recipe
    if not episode.has_controls:
        raise DataError(f"{episode.path} has no controls, so it cannot be drawn again")
    if recipe.policy == "person":
        raise DataError(f"{episode.path} was played by a person in the page; replay files prove those")
    kept = set(episode.columns) >= {TRUTH_PREFIX + SOURCE_FRAME, TRUTH_PREFIX + LEFT_OUT}
    rows = range(episode.num_frames)
    sources = episode.truth(TRUTH_PREFIX + SOURCE_FRAME).tolist() if kept else list(rows)
    told = episode.truth(TRUTH_PREFIX + LEFT_OUT).tolist() if kept else [""] * len(rows)
    controls = list(all_controls(episode.controls, told))
    with contextlib.closing(open_world(recipe.world, recipe.config)) as world:
        if world.info.engine != recipe.engine:
            raise DataError(
                f"{episode.path} was recorded with {recipe.engine}, here is {world.info.engine}; "
                "install that version to draw it again"
            )
        equal, agreeing = _compare(episode, world, controls, sources)
        late, _ = _compare(episode, world, [IDLE, *controls[:-1]], sources)
    different = np.flatnonzero(~equal)
    return EpisodeCheck(
        name=episode.name,
        steps=episode.num_frames - 1,
        equal=int(equal[1:].sum()),
        agreeing=int(agreeing[1:].sum()),
        first_difference=int(different[0]) if len(different) else None,
        late=int(late[1:].sum()),
    )


def replay_figures(checks: Sequence[EpisodeCheck]) -> dict[str, Figure]:
    """Turn checks into figures: shares of all steps."""
    steps = sum(check.steps for check in checks)
    sums = {
        "replay.frames_equal_share": sum(check.equal for check in checks),
        "replay.controls_agree_share": sum(check.agreeing for check in checks),
        "replay.one_step_late_share": sum(check.late for check in checks),
    }
    figures = {
        name: Figure(
            value=total / max(steps, 1),
            unit="share of steps",
            n=steps,
            higher_is_better=None if name.endswith("late_share") else True,
        )
        for name, total in sums.items()
    }
    return {"replay.episodes": Figure(value=len(checks), n=len(checks)), **figures}


def _compare(
    episode: EpisodeRef, world: World, controls: Sequence[Control], sources: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """For each row whether its frame is the same, and whether pose and events are too."""
    recipe, frames, rows = episode.recipe, episode.frames, episode.table.to_pylist()
    equal = np.zeros(len(rows), bool)
    agreeing = np.zeros(len(rows), bool)
    frame = world.reset(recipe.seed, recipe.start, recipe.start_controls, recipe.prompt)
    wanted = {source: row for row, source in enumerate(sources)}
    for index in range(max(sources) + 1):
        if index:
            if frame.truth.get("ended"):
                break
            frame = world.step(controls[index - 1])
        if index in wanted:
            row = wanted[index]
            equal[row] = np.array_equal(frame.image, frames[row])
            agreeing[row] = equal[row] and _same_truth(frame.truth, rows[row])
    return equal, agreeing


def _same_truth(truth: Any, row: dict[str, Any]) -> bool:
    """Whether pose and events of a frame are those that were written."""
    pose = {name: value for name, value in truth.get("pose", {}).items() if POSE_PREFIX + name in row}
    if any(
        not np.isclose(row[POSE_PREFIX + name], value, rtol=1e-5, atol=1e-6) for name, value in pose.items()
    ):
        return False
    return list(row.get("events") or ()) == list(truth.get("events", ()))
