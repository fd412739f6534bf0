"""Figures of short free runs from held-out starts: fidelity by horizon, sharpness, and control read back.

Each figure stands beside its anchors: the same measured on the true frames, on the last start frame copied,
on the world under the controls of another case, and on the world without control. This file does NOT play
worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from paracosm.core.controls import IDLE, ControlSpace
from paracosm.core.figures import Figure, figure_of, not_computed
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.stats import estimate, paired_difference
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE

from .cases import START_FRAMES, Case
from .control import (
    KeyCounts,
    Reader,
    count_keys,
    key_f1,
    share_of_ceiling,
    turn_error_deg,
    turn_explained,
    turn_sign_accuracy,
    why_undefined,
)
from .intervals import interval_of, ratio
from .quality import psnr_db, sharpness
from .rollouts import Subject, play_all

HORIZONS = (1, 4, 8, 16, 32)
"""Steps after which fidelity is measured."""
CONTROL_STEPS = 16
"""Steps over which control is read back: about a second."""
VARIANTS = ("true_game", "copy_last", "shuffled", "no_control")
"""The four anchors, in the order in which they are shown."""


@dataclass(frozen=True, kw_only=True)
class ShortRuns:
    """The frames of all cases: of the world, and of the four anchors.

    Attributes:
        cases: where they began.
        world: uint8 (steps, h, w, 3) of each case.
        anchors: the same for each of :data:`VARIANTS`.
    """

    cases: Sequence[Case]
    world: Sequence[np.ndarray]
    anchors: Mapping[str, Sequence[np.ndarray]]

    def clips(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Put the true start before each run."""
        pairs = zip(self.cases, frames, strict=True)
        return [np.concatenate([case.rollout.start, run]) for case, run in pairs]


def play_short(
    subject: Subject, cases: Sequence[Case], workers: int, progress: ProgressMaker = no_progress
) -> ShortRuns:
    """Play every case under its own controls, under another case's, and under none."""
    own = [case.rollout for case in cases]
    swapped = [
        replace(rollout, controls=own[other].controls)
        for rollout, other in zip(own, _others(len(own)), strict=True)
    ]
    idle = [replace(rollout, controls=(IDLE,) * len(rollout.controls)) for rollout in own]
    played = play_all(subject, [*own, *swapped, *idle], workers, progress, "play cases")
    count = len(cases)
    copies = [np.repeat(case.rollout.start[-1:], len(case.truth), axis=0) for case in cases]
    anchors = {
        "true_game": [case.truth for case in cases],
        "copy_last": copies,
        "shuffled": played[count : 2 * count],
        "no_control": played[2 * count :],
    }
    return ShortRuns(cases=cases, world=played[:count], anchors=anchors)


def measure_fidelity(runs: ShortRuns) -> dict[str, Figure]:
    """PSNR and sharpness after 1, 4, 8, 16 and 32 steps, and how far above copy and shuffled controls."""
    figures: dict[str, Figure] = {}
    for horizon in HORIZONS:
        names = [
            f"fidelity.{name}@{horizon}" for name in ("psnr_db", "gain_over_copy_db", "gain_over_shuffled_db")
        ]
        if len(runs.cases[0].truth) < horizon:
            reason = f"the cases are {len(runs.cases[0].truth)} steps long"
            figures |= {name: not_computed("skipped", reason, "dB") for name in names}
            figures[f"fidelity.sharpness_share@{horizon}"] = not_computed("skipped", reason, "share")
            continue
        truth = _after(runs.anchors["true_game"], horizon)
        own = psnr_db(_after(runs.world, horizon), truth)
        beside = {name: psnr_db(_after(runs.anchors[name], horizon), truth) for name in VARIANTS}
        means = {name: float(values.mean()) for name, values in beside.items()}
        figures[names[0]] = figure_of(estimate(own), "dB", anchors=means)
        figures[names[1]] = figure_of(paired_difference(own, beside["copy_last"]), "dB")
        figures[names[2]] = figure_of(paired_difference(own, beside["shuffled"]), "dB")
        figures[f"fidelity.sharpness_share@{horizon}"] = _sharpness_share(runs, horizon)
    return figures


