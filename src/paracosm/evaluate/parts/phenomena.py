"""The part that fills the phenomena card: what Genie 2 showed, asked of a dream and answered by engine truth.

Doors, shots and jumps are read off what the part ``interaction`` played; stepping aside is played here, with
the true depth. What the game, as configured, never shows reads "not covered". This file does NOT know how
things are read off pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from paracosm.core.controls import IDLE
from paracosm.core.figures import Anchor, Figure, not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.cameras import true_views, with_depth
from paracosm.evaluate.interaction_cases import KINDS, STRAFE, covered
from paracosm.evaluate.interaction_effect import Quartet
from paracosm.evaluate.part import Result, SkippedUnitError, Tally, Unit, UnitResult, mean_of, ratio_of
from paracosm.evaluate.phenomena import compare_arcs, own_motion, rise_curve, standing
from paracosm.evaluate.reprojection import LEAST_TRUE_GAIN, parallax, parallax_gain

STANDING = {"door": "door_opens", "shot": "shot_flashes", "hit": "creature_reacts", "pickup": "item_is_taken"}
"""Phenomena that are one key's effect, by kind of interaction."""
NOT_COVERED: Mapping[str, Mapping[str, str]] = {
    "game:doom": {
        "barrel_explodes": "made levels hold no barrels",
        "projectile": "the pistol's shot hits at once; no projectile flies",
        "liquid": "made levels hold no liquid",
        "changing_light": "the light of made levels is steady",
    },
    "game:coinrun": {
        "barrel_explodes": "the game has none",
        "projectile": "the game has none",
        "liquid": "its lava stands still",
        "changing_light": "its light is steady",
        "door_opens": "the game has none",
    },
}
"""What a game never shows, and why: such a phenomenon cannot be asked of a world that learnt from it."""


