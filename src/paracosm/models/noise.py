"""Noise levels from 0 (clean) to 1 (noise) on the straight path of flow matching, and the weight of each.

A latent at level u is ``(1 - u) clean + u noise``. Networks predict the clean latent; the velocity is
``(x - clean) / u``.

Source: Lipman et al. 2210.02747; clean prediction under the velocity loss: Li and He 2511.13720.
"""

import torch
from torch import Tensor

SMALLEST_WEIGHTED_LEVEL = 0.25
"""Below this level the velocity weight 1 / u**2 stops growing: invisible noise would drown all else."""


def mix(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Add noise to frames (b, t, ...) at one level a frame (b, t)."""
    level = level.reshape(*level.shape, *[1] * (clean.ndim - level.ndim)).to(clean.dtype)
    return (1.0 - level) * clean + level * noise


def draw_levels(
    shape: tuple[int, ...], generator: torch.Generator, *, mean: float, deviation: float, pure_share: float
) -> Tensor:
    """Draw training levels: the sigmoid of a normal, and pure noise for a share of them.

    Args:
        shape: shape of the result.
        generator: source of draws, on the CPU.
        mean: mean of the normal; above 0 favours noise, which few-step play needs.
        deviation: standard deviation of the normal.
        pure_share: share of levels that are exactly 1, where every rollout begins.
    """
    levels = torch.sigmoid(mean + deviation * torch.randn(shape, generator=generator))
    return torch.where(torch.rand(shape, generator=generator) < pure_share, torch.ones(()), levels)


def velocity_weight(level: Tensor) -> Tensor:
    """Weight that turns the squared error of the clean latent into that of the velocity.

    Below SMALLEST_WEIGHTED_LEVEL it stays what it is there.
    """
    return level.clamp_min(SMALLEST_WEIGHTED_LEVEL) ** -2
