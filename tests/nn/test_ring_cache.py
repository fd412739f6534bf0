"""The ring keeps what its window says, in any order of slots, and never changes what it handed out."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from paracosm.nn.ring_cache import RingCache, RingPlan


@given(st.integers(0, 6), st.integers(0, 6), st.lists(st.integers(1, 4), max_size=8))
def test_the_plan_holds_the_sink_and_the_newest(size, sink, counts):
    sink = min(size, sink)
    plan = RingPlan(size=size, sink=sink)
    for count in counts:
        _, plan = plan.take(count)
    total = sum(counts)
    newest = range(max(sink, total - (size - sink)), total)
    assert sorted(plan.held) == [*range(min(sink, total)), *newest]
    assert plan.written == total


def test_positions_count_from_the_oldest_held_or_from_the_start():
    plan = RingPlan(size=4, sink=1)
    for _ in range(3):
        _, plan = plan.take(3)
    assert sorted(plan.held) == [0, 6, 7, 8]
    past, new = plan.positions(2, "window")
    assert dict(zip(plan.held, past, strict=True)) == {0: 0, 6: 1, 7: 2, 8: 3}
    assert new == [4, 5]
    assert plan.positions(2, "absolute") == (list(plan.held), [9, 10])


def test_slots_hold_the_frames_that_the_plan_names_and_old_rings_stay():
    ring = RingCache.empty(size=3, sink=1, shapes=[(2, 1, 4, 2, 3), (1, 1, 1, 1, 2)])
    before = ring
    for first in range(0, 8, 2):
        parts = [
            torch.stack([torch.full((layers, 1, s, n, k), float(first + i)) for i in range(2)], 2)
            for layers, s, n, k in ((2, 4, 2, 3), (1, 1, 1, 2))
        ]
        ring = ring.append(parts, [-part for part in parts])
    for track in range(2):
        keys, values = ring.held(track, 0)
        assert keys[0, :, 0, 0, 0].tolist() == [float(number) for number in ring.plan.held]
        assert torch.equal(values, -keys)
    assert sorted(ring.plan.held) == [0, 6, 7]
    assert not before.keys[0].any()
    assert ring.num_bytes == before.num_bytes
    assert ring.clear().plan.held == ()
