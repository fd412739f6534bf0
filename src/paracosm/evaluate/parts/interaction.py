"""The part that marks interactions by engine truth: doors, shots, jumps, against the no-op counterfactual.

A unit is one scene: the true game with and without the key, the dream with and without it under each noise
seed, and the dream under another kind's key as an anchor. This file does NOT know how marks are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.figures import Anchor, Figure, not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.interaction_cases import KINDS, Group, Kind, Scene, covered
from paracosm.evaluate.interaction_effect import Quartet
from paracosm.evaluate.interaction_score import DIMENSIONS, mark
from paracosm.evaluate.part import Result, SkippedUnitError, Tally, Unit, UnitResult, mean_of, ratio_of

ANCHORS: tuple[Anchor, ...] = ("true_game", "copy_last", "shuffled", "no_control")
"""In the order in which they are shown."""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """Marks of scenes of every kind that the game has."""

    num_cases: int = 8
    """Scenes of each kind; half as many of unseen levels, where the case set has both."""
    steps: int = 24
    """Steps of the script: a door needs 6, a jump 9."""
    num_seeds: int = 3
    """Noise seeds; two at least, for the placebo."""

    name: ClassVar[str] = "interaction"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """Scenes of each kind that the game, as configured, can show."""
        clips = 2 * self.num_seeds + 1
        return [
            Unit(key=name, case=name, steps=clips * self.steps)
            for kind in _kinds(bench)
            if covered(kind, bench.config.game.config)
            for name in bench.scenes(kind, self.num_cases)
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Find the scene, play it, and mark it under every noise seed and on every anchor."""
        name = unit.key.partition("/")[0]
        kinds = _kinds(bench)
        kind = next(kind for kind in kinds if kind.name == name)
        missing = sorted(kind.keys - set(bench.info.controls.keys))
        if missing:
            raise SkippedUnitError(f"{bench.info.name} has no key {missing[0]}, which {name} needs")
        scene = bench.scene(kind, unit.key, self.steps)
        if scene is None:
            raise SkippedUnitError(f"the game's own player came to no scene of {name} in its episodes")
        latest = max(2, round(bench.info.fps / 2))
        idle_script = (IDLE,) * self.steps
        acted = [bench.play(scene.under(scene.rollout.controls, seed)) for seed in range(self.num_seeds)]
        idle = [bench.play(scene.under(idle_script, seed)) for seed in range(self.num_seeds)]
        other = bench.play(scene.under(_other_script(kind, kinds, self.steps, bench), 0))
        marks = [
            mark(_quartet(scene, acted[seed], idle[seed]), latest, idle[:seed] + idle[seed + 1 :])
            for seed in range(self.num_seeds)
        ]
        copy = np.repeat(scene.rollout.start[-1:], self.steps, axis=0)
        anchors = {
            "true_game": mark(_quartet(scene, scene.true_acted, scene.true_idle), latest),
            "copy_last": mark(_quartet(scene, copy, copy), latest),
            "shuffled": mark(_quartet(scene, other, idle[0]), latest, idle[1:]),
            "no_control": mark(_quartet(scene, idle[0], idle[0]), latest, idle[1:]),
        }
        return UnitResult(
            numbers={
                "kind": name,
                "group": kind.group,
                "heights": _heights(scene, kind),
                "world": [one.to_json() for one in marks],
                **{anchor: [one.to_json()] for anchor, one in anchors.items()},
            },
            arrays={
                "start": scene.rollout.start,
                "world": acted[0],
                "idle": idle[0],
                "truth": scene.true_acted,
                "true_idle": scene.true_idle,
            },
        )

    def measure(self, bench: Bench, results: Sequence[Result]) -> dict[str, Tally | Figure]:
        """Trigger rates by group and kind; each dimension gated and given the trigger; the facts beside."""
        figures: dict[str, Tally | Figure] = {"interaction.trigger_rate": _rate(results, "trigger", True)}
        config = bench.config.game.config
        kinds = _kinds(bench)
        for group in get_args(Group):
            chosen = [result for result in results if result.numbers["group"] == group]
            name = f"interaction.trigger_rate.{group}"
            shown = any(kind.group == group and covered(kind, config) for kind in kinds)
            figures[name] = _rate(chosen, "trigger", True) if shown else _not_covered(bench)
        for kind in kinds:
            chosen = [result for result in results if result.numbers["kind"] == kind.name]
            name = f"interaction.trigger_rate.{kind.name}"
            figures[name] = (
                _rate(chosen, "trigger", True)
                if covered(kind, config)
                else not_computed("undefined", f"not covered: the game has {kind.needs} 0", "share")
            )
        figures["interaction.overall"] = _tally(results, _gated("overall"), mean_of, "marks", True)
        for name in DIMENSIONS:
            figures[f"interaction.{name}"] = _tally(results, _gated(name), mean_of, "marks", True)
            figures[f"interaction.{name}.given_trigger"] = _tally(
                results, _given(name), ratio_of, "marks", True
            )
        figures["interaction.gain"] = _rate(results, "gain", True)
        figures["interaction.delay_steps"] = _tally(results, _given("lag"), ratio_of, "steps", False)
        figures["interaction.wrong_effect_rate"] = _rate(results, "wrong", False)
        figures["interaction.unasked_rate"] = _tally(results, _unasked, mean_of, "share", False)
        return figures


