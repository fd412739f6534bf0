"""Distribution matching: the scores of real clips and of the student's say where to move its frames.

Both scores are flow dynamics asked about the same frames under new noise. Where the fake one expects what
the real one does not, the student makes too much of it; the difference is the gradient of its frames. This
file does NOT know rollouts, optimisers or turns.

Source: Yin et al. 2311.18828 (DMD), equations 7 and 8; 2405.14867 (DMD2) for the turns of critic and student.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Latents, NoiseLevels
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.flow_clip import Setting, predict_clips
from paracosm.models.noise import mix, velocity_weight

SMALLEST_DISTANCE = 0.1
"""Latents have about unit variance: a frame nearer than this to what is wanted is right, and dividing by less
would make its step the largest of all."""


@dataclass(frozen=True, kw_only=True)
class MatchingConfig:
    """At which noise the scores are compared, and how strongly the real one follows controls."""

    guidance: float = 1.5
    """guidance of the real score on controls; 1 is plain, else its passes double"""
    level_range: tuple[float, float] = (0.1, 0.98)
    """noise levels at which scores are asked"""
    level_shift: float = 2.0
    """above 1 draws more of the high levels, where layout is decided; 1 is uniform"""

    def __post_init__(self) -> None:
        """Refuse levels outside (0, 1]."""
        low, high = self.level_range
        if not 0 < low < high <= 1 or self.level_shift <= 0:
            raise ConfigError(
                f"level_range {self.level_range} and level_shift {self.level_shift:g} are no levels; "
                "use a rising pair in (0, 1] and a shift above 0, e.g. 0.1 0.98 and 2"
            )


def draw_score_levels(
    shape: Sequence[int], config: MatchingConfig, dynamics: FlowDynamics, generator: torch.Generator
) -> NoiseLevels:
    """Draw levels (b, t): one a frame for a causal score, one a clip for a bidirectional one."""
    drawn = torch.rand(shape[0], 1 if dynamics.config.ahead else shape[1], generator=generator)
    return shift_levels(drawn, config).expand(shape[0], shape[1])


def shift_levels(drawn: Tensor, config: MatchingConfig) -> NoiseLevels:
    """Turn uniform draws in [0, 1) into levels at which scores are compared."""
    shifted = config.level_shift * drawn / (1 + (config.level_shift - 1) * drawn)
    low, high = config.level_range
    return low + (high - low) * shifted


def matching_loss(
    made: Latents,
    setting: Setting,
    real: FlowDynamics,
    fake: FlowDynamics,
    config: MatchingConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Loss whose gradient on the student's frames is the difference of the scores.

    Args:
        made: (b, t, z, h, w), the start and the student's frames, with a gradient.
        setting: what is given; its start does not count.
        real: score of real clips.
        fake: score of the student's clips.
        config: levels and guidance.
        generator: of levels and noise.

    Returns:
        The loss, and the mean absolute difference of the two predictions of each frame (b, t), detached.
    """
    with torch.no_grad():
        levels = draw_score_levels(made.shape[:2], config, real, generator).to(made)
        noisy = mix(made, torch.randn(made.shape, generator=generator).to(made), levels)
        wanted = predict_clips(real, noisy, levels, setting, config.guidance).float()
        expected = predict_clips(fake, noisy, levels, setting).float()
    target, gap = matching_target(made, wanted, expected)
    loss = 0.5 * (made - target).square()[:, setting.start :].mean()
    return loss, gap


@torch.no_grad()
def matching_target(made: Latents, wanted: Latents, expected: Latents) -> tuple[Latents, Tensor]:
    """Say where frames should go, from what the two scores predict of them under the same noise.

    Args:
        made: (b, t, z, h, w), the student's frames.
        wanted: what the real score predicts.
        expected: what the fake one does.

    Returns:
        The frames moved by the difference, and its mean absolute size for each frame (b, t).
    """
    # Each frame's step is measured by how far it is from what is wanted, as in equation 8.
    distance = (made - wanted).abs().mean((2, 3, 4), keepdim=True).clamp_min(SMALLEST_DISTANCE)
    gradient = torch.nan_to_num((expected - wanted) / distance)
    return made - gradient, (expected - wanted).abs().mean((2, 3, 4))


def critic_loss(
    made: Latents, setting: Setting, fake: FlowDynamics, config: MatchingConfig, generator: torch.Generator
) -> Tensor:
    """Flow matching of the fake score on the student's frames, which carry no gradient."""
    levels = draw_score_levels(made.shape[:2], config, fake, generator).to(made)
    noisy = mix(made, torch.randn(made.shape, generator=generator).to(made), levels)
    predicted = predict_clips(fake, noisy, levels, setting).float()
    error = (predicted - made).square().mean((2, 3, 4))
    return (error * velocity_weight(levels))[:, setting.start :].mean()
