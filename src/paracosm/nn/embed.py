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
        # The device is named: transformers replaces linspace while it loads a model, and where "with device"
        # was first entered then, torch takes no notice of the real one afterwards.
        device = torch.get_default_device()
        exponents = torch.linspace(math.log(0.25), math.log(64.0), num_frequencies, device=device)
        frequencies = torch.exp(exponents) * 2 * math.pi
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.frequencies: Tensor
        self.enter = nn.Linear(2 * num_frequencies, width)
        self.leave = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Embed numbers (...) as (..., width)."""
        angle = x[..., None].float() * self.frequencies
        return self.leave(nn.functional.silu(self.enter(torch.cat([angle.cos(), angle.sin()], -1))))


def sinusoid(x: Tensor, width: int, theta: float = 10_000.0) -> Tensor:
    """Cosines, then sines, of a number at ``width`` / 2 frequencies from 1 down to 1 / theta.

    Angles are formed in float64: timesteps reach 1,000, where float32 would already blur the fastest pairs.

    Args:
        x: (...).
        width: numbers out, even.
        theta: base of the frequencies.

    Returns:
        float64 (..., width).
    """
    half = width // 2
    exponents = torch.arange(half, device=x.device, dtype=torch.float64) / half
    angle = x.double()[..., None] * theta**-exponents
    return torch.cat([angle.cos(), angle.sin()], -1)
