"""The one rollout over a masked dynamics: past frames cached and frozen, several passes a frame, one write.

Codes never take the round trip through pixels: what the last pass filled in is what the cache gets. A frame
costs as many passes as there are levels, plus one; re-running a window of t frames for each pass would cost t
times as many. This file does NOT know pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.core.rng import sub_seed
from paracosm.core.shapes import Codes, Controls
from paracosm.nn.kv_cache import KVCache

from .dynamics_maskgit import MaskGITDynamics
from .mask_schedule import SamplerConfig, mask_levels
from .masking import FilledFrame, MaskedFrame, fill, remask
from .rollout import next_frame


class TokenRollout:
    """Denoise, write and remask of one dynamics, for :func:`rollout.next_frame`; keeps no state.

    A control is (vectors (b, 1, a), known bool (b, 1)).

    Args:
        dynamics: in eval mode.
        sampler: passes and temperature.
    """

    def __init__(self, dynamics: MaskGITDynamics, sampler: SamplerConfig) -> None:
        if sampler.num_passes > dynamics.config.tokens_per_frame:
            raise ConfigError(
                f"num_passes {sampler.num_passes} is more than the {dynamics.config.tokens_per_frame} tokens "
                "of a frame; each pass settles at least one"
            )
        self.dynamics, self.sampler = dynamics, sampler
        self.levels = mask_levels(sampler.num_passes)

    def denoise(
        self, x: MaskedFrame, level: float, control: tuple[Tensor, Tensor], cache: KVCache
    ) -> FilledFrame:
        """One pass over one frame; see ``rollout.Denoise``."""
        return fill(x, self.dynamics.step(x.codes, *control, cache), self.sampler.temperature)

    def write(self, clean: FilledFrame, control: tuple[Tensor, Tensor], cache: KVCache) -> KVCache:
        """The pass that fills the cache; see ``rollout.Write``."""
        return self.dynamics.write(clean.codes, *control, cache)

    @torch.no_grad()
    def next(self, draws: Tensor, control: tuple[Tensor, Tensor], cache: KVCache) -> tuple[Codes, KVCache]:
        """Make one frame.

        Args:
            draws: uniform (passes, b, 1, s).
            control: the action that leads to the frame, and whether it is known.
            cache: the frames before.

        Returns:
            Codes (b, 1, s) and the cache that also holds them.
        """
        mask_code = self.dynamics.config.mask_code
        begin = MaskedFrame.begin(mask_code, draws)
        clean, cache = next_frame(
            self.denoise, self.write, begin, self.levels, control, cache, renoise=remask(mask_code)
        )
        return clean.codes, cache


def draw_frame(seed: int, index: int, shape: tuple[int, ...]) -> Tensor:
    """Uniform draws of one frame from (seed, frame number): the same on every machine."""
    generator = torch.Generator().manual_seed(sub_seed(seed, "tokens", index))
    return torch.rand(shape, generator=generator)


def stream_codes(
    dynamics: MaskGITDynamics,
    start: Codes,
    controls: Controls,
    sampler: SamplerConfig,
    seed: int = 0,
    known: Sequence[bool] | None = None,
) -> Iterator[Codes]:
    """Continue clips by the one rollout, a frame at a time: each comes as soon as it is made.

    Args:
        dynamics: in eval mode.
        start: codes (b, t0, s) to go on from, t0 >= 1; they are given back first.
        controls: (b, t, a), entry t leads to frame t; t >= t0.
        sampler: passes and temperature.
        seed: of the draws.
        known: whether each frame's action is known; None knows all but the first frame's.

    Yields:
        Codes (b, 1, s) of each frame.
    """
    rollout = TokenRollout(dynamics, sampler)
    batch, tokens = start.shape[0], start.shape[2]
    cache = dynamics.empty_cache(batch)
    for index in range(controls.shape[1]):
        told = index > 0 if known is None else known[index]
        control = (
            controls[:, index : index + 1],
            torch.full((batch, 1), told, dtype=torch.bool, device=start.device),
        )
        if index < start.shape[1]:
            codes = start[:, index : index + 1]
            with torch.no_grad():
                cache = dynamics.write(codes, *control, cache)
        else:
            draws = draw_frame(seed, index, (sampler.num_passes, batch, 1, tokens)).to(start.device)
            codes, cache = rollout.next(draws, control, cache)
        yield codes


def dream_codes(
    dynamics: MaskGITDynamics, start: Codes, controls: Controls, sampler: SamplerConfig, seed: int = 0
) -> Codes:
    """Continue clips as :func:`stream_codes` does; codes (b, t, s), the start included."""
    return torch.cat(list(stream_codes(dynamics, start, controls, sampler, seed)), 1)
