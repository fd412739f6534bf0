"""Between two ticks: what hands did is kept exactly once, and ticks keep their beat."""

from __future__ import annotations

import pytest

from paracosm.core.errors import WorldError
from paracosm.play.inputs import Hands, InputQueue
from paracosm.play.pacing import Pacer
from tests.play.little_worlds import FakeClock, ShowingWorld


def test_a_tap_shorter_than_a_tick_acts_in_exactly_one_step() -> None:
    queue, space = InputQueue(), ShowingWorld().info.controls
    queue.post(Hands(seq=1, held=frozenset({"Space"}), taps=frozenset({"Space"})))
    queue.post(Hands(seq=2))
    assert queue.take(space).control.keys == {"jump"}
    assert queue.take(space).control.keys == set()


def test_turns_between_two_ticks_are_summed_and_used_once() -> None:
    queue, space = InputQueue(), ShowingWorld().info.controls
    for seq in (1, 2, 3):
        queue.post(Hands(seq=seq, look=(1.5, -0.5)))
    assert queue.take(space).control.look == (4.5, -1.5)
    assert queue.take(space).control.look == (0.0, 0.0)


def test_a_flick_beyond_the_limit_goes_on_for_one_more_step_and_no_longer() -> None:
    queue, space = InputQueue(), ShowingWorld().info.controls
    queue.post(Hands(seq=1, look=(95.0, 0.0)))
    assert [queue.take(space).control.look[0] for _ in range(3)] == [10.0, 10.0, 0.0]


def test_a_held_turn_is_a_share_of_the_limit_in_every_step() -> None:
    queue, space = InputQueue(), ShowingWorld().info.controls
    queue.post(Hands(seq=1, turn=(0.5, -1.0)))
    assert [queue.take(space).control.look for _ in range(2)] == [(5.0, -5.0)] * 2


def test_codes_without_a_binding_mean_nothing() -> None:
    queue, space = InputQueue(), ShowingWorld().info.controls
    queue.post(Hands(seq=1, held=frozenset({"F5", "KeyW"})))
    assert queue.take(space).control.keys == {"forward"}


def test_the_newest_held_set_wins_and_its_number_is_echoed() -> None:
    queue, space = InputQueue(), ShowingWorld().info.controls
    queue.post(Hands(seq=1, clock=10.0, held=frozenset({"KeyW"})))
    queue.post(Hands(seq=2, clock=12.0, held=frozenset({"KeyS"})))
    taken = queue.take(space)
    assert (taken.control.keys, taken.seq, taken.clock) == ({"back"}, 2, 12.0)


def test_numbers_that_do_not_rise_are_refused() -> None:
    queue = InputQueue()
    queue.post(Hands(seq=3))
    with pytest.raises(ValueError, match="seq 3 came after 3; number messages upwards"):
        queue.post(Hands(seq=3))


def test_the_beat_is_steady_when_steps_start_a_little_late() -> None:
    clock = FakeClock()
    pacer = Pacer(10.0, clock)
    starts = []
    for lateness in (0.0, 0.03, 0.0, 0.05):
        clock.now += pacer.delay_s() + lateness
        starts.append(clock.now - 100.0)
        pacer.started()
    assert starts == pytest.approx([0.0, 0.13, 0.2, 0.35])


def test_a_missed_deadline_starts_the_beat_anew_instead_of_rushing() -> None:
    clock = FakeClock()
    pacer = Pacer(10.0, clock)
    pacer.started()
    clock.now += 0.75
    pacer.started()
    assert pacer.missed == 1
    assert pacer.delay_s() == pytest.approx(0.1)


def test_an_impossible_pace_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(WorldError, match="pace 100 is not possible; use 0 for unpaced, or 1/8 to 8"):
        Pacer(10.0, FakeClock()).set_factor(100)