def measure_control(
    runs: ShortRuns, reader: Reader, keys: Sequence[str], look: Sequence[str], space: ControlSpace
) -> dict[str, Figure]:
    """F1 of each key, error and sign of the turn, and both as a share of what is read on the true frames.

    Args:
        runs: short runs of at least CONTROL_STEPS + 1 steps.
        reader: inverse dynamics.
        keys: the keys that the reader reads, in its order.
        look: the axes that it reads, in its order.
        space: the controls of the world.
    """
    steps = slice(0, CONTROL_STEPS)
    asked = [space.to_vectors(case.rollout.controls)[steps] for case in runs.cases]
    readings = {
        name: [read_steps(reader, clip)[steps] for clip in runs.clips(frames)]
        for name, frames in {"world": runs.world, **runs.anchors}.items()
    }
    figures = key_figures(readings, asked, keys, space)
    if "yaw" in look:
        figures |= turn_figures(readings, asked, len(keys) + list(look).index("yaw"))
    else:
        reason = "the world has no camera to turn"
        names = {"turn_error_deg": "degrees", "turn_sign_accuracy": "share", "turn_share_of_ceiling": "share"}
        figures |= {
            f"control.{name}": not_computed("undefined", reason, unit) for name, unit in names.items()
        }
    return figures


def read_steps(reader: Reader, clip: np.ndarray) -> np.ndarray:
    """Read the controls that act from the last start frame of a clip on.

    Args:
        reader: inverse dynamics.
        clip: uint8 (START_FRAMES + steps, h, w, 3).

    Returns:
        float32 (steps - 1, keys + axes): keys, then turn in degrees; the last step lacks the frame after it.
    """
    reading = reader.read(clip)
    first = START_FRAMES - 1 - FRAMES_BEFORE
    rows = np.concatenate([reading.keys, reading.look], axis=1)[first:]
    assert len(rows) == len(clip) - START_FRAMES - FRAMES_AFTER + 1, rows.shape
    return rows


def key_figures(
    readings: Mapping[str, Sequence[np.ndarray]],
    asked: Sequence[np.ndarray],
    keys: Sequence[str],
    space: ControlSpace,
    suffix: str = "",
) -> dict[str, Figure]:
    """F1 of each key and the macro share of the ceiling.

    Args:
        readings: of "world", "true_game" and whichever anchors there are: (steps, keys + axes) a unit.
        asked: control vectors (steps, width) of each unit.
        keys: names of the keys read.
        space: the controls of the world.
        suffix: end of the figures' names, e.g. "@60s".
    """
    columns = [space.keys.index(key) for key in keys]
    wanted = [rows[:, columns] for rows in asked]
    counts = {
        name: count_keys([rows[:, : len(keys)] for rows in units], wanted) for name, units in readings.items()
    }
    reasons = why_undefined(counts["true_game"])
    figures: dict[str, Figure] = {}
    for index, (key, reason) in enumerate(zip(keys, reasons, strict=True)):
        name = f"control.f1.{key}{suffix}"
        if reason:
            figures[name] = not_computed("undefined", reason, "F1")
            continue
        scores = {one: _finite(float(np.nan_to_num(key_f1(count)[index]))) for one, count in counts.items()}
        figures[name] = Figure(
            value=scores["world"],
            unit="F1",
            n=len(asked),
            ci95=interval_of(_pick(counts["world"], index), len(asked)),
            anchors={one: scores.get(one) for one in VARIANTS},
        )
    figures[f"control.keys_share_of_ceiling{suffix}"] = _keys_share(counts, reasons, len(asked))
    return figures


