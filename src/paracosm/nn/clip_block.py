"""A transformer block over whole clips that also reads words: attention, cross-attention, feed-forward.

Every frame of the clip is seen by every other, so it has no cache and no direction in time. Attention goes
over the whole clip, within each frame, or over time at each position. Adaptive norms take six vectors that
all blocks share and a learnt offset of their own, which keeps a deep stack small; or each block makes its
own from the condition, as the blocks of ``space_time`` do. This file does NOT know what the condition or the
words mean.

Source: shared modulation with an offset a block: Chen et al. 2310.00426 (PixArt-alpha), section 2.3; space
and time in turn, each with cross-attention: GameGen-X 2411.00769, C.2.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import Projections, Table, attend, attend_within_frames
from .feed_forward import FeedForward
from .modulation import Modulation, modulate
from .norm import RMSNorm, rms_norm
from .rope import rotate

ClipAttention = Literal["joint", "space", "time"]
ModulationKind = Literal["shared", "own"]
NUM_VECTORS = 6
"""Vectors of the shared modulation: shift, scale and gate of attention, then of the feed-forward layer."""


class ClipBlock(nn.Module):
    """One layer over tokens (b, t, s, d) with one condition a frame and words (b, l, d).

    It begins as the identity where the modulation is zero: gates are zero, and so is what cross-attention
    adds. All kinds of attention have the same weights.

    Args:
        width: numbers a token.
        heads: attention heads.
        hidden: numbers inside the feed-forward layer.
        attention: over the whole clip, within each frame, or over time at each position.
        modulation: vectors come from outside and get an offset, or are made here from the condition.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        attention: ClipAttention,
        modulation: ModulationKind = "shared",
    ) -> None:
        super().__init__()
        self.attention: ClipAttention = attention
        self.own = Projections(width, heads)
        self.words = CrossAttention(width, heads)
        self.feed_forward = FeedForward(width, hidden)
        if modulation == "shared":
            self.offset = nn.Parameter(torch.zeros(NUM_VECTORS, width))
        else:
            self.modulation = Modulation(width, NUM_VECTORS)

    def forward(
        self, x: Tensor, condition: tuple[Tensor, ...] | Tensor, words: Tensor, mask: Tensor, table: Table
    ) -> Tensor:
        """Run a clip.

        Args:
            x: (b, t, s, d).
            condition: the shared modulation's NUM_VECTORS tensors (b, t, 1, d), or the condition (b, t, d)
                itself for a block with a modulation of its own.
            words: (b, l, d).
            mask: bool (b, l), True where there is a word; at least one a row.
            table: rotation of all t * s tokens.
        """
        if isinstance(condition, Tensor):
            shift, scale, gate, shift_2, scale_2, gate_2 = self.modulation(condition)
        else:
            shift, scale, gate, shift_2, scale_2, gate_2 = (
                part + own for part, own in zip(condition, self.offset, strict=True)
            )
        x = x + gate * self._attend(modulate(x, shift, scale), table)
        x = x + self.words(x, words, mask)
        return x + gate_2 * self.feed_forward(modulate(x, shift_2, scale_2))

    def _attend(self, x: Tensor, table: Table) -> Tensor:
        t, s = x.shape[1:3]
        q, k, v = self.own.split(x)
        cos, sin = (rearrange(part, "(t s) k -> t s 1 k", t=t) for part in table)
        q, k = rotate(q, (cos, sin)), rotate(k, (cos, sin))
        if self.attention == "space":
            return self.own.join(attend_within_frames(q, k, v))  # pyright: ignore[reportCallIssue]
        if self.attention == "time":
            turned = (rearrange(part, "b t s n k -> b s t n k") for part in (q, k, v))
            y: Tensor = attend_within_frames(*turned)  # pyright: ignore
            return self.own.join(rearrange(y, "b s t n k -> b t s n k"))
        q, k, v = (rearrange(part, "b t s n k -> b (t s) n k") for part in (q, k, v))
        return self.own.join(rearrange(attend(q, k, v), "b (t s) n k -> b t s n k", s=s))


class CrossAttention(nn.Module):
    """Tokens look at words; zero-initialised, so that words add nothing at first.

    Args:
        width: numbers of a token and of a word.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = RMSNorm(width)
        self.ask = nn.Linear(width, width, bias=False)
        self.tell = nn.Linear(width, 2 * width, bias=False)
        self.leave = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Return what words (b, l, d), of which ``mask`` (b, l) are there, add to x (b, t, s, d)."""
        q = rearrange(self.ask(self.norm(x)), "b t s (n k) -> b (t s) n k", n=self.heads)
        k, v = rearrange(self.tell(words), "b l (two n k) -> two b l n k", two=2, n=self.heads)
        y = attend(rms_norm(q), rms_norm(k), v, rearrange(mask, "b l -> b 1 1 l"))
        return self.leave(rearrange(y, "b (t s) n k -> b t s (n k)", s=x.shape[2]))
