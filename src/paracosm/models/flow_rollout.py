"""Clips continued by the one rollout, in batches: previews, judges and students that train on what they make.

The frames given are written to the cache as they are, the others are made under their controls. With a
gradient, only the last pass of each frame has one: passes before it and the pass that fills the cache run
without, so memory grows by one pass a frame and no gradient runs back through time. This file does NOT know
losses, pixels or pages.

Source: the truncated gradient is that of Self Forcing, Huang et al. 2506.08009, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from paracosm.core.shapes import Controls, Latents
from paracosm.nn.kv_cache import KVCache

from .dynamics_flow import FlowDynamics
from .rollout import check_levels, next_frame

RenoiseKind = Literal["euler", "fresh"]
"""From one pass to the next along the straight line, or from the clean prediction under new noise."""


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How frames are made."""

    levels: tuple[float, ...] = (1.0, 0.5)
    """noise levels of the passes of a frame, falling from 1"""
    renoise: RenoiseKind = "euler"
    """how a pass hands on to the next"""
    window: int = 0
    """past frames that are kept; 0 takes all that the network was made for"""
    sink: int = 0
    """first frames of a clip that stay in the window for good"""
    context_level: float = 0.0
    """noise level that the network is told for the clean frames of the past"""

    def __post_init__(self) -> None:
        """Refuse levels that do not fall."""
        check_levels(self.levels)


def continue_clips(
    dynamics: FlowDynamics,
    start: Latents,
    controls: Controls,
    config: RolloutConfig,
    generator: torch.Generator,
    *,
    gradient: Literal["none", "last_pass"] = "none",
    gradient_from: int = 0,
) -> Latents:
    """Make the frames of clips that controls lead to, from the frames that they start with.

    Args:
        dynamics: a causal network.
        start: (b, t0, z, h, w), t0 >= 1.
        controls: (b, t, a), entry t leads to frame t; t >= t0.
        config: passes and cache; ``levels`` cut short end a frame early.
        generator: of the noise, on the CPU.
        gradient: none, or through the last pass of each frame.
        gradient_from: first frame that has a gradient.

    Returns:
        (b, t, z, h, w), the start included.
    """
    b, last = start.shape[0], config.levels[-1]

    def known(index: int) -> Tensor:
        return torch.full((b, 1), index > 0, device=start.device)

    def level_of(value: float) -> Tensor:
        return torch.full((b, 1), value, device=start.device)

    def denoise(x: Tensor, level: float, control: int, cache: KVCache) -> Tensor:
        led_by = controls[:, control : control + 1]
        through = gradient == "last_pass" and level == last and control >= gradient_from
        with torch.set_grad_enabled(through):
            return dynamics.step(x, level_of(level), led_by, known(control), cache).float()

    def write(clean: Tensor, control: int, cache: KVCache) -> KVCache:
        led_by = controls[:, control : control + 1]
        with torch.no_grad():
            level = level_of(config.context_level)
            return dynamics.write(clean.detach(), level, led_by, known(control), cache)

    def draw(_: int = 0) -> Tensor:
        return torch.randn(start[:, :1].shape, generator=generator).to(start)

    # No slot is kept that no frame of these clips will fill: every pass reads and turns all of them.
    window = min(config.window or dynamics.config.window, controls.shape[1])
    cache = dynamics.empty_cache(b, window=window, sink=min(config.sink, window - 1))
    fresh = draw if config.renoise == "fresh" else None
    frames = []
    for index in range(controls.shape[1]):
        if index < start.shape[1]:
            clean = start[:, index : index + 1]
            cache = write(clean, index, cache)
        else:
            clean, cache = next_frame(denoise, write, draw(), config.levels, index, cache, fresh)
        frames.append(clean)
    return torch.cat(frames, 1)
