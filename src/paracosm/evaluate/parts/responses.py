"""How a world answers: every control held from one start, then released, in the world and in the true game.

From these runs follow Genie's Delta_t PSNR, the action margin, the counterfactual spread, the frames until a
key's effect shows, the stop time after release, and whether keys held together both act. The true game under
the same controls from the same state is the truth of every one of them. This file does NOT know networks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from paracosm.core.controls import IDLE, Control, ControlSpace
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.long_runs import MOVEMENT_KEYS
from paracosm.evaluate.metrics.responses import (
    action_margin,
    changed_share,
    delta_psnr_db,
    effect_delay,
    spread_of_responses,
    stop_time,
    together_margin_db,
)
from paracosm.evaluate.part import Measured, Result, SkippedUnitError, Tally, Unit, UnitResult, ratio_of
from paracosm.evaluate.quality import PSNR_CAP_DB, motion, psnr_db

MOMENTS = (1, 4, 16)
"""Steps after which answers are compared; a control is held for the last of them."""
RELEASED_STEPS = 16
"""Steps that are watched after the release."""
TOGETHER_STEP = 8
"""Step at which two controls held together are judged."""
TURN_DEG = 4.0
"""Turn a step of the turning controls, where the limit allows it."""
CALM_GREY_LEVELS = 0.5
"""Motion that is calm in any game."""
CALM_FACTOR = 1.5
"""Motion is calm up to this many times that of the true game left alone."""
TELLING_SHARE = 0.01
"""Share of pixels by which the true game must tell two controls apart, else they are not judged."""
TOGETHER_DB = 0.5
"""Margin from which two controls count as both acting."""

Clips = Mapping[str, np.ndarray]
"""Frames uint8 (t, h, w, 3) by the name of the control that led to them."""


@dataclass(frozen=True, kw_only=True)
class Responses:
    """Answers to every control of a world, held alone and two together."""

    num_cases: int
    """starts; half as many of unseen levels, where there are both"""

    name: ClassVar[str] = "responses"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a start."""
        steps = MOMENTS[-1] + RELEASED_STEPS
        controls = single_controls(bench.info.controls)
        total = 2 * steps * (len(controls) + len(pairs_of(bench.info.controls)))
        return [
            Unit(key=name, case=name, steps=total) for name in bench.cases(self.num_cases, steps, near=True)
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Play every control in both worlds and measure the answers."""
        space = bench.info.controls
        singles, pairs = single_controls(space), pairs_of(space)
        if len(singles) < 2:
            raise SkippedUnitError("the world offers no key and no turn")
        case = bench.cases(self.num_cases, MOMENTS[-1] + RELEASED_STEPS, near=True)[unit.case]
        own, truth = {}, {}
        for name, control in (singles | {name: both for name, (both, _) in pairs.items()}).items():
            controls = (control,) * MOMENTS[-1] + (IDLE,) * RELEASED_STEPS
            rollout = replace(case.rollout, controls=controls)
            frames, told = bench.play_true(rollout)
            if any(one.get("ended") for one in told):
                continue  # the true game left this state: nothing can be compared
            truth[name], own[name] = frames, bench.play(rollout)
        alone = [name for name in singles if name in truth]
        start = case.rollout.start[-1:]
        numbers: dict[str, Any] = {"controls": alone}
        if len(alone) >= 2:
            numbers |= {f"at_{step}": _compare(own, truth, alone, step) for step in MOMENTS}
        if "idle" in alone:
            numbers["delay"] = _delays(own, truth, alone)
            numbers["stop"] = _stops(own, truth, [one for one in alone if moves(singles[one])], start)
        numbers["together"] = _together(own, truth, pairs)
        return UnitResult(numbers=numbers)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """All figures; each from the cases that can judge it."""
        figures: dict[str, Tally] = {}
        for step in MOMENTS:
            figures |= _compare_tallies(results, step)
        return figures | _delay_tallies(results) | _stop_tallies(results) | _together_tallies(results)


def single_controls(space: ControlSpace) -> dict[str, Control]:
    """Every control that a world offers, alone, by name; "idle" first."""
    controls = {"idle": IDLE} | {key: Control({key}) for key in space.keys}
    turn = min(space.look_limit[0], TURN_DEG)
    if turn:
        controls |= {"turn_right": Control(look=(turn, 0.0)), "turn_left": Control(look=(-turn, 0.0))}
    return controls


def pairs_of(space: ControlSpace) -> dict[str, tuple[Control, tuple[str, str]]]:
    """Two controls at once that do not undo each other: the control of both, and the names of each."""
    movement = [key for key in space.keys if key in MOVEMENT_KEYS]
    against = [{"forward", "back"}, {"left", "right"}, {"up", "down"}]
    found = {
        f"{one}_{two}": (Control({one, two}), (one, two))
        for one, two in itertools.combinations(movement, 2)
        if {one, two} not in against
    }
    turn = min(space.look_limit[0], TURN_DEG)
    if turn:
        for key in movement:
            found[f"{key}_turn"] = (Control({key}, (turn, 0.0)), (key, "turn_right"))
    return found


def moves(control: Control) -> bool:
    """Tell whether a control moves the player or the camera."""
    return bool(control.keys & MOVEMENT_KEYS) or control.look != (0.0, 0.0)


def _compare(own: Clips, truth: Clips, names: Sequence[str], step: int) -> dict[str, Any]:
    """Delta PSNR, margin and spread of single controls after some steps, of the world and of the truth."""
    shown = {"world": _frames(own, names, step), "true_game": _frames(truth, names, step)}
    real = shown["true_game"]
    telling = _differ(real)
    found: dict[str, Any] = {}
    for who, frames in shown.items():
        # errors[a, b]: what control b shows, against what control a truly leads to
        errors = np.stack([[_mse(frame, target) for frame in frames] for target in real])
        decibels = np.stack([psnr_db(frames, np.repeat(one[None], len(frames), axis=0)) for one in real])
        right, wrong = np.diag(decibels), (decibels.sum(axis=1) - np.diag(decibels)) / (len(names) - 1)
        found[who] = {
            "delta": float(delta_psnr_db(right, wrong).mean()),
            "spread": spread_of_responses(frames),
            **_margins(errors, telling),
        }
    return found


def _margins(errors: np.ndarray, telling: np.ndarray) -> dict[str, float | int | None]:
    """Margins over the controls that the true game tells apart, and in how many they are above 0."""
    margins = []
    for row in range(len(errors)):
        others = np.flatnonzero(telling[row])
        if len(others):
            margins.append(float(action_margin(errors[row, row : row + 1], errors[row, others][None])[0]))
    if not margins:
        return {"margin": None, "above": 0, "judged": 0}
    return {
        "margin": float(np.mean(margins)),
        "above": sum(one > 0 for one in margins),
        "judged": len(margins),
    }


def _delays(own: Clips, truth: Clips, names: Sequence[str]) -> dict[str, Any]:
    """Frames until each control shows, of those that show in the true game; None where they never do."""
    found = {}
    for name in names:
        held = slice(0, MOMENTS[-1])
        real = effect_delay(truth[name][held], truth["idle"][held]) if name != "idle" else None
        if real is not None:
            found[name] = {"true_game": real, "world": effect_delay(own[name][held], own["idle"][held])}
    return found


def _stops(own: Clips, truth: Clips, names: Sequence[str], start: np.ndarray) -> dict[str, Any]:
    """Steps until the picture is calm after a release, of the controls that do so in the true game."""
    calm = max(CALM_GREY_LEVELS, CALM_FACTOR * float(np.median(motion(truth["idle"]))))
    found = {}
    for name in names:
        real = _stop(np.concatenate([start, truth[name]]), calm)
        if real is not None:
            found[name] = {"true_game": real, "world": _stop(np.concatenate([start, own[name]]), calm)}
    return found


def _stop(clip: np.ndarray, calm: float) -> int | None:
    steps = motion(clip)
    held = steps[: MOMENTS[-1]]
    if np.median(held) <= calm:
        return None  # it never moved: standing still is no stopping
    return stop_time(steps[MOMENTS[-1] :], calm)


def _together(
    own: Clips, truth: Clips, pairs: Mapping[str, tuple[Control, tuple[str, str]]]
) -> dict[str, Any]:
    """Margin of two controls over the better of each, where both matter in the true game."""
    found = {}
    for name, (_, parts) in pairs.items():
        if name not in truth or not all(part in truth for part in parts):
            continue
        real = _frames(truth, (name, *parts), TOGETHER_STEP)
        if not _differ(real)[0, 1:].all():
            continue
        target = np.repeat(real[:1], 3, axis=0)
        scores = {
            who: psnr_db(frames, target)
            for who, frames in (("world", _frames(own, (name, *parts), TOGETHER_STEP)), ("true_game", real))
        }
        found[name] = {
            who: float(together_margin_db(score[:1], score[None, 1:])[0]) for who, score in scores.items()
        }
    return found


def _compare_tallies(results: Sequence[Result], step: int) -> dict[str, Tally]:
    key = f"at_{step}"
    played = [one for one in results if key in one.numbers]
    judged = [one for one in played if one.numbers[key]["true_game"]["judged"]]

    def column(which: Sequence[Result], who: str, *names: str) -> np.ndarray:
        rows = np.array([[one.numbers[key][who][name] for name in names] for one in which], float)
        return rows.reshape(len(which), len(names))

    def cases(which: Sequence[Result]) -> tuple[str, ...]:
        return tuple(one.unit.case for one in which)

    nothing: dict[str, float] = {"copy_last": 0.0, "no_control": 0.0}
    spread = np.hstack([column(played, "world", "spread"), column(played, "true_game", "spread")])
    return {
        f"control.delta_psnr_db@{step}": Tally(
            cases=cases(played),
            world=column(played, "world", "delta")[:, 0],
            anchors={"true_game": column(played, "true_game", "delta")[:, 0], **nothing},
            unit="dB",
        ),
        f"control.action_margin@{step}": Tally(
            cases=cases(judged),
            world=column(judged, "world", "margin")[:, 0],
            anchors={"true_game": column(judged, "true_game", "margin")[:, 0], **nothing},
            unit="grey levels²",
            reason="no start tells two controls apart in the true game",
        ),
        f"control.action_margin_share@{step}": Tally(
            cases=cases(judged),
            world=column(judged, "world", "above", "judged"),
            combine=ratio_of,
            anchors={"true_game": column(judged, "true_game", "above", "judged"), **nothing},
            unit="share",
            reason="no start tells two controls apart in the true game",
        ),
        f"control.spread_share@{step}": Tally(
            cases=cases(played),
            world=spread,
            combine=ratio_of,
            anchors={"true_game": 1.0, **nothing},
            unit="share",
            higher_is_better=None,
            reason="the true game answers all controls alike",
        ),
    }


def _delay_tallies(results: Sequence[Result]) -> dict[str, Tally]:
    """Frames until the effect; one that never shows counts as a frame more than were watched."""
    never = MOMENTS[-1] + 1
    rows = _rows(results, "delay", lambda value: never if value is None else value)
    missed = _rows(results, "delay", lambda value: float(value is None))
    reason = "no control shows an effect in the true game"
    ends: dict[str, float] = {"copy_last": float(never), "no_control": float(never)}
    lost: dict[str, float] = {"true_game": 0.0, "copy_last": 1.0, "no_control": 1.0}
    return {
        "control.effect_delay": _pooled(rows, "frames", reason, ends),
        "control.effect_missed_share": _pooled(missed, "share", reason, lost),
    }


def _stop_tallies(results: Sequence[Result]) -> dict[str, Tally]:
    """Stop time, and how far it is from the true one; a world that never stops counts all steps watched."""
    rows = _rows(results, "stop", lambda value: RELEASED_STEPS if value is None else value)
    wrong = {case: (np.abs(pair[:, 0] - pair[:, 1]).sum(), len(pair)) for case, pair in rows.items()}
    reason = "no control moves the picture and stops within the steps watched in the true game"
    error = Tally(
        cases=tuple(wrong),
        world=np.array(list(wrong.values()), float).reshape(-1, 2),
        combine=ratio_of,
        anchors={"true_game": 0.0},
        unit="steps",
        higher_is_better=False,
        reason=reason,
    )
    stop = replace(_pooled(rows, "steps", reason, {}), higher_is_better=None)
    return {"control.stop_steps": stop, "control.stop_error_steps": error}


def _together_tallies(results: Sequence[Result]) -> dict[str, Tally]:
    reason = "no two controls held together differ from each alone in the true game"
    margins = _rows(results, "together", lambda value: min(float(value), PSNR_CAP_DB))
    act = _rows(results, "together", lambda value: float(value > TOGETHER_DB))
    nothing: dict[str, float] = {"copy_last": 0.0, "no_control": 0.0}
    return {
        "control.together_margin_db": replace(_pooled(margins, "dB", reason, nothing), higher_is_better=True),
        "control.together_share": replace(_pooled(act, "share", reason, nothing), higher_is_better=True),
    }


def _rows(results: Sequence[Result], kind: str, number: Any) -> dict[str, np.ndarray]:
    """Pairs (world, true game) of every control of each case that has any."""
    return {
        one.unit.case: np.array(
            [[number(pair["world"]), number(pair["true_game"])] for pair in one.numbers[kind].values()], float
        )
        for one in results
        if one.numbers.get(kind)
    }


def _pooled(rows: Mapping[str, np.ndarray], unit: str, reason: str, known: Mapping[str, float]) -> Tally:
    """Mean over all controls of all cases: sum of a case and how many, so that cases resample whole."""
    sums = np.array([[*pairs.sum(axis=0), len(pairs)] for pairs in rows.values()], float).reshape(-1, 3)
    return Tally(
        cases=tuple(rows),
        world=sums[:, [0, 2]],
        combine=ratio_of,
        anchors={"true_game": sums[:, [1, 2]], **known},
        unit=unit,
        higher_is_better=False,
        reason=reason,
    )


def _frames(clips: Clips, names: Sequence[str], step: int) -> np.ndarray:
    return np.stack([clips[name][step - 1] for name in names])


def _differ(frames: np.ndarray) -> np.ndarray:
    """Tell for each pair of pictures whether they differ clearly; bool (n, n)."""
    return np.stack(
        [changed_share(frames, np.repeat(one[None], len(frames), axis=0)) >= TELLING_SHARE for one in frames]
    )


def _mse(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.square(one.astype(np.float32) - other.astype(np.float32)).mean(dtype=np.float64))
