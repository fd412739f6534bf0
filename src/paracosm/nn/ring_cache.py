"""Keys and values of past frames where several are written at once: a ring with window, sink and tracks.

A ring is a value: it is passed in and returned, and what was handed out never changes. Keys are kept before
rotation, so that a position is where an entry lies now. Which frame lies in which slot is kept in Python
integers: nothing here asks a device for a number, and memory does not grow. This file does NOT know
attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

PositionKind = Literal["window", "absolute"]
"""Counted from the oldest frame held, or the frame's own number since the start."""


@dataclass(frozen=True, kw_only=True)
class RingPlan:
    """Which frame lies in which slot.

    Attributes:
        size: slots.
        sink: the first frames ever written stay in as many slots for good.
        written: frames written so far; the next one has this number.
        held: number of the frame in each slot that is taken; slots are taken from the first on.
    """

    size: int
    sink: int
    written: int = 0
    held: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        assert 0 <= self.sink <= self.size, (self.sink, self.size)

    def take(self, count: int) -> tuple[dict[int, int], RingPlan]:
        """Plan the writing of ``count`` new frames.

        Returns:
            From each slot that changes to the place of its new content among the new frames; and the plan
            after it.
        """
        held, sources = list(self.held), {}
        for i in range(count):
            number = self.written + i
            if len(held) < self.size:
                slot = len(held)
                held.append(number)
            elif self.size > self.sink:
                # slots beyond the sink fill in turn, so the oldest of them is the smallest number
                slot = min(range(self.sink, self.size), key=held.__getitem__)
                held[slot] = number
            else:
                continue
            sources[slot] = i
        return sources, replace(self, written=self.written + count, held=tuple(held))

    def positions(self, count: int, kind: PositionKind) -> tuple[list[int], list[int]]:
        """Positions of the frames held, slot by slot, and of ``count`` new ones.

        Args:
            count: new frames, written next.
            kind: "window" counts from 0 at the oldest frame held, without gaps, so positions stay small for
                ever; a sink's distance is then made up. "absolute" is the frame's own number.
        """
        if kind == "absolute":
            return list(self.held), list(range(self.written, self.written + count))
        rank = {number: place for place, number in enumerate(sorted(self.held))}
        return [rank[number] for number in self.held], list(range(len(self.held), len(self.held) + count))


@dataclass(frozen=True, kw_only=True)
class RingCache:
    """Keys and values of the frames that a plan holds, in one or more tracks of different shapes.

    Attributes:
        plan: which frame lies where.
        keys: for each track (layers, b, size, s, n, k), not rotated.
        values: as keys.
    """

    plan: RingPlan
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @classmethod
    def empty(
        cls,
        *,
        size: int,
        sink: int,
        shapes: Sequence[tuple[int, int, int, int, int]],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> RingCache:
        """Make a cache that holds nothing.

        Args:
            size: frames that fit.
            sink: first frames that stay.
            shapes: for each track (layers, b, s, n, k).
            dtype: of keys and values.
            device: where they lie.
        """
        made = [
            torch.zeros((*shape[:2], size, *shape[2:]), dtype=dtype, device=device)
            for shape in shapes
            for _ in range(2)
        ]
        return cls(plan=RingPlan(size=size, sink=sink), keys=tuple(made[0::2]), values=tuple(made[1::2]))

    @property
    def num_bytes(self) -> int:
        """Memory of keys and values."""
        return sum(part.nbytes for part in (*self.keys, *self.values))

    def held(self, track: int, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer, each (b, held frames, s, n, k), in the order of ``plan.held``."""
        count = len(self.plan.held)
        return self.keys[track][layer][:, :count], self.values[track][layer][:, :count]

    def append(self, keys: Sequence[Tensor], values: Sequence[Tensor]) -> RingCache:
        """Return a cache that also holds new frames; the oldest beyond the sink go when it is full.

        Args:
            keys: for each track (layers, b, t, s, n, k).
            values: as keys.
        """
        sources, plan = self.plan.take(keys[0].shape[2])
        return replace(
            self,
            plan=plan,
            keys=tuple(_put(old, new, sources) for old, new in zip(self.keys, keys, strict=True)),
            values=tuple(_put(old, new, sources) for old, new in zip(self.values, values, strict=True)),
        )

    def clear(self) -> RingCache:
        """Return a cache that holds nothing and goes on counting where this one stands."""
        return replace(self, plan=replace(self.plan, held=()))


def _put(old: Tensor, new: Tensor, sources: dict[int, int]) -> Tensor:
    made = old.clone()
    for slot, source in sources.items():
        made[:, :, slot] = new[:, :, source]
    return made
