"""Attention over frames of tokens, in three uses that must agree.

- *one stream*: every frame attends to itself and the frames before it inside the window;
- *two streams*: clean frames as above, while each noisy frame attends to the clean frames before it and to
  itself;
- *cached*: one new frame attends to the frames of a cache and to itself.

Queries and keys are normalised (QK norm) and rotated by window-relative positions. This file does NOT know
noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .norm import gained_norm
from .rope import axis_widths, rotary_table

Table = tuple[Tensor, Tensor]
Leaves = Literal["all", "noisy"]
"""Streams that something returns."""

CHUNK_TOKENS = 128
"""Queries that share one rectangle of keys in training.

Smaller wastes less work above the causal diagonal, larger makes fatter matrix products; 128 was the fastest
of 64, 128, 256 on two cores.
"""

SHORT = 32
"""Queries up to which a CPU multiplies in float32: many tiny bf16 products cost twice as much."""


class Projections(nn.Module):
    """Queries, keys and values from one fused product; normalised q and k have a learnt gain a head width.

    Args:
        width: numbers a token.
        heads: attention heads.
        head_width: numbers a head; 0 shares the width among the heads.
    """

    def __init__(self, width: int, heads: int, head_width: int = 0) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width or width // heads
        inner = self.heads * self.head_width
        self.enter = nn.Linear(width, 3 * inner, bias=False)
        self.leave = nn.Linear(inner, width, bias=False)
        self.query_gain = nn.Parameter(torch.ones(self.head_width))
        self.key_gain = nn.Parameter(torch.ones(self.head_width))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k, v as (..., n, k) from x (..., d); q and k normalised, not rotated."""
        q, k, v = rearrange(self.enter(x), "... (three n k) -> three ... n k", three=3, n=self.heads)
        return gained_norm(q, self.query_gain), gained_norm(k, self.key_gain), v

    def join(self, x: Tensor) -> Tensor:
        """Merge heads (..., n, k) and project back to (..., d)."""
        return self.leave(rearrange(x, "... n k -> ... (n k)"))


class PositionTables(nn.Module):
    """Rotation tables for tokens of a frame grid.

    Args:
        rows: token rows of a frame.
        columns: token columns of a frame.
        head_width: numbers a head.
        extra: tokens before the grid of each frame that have no place in it; they count as row 0, column 0.
    """

    def __init__(self, rows: int, columns: int, head_width: int, extra: int = 0) -> None:
        super().__init__()
        self.rows, self.columns, self.extra = rows, columns, extra
        self.widths = axis_widths(head_width)

    def forward(self, frames: Tensor) -> Table:
        """Return the table of frames at the given positions (t,), tokens in (t, row, column) order."""
        row = torch.arange(self.rows, device=frames.device)
        column = torch.arange(self.columns, device=frames.device)
        grid = torch.meshgrid(frames.float(), row.float(), column.float(), indexing="ij")
        if not self.extra:
            return rotary_table([axis.reshape(-1) for axis in grid], self.widths)
        axes = [axis.reshape(frames.shape[0], -1) for axis in grid]
        before = torch.zeros(frames.shape[0], self.extra, device=frames.device)
        heads = [before + frames.float()[:, None], before, before]
        axes = [torch.cat(pair, 1).reshape(-1) for pair in zip(heads, axes, strict=True)]
        return rotary_table(axes, self.widths)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of (b, s, n, k) operands.

    The mask (s_q, s_k) is True where attention is allowed.
    """
    q, k, v = (rearrange(x, "b s n k -> b n s k") for x in (q, k, v))
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        return rearrange(_attend_spelt_out(q, k, v, mask), "b n s k -> b s n k")
    return rearrange(functional.scaled_dot_product_attention(q, k, v, attn_mask=mask), "b n s k -> b s n k")


@torch.compiler.disable  # see attend_streams
def attend_within_frames(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend within each frame: operands and result (b, t, s, n, k)."""
    q, k, v = (rearrange(x, "b t s n k -> b t n s k") for x in (q, k, v))
    # Spelt out, forward and backward in bf16 on a CPU are four times as fast as the fused kernel.
    weights = torch.softmax(torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)), -1)
    return rearrange(torch.matmul(weights, v), "b t n s k -> b t s n k")


