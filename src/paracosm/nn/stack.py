"""A stack of space-time blocks over frames of tokens: whole clips at once, or frame by frame with a cache.

Encoders, decoders and dynamics of token worlds are all made of it. This file does NOT know what goes in and
what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from .attention import PositionTables
from .kv_cache import KVCache, cache_ages
from .norm import RMSNorm
from .space_time import AnyAttention, NormKind, SpaceTimeBlock


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Sizes of a stack."""

    width: int
    """numbers a token"""
    depth: int
    """blocks"""
    heads: int
    """attention heads"""
    head_width: int
    """numbers a head, a multiple of 8; heads times head_width need not be the width"""
    hidden: int
    """numbers inside a feed-forward layer"""


class SpaceTimeStack(nn.Module):
    """Blocks, then a norm; ends without a projection.

    Args:
        config: sizes.
        rows: token rows of a frame.
        columns: token columns of a frame.
        window: past frames that a frame sees.
        attention: which tokens a block's attention sees.
        norm: adaptive takes a condition, plain none.
        extra: tokens before the grid of each frame.
    """

    def __init__(
        self,
        config: StackConfig,
        rows: int,
        columns: int,
        window: int,
        attention: AnyAttention,
        norm: NormKind = "plain",
        extra: int = 0,
    ) -> None:
        super().__init__()
        self.config, self.window = config, window
        self.tokens = rows * columns + extra
        self.cached_width = 0 if attention == "space" else config.head_width
        self.positions = PositionTables(rows, columns, config.head_width, extra)
        self.blocks = nn.ModuleList(
            SpaceTimeBlock(config.width, config.heads, config.hidden, attention, norm, config.head_width)
            for _ in range(config.depth)
        )
        self.norm = RMSNorm(config.width)

    def forward(self, x: Tensor, condition: Tensor | None = None, num_streams: int = 1) -> Tensor:
        """Run whole clips (streams b, t, s, d); the clean stream comes first when there are two.

        Returns:
            (b, t, s, d): of two streams the noisy one, which is all that the last block computes.
        """
        table = self.positions(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks[:-1]:
            x = block(x, condition, table, num_streams, self.window)
        leaves = "noisy" if num_streams == 2 else "all"
        return self.norm(self.blocks[-1](x, condition, table, num_streams, self.window, 0, leaves))

    def step(
        self, x: Tensor, cache: KVCache, condition: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run one new frame (b, 1, s, d) against the frames before it; the cache stays as it is.

        Returns:
            The output, shaped as x, and the frame's keys and values, for ``cache.append``.
        """
        ages, mask = cache_ages(cache, x.device)
        tables = (self.positions(torch.zeros_like(ages[:1])), self.positions(-ages))
        new = []
        for i, block in enumerate(cast("Iterable[SpaceTimeBlock]", self.blocks)):
            x, pair = block.step(x, condition, tables, mask, (cache.keys[i], cache.values[i]))
            new.append(pair)
        return self.norm(x), (torch.stack([k for k, _ in new]), torch.stack([v for _, v in new]))

    def empty_cache(self, batch: int = 1) -> KVCache:
        """Make the cache of a clip that has not begun."""
        return KVCache.empty(
            layers=self.config.depth,
            batch=batch,
            window=self.window,
            tokens=self.tokens,
            heads=self.config.heads,
            head_width=self.cached_width,
            device=self.norm.gain.device,
        )