def turn_figures(
    readings: Mapping[str, Sequence[np.ndarray]], asked: Sequence[np.ndarray], column: int, suffix: str = ""
) -> dict[str, Figure]:
    """Error, sign and share of the ceiling of the turn, read in one column; else as :func:`key_figures`."""
    wanted = [rows[:, -2] for rows in asked]
    read = {name: [rows[:, column] for rows in units] for name, units in readings.items()}

    def figure(score: Callable[[np.ndarray, np.ndarray], float], unit: str, higher: bool) -> Figure:
        def over(name: str, units: np.ndarray) -> float:
            return score(
                np.concatenate([read[name][i] for i in units]), np.concatenate([wanted[i] for i in units])
            )

        every = np.arange(len(wanted))
        if not np.isfinite(over("world", every)):
            return not_computed("undefined", "no case turns the camera", unit)
        return Figure(
            value=over("world", every),
            unit=unit,
            n=len(wanted),
            ci95=interval_of(lambda units: over("world", units), len(wanted)),
            higher_is_better=higher,
            anchors={name: _finite(over(name, every)) if name in read else None for name in VARIANTS},
        )

    figures = {
        f"control.turn_error_deg{suffix}": figure(turn_error_deg, "degrees", False),
        f"control.turn_sign_accuracy{suffix}": figure(turn_sign_accuracy, "share", True),
    }
    explained = figure(turn_explained, "share", True)
    ceiling = explained.anchors.get("true_game")
    name = f"control.turn_share_of_ceiling{suffix}"
    if explained.value is None or ceiling is None or ceiling < 0.5:
        reason = (
            explained.reason
            or f"the reader explains {ceiling} of the turn on real frames; at least 0.5 is needed"
        )
        return figures | {name: not_computed("undefined", reason, "share")}
    return figures | {name: _divide(explained, ceiling)}


def _divide(figure: Figure, ceiling: float) -> Figure:
    assert figure.value is not None
    return replace(
        figure,
        value=figure.value / ceiling,
        ci95=None if figure.ci95 is None else (figure.ci95[0] / ceiling, figure.ci95[1] / ceiling),
        anchors={name: None if value is None else value / ceiling for name, value in figure.anchors.items()},
    )


def _keys_share(counts: Mapping[str, KeyCounts], reasons: Sequence[str], num_units: int) -> Figure:
    judged = np.array([index for index, reason in enumerate(reasons) if not reason], int)
    if not len(judged):
        return not_computed("undefined", "real frames can judge none of the keys", "share")
    ceiling = counts["true_game"]
    return Figure(
        value=share_of_ceiling(counts["world"], ceiling, judged),
        unit="share",
        n=num_units,
        ci95=interval_of(lambda units: share_of_ceiling(counts["world"], ceiling, judged, units), num_units),
        anchors={
            name: share_of_ceiling(counts[name], ceiling, judged) if name in counts else None
            for name in VARIANTS
        },
    )


def _sharpness_share(runs: ShortRuns, horizon: int) -> Figure:
    truth = sharpness(_after(runs.anchors["true_game"], horizon))
    own = sharpness(_after(runs.world, horizon))
    beside = {name: ratio(sharpness(_after(runs.anchors[name], horizon)), truth) for name in VARIANTS}
    if not truth.sum() > 0:
        return not_computed("undefined", "the true frames are plain", "share")
    return Figure(
        value=ratio(own, truth),
        unit="share",
        n=len(own),
        ci95=interval_of(lambda units: ratio(own[units], truth[units]), len(own)),
        higher_is_better=None,
        anchors=beside,
    )


def _pick(counts: KeyCounts, index: int) -> Callable[[np.ndarray], float]:
    return lambda units: float(key_f1(counts, units)[index])


def _after(runs: Sequence[np.ndarray], horizon: int) -> np.ndarray:
    return np.stack([run[horizon - 1] for run in runs])


def _others(count: int) -> list[int]:
    """Pair each case with one half the list away: cases next to each other may come from one episode."""
    return [(index + max(1, count // 2)) % count for index in range(count)]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
