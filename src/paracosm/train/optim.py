"""The optimiser, its schedule and the running average of the weights.

This file does NOT know losses or files.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW with a warm-up, a constant stretch and a decay."""

    learning_rate: float = 1e-3
    """peak rate; 1e-3 suits networks of 1 to 20 million parameters, large ones want 1e-4 and less"""
    warmup_steps: int = 200
    """steps of linear growth from zero"""
    decay_steps: int = 0
    """steps of fall at the end; while they have not begun, num_steps may still be raised"""
    decay_shape: Literal["linear", "cosine"] = "linear"
    """how the rate falls"""
    final_share: float = 0.0
    """share of the peak rate at which the fall ends"""
    weight_decay: float = 0.01
    """decay of matrices; vectors (norms, biases) have none"""
    betas: tuple[float, float] = (0.9, 0.98)
    """decay of the first and second moment"""
    clip_norm: float = 1.0
    """largest norm of the whole gradient"""
    ema_decay: float = 0.999
    """decay of the running average of the weights, which is what gets saved"""

    def __post_init__(self) -> None:
        """Refuse rates and decays outside their range."""
        if self.learning_rate <= 0 or self.clip_norm <= 0:
            raise ConfigError(
                f"learning_rate {self.learning_rate} and clip_norm {self.clip_norm} must both be above 0"
            )
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(
                f"ema_decay {self.ema_decay} is outside [0, 1); 0.999 averages about 1,000 steps"
            )
        if not 0 <= self.final_share <= 1:
            raise ConfigError(
                f"final_share {self.final_share} is outside [0, 1]; 0 falls to nothing, 0.1 to a tenth"
            )


def make_optimizer(modules: Iterable[nn.Module], config: OptimConfig) -> torch.optim.AdamW:
    """Make AdamW with weight decay on matrices only."""
    matrices: list[Tensor] = []
    vectors: list[Tensor] = []
    for module in modules:
        for parameter in module.parameters():
            if parameter.requires_grad:
                (matrices if parameter.ndim > 1 else vectors).append(parameter)
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def learning_rate(config: OptimConfig, step: int, num_steps: int) -> float:
    """Rate of step ``step`` (0-based) of ``num_steps``."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    left = min(1.0, (num_steps - step) / max(1, config.decay_steps)) if config.decay_steps else 1.0
    if config.decay_shape == "cosine":
        left = (1.0 - math.cos(math.pi * left)) / 2.0
    return config.learning_rate * warm * (config.final_share + (1.0 - config.final_share) * left)


@torch.no_grad()
def update_average(average: Iterable[Tensor], current: Iterable[Tensor], decay: float) -> None:
    """Move the running average towards the current weights, in place."""
    for kept, value in zip(average, current, strict=True):
        kept.lerp_(value, 1.0 - decay)
