"""What every stage of self forcing shares: a critic that learns several steps for each of the student's.

This file does NOT know networks, rollouts or losses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Latents

from .loop import LoopConfig, Turns
from .matching import MatchingConfig
from .optim import OptimConfig

STUDENT, CRITIC = "dynamics", "critic"
"""Names of the networks that learn."""


@dataclass(frozen=True, kw_only=True)
class ForcingConfig:
    """The turns of critic and student, and how their scores are compared."""

    loop: LoopConfig
    """length and logging; its optimiser is the student's"""
    critic: OptimConfig = field(
        default_factory=lambda: OptimConfig(learning_rate=1e-4, warmup_steps=20, betas=(0.0, 0.99))
    )
    """optimiser of the critic"""
    critic_steps: int = 4
    """steps of the critic before each of the student"""
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    """noise levels and guidance of the scores"""
    batch_size: int = 4
    """clips a batch"""

    def __post_init__(self) -> None:
        """Refuse turns without a critic."""
        if self.critic_steps < 1:
            raise ConfigError(
                f"critic_steps {self.critic_steps} leaves the critic behind; use at least 1, e.g. 4"
            )

    @property
    def turns(self) -> Turns:
        """The critic several times, then the student."""
        return Turns(
            cycle=(CRITIC,) * self.critic_steps + (STUDENT,),
            optims={CRITIC: self.critic, STUDENT: self.loop.optim},
        )


def latent_motion(latents: Latents) -> Tensor:
    """Mean absolute change of latents (b, t, ...) from frame to frame."""
    return latents.detach().diff(dim=1).abs().mean()