@torch.compiler.disable  # compiled in bf16 on a CPU, torch 2.13 returns gradients that are not finite
def attend_streams(
    clean: tuple[Tensor, Tensor, Tensor] | None,
    noisy: tuple[Tensor, Tensor, Tensor],
    window: int,
    ahead: int = 0,
    leaves: Leaves = "all",
) -> tuple[Tensor | None, Tensor]:
    """Attend over whole clips in one or two streams.

    Args:
        clean: rotated q, k and plain v, each (b, t, s, n, k), of the clean stream; None for one stream.
        noisy: the same of the noisy stream.
        window: past frames that a frame sees, the present not counted.
        ahead: coming frames that a frame sees too, in one stream only; 0 is causal.
        leaves: which streams ask; "noisy" spares the clean stream's own queries.

    Returns:
        Attention outputs (b, t, s, n, k) of both streams; None for a clean stream that is absent or spared.
    """
    num_frames, tokens = noisy[0].shape[1:3]
    step = max(1, CHUNK_TOKENS // tokens)
    clean_parts, noisy_parts = [], []
    for first in range(0, num_frames, step):
        last = min(first + step, num_frames)
        oldest = max(0, first - window)
        if clean is None:
            noisy_parts.append(_attend_chunk(noisy, noisy, None, first, last, oldest, window, ahead))
        else:
            if leaves == "all":
                clean_parts.append(_attend_chunk(clean, clean, None, first, last, oldest, window))
            noisy_parts.append(_attend_chunk(noisy, clean, noisy, first, last, oldest, window))
    return torch.cat(clean_parts, 1) if clean_parts else None, torch.cat(noisy_parts, 1)


def _attend_chunk(
    queries: tuple[Tensor, Tensor, Tensor],
    past: tuple[Tensor, Tensor, Tensor],
    own: tuple[Tensor, Tensor, Tensor] | None,
    first: int,
    last: int,
    oldest: int,
    window: int,
    ahead: int = 0,
) -> Tensor:
    """Queries of frames first .. last - 1 against past frames.

    With ``own``, each frame also sees its own second stream.
    """
    tokens = queries[0].shape[2]
    query_frame = torch.arange(first, last, device=queries[0].device).repeat_interleave(tokens)
    newest = min(last + ahead, past[1].shape[1])
    key_frame = torch.arange(oldest, newest, device=queries[0].device).repeat_interleave(tokens)
    age = query_frame[:, None] - key_frame[None, :]
    keys, values = past[1][:, oldest:newest], past[2][:, oldest:newest]
    if own is None:
        mask = (age >= -ahead) & (age <= window)
    else:
        mask = torch.cat([(age > 0) & (age <= window), query_frame[:, None] == query_frame[None, :]], 1)
        keys = torch.cat([keys, own[1][:, first:last]], 1)
        values = torch.cat([values, own[2][:, first:last]], 1)
    q, k, v = (rearrange(x, "b t s n k -> b n (t s) k") for x in (queries[0][:, first:last], keys, values))
    if q.device.type == "cpu" and q.shape[2] <= SHORT:
        with torch.autocast("cpu", enabled=False):
            y = _attend_spelt_out(q.float(), k.float(), v.float(), mask).to(q.dtype)
    else:
        y = _attend_spelt_out(q, k, v, mask)
    return rearrange(y, "b n (t s) k -> b t s n k", t=last - first)


def _spell_out(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of (b, n, s, k) operands by two products.

    In bf16 on a CPU, forward and backward are three times as fast as the fused kernel, and twice with a mask;
    adding the mask is twice as fast as filling it in. Sums and exponentials are float32.
    """
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)
    return torch.matmul(torch.softmax(scores, -1, dtype=torch.float32).to(v.dtype), v)


_attend_spelt_out = cast(
    "Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]",
    torch.compiler.disable(_spell_out),  # see attend_streams
)
