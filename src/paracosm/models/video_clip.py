"""What a video transformer says of whole clips, and clips that it makes block by block, in batches.

A network with a window is asked about every block under a clean past beside it, with the very mask of play;
one without sees the whole noisy clip at one noise level. Rollouts are play's own loop and cache; with a
gradient, only the last pass of each block has one, so that none runs back through time. This file does NOT
know losses, pixels or recordings.

Source: Matrix-Game 2.0, 2508.13009; the truncated gradient is that of Self Forcing, 2506.08009, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from paracosm.core.shapes import Latents, NoiseLevels
from paracosm.nn.ring_cache import RingCache

from .dynamics_video import BlockInput, VideoDynamics, streams_mask
from .rollout import euler, next_frame


@dataclass(frozen=True, kw_only=True)
class ClipPast:
    """The past that every block of a clip is asked under; a network of whole clips does not look at it.

    Attributes:
        latents: (b, t, z, h, w), clean or lightly noised.
        levels: (b, t), their noise levels.
    """

    latents: Latents
    levels: NoiseLevels


def clip_flow(
    network: VideoDynamics, noisy: Latents, levels: NoiseLevels, given: BlockInput, past: ClipPast
) -> Latents:
    """Predict the flow, noise minus clean, of every latent frame of a clip.

    Args:
        network: with a window, or of whole clips.
        noisy: (b, t, z, h, w), t a multiple of the network's block.
        levels: (b, t); the same within a block, as in play.
        given: condition, controls and context of all latent frames.
        past: what blocks see of those before them.
    """
    config, count = network.config, noisy.shape[1]
    if not config.window:
        return network(noisy, levels, given)
    twice = replace(
        given,
        condition=given.condition.repeat(1, 2, 1, 1, 1),
        keyboard=given.keyboard.repeat(1, 2, 1, 1),
        mouse=given.mouse.repeat(1, 2, 1, 1),
    )
    seen = streams_mask(count, config.block, config.window, streams=2).to(noisy.device)
    both = torch.cat([past.latents.to(noisy), noisy], 1)
    both_levels = torch.cat([past.levels.to(levels), levels], 1)
    return network(both, both_levels, twice, [*range(count), *range(count)], seen)[:, count:]


def predict_clip(
    network: VideoDynamics,
    noisy: Latents,
    levels: NoiseLevels,
    given: BlockInput,
    past: ClipPast,
    guidance: float = 1.0,
) -> Latents:
    """Predict the clean latents of a clip, float32; arguments as for :func:`clip_flow`.

    Args:
        network: see there, like the others.
        noisy: see there.
        levels: see there.
        given: see there.
        past: see there.
        guidance: push from no control towards the control; 1 is plain and costs one pass, else two.
    """

    def clean(inputs: BlockInput) -> Latents:
        flow = clip_flow(network, noisy, levels, inputs, past).float()
        return noisy - levels[:, :, None, None, None] * flow

    asked = clean(given)
    if guidance == 1.0:
        return asked
    free = clean(given.without_control())
    return free + guidance * (asked - free)


def solve_clip(
    network: VideoDynamics,
    noise: Latents,
    given: BlockInput,
    past: ClipPast,
    levels: Sequence[float],
    guidance: float = 1.0,
) -> list[Latents]:
    """Follow the flow of every latent frame from noise by Euler steps.

    Returns:
        The clips at each of ``levels``, which fall from 1, then the clean ones.
    """
    x, trajectory = noise, [noise]
    for index, level in enumerate(levels):
        clean = predict_clip(network, x, x.new_full(x.shape[:2], level), given, past, guidance)
        lower = levels[index + 1] if index + 1 < len(levels) else 0.0
        x = euler(x, clean, level, lower)
        trajectory.append(x)
    return trajectory


def roll_clip(
    network: VideoDynamics,
    given: BlockInput,
    levels: Sequence[float],
    generator: torch.Generator,
    *,
    gradient: Literal["none", "last_pass"] = "none",
    context_level: float = 0.0,
) -> Latents:
    """Make clips from noise, block by block, as play does.

    Args:
        network: with a window.
        given: condition, controls and context of all latent frames, a multiple of the network's block.
        levels: noise levels of the passes; cut short they end a block early.
        generator: of all noise, on the processor.
        gradient: none, or through the last pass of each block.
        context_level: noise level that the network is told for clean latents.

    Returns:
        (b, t, z, h, w).

    Raises:
        ConfigError: when the network sees whole clips only.
    """
    config = network.config
    b, t, _, rows, columns = given.condition.shape
    shape = (b, config.block, config.latent_channels, rows, columns)
    cache = network.empty_cache(rows, columns, b)

    def level_of(value: float) -> Tensor:
        return torch.full((b, config.block), value, device=given.condition.device)

    def denoise(x: Latents, level: float, control: BlockInput, cache: RingCache) -> Latents:
        with torch.set_grad_enabled(gradient == "last_pass" and level == levels[-1]):
            return x - level * network.step(x, level_of(level), control, cache).float()

    def write(clean: Latents, control: BlockInput, cache: RingCache) -> RingCache:
        with torch.no_grad():
            return network.write(clean.detach(), level_of(context_level), control, cache)

    def draw(_: int = 0) -> Tensor:
        return torch.randn(shape, generator=generator).to(given.condition)

    blocks = []
    for first in range(0, t, config.block):
        control = cut_input(given, slice(first, first + config.block))
        clean, cache = next_frame(denoise, write, draw(), levels, control, cache, draw)
        blocks.append(clean)
    return torch.cat(blocks, 1)


def cut_input(given: BlockInput, frames: slice) -> BlockInput:
    """What is given of some latent frames."""
    return replace(
        given,
        condition=given.condition[:, frames],
        keyboard=given.keyboard[:, frames],
        mouse=given.mouse[:, frames],
    )
