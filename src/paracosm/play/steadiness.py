"""Whether a world keeps its pace and its memory for any number of minutes: frame times and memory over time.

The world is stepped in this process as fast as it goes, under keys held and turns made by chance from a seed.
What is measured is kept in arrays of fixed size, so that the measuring itself does not grow. This file does
NOT know the server; ``bench`` measures what a player sees of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError
from paracosm.core.figures import Figure, not_computed
from paracosm.core.memory import resident_mb
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.world import World

NUM_SPANS = 10
"""Equal parts into which the time is cut; the first is a warm-up for memory, and the others are compared."""
MIN_FRAMES = 20
"""Frames that a span needs for its percentiles."""
LOWEST_MS, HIGHEST_MS, NUM_BINS = 0.01, 100_000.0, 4096
"""Frame times are counted in this many bins, evenly spaced on a logarithmic scale: 0.4 % wide each."""
MIN_HOLD, MAX_HOLD = 4, 24
"""Steps for which a choice of keys and turn is held."""


@dataclass(kw_only=True)
class Span:
    """What one part of the time showed.

    Attributes:
        counts: frames by bin of their time.
        total_s: time of all frames.
        memory_mb: resident memory at its end.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(NUM_BINS, np.int64))
    total_s: float = 0.0
    memory_mb: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one frame."""
        self.counts[_bin(1000 * seconds)] += 1
        self.total_s += seconds

    @property
    def frames(self) -> int:
        """Frames counted."""
        return int(self.counts.sum())


def measure_steadiness(
    world: World,
    minutes: float,
    *,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    memory_mb: Callable[[], float] = resident_mb,
    progress: ProgressMaker = no_progress,
) -> dict[str, Figure]:
    """Play a world for some minutes as fast as it goes; an episode that ends is begun again.

    Args:
        world: open; it is left open.
        minutes: how long.
        seed: of the world and of the controls.
        clock: seconds, rising.
        memory_mb: resident memory now.
        progress: makes the progress line, in steps of a hundredth of the time.

    Returns:
        Figures by name, all beginning with "steady.".

    Raises:
        ConfigError: when ``minutes`` is not above 0.
    """
    if not minutes > 0:
        raise ConfigError(f"{minutes:g} minutes are too few; give a number above 0, e.g. 30")
    spans = [Span() for _ in range(NUM_SPANS)]
    controls = _Hands(world.info.controls, seed)
    world.reset(seed)
    line, shown = progress(f"steady {world.info.name}", 100, "percent", 0), 0
    begun = now = clock()
    while (share := (now - begun) / (60 * minutes)) < 1:
        span = spans[int(share * NUM_SPANS)]
        control = controls.next()
        before = clock()
        frame = world.step(control)
        now = clock()
        span.add(now - before)
        if frame.truth.get("ended"):
            world.reset(seed)
        if int(100 * share) > shown:
            shown = int(100 * share)
            span.memory_mb = memory_mb()
            line.update(shown, {"frames": sum(span.frames for span in spans)})
    spans[-1].memory_mb = memory_mb()
    line.close()
    return steady_figures(spans, minutes)


def steady_figures(spans: list[Span], minutes: float) -> dict[str, Figure]:
    """Turn what was counted into figures.

    Args:
        spans: in order.
        minutes: how long all of them lasted.
    """
    counts = sum((span.counts for span in spans), np.zeros(NUM_BINS, np.int64))
    frames = int(counts.sum())
    figures = {"steady.minutes": Figure(value=minutes, unit="min", higher_is_better=None)}
    names = {
        "steady.frames_per_second": "frames/s",
        "steady.frame_ms.p50": "ms",
        "steady.frame_ms.p99": "ms",
        "steady.frame_ms.p99_over_p50": "ratio",
        "steady.frame_ms.last_over_first": "ratio",
        "steady.memory_growth_mb": "MB",
    }
    if min(span.frames for span in spans) < MIN_FRAMES:
        reason = f"{frames} frames in {minutes:g} min; each of {NUM_SPANS} parts needs {MIN_FRAMES}"
        return figures | {name: not_computed("skipped", reason, unit) for name, unit in names.items()}
    low, high = _quantile_ms(counts, 0.5), _quantile_ms(counts, 0.99)
    early, late = _quantile_ms(spans[1].counts, 0.5), _quantile_ms(spans[-1].counts, 0.5)
    growth = spans[-1].memory_mb - spans[0].memory_mb
    values = [frames / sum(span.total_s for span in spans), low, high, high / low, late / early, growth]
    for (name, unit), value in zip(names.items(), values, strict=True):
        better = name == "steady.frames_per_second"
        figures[name] = Figure(value=value, unit=unit, n=frames, higher_is_better=better)
    return figures


class _Hands:
    """Keys held and turns made by chance, each for some steps."""

    def __init__(self, space: ControlSpace, seed: int) -> None:
        self._space, self._draw = space, stream(seed, "steady hands")
        self._left, self._control = 0, Control()

    def next(self) -> Control:
        if not self._left:
            self._left = int(self._draw.integers(MIN_HOLD, MAX_HOLD))
            self._control = self._choose()
        self._left -= 1
        return self._control

    def _choose(self) -> Control:
        space, draw = self._space, self._draw
        if space.num_latents:
            return Control(latent=int(draw.integers(space.num_latents)))
        keys = {space.keys[int(draw.integers(len(space.keys)))]} if space.keys else set()
        turn = draw.uniform(-1, 1) if draw.random() < 0.5 else 0.0
        return Control(keys=keys, look=(float(turn * space.look_limit[0]), 0.0))


def _bin(milliseconds: float) -> int:
    share = np.log(max(milliseconds, LOWEST_MS) / LOWEST_MS) / np.log(HIGHEST_MS / LOWEST_MS)
    return min(int(share * NUM_BINS), NUM_BINS - 1)


def _quantile_ms(counts: np.ndarray, share: float) -> float:
    """The middle of the bin that holds this share of the frames."""
    place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return float(LOWEST_MS * (HIGHEST_MS / LOWEST_MS) ** ((place + 0.5) / NUM_BINS))
