"""Embeddings of numbers."""

import math

import torch
from torch import Tensor, nn


class NumberEmbedding(nn.Module):
    """Sines and cosines of a number in [0, 1], then two linear layers.

    Args:
        width: numbers out.
        num_frequencies: pairs of sine and cosine, from 1/4 turn to 64 turns over the range.
    """

    def __init__(self, width: int, num_frequencies: int = 32) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(math.log(0.25), math.log(64.0), num_frequencies)) * 2 * math.pi
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.frequencies: Tensor
        self.enter = nn.Linear(2 * num_frequencies, width)
        self.leave = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Embed numbers (...) as (..., width)."""
        angle = x[..., None].float() * self.frequencies
        return self.leave(nn.functional.silu(self.enter(torch.cat([angle.cos(), angle.sin()], -1))))
