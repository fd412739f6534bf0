"""Keys and values of past frames in a ring buffer: a value that is passed in and returned.

Keys are kept before rotation, so a position is where an entry lies in the window now, not when it was
written. A sink keeps the first frames for good: they then lie just before the oldest frame that still moves.
The cursors are Python integers: nothing here asks a device for a number. This file does NOT know attention.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class KVCache:
    """The last ``window`` frames as every layer saw them.

    Attributes:
        keys: (layers, b, window, s, n, k), not rotated.
        values: as keys.
        length: frames held, 0 .. window.
        cursor: slot that the next frame takes.
        sink: first frames that stay, fewer than fit.
    """

    keys: Tensor
    values: Tensor
    length: int
    cursor: int
    sink: int = 0

    @classmethod
    def empty(
        cls,
        *,
        layers: int,
        batch: int,
        window: int,
        tokens: int,
        heads: int,
        head_width: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        sink: int = 0,
    ) -> KVCache:
        """Make a cache that holds nothing."""
        assert 0 <= sink < window, (sink, window)
        shape = (layers, batch, window, tokens, heads, head_width)
        return cls(
            keys=torch.zeros(shape, dtype=dtype, device=device),
            values=torch.zeros(shape, dtype=dtype, device=device),
            length=0,
            cursor=0,
            sink=sink,
        )

    @property
    def window(self) -> int:
        """Frames that fit."""
        return self.keys.shape[2]

    def slots(self) -> list[int]:
        """Slots of the held frames, oldest first."""
        if self.length < self.window:
            return list(range(self.length))
        return [*range(self.sink), *range(self.cursor, self.window), *range(self.sink, self.cursor)]

    def append(self, keys: Tensor, values: Tensor) -> KVCache:
        """Return a cache that also holds one more frame, the oldest beyond the sink dropped when it was full.

        Args:
            keys: (layers, b, s, n, k).
            values: as keys.
        """
        new_keys, new_values = self.keys.clone(), self.values.clone()
        new_keys[:, :, self.cursor] = keys
        new_values[:, :, self.cursor] = values
        following = self.cursor + 1
        return replace(
            self,
            keys=new_keys,
            values=new_values,
            length=min(self.length + 1, self.window),
            cursor=following if following < self.window else self.sink,
        )


def cache_ages(cache: KVCache, device: torch.device) -> tuple[Tensor, Tensor]:
    """Age of every slot in frames (1 is the newest) and whether it holds a frame.

    Frames of a sink count as the oldest of the window however long ago they were. Both come from the cache's
    Python cursors, so no device is asked for a number.
    """
    slots = cache.slots()
    ages = [1] * cache.window
    for place, slot in enumerate(slots):
        ages[slot] = len(slots) - place
    held = [slot in slots for slot in range(cache.window)]
    return torch.tensor(ages, dtype=torch.float32, device=device), torch.tensor(held, device=device)
