"""The space-time transformer block: attention over the window, feed-forward, both under adaptive norm.

Joint attention lets every token see all tokens of the window; factorised attention goes over the frame first,
then over time at each position, which is cheaper for frames of many tokens. Whole clips and cached single
frames go through the same weights and must agree. This file does NOT know what the condition means.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import Projections, Table, attend, attend_streams
from .feed_forward import FeedForward
from .modulation import Modulation, modulate
from .rope import rotate

AttentionKind = Literal["joint", "factorised"]


class SpaceTimeBlock(nn.Module):
    """One layer over tokens (b, t, s, d) with one condition vector a frame (b, t, d).

    Args:
        width: numbers a token.
        heads: attention heads.
        hidden: numbers inside the feed-forward layer.
        attention: joint or factorised.
    """

    def __init__(self, width: int, heads: int, hidden: int, attention: AttentionKind) -> None:
        super().__init__()
        self.attention: AttentionKind = attention
        self.time = Projections(width, heads)
        self.space = Projections(width, heads) if attention == "factorised" else None
        self.feed_forward = FeedForward(width, hidden)
        self.modulation = Modulation(width, 9 if attention == "factorised" else 6)

    def forward(self, x: Tensor, condition: Tensor, table: Table, num_streams: int, window: int) -> Tensor:
        """Run whole clips.

        Args:
            x: (streams b, t, s, d), the clean stream first when there are two.
            condition: (streams b, t, d).
            table: rotation of all t * s tokens.
            num_streams: 1 or 2.
            window: past frames that a frame sees.
        """
        parts = self.modulation(condition)
        x = self._attend_space(x, parts[6:], table)
        streams = modulate(x, *parts[:2]).chunk(num_streams)
        rotated = [self._rotated(self.time, stream, table) for stream in streams]
        folded = [(self._fold(q), self._fold(k), self._fold(v)) for q, k, v in rotated]
        past = folded[0] if num_streams == 2 else None
        clean, noisy = attend_streams(past, folded[-1], window)  # pyright: ignore[reportCallIssue]
        outputs = [self._unfold(part, x.shape[2]) for part in (clean, noisy) if part is not None]
        x = x + parts[2] * self.time.join(torch.cat(outputs))
        return x + parts[5] * self.feed_forward(modulate(x, *parts[3:5]))

    def step(
        self,
        x: Tensor,
        condition: Tensor,
        tables: tuple[Table, Table],
        mask: Tensor,
        cached: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run one new frame against a cache.

        Args:
            x: (b, 1, s, d).
            condition: (b, 1, d).
            tables: rotation of the new frame's s tokens, and of the cache's window * s tokens.
            mask: bool (window,), True where the cache holds a frame.
            cached: keys (not rotated) and values, each (b, window, s, n, k).

        Returns:
            The output (b, 1, s, d), and the new frame's keys and values (b, s, n, k) for the cache.
        """
        parts = self.modulation(condition)
        x = self._attend_space(x, parts[6:], tables[0])
        q, k, v = self.time.split(modulate(x, *parts[:2]))
        own = (rotate_tokens(q, tables[0]), rotate_tokens(k, tables[0]), v)
        past = (rotate_tokens(cached[0], tables[1]), cached[1])
        q, own_k, own_v, past_k, past_v = (self._fold(part) for part in (*own, *past))
        tokens = own_k.shape[2]
        keys, values = torch.cat([past_k, own_k], 1), torch.cat([past_v, own_v], 1)
        seen = torch.cat([mask, mask.new_ones(1)]).repeat_interleave(tokens).expand(tokens, -1)
        q, keys, values = (rearrange(part, "b t s n k -> b (t s) n k") for part in (q, keys, values))
        y = self._unfold(rearrange(attend(q, keys, values, seen), "b s n k -> b 1 s n k"), x.shape[2])
        x = x + parts[2] * self.time.join(y)
        x = x + parts[5] * self.feed_forward(modulate(x, *parts[3:5]))
        return x, (k[:, 0], v[:, 0])

    def _attend_space(self, x: Tensor, parts: tuple[Tensor, ...], table: Table) -> Tensor:
        if self.space is None:
            return x
        operands = self._rotated(self.space, modulate(x, *parts[:2]), table)
        q, k, v = (rearrange(part, "b t s n k -> (b t) s n k") for part in operands)
        y = rearrange(attend(q, k, v), "(b t) s n k -> b t s n k", t=x.shape[1])
        return x + parts[2] * self.space.join(y)

    def _rotated(self, projections: Projections, x: Tensor, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = projections.split(x)
        return rotate_tokens(q, table), rotate_tokens(k, table), v

    def _fold(self, x: Tensor) -> Tensor:
        """In factorised attention each position is a sequence of its own: fold positions into the batch."""
        return rearrange(x, "b t s n k -> (b s) t 1 n k") if self.attention == "factorised" else x

    def _unfold(self, x: Tensor, tokens: int) -> Tensor:
        return rearrange(x, "(b s) t 1 n k -> b t s n k", s=tokens) if self.attention == "factorised" else x


def rotate_tokens(x: Tensor, table: Table) -> Tensor:
    """Rotate queries or keys (b, t, s, n, k) by a table of t * s rows."""
    cos, sin = (rearrange(part, "(t s) k -> t s 1 k", t=x.shape[1]) for part in table)
    return rotate(x, (cos, sin))