def _kinds(bench: Bench) -> tuple[Kind, ...]:
    return KINDS.get(bench.config.game.name, ())


def _quartet(scene: Scene, acted: np.ndarray, idle: np.ndarray) -> Quartet:
    return Quartet(acted=acted, idle=idle, true_acted=scene.true_acted, true_idle=scene.true_idle)


def _heights(scene: Scene, kind: Kind) -> list[float]:
    """True height of the player above where he stands without the key; 0 where it is not told."""
    return [
        float(acted["pose"][kind.height] - idle["pose"][kind.height])
        if kind.height in acted.get("pose", {})
        else 0.0
        for acted, idle in zip(scene.truths, scene.idle_truths, strict=True)
    ]


def _other_script(kind: Kind, kinds: Sequence[Kind], steps: int, bench: Bench) -> tuple[Control, ...]:
    """The next kind's script; where there is no other, a key that this kind does not need."""
    offered = set(bench.info.controls.keys)
    at = [one.name for one in kinds].index(kind.name)
    for one in (*kinds[at + 1 :], *kinds[:at]):
        if one.keys != kind.keys and one.keys <= offered:
            return one.script(steps)
    rest = sorted(offered - kind.keys)
    held = (Control(rest[:1]),) * min(kind.hold_steps, steps)
    return held + (IDLE,) * (steps - len(held))


Row = Callable[[Sequence[Mapping[str, Any]]], Any]
"""Turns the marks of one case (one for each noise seed) into its contribution."""


def _gated(name: str) -> Row:
    return lambda marks: float(np.mean([one[name] for one in marks]))


def _given(name: str) -> Row:
    """Sum over triggered clips, and how many there are."""
    return lambda marks: (
        float(sum(one[name] * one["trigger"] for one in marks)),
        float(sum(one["trigger"] for one in marks)),
    )


def _unasked(marks: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([one["unasked"] > 0.5 for one in marks]))


def _rate(results: Sequence[Result], name: str, higher_is_better: bool) -> Tally:
    return _tally(results, _gated(name), mean_of, "share", higher_is_better)


def _tally(
    results: Sequence[Result],
    row: Row,
    combine: Callable[[np.ndarray], float],
    unit: str,
    higher_is_better: bool,
) -> Tally:
    def rows(who: str) -> np.ndarray:
        return np.array([row(result.numbers[who]) for result in results], np.float64)

    return Tally(
        cases=tuple(result.unit.case for result in results),
        world=rows("world"),
        combine=combine,
        anchors={anchor: rows(anchor) for anchor in ANCHORS},
        unit=unit,
        higher_is_better=higher_is_better,
        reason="no clip was triggered" if combine is ratio_of else "no scene could be played",
    )


def _not_covered(bench: Bench) -> Figure:
    asked = "takes no instructions" if not bench.info.controls.text else "is given none by this part"
    reason = f"not covered: no key of {bench.config.game.name} does this, and {bench.info.name} {asked}"
    return not_computed("undefined", reason, "share")