@dataclass(frozen=True, kw_only=True)
class Phenomena:
    """The phenomena card."""

    num_cases: int = 8
    """Scenes of stepping aside."""
    steps: int = 12
    """Steps of each."""

    name: ClassVar[str] = "phenomena"
    version: ClassVar[int] = 3
    needs: ClassVar[tuple[str, ...]] = ("interaction",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """What was played for interactions, then the scenes of stepping aside where the game tells depth."""
        played = [Unit(key=one.unit.key, case=one.unit.case) for one in bench.results("interaction")]
        if not _has_depth(bench):
            return played
        return played + [
            Unit(key=name, case=name, steps=2 * self.steps) for name in bench.scenes(STRAFE, self.num_cases)
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Read the phenomena of one scene."""
        kind = unit.key.partition("/")[0]
        if kind == STRAFE.name:
            return self._run_strafe(bench, unit.key)
        result = bench.result("interaction", unit.key)
        clips = Quartet(
            acted=result.array("world"),
            idle=result.array("idle"),
            true_acted=result.array("truth"),
            true_idle=result.array("true_idle"),
        )
        acted, idle = standing(clips)
        numbers: dict[str, Any] = {"kind": kind, "standing": acted, "standing_idle": idle}
        if kind == "jump":
            numbers |= _read_arc(clips, np.array(result.numbers["heights"]))
        half = len(clips.idle) // 2  # the first half still sways
        moved = own_motion(clips.idle[half:], clips.true_idle[half:])
        numbers["own_motion"] = None if moved is None else list(moved)
        return UnitResult(numbers=numbers)

    def measure(self, bench: Bench, results: Sequence[Result]) -> dict[str, Tally | Figure]:
        """True game, dream and no-op of each phenomenon; "not covered" where the game never shows it."""
        figures: dict[str, Tally | Figure] = {}
        game = bench.config.game.name
        for kind in KINDS.get(game, ()):
            if kind.name in STANDING and covered(kind, bench.config.game.config):
                figures[f"phenomena.{STANDING[kind.name]}"] = _standing(results, kind.name)
            elif kind.name in STANDING:
                reason = f"not covered: the game has {kind.needs} 0"
                figures[f"phenomena.{STANDING[kind.name]}"] = not_computed("undefined", reason, "share")
        figures |= _arc_figures(results)
        figures |= _parallax_figures(bench, results)
        figures["phenomena.own_motion"] = _own_motion(results)
        figures["phenomena.creature_moves"] = _creatures(bench, results)
        for name, why in NOT_COVERED.get(game, {}).items():
            figures[f"phenomena.{name}"] = not_computed("undefined", f"not covered: {why}", "share")
        return figures

    def _run_strafe(self, bench: Bench, name: str) -> UnitResult:
        if not bench.info.controls.keys or not set(bench.info.controls.keys) >= STRAFE.keys:
            raise SkippedUnitError(f"{bench.info.name} has no key right, by which to step aside")
        scene = bench.scene(STRAFE, name, self.steps)
        if scene is None:
            raise SkippedUnitError("the game's own player came to no place where he could step aside")
        views = true_views(
            bench.true_game(with_depth(scene.rollout.recipe.config)), scene.rollout, scene.rollout.controls
        )
        if views is None:
            raise SkippedUnitError(f"{bench.config.game.name} does not tell its camera")
        start = scene.rollout.start[-1:]
        clips = {
            "world": bench.play(scene.rollout),
            "true_game": scene.true_acted,
            "no_control": bench.play(scene.under((IDLE,) * self.steps)),
            "copy_last": np.repeat(start, self.steps, axis=0),
        }
        found = {name: parallax(np.concatenate([start, clip]), views) for name, clip in clips.items()}
        true = found["true_game"]
        if true is None:
            raise SkippedUnitError("no pixel of this place is seen in two frames")
        return UnitResult(
            numbers={"kind": STRAFE.name}
            | {
                name: None if one is None else [one.layered, one.flat, one.still, true.still, one.speed]
                for name, one in found.items()
            }
        )


def _has_depth(bench: Bench) -> bool:
    config = bench.config.game.config
    return isinstance(config, Mapping) and "depth" in config


def _read_arc(clips: Quartet, heights: np.ndarray) -> dict[str, Any]:
    true = rise_curve(clips.true_acted, clips.true_idle)
    copy = np.zeros_like(true)
    found = {}
    for name, own in (
        ("arc", rise_curve(clips.acted, clips.idle)),
        ("arc_true", true),
        ("arc_still", copy),
    ):
        arc = compare_arcs(own, true, heights)
        found[name] = (
            None
            if arc is None
            else [arc.explained, arc.height_share, float(abs(arc.apex_error)), arc.gravity_share]
        )
    return found


def _of(results: Sequence[Result], name: str) -> list[Result]:
    """Results that could read this."""
    return [result for result in results if result.numbers.get(name) is not None]


def _tally(
    chosen: Sequence[Result],
    world: Sequence[Any],
    anchors: Mapping[Anchor, Any],
    unit: str,
    reason: str,
    higher_is_better: bool | None = True,
    combine: Callable[[np.ndarray], float] = mean_of,
) -> Tally:
    return Tally(
        cases=tuple(result.unit.case for result in chosen),
        world=np.array(world, np.float64),
        combine=combine,
        anchors={
            name: value if isinstance(value, float) else np.array(value, np.float64)
            for name, value in anchors.items()
        },
        unit=unit,
        higher_is_better=higher_is_better,
        reason=reason,
    )


def _standing(results: Sequence[Result], kind: str) -> Tally:
    chosen = [result for result in results if result.numbers["kind"] == kind]
    idle = [result.numbers["standing_idle"] for result in chosen]
    return _tally(
        chosen,
        [result.numbers["standing"] for result in chosen],
        {"true_game": 1.0, "no_control": idle},
        "share",
        f"no scene of {kind} could be played",
    )


def _arc_figures(results: Sequence[Result]) -> dict[str, Tally | Figure]:
    chosen = _of(results, "arc")
    names = (
        ("explained", "share", True),
        ("height_share", "share", None),
        ("apex_error_steps", "steps", False),
    )
    names += (("gravity_share", "share", None),)
    return {
        f"phenomena.jump_{name}": _tally(
            chosen,
            [result.numbers["arc"][index] for result in chosen],
            {
                "true_game": [result.numbers["arc_true"][index] for result in chosen],
                "no_control": [result.numbers["arc_still"][index] for result in chosen],
            },
            unit,
            "no true jump could be read from its pictures",
            higher,
        )
        for index, (name, unit, higher) in enumerate(names)
    }


def _parallax_figures(bench: Bench, results: Sequence[Result]) -> dict[str, Tally | Figure]:
    names = ("phenomena.parallax_gain", "phenomena.sidestep_speed_share")
    if not _has_depth(bench):
        reason = f"{bench.config.game.name} does not tell how far things are"
        return {name: not_computed("undefined", reason, "share") for name in names}
    chosen = [
        one
        for one in _of(results, "true_game")
        if parallax_gain(np.array([one.numbers["true_game"][:4]])) >= LEAST_TRUE_GAIN
    ]
    others: tuple[Anchor, ...] = ("true_game", "copy_last", "no_control")

    def figure(part: slice | int, higher: bool | None, combine: Callable[[np.ndarray], float]) -> Tally:
        rows = {who: [one.numbers[who][part] for one in chosen] for who in ("world", *others)}
        reason = "at no place does the true game show parallax that can be read"
        anchors: dict[Anchor, Any] = {who: rows[who] for who in others}
        return _tally(chosen, rows["world"], anchors, "share", reason, higher, combine)

    return {names[0]: figure(slice(0, 4), True, parallax_gain), names[1]: figure(4, None, mean_of)}


def _own_motion(results: Sequence[Result]) -> Tally:
    chosen = _of(results, "own_motion")
    pairs = [result.numbers["own_motion"] for result in chosen]
    return _tally(
        chosen,
        pairs,
        {"true_game": 1.0, "copy_last": 0.0},
        "share",
        "not covered: nothing moves by itself in the scenes",
        None,
        ratio_of,
    )


def _creatures(bench: Bench, results: Sequence[Result]) -> Tally | Figure:
    """Where there are creatures, what moves by itself is they (and torches, and CoinRun's saws)."""
    hit = next((kind for kind in KINDS.get(bench.config.game.name, ()) if kind.name == "hit"), None)
    if hit is not None and not covered(hit, bench.config.game.config):
        return not_computed("undefined", f"not covered: the game has {hit.needs} 0", "share")
    return _own_motion(results)
