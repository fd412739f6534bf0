"""The space-time transformer block: attention over the window, feed-forward, each behind a norm.

Joint attention lets every token see all tokens of the window; factorised attention goes over the frame first,
then over time at each position, which is cheaper for frames of many tokens; attention in space alone keeps
every frame apart. Norms are adaptive, under one condition vector a frame, or plain. Whole clips and cached
single frames go through the same weights and must agree. This file does NOT know what the condition means.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import Leaves, Projections, Table, attend, attend_streams, attend_within_frames
from .feed_forward import FeedForward
from .modulation import Modulation, modulate
from .norm import RMSNorm
from .rope import rotate

AttentionKind = Literal["joint", "factorised"]
AnyAttention = Literal["joint", "factorised", "space"]
NormKind = Literal["adaptive", "plain"]

TIME, FEED_FORWARD, SPACE = 0, 3, 6
"""Where the three vectors (shift, scale, gate) of each layer lie among those of the modulation."""


class SpaceTimeBlock(nn.Module):
    """One layer over tokens (b, t, s, d), adaptive ones with one condition vector a frame (b, t, d).

    Args:
        width: numbers a token.
        heads: attention heads.
        hidden: numbers inside the feed-forward layer.
        attention: joint, factorised, or in space alone.
        norm: adaptive takes a condition, plain has learnt gains.
        head_width: numbers a head; 0 shares the width among the heads.

    Raises:
        ValueError: for adaptive norms over attention in space alone, which nothing needs.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        attention: AnyAttention,
        norm: NormKind = "adaptive",
        head_width: int = 0,
    ) -> None:
        super().__init__()
        if attention == "space" and norm == "adaptive":
            raise ValueError("attention in space alone has plain norms only")
        self.attention: AnyAttention = attention
        self.sees_past = attention != "space"
        if self.sees_past:
            self.time = Projections(width, heads, head_width)
        self.space = Projections(width, heads, head_width) if attention != "joint" else None
        self.feed_forward = FeedForward(width, hidden)
        if norm == "adaptive":
            self.modulation = Modulation(width, 9 if attention == "factorised" else 6)
        else:
            used = {TIME: self.sees_past, FEED_FORWARD: True, SPACE: self.space is not None}
            self.norms = nn.ModuleDict({str(part): RMSNorm(width) for part, there in used.items() if there})

    def forward(
        self,
        x: Tensor,
        condition: Tensor | None,
        table: Table,
        num_streams: int,
        window: int,
        ahead: int = 0,
        leaves: Leaves = "all",
    ) -> Tensor:
        """Run whole clips.

        Args:
            x: (streams b, t, s, d), the clean stream first when there are two.
            condition: (streams b, t, d); None for plain norms.
            table: rotation of all t * s tokens.
            num_streams: 1 or 2.
            window: past frames that a frame sees.
            ahead: coming frames that a frame sees, in one stream only; 0 is causal.
            leaves: streams that the result has; the clean one ends as keys and values of the last block.

        Returns:
            (streams b, t, s, d), or (b, t, s, d) of the noisy stream.
        """
        parts = self._parts(condition)
        x = self._attend_space(x, parts, table)
        if self.sees_past:
            streams = self._enter(x, parts, TIME).chunk(num_streams)
            rotated = [self._rotated(self.time, stream, table) for stream in streams]
            folded = [(self._fold(q), self._fold(k), self._fold(v)) for q, k, v in rotated]
            past = folded[0] if num_streams == 2 else None
            clean, noisy = attend_streams(past, folded[-1], window, ahead, leaves)  # pyright: ignore[reportCallIssue]
            outputs = [self._unfold(part, x.shape[2]) for part in (clean, noisy) if part is not None]
            if len(outputs) < num_streams:
                x = x.chunk(num_streams)[-1]
                parts = tuple(part.chunk(num_streams)[-1] for part in parts)
            x = x + self._gate(self.time.join(torch.cat(outputs)), parts, TIME)
        return self._feed(x, parts)

    def step(
        self,
        x: Tensor,
        condition: Tensor | None,
        tables: tuple[Table, Table],
        mask: Tensor,
        cached: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run one new frame against a cache.

        Args:
            x: (b, 1, s, d).
            condition: (b, 1, d); None for plain norms.
            tables: rotation of the new frame's s tokens, and of the cache's window * s tokens.
            mask: bool (window,), True where the cache holds a frame.
            cached: keys (not rotated) and values, each (b, window, s, n, k); k is 0 without attention over
                time.

        Returns:
            The output (b, 1, s, d), and the new frame's keys and values (b, s, n, k) for the cache.
        """
        parts = self._parts(condition)
        x = self._attend_space(x, parts, tables[0])
        if not self.sees_past:
            return self._feed(x, parts), (cached[0][:, 0], cached[1][:, 0])
        q, k, v = self.time.split(self._enter(x, parts, TIME))
        own = (rotate_tokens(q, tables[0]), rotate_tokens(k, tables[0]), v)
        past = (rotate_tokens(cached[0], tables[1]), cached[1])
        q, own_k, own_v, past_k, past_v = (self._fold(part) for part in (*own, *past))
        tokens = own_k.shape[2]
        keys, values = torch.cat([past_k, own_k], 1), torch.cat([past_v, own_v], 1)
        seen = torch.cat([mask, mask.new_ones(1)]).repeat_interleave(tokens).expand(tokens, -1)
        q, keys, values = (rearrange(part, "b t s n k -> b (t s) n k") for part in (q, keys, values))
        y = self._unfold(rearrange(attend(q, keys, values, seen), "b s n k -> b 1 s n k"), x.shape[2])
        x = x + self._gate(self.time.join(y), parts, TIME)
        return self._feed(x, parts), (k[:, 0], v[:, 0])

    def _attend_space(self, x: Tensor, parts: tuple[Tensor, ...], table: Table) -> Tensor:
        if self.space is None:
            return x
        q, k, v = self._rotated(self.space, self._enter(x, parts, SPACE), table)
        y = attend_within_frames(q, k, v)  # pyright: ignore[reportCallIssue]
        return x + self._gate(self.space.join(y), parts, SPACE)

    def _feed(self, x: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
        y = self.feed_forward(self._enter(x, parts, FEED_FORWARD))
        return x + self._gate(y, parts, FEED_FORWARD)

    def _parts(self, condition: Tensor | None) -> tuple[Tensor, ...]:
        return () if condition is None else self.modulation(condition)

    def _enter(self, x: Tensor, parts: tuple[Tensor, ...], first: int) -> Tensor:
        """Norm before a layer."""
        return modulate(x, parts[first], parts[first + 1]) if parts else self.norms[str(first)](x)

    def _gate(self, y: Tensor, parts: tuple[Tensor, ...], first: int) -> Tensor:
        """What of a layer's output is added."""
        return parts[first + 2] * y if parts else y

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
