"""What a world costs: frames a second, time to the first frame, memory, early and late.

Measured in a process of its own. Imports no torch, so that the process is as light as a player's. This file
does NOT know browsers; latency from key to screen is measured by the player's own benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paracosm.core.figures import Figure, not_computed
from paracosm.core.memory import peak_mb, resident_mb
from paracosm.core.stats import estimate

from .rollouts import Rollout, Subject, begin, fresh_process

WARM_UP_STEPS = 50
"""Steps left out: caches fill, the engine picks its kernels."""
SPEED_STEPS = 1000
"""Steps over which frames a second are measured."""
EARLY_STEP = 100
"""Where the cost of an early frame is taken."""
LATE_STEP = 10_000
"""Where the cost of a late frame is taken: ten minutes at 16 frames a second."""
HALF_SPAN = 50
"""Steps on either side of these whose median cost is taken."""
POWERCAP = Path("/sys/class/powercap")
"""Where Linux tells what the processor packages use."""
PERCENTILES = (50, 99)
"""Of the time of a step, over the same steps."""
BLOCKS = 10
"""Parts into which the timed steps are cut; their spread gives the interval."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one process measured.

    Attributes:
        first_frame_s: seconds from the start of the process to the first frame that answers a control.
        step_s: float64 (steps,), seconds of each step.
        memory_mb: resident memory at EARLY_STEP and at the end.
        peak_memory_mb: largest resident memory.
        details: what the world says of itself: size, steps, tokens.
        joules: energy of the processor packages over all steps; None where the machine does not tell it.
    """

    first_frame_s: float
    step_s: np.ndarray
    memory_mb: tuple[float, float]
    peak_memory_mb: float
    details: Mapping[str, str | int | float]
    joules: float | None = None


def time_world(subject: Subject, rollout: Rollout, steps: int, started: float) -> Timing:
    """Step a world as fast as it goes; called in a fresh process.

    Args:
        subject: the world.
        rollout: where to begin; its controls are repeated as often as needed.
        steps: how many steps.
        started: ``time.time()`` when the process was asked for.
    """
    world = subject.open()
    begin(world, rollout)
    controls = rollout.controls
    world.step(controls[0])
    first_frame_s = time.time() - started
    step_s = np.empty(steps)
    early, energy = resident_mb(), read_energy()
    for index in range(steps):
        before = time.perf_counter()
        frame = world.step(controls[(index + 1) % len(controls)])
        step_s[index] = time.perf_counter() - before
        if index + 1 == EARLY_STEP:
            early = resident_mb()
        if frame.truth.get("ended"):
            world.reset(rollout.seed)
    late, joules = resident_mb(), joules_since(energy)
    world.close()
    details = {"height": world.info.height, "width": world.info.width, **world.info.details}
    return Timing(
        first_frame_s=first_frame_s,
        step_s=step_s,
        memory_mb=(early, late),
        peak_memory_mb=peak_mb(),
        details=details,
        joules=joules,
    )


def measure_speed(subject: Subject, rollout: Rollout, steps: int) -> dict[str, Figure]:
    """Time a world in a fresh process with all cores, and give its figures.

    Args:
        subject: the world.
        rollout: where to begin.
        steps: LATE_STEP + HALF_SPAN for every figure; fewer leave out the late ones, with the reason.
    """
    with fresh_process() as pool:
        timing = pool.submit(time_world, subject, rollout, steps, time.time()).result()
    return speed_figures(timing)


def speed_figures(timing: Timing) -> dict[str, Figure]:
    """Turn a timing into figures."""
    steady = timing.step_s[WARM_UP_STEPS : WARM_UP_STEPS + SPEED_STEPS]
    figures: dict[str, Figure] = {}
    if len(steady) < BLOCKS:
        reason = f"only {len(timing.step_s)} steps were timed"
        figures["engine.frames_per_second"] = not_computed("skipped", reason, "frames/s")
    else:
        rates = np.array([len(block) / block.sum() for block in np.array_split(steady, BLOCKS)])
        figures["engine.frames_per_second"] = Figure(
            value=len(steady) / float(steady.sum()), unit="frames/s", n=len(steady), ci95=estimate(rates).ci95
        )
        for percentile in PERCENTILES:
            figures[f"engine.step_ms.p{percentile}"] = Figure(
                value=1e3 * float(np.percentile(steady, percentile)),
                unit="ms",
                n=len(steady),
                higher_is_better=False,
            )
    figures["engine.first_frame_s"] = Figure(value=timing.first_frame_s, unit="s", higher_is_better=False)
    figures["engine.peak_memory_mb"] = Figure(value=timing.peak_memory_mb, unit="MB", higher_is_better=False)
    figures["engine.joules_per_frame"] = (
        not_computed("skipped", f"{POWERCAP} tells no energy on this machine", "J")
        if timing.joules is None
        else Figure(value=timing.joules / len(timing.step_s), unit="J", higher_is_better=False)
    )
    for name in ("height", "width", "denoise_steps", "tokens_per_frame"):
        value = timing.details.get(name)
        if isinstance(value, int | float):
            figures[f"engine.{name}"] = Figure(value=value, higher_is_better=None)
    return figures | _late_figures(timing)


def _late_figures(timing: Timing) -> dict[str, Figure]:
    names = {f"engine.cost_ratio@{LATE_STEP}": "ratio", f"engine.memory_growth_mb@{LATE_STEP}": "MB"}
    if len(timing.step_s) < LATE_STEP + HALF_SPAN:
        reason = f"only {len(timing.step_s)} steps were played, {LATE_STEP + HALF_SPAN} are needed"
        return {name: not_computed("skipped", reason, unit) for name, unit in names.items()}
    early, late = (
        float(np.median(timing.step_s[step - HALF_SPAN : step + HALF_SPAN]))
        for step in (EARLY_STEP, LATE_STEP)
    )
    growth = timing.memory_mb[1] - timing.memory_mb[0]
    ratio_name, growth_name = names
    return {
        ratio_name: Figure(value=late / early, unit="ratio", n=2 * HALF_SPAN, higher_is_better=False),
        growth_name: Figure(value=growth, unit="MB", higher_is_better=False),
    }


def read_energy(powercap: Path = POWERCAP) -> dict[Path, int]:
    """Microjoules that each processor package has counted so far; {} where none may be read.

    Source: the Linux kernel's powercap interface; zones of one colon are whole packages.
    """
    counted = {}
    for zone in sorted(powercap.glob("*-rapl:*")):
        if zone.name.count(":") == 1:
            try:
                counted[zone] = int((zone / "energy_uj").read_text())
            except OSError:  # often readable by root alone
                continue
    return counted


def joules_since(before: Mapping[Path, int]) -> float | None:
    """Joules that the packages used since they were read, counters that began again at 0 included."""
    if not before:
        return None
    used = 0
    for zone, start in before.items():
        end = int((zone / "energy_uj").read_text())
        used += end - start if end >= start else end - start + int((zone / "max_energy_range_uj").read_text())
    return used / 1e6
