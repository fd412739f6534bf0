"""Frame times and memory over minutes are told truly, on made-up clocks and a real one."""

from __future__ import annotations

import numpy as np
import pytest

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError
from paracosm.core.memory import peak_mb, resident_mb
from paracosm.core.world import Frame
from paracosm.play.steadiness import NUM_SPANS, Span, measure_steadiness, steady_figures
from tests.play.little_worlds import FakeClock, ShowingWorld


class TimedWorld(ShowingWorld):
    """Each step moves the clock; every fiftieth takes ten times as long; after 3 minutes all are slower."""

    def __init__(self, clock: FakeClock, slower: float = 1.0, ends_at: int = 0) -> None:
        super().__init__(ends_at=ends_at)
        self.clock, self.slower, self.steps = clock, slower, 0

    def step(self, control: Control) -> Frame:
        self.steps += 1
        late = self.slower if self.clock.now > 100 + 180 else 1.0
        self.clock.now += 0.02 * late * (10 if self.steps % 50 == 0 else 1)
        return super().step(control)


def test_percentiles_and_their_ratio_are_those_of_the_steps() -> None:
    clock = FakeClock()
    figures = measure_steadiness(TimedWorld(clock), 5, clock=clock)
    assert figures["steady.frame_ms.p50"].value == pytest.approx(20, rel=0.005)
    assert figures["steady.frame_ms.p99"].value == pytest.approx(200, rel=0.005)
    assert figures["steady.frame_ms.p99_over_p50"].value == pytest.approx(10, rel=0.01)
    assert figures["steady.frame_ms.last_over_first"].value == pytest.approx(1, rel=0.005)
    assert figures["steady.frames_per_second"].value == pytest.approx(1 / 0.0236, rel=0.01)


def test_a_world_that_slows_down_and_grows_is_found() -> None:
    clock, held = FakeClock(), [100.0]

    def memory() -> float:
        held[0] += 0.5
        return held[0]

    figures = measure_steadiness(TimedWorld(clock, slower=1.5), 5, clock=clock, memory_mb=memory)
    assert figures["steady.frame_ms.last_over_first"].value == pytest.approx(1.5, rel=0.005)
    assert figures["steady.memory_growth_mb"].value == pytest.approx(0.5 * 90, rel=0.05)


def test_too_few_frames_are_no_figure() -> None:
    figures = steady_figures([Span() for _ in range(NUM_SPANS)], 0.1)
    assert figures["steady.memory_growth_mb"].status == "skipped"
    assert figures["steady.memory_growth_mb"].reason == "0 frames in 0.1 min; each of 10 parts needs 20"


def test_an_episode_that_ends_is_begun_again_and_every_control_is_offered() -> None:
    world = TimedWorld(clock := FakeClock(), ends_at=30)
    measure_steadiness(world, 1, clock=clock, seed=3)
    assert len(world.seen) > 1000
    assert len({control.keys for control in world.seen}) == 5
    assert min(control.look[0] for control in world.seen) < 0 < max(control.look[0] for control in world.seen)


def test_a_real_clock_serves_and_memory_is_read() -> None:
    figures = measure_steadiness(ShowingWorld(), 0.01)
    assert "steady.frame_ms.p50" in figures, "skipped with a reason where the machine was too busy"
    assert 10 < resident_mb() <= peak_mb() + 1


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 minutes are too few"):
        measure_steadiness(ShowingWorld(), 0)


def test_times_beyond_all_bins_are_counted_at_the_ends() -> None:
    span = Span()
    for seconds in (0.0, 1e-9, 1e6):
        span.add(seconds)
    assert span.frames == 3
    assert np.flatnonzero(span.counts).tolist() == [0, len(span.counts) - 1]
