"""Attention of published video transformers: queries and keys are normed over the full width.

Self attention takes the keys of a cache beside its own, cross attention those of a context that was projected
once. This file does NOT know positions: callers rotate.

Source: Wan 2503.20314, section 4.2.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import attend
from .norm import rms_norm


class FullNormProjections(nn.Module):
    """Queries, keys and values with biases; q and k are normed over the width before the split into heads.

    Args:
        width: numbers a token.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.leave = nn.Linear(width, width)
        self.query_gain = nn.Parameter(torch.ones(width))
        self.key_gain = nn.Parameter(torch.ones(width))

    def queries(self, x: Tensor) -> Tensor:
        """Return q (..., n, k) of x (..., d), not rotated."""
        return self._split(rms_norm(self.query(x)) * self.query_gain)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return k (not rotated) and v, each (..., n, k), of x (..., d)."""
        return self._split(rms_norm(self.key(x)) * self.key_gain), self._split(self.value(x))

    def join(self, x: Tensor) -> Tensor:
        """Merge heads (..., n, k) and project back to (..., d)."""
        return self.leave(rearrange(x, "... n k -> ... (n k)"))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "... (n k) -> ... n k", n=self.heads)


def attend_frames(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    """Attend among all tokens of all frames.

    Args:
        q: (b, t, s, n, k).
        k: (b, t', s', n, k); t' counts cached and own frames.
        v: as k.
        seen: bool (t, t'): which frame sees which; None for all.
    """
    mask = None
    if seen is not None:
        mask = seen.repeat_interleave(q.shape[2], 0).repeat_interleave(k.shape[2], 1)
    queries, keys, values = (rearrange(x, "b t s n k -> b (t s) n k") for x in (q, k, v))
    return rearrange(attend(queries, keys, values, mask), "b (t s) n k -> b t s n k", t=q.shape[1])


def attend_places(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    """Attend over time, at each place of the picture by itself.

    Args:
        q: (b, t, s, n, k).
        k: (b, t', s, n, k), or (b, t', 1, n, k) when all places share it.
        v: as k.
        seen: bool (t, t'): which frame sees which; None for all.
    """
    if k.shape[2] == 1 != q.shape[2]:
        # one sequence of keys for all places: places become queries of it
        mask = None if seen is None else seen.repeat_interleave(q.shape[2], 0)
        queries = rearrange(q, "b t s n k -> b (t s) n k")
        made = attend(queries, k[:, :, 0], v[:, :, 0], mask)
        return rearrange(made, "b (t s) n k -> b t s n k", t=q.shape[1])
    queries, keys, values = (rearrange(x, "b t s n k -> (b s) t n k") for x in (q, k, v))
    return rearrange(attend(queries, keys, values, seen), "(b s) t n k -> b t s n k", s=q.shape[2])
