"""The benchmark's arithmetic is right, and it measures a real server: pytest tests/play/test_bench.py."""

from __future__ import annotations

import pytest

from paracosm.core.errors import WorldError
from paracosm.play.bench import WARM_UP_FRAMES, bench_world, capacity_figures, latencies_ms, pacing_figures
from paracosm.play.watch import Arrival, Watched
from tests.play.little_worlds import RoomWorld, ShowingWorld


def arrivals(times: list[float], *, seq: int = 0) -> list[Arrival]:
    return [Arrival(at_s=at, index=number, seq=seq, step_ms=5.0) for number, at in enumerate(times)]


def watched(frames: list[Arrival], pressed: dict[int, float] | None = None, dropped: int = 0) -> Watched:
    return Watched(opened_s=0.0, pressed_s=pressed or {}, arrivals=frames, dropped=dropped)


def warm(times: list[float]) -> list[float]:
    """Put the frames of the warm-up, which do not count, before these."""
    return [times[0] - 9.0 + 0.1 * number for number in range(WARM_UP_FRAMES)] + times


def test_frames_at_their_pace_keep_every_deadline() -> None:
    figures = pacing_figures(arrivals(warm([0.1 * number for number in range(31)])), 0.1)
    assert figures["play.deadline_share"].value == 1.0
    assert figures["play.stall_share"].value == 0.0
    assert figures["play.frame_interval_ms.p50"].value == pytest.approx(100.0)
    assert figures["play.deadline_share"].n == 30


def test_one_late_frame_misses_one_deadline_and_stalls_by_its_lateness() -> None:
    times = [0.1 * number + (0.3 if number > 10 else 0.0) for number in range(31)]
    figures = pacing_figures(arrivals(warm(times)), 0.1)
    assert figures["play.deadline_share"].value == pytest.approx(29 / 30)
    assert figures["play.stall_share"].value == pytest.approx(0.3 / 3.3)


def test_jitter_within_the_slack_keeps_every_deadline() -> None:
    times = [0.1 * number + (0.03 if number % 2 else 0.0) for number in range(31)]
    assert pacing_figures(arrivals(warm(times)), 0.1)["play.deadline_share"].value == 1.0


def test_a_world_slower_than_its_pace_stalls() -> None:
    figures = pacing_figures(arrivals(warm([0.2 * number for number in range(31)])), 0.1)
    assert figures["play.deadline_share"].value == 0.0
    assert figures["play.stall_share"].value == pytest.approx(0.5)


def test_a_key_is_answered_by_the_first_later_frame_with_its_number() -> None:
    frames = [
        Arrival(at_s=0.1, index=1, seq=0, step_ms=1),
        Arrival(at_s=0.2, index=2, seq=1, step_ms=1),
        Arrival(at_s=0.3, index=3, seq=3, step_ms=1),
    ]
    found = latencies_ms(watched(frames, {1: 0.15, 2: 0.21, 3: 0.25, 4: 0.29}))
    assert found == pytest.approx([50.0, 90.0, 50.0])


def test_time_between_episodes_is_not_play() -> None:
    first = [Arrival(at_s=0.1 * n, index=n, seq=0, step_ms=4.0, episode=0) for n in range(40)]
    second = [Arrival(at_s=60 + 0.1 * n, index=n, seq=0, step_ms=4.0, episode=1) for n in range(40)]
    figures = capacity_figures(watched(first + second, dropped=20))
    assert figures["play.frames_per_second"].value == pytest.approx(10.0)
    assert figures["play.dropped_share"].value == pytest.approx(0.2)


def test_too_few_frames_are_said_to_be_too_few() -> None:
    figure = capacity_figures(watched(arrivals([0.0, 0.1])))["play.frames_per_second"]
    assert (figure.status, figure.value) == ("failed", None)
    assert figure.reason == f"only 2 frames came, {WARM_UP_FRAMES + 2} are needed"
    assert pacing_figures(arrivals([0.0]), 0.1)["play.deadline_share"].status == "failed"


def test_a_real_server_is_measured_by_a_real_viewer() -> None:
    world = RoomWorld()
    figures = bench_world(world, 3.0)
    assert figures["play.frames_per_second"].value > 1
    assert figures["play.key_to_screen_ms.p50"].value > 0
    assert figures["play.key_to_screen_ms.p50"].value <= figures["play.key_to_screen_ms.p95"].value
    assert 0 <= figures["play.deadline_share"].value <= 1
    assert figures["play.first_frame_s"].value > 0
    assert figures["play.peak_memory_mb"].value > 10
    assert (figures["play.height"].value, figures["play.tokens_per_frame"].value) == (96, 12)
    world.reset(0)  # it was left open


def test_a_world_whose_episodes_end_is_begun_again() -> None:
    world = ShowingWorld(ends_at=25)
    assert bench_world(world, 2.0)["play.frames_per_second"].status == "ok"
    assert len(world.seen) > 25


def test_too_short_a_run_is_refused() -> None:
    with pytest.raises(WorldError, match="1 s are too short to measure play; give 2 or more"):
        bench_world(ShowingWorld(), 1.0)
