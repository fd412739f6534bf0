"""Whether the camera goes where it truly goes: steps read from the frames against those of the true game.

The same estimator reads the true game's own frames; its error there is the floor, printed as the anchor
"true_game". This file does NOT know how motion is estimated.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.cameras import estimated_steps, true_step, true_views, with_depth
from paracosm.evaluate.metrics.ego_motion import EgoMotion
from paracosm.evaluate.metrics.trajectory import LEAST_STEPS, chain, path_errors, path_length
from paracosm.evaluate.part import Measured, Result, SkippedUnitError, Tally, Unit, UnitResult, ratio_of

WHO = ("world", "true_game", "copy_last", "shuffled")
"""Whose steps are judged; "shuffled" are the world's steps in another case, judged by this one's."""
NAMES = {
    "camera.rpe_translation": ("translation", "units of the game", False),
    "camera.step_error": ("unaligned", "units of the game", False),
    "camera.rpe_rotation_deg": ("rotation", "degrees", False),
    "camera.speed_ratio": ("speed", "ratio", None),
    "camera.valid_share": ("valid", "share", True),
}
"""Figures: which numbers, unit, whether higher is better."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Relative pose errors with and without alignment, speed and share of valid steps of short free runs."""

    num_cases: int
    """starts; half as many of unseen levels, where there are both"""
    steps: int = 24
    """steps of each; beyond a second or two a dream stands elsewhere than the depth that it is read with"""

    name: ClassVar[str] = "camera"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a start."""
        return [
            Unit(key=name, case=name, steps=2 * self.steps)
            for name in bench.cases(self.num_cases, self.steps, near=True)
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Play one case in both worlds and read the steps of both."""
        case = bench.cases(self.num_cases, self.steps, near=True)[unit.case]
        rollout = case.rollout
        game = bench.true_game(with_depth(rollout.recipe.config))
        views = true_views(game, rollout, rollout.controls)
        if views is None:
            raise SkippedUnitError(f"{game.info.name} does not tell where its camera is")
        if len(views) <= LEAST_STEPS:
            raise SkippedUnitError(f"the episode ends after {len(views) - 1} steps; {LEAST_STEPS} are needed")
        shown = np.concatenate([rollout.start[-1:], bench.play(rollout)])[: len(views)]
        real = np.stack([view.image for view in views])
        return UnitResult(
            numbers={
                "kind": views[0].lens.kind,
                "truth": [true_step(one, two).tolist() for one, two in itertools.pairwise(views)],
                "world": _numbers(estimated_steps(shown, views)),
                "true_game": _numbers(estimated_steps(real, views)),
            }
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Five figures; rotation is undefined where the camera cannot turn."""
        judged = [_judge(results, index) for index in range(len(results))]
        cases = [one.unit.case for one in results]
        figures: dict[str, Any] = {
            name: _tally(cases, judged, kind, unit, better) for name, (kind, unit, better) in NAMES.items()
        }
        if results and all(one.numbers["kind"] == "flat" for one in results):
            name = "camera.rpe_rotation_deg"
            figures[name] = not_computed("undefined", "the world has no camera to turn", "degrees")
        return figures


def _numbers(steps: Sequence[EgoMotion]) -> dict[str, Any]:
    return {
        "steps": [step.matrix().tolist() for step in steps],
        "valid": [bool(step.valid) for step in steps],
    }


def _judge(results: Sequence[Result], index: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Sums and counts of one case for each of WHO, by kind of number; missing where it cannot be judged."""
    numbers = results[index].numbers
    truth = np.array(numbers["truth"])
    other = results[(index + max(1, len(results) // 2)) % len(results)].numbers["world"]
    still = {"steps": np.tile(np.eye(4), (len(truth), 1, 1)), "valid": np.ones(len(truth), bool)}
    read = {"world": numbers["world"], "true_game": numbers["true_game"], "copy_last": still}
    if len(results) > 1:
        read["shuffled"] = other
    return {who: _errors(part, truth) for who, part in read.items()}


def _errors(read: Mapping[str, Any], truth: np.ndarray) -> dict[str, tuple[float, float]]:
    length = min(len(truth), len(read["steps"]))
    valid = np.array(read["valid"], bool)[:length]
    found = {"valid": (float(valid.sum()), float(length))}
    if valid.sum() < LEAST_STEPS:
        return found
    # steps that could not be read are taken out of both paths, so that what is left still chains
    own, real = chain(np.array(read["steps"])[:length][valid]), chain(truth[:length][valid])
    errors = path_errors(own, real)
    if np.isfinite(errors.translation).all():
        found["translation"] = (float(errors.translation.sum()), float(len(errors.translation)))
        found["unaligned"] = (float(errors.unaligned.sum()), float(len(errors.unaligned)))
        found["speed"] = (path_length(own), path_length(real))
    found["rotation"] = (float(errors.rotation_deg.sum()), float(len(errors.rotation_deg)))
    return found


def _tally(
    cases: Sequence[str],
    judged: Sequence[Mapping[str, Mapping[str, tuple[float, float]]]],
    kind: str,
    unit: str,
    better: bool | None,
) -> Tally:
    rows = [index for index, one in enumerate(judged) if kind in one["world"] and kind in one["true_game"]]

    def column(who: str) -> np.ndarray | None:
        pairs = [judged[index].get(who, {}).get(kind) for index in rows]
        if not pairs or any(pair is None for pair in pairs):
            return None
        return np.array(pairs, float)

    world = column("world")
    return Tally(
        cases=tuple(cases[index] for index in rows),
        world=np.empty((0, 2)) if world is None else world,
        combine=ratio_of,
        anchors={
            "true_game": column("true_game"),
            "copy_last": column("copy_last"),
            "shuffled": column("shuffled"),
        },
        unit=unit,
        higher_is_better=better,
        reason=f"in no case could {LEAST_STEPS} steps be read of a path that moves",
    )
