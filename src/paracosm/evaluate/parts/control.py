"""Control read back from the frames: F1 of each key, error and sign of the turn, as shares of real frames'.

This file does NOT play worlds; it reads what the parts "short" and "long" kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paracosm.core.controls import ControlSpace
from paracosm.core.figures import not_computed
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.cases import START_FRAMES, Run
from paracosm.evaluate.control import (
    KeyCounts,
    Reader,
    count_keys,
    f1,
    sum_turns,
    turn_error_of,
    turn_explained_of,
    turn_sign_of,
    why_undefined,
)
from paracosm.evaluate.long_runs import READ_STEPS, read_copied, read_rows, read_segments, read_truth
from paracosm.evaluate.part import Measured, Result, Tally, Unit, UnitResult
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE

from .short import VARIANTS, shown

CONTROL_STEPS = 16
"""Steps over which control is read back: about a second."""
NO_READER = "no inverse dynamics was given; train it on real recordings and name its model folder"
"""Why control is not read back without a reader."""

Readings = Mapping[str, Sequence[np.ndarray]]
"""Of "world", "true_game" and whichever anchors there are: (steps, keys + axes) a case."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """Control over the first CONTROL_STEPS steps of the short runs, which must be one step longer."""

    num_cases: int
    """as for the short runs"""
    steps: int
    """as for the short runs"""

    name: ClassVar[str] = "control"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("short",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a case that was played; none without a reader."""
        played = bench.results("short") if bench.reader is not None else []
        return [Unit(key=one.unit.key, case=one.unit.case) for one in played]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Read the controls of one case off every variant's frames."""
        case = bench.cases(self.num_cases, self.steps)[unit.case]
        frames = shown(case, bench.result("short", unit.key))
        assert bench.reader is not None
        arrays = {"asked": bench.info.controls.to_vectors(case.rollout.controls)[:CONTROL_STEPS]}
        for name, clip in frames.items():
            whole = np.concatenate([case.rollout.start, clip])
            arrays[name] = read_steps(bench.reader, whole)[:CONTROL_STEPS]
        return UnitResult(arrays=arrays)

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """Every key, the macro share, and the turn."""
        if bench.reader is None:
            return _without_reader(bench.info.controls)
        return control_tallies(bench, results, ("world", *VARIANTS))


