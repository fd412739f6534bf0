"""Streaming of a video transformer, block by block, through the one rollout; and the steps of its schedule.

The state is a value: the ring of keys and values, and the last clean blocks, from which the ring can be built
again. Nothing here ends: memory and positions stay as they are after the window is full. This file does NOT
know pixels, keys or mice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Latents
from paracosm.nn.ring_cache import RingCache

from .dynamics_video import BlockInput, VideoDynamics
from .rollout import check_levels, next_frame

NUM_STEPS = 1000
"""Steps of the schedule that published step lists count in."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamState:
    """Where a stream stands; never changed after it was handed out.

    Attributes:
        cache: keys and values of the latent frames in the window.
        blocks: the blocks that the window still touches, oldest first: number of the first latent frame,
            clean latents, and what they were made under.
    """

    cache: RingCache
    blocks: tuple[tuple[int, Latents, BlockInput], ...] = ()

    @property
    def written(self) -> int:
        """Latent frames made so far."""
        return self.cache.plan.written


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How blocks are denoised.

    Attributes:
        levels: noise levels of the passes, falling from 1.
        guidance: push from no control towards the control; 1 is plain, else passes double.
        context_level: noise level that the network is told for clean latents.
    """

    levels: tuple[float, ...]
    guidance: float = 1.0
    context_level: float = 0.0

    def __post_init__(self) -> None:
        check_levels(self.levels)


def warped_levels(steps: Sequence[int], shift: float) -> tuple[float, ...]:
    """Turn a published list of denoising steps into noise levels.

    Args:
        steps: whole numbers, e.g. (1000, 666, 333), falling from 1000 to at least 1.
        shift: how far steps are pushed towards noise; 1 leaves them.

    Returns:
        Levels that are exact in float32, as the published schedule computes them: a network is told the level
        times 1000, where a last digit more or less is seen.

    Raises:
        ConfigError: when steps do not fall from 1000 to at least 1.

    Source: Esser et al. 2403.03206, equation 23.
    """
    falling = all(a > b for a, b in itertools.pairwise(steps))
    if not steps or steps[0] != NUM_STEPS or not falling or steps[-1] < 1:
        raise ConfigError(
            f"denoising steps {list(steps)} do not fall from {NUM_STEPS} to at least 1; "
            "use e.g. 1000 666 333 (as a list in a file: [1000, 666, 333])"
        )
    grid = np.linspace(1.0, 0.0, NUM_STEPS + 1, dtype=np.float32)
    warped = np.float32(shift) * grid / (1 + np.float32(shift - 1) * grid)
    warped[0] = 1.0  # pure noise, also where rounding leaves the last digit off
    levels = tuple(float(warped[NUM_STEPS - step]) for step in steps)
    check_levels(levels)
    return levels


def begin(
    network: VideoDynamics, height: int, width: int, batch: int = 1, *, window: int = 0, sink: int = -1
) -> StreamState:
    """Return the state of a stream that has made nothing; see :meth:`VideoDynamics.empty_cache`."""
    return StreamState(cache=network.empty_cache(height, width, batch, window=window, sink=sink))


def next_block(
    network: VideoDynamics,
    state: StreamState,
    noise: Latents,
    given: BlockInput,
    settings: StreamSettings,
    fresh: Callable[[int], Latents],
) -> tuple[Latents, StreamState]:
    """Make the next block of latent frames.

    Args:
        network: in eval mode.
        state: where the stream stands.
        noise: standard normal (b, t, z, h, w).
        given: condition, controls and context of these latent frames.
        settings: passes and guidance.
        fresh: draws the noise that follows pass 0, 1, ..., shaped as ``noise``.

    Returns:
        Clean latents and the state after them.
    """
    clean = dream_block(network, state, noise, given, settings, fresh)
    return clean, keep_block(network, state, clean, given, settings)


def dream_block(
    network: VideoDynamics,
    state: StreamState,
    noise: Latents,
    given: BlockInput,
    settings: StreamSettings,
    fresh: Callable[[int], Latents],
) -> Latents:
    """Denoise the next block and leave it out of the cache; see :func:`next_block`."""

    def predict(x: Latents, level: float, control: BlockInput, cache: RingCache) -> Latents:
        flow = network.step(x, _levels(x, level), control, cache)
        # in double precision, as published: x and the flow nearly cancel
        return (x.double() - level * flow.double()).to(x.dtype)

    def denoise(x: Latents, level: float, control: BlockInput, cache: RingCache) -> Latents:
        clean = predict(x, level, control, cache)
        if settings.guidance == 1.0:
            return clean
        free = predict(x, level, control.without_control(), cache)
        return free + settings.guidance * (clean - free)

    def leave_out(clean: Latents, control: BlockInput, cache: RingCache) -> RingCache:
        return cache

    clean, _ = next_frame(denoise, leave_out, noise, settings.levels, given, state.cache, fresh)
    return clean


def keep_block(
    network: VideoDynamics,
    state: StreamState,
    clean: Latents,
    given: BlockInput,
    settings: StreamSettings,
) -> StreamState:
    """Write a block that :func:`dream_block` made to the cache, and return the state after it."""
    cache = network.write(clean, _levels(clean, settings.context_level), given, state.cache)
    blocks = (*state.blocks, (state.written, clean, given))
    held = cache.plan.held
    touched = [entry for entry in blocks if any(entry[0] <= i < entry[0] + entry[1].shape[1] for i in held)]
    return StreamState(cache=cache, blocks=tuple(touched))


def drop_cache(state: StreamState) -> StreamState:
    """Forget the past: the next block begins from its condition and controls alone."""
    return StreamState(cache=state.cache.clear())


def rebuild_cache(network: VideoDynamics, state: StreamState, settings: StreamSettings) -> StreamState:
    """Compute keys and values of the kept blocks anew, oldest first; what lies before them is forgotten.

    For a changed context, or weights: what the ring holds was computed under the old ones.
    """
    cache = state.cache.clear()
    for first, clean, given in state.blocks:
        cache = replace(cache, plan=replace(cache.plan, written=first))
        cache = network.write(clean, _levels(clean, settings.context_level), given, cache)
    cache = replace(cache, plan=replace(cache.plan, written=state.written))
    return replace(state, cache=cache)


def _levels(x: Latents, level: float) -> Tensor:
    return torch.full(x.shape[:2], level, dtype=torch.float32, device=x.device)
