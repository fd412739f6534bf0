"""The past as the networks see it: keys and values of the last frames in arrays of fixed shape.

Each frame's keys and values are an :class:`Entry` that nobody writes to; the ring is filled from entries. So
a snapshot is a handful of references, and a fork shares what it has in common. A sink keeps the first frames
for good; they are turned along, so that they always seem to lie just before the others. This file does NOT
know what computes entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paracosm.core.world_spec import PlaySizes


@dataclass(frozen=True, eq=False)
class Entry:
    """One frame in the cache.

    Attributes:
        index: number of the frame since reset; it says how its keys were rotated.
        keys: float32 (layers, n, s, k), rotated.
        values: as keys, not rotated.
        latents: what they were computed from.
        control: the vector that led to the frame; None where it is not known.
    """

    index: int
    keys: np.ndarray
    values: np.ndarray
    latents: np.ndarray
    control: np.ndarray | None


class Ring:
    """The last frames, and a sink of first ones that stay; frame i lies in slot i modulo those that roll.

    Keys need no rotation when frames move on, those of a sink excepted: attention depends on differences of
    positions only.

    Args:
        sizes: shapes of the world.
        window: frames that are kept; 0 takes the network's window.
        sink: first frames that stay.

    Attributes:
        keys: for each layer float32 (sequences n, places, k).
        values: for each layer float32 (sequences n, k, places), 0 where nothing is held.
        mask: float32 (places,), 1 where something is held, 0 where not.
    """

    def __init__(self, sizes: PlaySizes, window: int = 0, sink: int = 0) -> None:
        self._joint = sizes.attention == "joint"
        self._tokens = sizes.tokens_per_frame if self._joint else 1
        self._window, self._sink = window or sizes.window, sink
        self._frequencies = np.asarray(sizes.frame_frequencies, np.float64)
        sequences = sizes.heads if self._joint else sizes.heads * sizes.tokens_per_frame
        places = self._window * self._tokens
        self.keys = [np.zeros((sequences, places, sizes.head_width), np.float32) for _ in range(sizes.layers)]
        self.values = [
            np.zeros((sequences, sizes.head_width, places), np.float32) for _ in range(sizes.layers)
        ]
        self.mask = np.zeros(places, np.float32)
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The frames held, oldest first."""
        return tuple(self._entries)

    def clear(self) -> None:
        """Hold nothing."""
        self._entries = []
        self.mask[:] = 0.0
        for values in self.values:
            values[:] = 0.0  # the networks leave empty places out of a sum, and count on them to add nothing

    def write(self, entry: Entry) -> None:
        """Hold one more frame; the oldest beyond the sink goes when the ring is full."""
        held = len(self._entries)
        rolling = self._window - self._sink
        self._put(held if held < self._sink else self._sink + entry.index % rolling, entry.keys, entry.values)
        sink, others = self._entries[: self._sink], self._entries[self._sink :]
        if held < self._sink:
            sink = [*sink, entry]
        else:
            others = [*others, entry][-rolling:]
        self._entries = [*sink, *others]
        if others:
            for slot, kept in enumerate(sink):
                # The next frame is to see it as the oldest of its window, however long ago it was.
                moved = entry.index + 1 - (len(self._entries) - slot) - kept.index
                if moved:
                    self._put(slot, _turn(kept.keys, moved * self._frequencies), kept.values)

    def _put(self, slot: int, new_keys: np.ndarray, new_values: np.ndarray) -> None:
        places = slice(slot * self._tokens, (slot + 1) * self._tokens)
        for keys, values, one, two in zip(self.keys, self.values, new_keys, new_values, strict=True):
            if self._joint:
                keys[:, places] = one
                values[:, :, places] = two.transpose(0, 2, 1)
            else:  # one sequence a token: fold tokens before heads
                keys[:, places] = _fold(one)[:, None]
                values[:, :, places] = _fold(two)[:, :, None]
        self.mask[places] = 1.0

    def fill(self, entries: tuple[Entry, ...]) -> None:
        """Hold exactly these frames, oldest first."""
        self.clear()
        for entry in entries:
            self.write(entry)


def _turn(keys: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Turn the frame axis of rotated keys (..., k) further by an angle (k / 4,) in radians."""
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    half, pairs = keys.shape[-1] // 2, len(angle)
    first, second = keys[..., :pairs], keys[..., half : half + pairs]
    turned = keys.copy()
    turned[..., :pairs] = first * cos - second * sin
    turned[..., half : half + pairs] = first * sin + second * cos
    return turned


def _fold(heads: np.ndarray) -> np.ndarray:
    """Turn (n, s, k) into (s n, k)."""
    return heads.transpose(1, 0, 2).reshape(-1, heads.shape[-1])