@dataclass(frozen=True, kw_only=True)
class LateControl:
    """Control over the READ_STEPS steps before given moments of the long runs."""

    num_runs: int
    """as for the long runs"""
    steps: int
    """as for the long runs; 0 as there"""
    moments: tuple[int, ...] = (60, 120)
    """seconds after the start"""

    name: ClassVar[str] = "late_control"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("long",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit a run and moment that it reaches; none without a reader."""
        if bench.reader is None:
            return []
        return [
            Unit(key=f"{one.unit.key}.{seconds}s", case=one.unit.case, data={"seconds": seconds})
            for seconds in self.moments
            for one in bench.results("long")
            if not _too_short(bench, one.unit.data["steps"], seconds)
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Read one run before one moment: of the world, of the real frames, and of a picture that stays."""
        assert bench.reader is not None
        result = bench.result("long", unit.case)
        run = bench.runs(self.num_runs, result.unit.data["steps"])[unit.case]
        last = round(unit.data["seconds"] * bench.info.fps)
        rows = np.arange(last - READ_STEPS, last - FRAMES_AFTER)
        return UnitResult(arrays=_read_late(bench.reader, bench.info.controls, run, result, rows))

    def measure(self, bench: Bench, results: Sequence[Result]) -> Measured:
        """The figures of :class:`Control` with the moment behind their names."""
        figures = {}
        for seconds in self.moments:
            suffix = f"@{seconds}s"
            names = [f"control.{name}_share_of_ceiling{suffix}" for name in ("keys", "turn")]
            if bench.reader is None:
                figures |= {name: not_computed("skipped", NO_READER, "share") for name in names}
                continue
            chosen = [one for one in results if one.unit.data["seconds"] == seconds]
            lengths = {one.unit.data["steps"] for one in bench.results("long")}
            if not chosen and lengths and _too_short(bench, min(lengths), seconds):
                wanted = round(seconds * bench.info.fps)
                reason = f"the runs are {min(lengths)} steps long, {seconds} s are {wanted}"
                figures |= {name: not_computed("skipped", reason, "share") for name in names}
                continue
            figures |= control_tallies(bench, chosen, ("world", "true_game", "copy_last"), suffix)
        return figures


def control_tallies(
    bench: Bench, results: Sequence[Result], names: Sequence[str], suffix: str = ""
) -> Measured:
    """Turn readings that units kept into figures.

    Args:
        bench: the bench, with a reader.
        results: units that kept "asked" and an array of readings for each of ``names``.
        names: "world" and the anchors that were read. Without "shuffled", each unit's controls are judged on
            the next unit's readings.
        suffix: end of the figures' names, e.g. "@60s".
    """
    assert bench.reader is not None
    config, space = bench.reader.config, bench.info.controls
    cases = tuple(result.unit.case for result in results)
    asked = [result.array("asked") for result in results]
    # rows at a seam are left out, so units may differ: one length lets another's readings judge each
    length = min((len(rows) for rows in asked), default=0)
    asked = [rows[:length] for rows in asked]
    readings = {name: [result.array(name)[:length] for result in results] for name in names}
    if "shuffled" not in readings and len(results) > 1:
        readings["shuffled"] = readings["world"][1:] + readings["world"][:1]
    figures: dict[str, Tally | object] = dict(key_tallies(cases, readings, asked, config.keys, space, suffix))
    if "yaw" in config.look:
        column = len(config.keys) + list(config.look).index("yaw")
        figures |= turn_tallies(cases, readings, asked, column, suffix)
    else:
        figures |= _without_camera(suffix)
    return figures  # pyright: ignore[reportReturnType]


def read_steps(reader: Reader, clip: np.ndarray) -> np.ndarray:
    """Read the controls that act from the last start frame of a clip on.

    Args:
        reader: inverse dynamics.
        clip: uint8 (START_FRAMES + steps, h, w, 3).

    Returns:
        float32 (steps - 1, keys + axes): keys, then turn in degrees; the last step lacks the frame after it.
    """
    first = START_FRAMES - 1 - FRAMES_BEFORE
    rows = read_rows(reader, clip)[first:]
    assert len(rows) == len(clip) - START_FRAMES - FRAMES_AFTER + 1, rows.shape
    return rows


def key_tallies(
    cases: tuple[str, ...],
    readings: Readings,
    asked: Sequence[np.ndarray],
    keys: Sequence[str],
    space: ControlSpace,
    suffix: str = "",
) -> Measured:
    """F1 of each key, and the macro share of the ceiling.

    Args:
        cases: their names.
        readings: what was read.
        asked: control vectors (steps, width) of each case.
        keys: names of the keys read.
        space: the controls of the world.
        suffix: end of the figures' names.
    """
    columns = [space.keys.index(key) for key in keys]
    wanted = [rows[:, columns] for rows in asked]
    counts = {
        name: count_keys([rows[:, : len(keys)] for rows in units], wanted)
        for name, units in readings.items()
        if units
    }
    share = f"control.keys_share_of_ceiling{suffix}"
    if not counts:
        return {share: Tally(cases=(), world=np.empty((0, 2)), unit="share")}
    reasons = why_undefined(counts["true_game"])
    rows = {name: _rows(count) for name, count in counts.items()}
    figures = {}
    for index, (key, reason) in enumerate(zip(keys, reasons, strict=True)):
        name = f"control.f1.{key}{suffix}"
        figures[name] = (
            not_computed("undefined", reason, "F1")
            if reason
            else Tally(
                cases=cases,
                world=rows["world"][:, index],
                combine=_f1_of,
                anchors={one: rows[one][:, index] if one in rows else None for one in VARIANTS},
                unit="F1",
            )
        )
    judged = [index for index, reason in enumerate(reasons) if not reason]
    if not judged:
        figures[share] = not_computed("undefined", "real frames can judge none of the keys", "share")
        return figures
    beside = {name: np.stack([part, rows["true_game"]], axis=1)[:, :, judged] for name, part in rows.items()}
    figures[share] = Tally(
        cases=cases,
        world=beside["world"],
        combine=_share_of,
        anchors={one: beside.get(one) for one in VARIANTS},
        unit="share",
    )
    return figures


def turn_tallies(
    cases: tuple[str, ...], readings: Readings, asked: Sequence[np.ndarray], column: int, suffix: str = ""
) -> Measured:
    """Error, sign and share of the ceiling of the turn, read in one column; else as :func:`key_tallies`."""
    sums = {
        name: np.array(
            [sum_turns(rows[:, column], one[:, -2]) for rows, one in zip(units, asked, strict=True)]
        )
        for name, units in readings.items()
    }
    anchors = {name: sums.get(name) for name in VARIANTS}
    rows = sums["world"].reshape(len(cases), -1)
    still = "no case turns the camera"
    figures: dict[str, Tally | object] = {
        f"control.turn_error_deg{suffix}": Tally(
            cases=cases,
            world=rows,
            combine=turn_error_of,
            anchors=anchors,
            unit="degrees",
            higher_is_better=False,
            reason=still,
        ),
        f"control.turn_sign_accuracy{suffix}": Tally(
            cases=cases, world=rows, combine=turn_sign_of, anchors=anchors, unit="share", reason=still
        ),
    }
    name = f"control.turn_share_of_ceiling{suffix}"
    ceiling = turn_explained_of(sums["true_game"]) if cases else float("nan")
    if not ceiling >= 0.5:
        reason = (
            f"the reader explains {ceiling:.2f} of the turn on real frames; at least 0.5 is needed"
            if np.isfinite(ceiling)
            else still
        )
        figures[name] = not_computed("undefined", reason, "share")
    else:
        figures[name] = Tally(
            cases=cases, world=rows, combine=_Explained(ceiling), anchors=anchors, unit="share", reason=still
        )
    return figures  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class _Explained:
    """Share of the turn explained, over the same of real frames."""

    ceiling: float

    def __call__(self, rows: np.ndarray) -> float:
        return turn_explained_of(rows) / self.ceiling


def _rows(counts: KeyCounts) -> np.ndarray:
    """Hits and misses as (cases, keys, 3)."""
    return np.stack([counts.hit, counts.false, counts.missed], axis=-1)


def _f1_of(rows: np.ndarray) -> float:
    hit, false, missed = rows.sum(axis=0)
    return float(f1(hit, false, missed))


def _share_of(rows: np.ndarray) -> float:
    """Macro-F1 over that of real frames; rows (m, 2, keys, 3): of the world, and of real frames."""
    hit, false, missed = np.moveaxis(rows.sum(axis=0), -1, 0)
    own, real = f1(hit, false, missed)
    # a key that is neither held nor read has no F1: a world that never shows it scores nothing
    above, below = np.nan_to_num(own), real
    return float(above.mean() / below.mean()) if np.isfinite(below).all() and below.sum() > 0 else np.nan


def _read_late(
    reader: Reader, space: ControlSpace, run: Run, result: Result, rows: np.ndarray
) -> dict[str, np.ndarray]:
    frames, truth = result.array("world"), read_truth([run])[0]
    # frames[i] follows control i, so control i was given at frames[i - 1]; its window begins a frame earlier
    clip = frames[rows[0] - 1 - FRAMES_BEFORE : rows[-1] + FRAMES_AFTER]
    read = read_rows(reader, clip)
    real, whole = read_segments(run, truth, reader, rows, read.shape[1])
    return {
        "world": read[whole],
        "copy_last": read_copied(reader, clip)[whole],
        "true_game": real,
        "asked": space.to_vectors(run.rollout.controls)[rows[whole]],
    }


def _too_short(bench: Bench, steps: int, seconds: int) -> bool:
    last = round(seconds * bench.info.fps)
    return steps < last or last < READ_STEPS


def _without_reader(space: ControlSpace) -> Measured:
    units = {f"control.f1.{key}": "F1" for key in space.keys}
    units |= {"control.keys_share_of_ceiling": "share", "control.turn_share_of_ceiling": "share"}
    return {name: not_computed("skipped", NO_READER, unit) for name, unit in units.items()}


def _without_camera(suffix: str) -> Measured:
    units = {"turn_share_of_ceiling": "share"}
    if not suffix:
        units = {"turn_error_deg": "degrees", "turn_sign_accuracy": "share"} | units
    reason = "the world has no camera to turn"
    return {
        f"control.{name}{suffix}": not_computed("undefined", reason, unit) for name, unit in units.items()
    }
