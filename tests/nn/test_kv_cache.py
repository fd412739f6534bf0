"""The cache is a value: appending makes a new one, and the oldest frame goes first."""

import torch

from paracosm.nn.kv_cache import KVCache


def empty(window: int = 3) -> KVCache:
    return KVCache.empty(layers=2, batch=1, window=window, tokens=2, heads=1, head_width=8)


def frame(value: float) -> torch.Tensor:
    return torch.full((2, 1, 2, 1, 8), value)


def test_append_leaves_the_old_cache_as_it_was() -> None:
    before = empty()
    after = before.append(frame(1.0), frame(1.0))
    assert before.length == 0
    assert not before.keys.any()
    assert (after.length, after.cursor) == (1, 1)


def test_slots_run_from_the_oldest_to_the_newest_past_the_end_of_the_ring() -> None:
    cache = empty()
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        cache = cache.append(frame(value), frame(-value))
    held = [cache.keys[0, 0, slot, 0, 0, 0].item() for slot in cache.slots()]
    assert held == [3.0, 4.0, 5.0]
    assert [cache.values[1, 0, slot, 1, 0, 7].item() for slot in cache.slots()] == [-3.0, -4.0, -5.0]


def test_an_empty_cache_holds_no_slot_and_knows_its_window() -> None:
    assert empty(4).slots() == []
    assert empty(4).window == 4


def test_a_sink_keeps_the_first_frames_while_the_others_roll() -> None:
    cache = KVCache.empty(layers=1, batch=1, window=4, tokens=1, heads=1, head_width=1, sink=2)
    for number in range(7):
        frame = torch.full((1, 1, 1, 1, 1), float(number))
        cache = cache.append(frame, frame)
    assert [float(cache.keys[0, 0, slot]) for slot in cache.slots()] == [0.0, 1.0, 5.0, 6.0]
    assert cache.length == 4
