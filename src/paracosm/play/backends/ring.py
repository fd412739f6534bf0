"""The past as the networks see it: keys and values of the last frames in arrays of fixed shape.

Each frame's keys and values are an :class:`Entry` that nobody writes to; the ring is filled from entries. So
a snapshot is a handful of references, and a fork shares what it has in common. This file does NOT know what
computes entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paracosm.core.world_spec import PlaySizes

EMPTY = np.float32(-1e9)
"""Mask of a place that holds nothing: its share of attention is exactly 0."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One frame in the cache.

    Attributes:
        index: number of the frame since reset; it says how its keys were rotated.
        keys: float32 (layers, n, s, k), rotated.
        values: as keys, not rotated.
    """

    index: int
    keys: np.ndarray
    values: np.ndarray


class Ring:
    """The last ``window`` frames; frame i lies in slot i modulo window.

    Keys need no rotation when frames move on: attention depends on differences of positions only.

    Attributes:
        keys: for each layer float32 (sequences n, k, places).
        values: for each layer float32 (sequences n, places, k).
        mask: float32 (places,), 0 where something is held.
    """

    def __init__(self, sizes: PlaySizes) -> None:
        self._joint = sizes.attention == "joint"
        self._tokens = sizes.tokens_per_frame if self._joint else 1
        self._window = sizes.window
        sequences = sizes.heads if self._joint else sizes.heads * sizes.tokens_per_frame
        places = sizes.window * self._tokens
        self.keys = [np.zeros((sequences, sizes.head_width, places), np.float32) for _ in range(sizes.layers)]
        self.values = [
            np.zeros((sequences, places, sizes.head_width), np.float32) for _ in range(sizes.layers)
        ]
        self.mask = np.full(places, EMPTY, np.float32)
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The frames held, oldest first."""
        return tuple(self._entries)

    def clear(self) -> None:
        """Hold nothing."""
        self._entries = []
        self.mask[:] = EMPTY

    def write(self, entry: Entry) -> None:
        """Hold one more frame; the oldest goes when the ring is full."""
        first = entry.index % self._window * self._tokens
        places = slice(first, first + self._tokens)
        for keys, values, new_keys, new_values in zip(
            self.keys, self.values, entry.keys, entry.values, strict=True
        ):
            if self._joint:
                keys[:, :, places] = new_keys.transpose(0, 2, 1)
                values[:, places] = new_values
            else:  # one sequence a token: fold tokens before heads
                keys[:, :, places] = _fold(new_keys)[:, :, None]
                values[:, places] = _fold(new_values)[:, None]
        self.mask[places] = 0.0
        self._entries = [*self._entries, entry][-self._window :]

    def fill(self, entries: tuple[Entry, ...]) -> None:
        """Hold exactly these frames, oldest first."""
        self.clear()
        for entry in entries:
            self.write(entry)


def _fold(heads: np.ndarray) -> np.ndarray:
    """Turn (n, s, k) into (s n, k)."""
    return heads.transpose(1, 0, 2).reshape(-1, heads.shape[-1])
