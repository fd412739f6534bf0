"""Masked tokens in torch: which are masked in training and at each pass, and what the others are filled with.

The share of masked tokens plays the part of the noise level: 1 is a frame of masks, 0 a clean one. This file
does NOT know networks.

Source: MaskGIT 2202.04200, sections 3.1 and 3.2; Genie 2402.15391, section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from paracosm.core.shapes import Codes

from .mask_schedule import count_masked
from .rollout import Renoise

MASK_RATES = (0.5, 1.0)
"""Training masks are Bernoulli with a rate drawn uniformly from this range, once a clip."""


def draw_mask(
    shape: tuple[int, ...], generator: torch.Generator, rates: tuple[float, float] = MASK_RATES
) -> Tensor:
    """Draw which tokens of clips are masked; first frames never are.

    Args:
        shape: (b, t, s).
        generator: source of draws, on the CPU.
        rates: smallest and largest share of masked tokens of a clip.

    Returns:
        bool (b, t, s).
    """
    low, high = rates
    rate = low + (high - low) * torch.rand(shape[0], 1, 1, generator=generator)
    mask = torch.rand(shape, generator=generator) < rate
    mask[:, 0] = False
    return mask


def corrupt(codes: Codes, num_codes: int, largest: float, generator: torch.Generator) -> Codes:
    """Replace tokens by random ones, at a rate drawn uniformly from 0 to ``largest``, once a clip.

    A past with mistakes in training keeps long play from drifting.
    """
    other = torch.randint(num_codes, codes.shape, generator=generator)
    return mix(codes, other.to(codes.device), largest, generator)


def mix(codes: Codes, others: Codes, largest: float, generator: torch.Generator) -> Codes:
    """Take tokens from ``others``, at a rate drawn uniformly from 0 to ``largest``, once a clip."""
    rate = largest * torch.rand(codes.shape[0], 1, 1, generator=generator)
    hit = torch.rand(codes.shape, generator=generator) < rate
    return torch.where(hit.to(codes.device), others, codes)


def draw_codes(logits: Tensor, draws: Tensor) -> Codes:
    """Draw codes by inversion: one uniform number a token, so that noise is small and portable.

    Args:
        logits: float32 (..., codes).
        draws: (...), uniform in [0, 1).

    Returns:
        int64 (...).
    """
    cumulative = torch.softmax(logits, -1).cumsum(-1)
    target = draws[..., None] * cumulative[..., -1:]
    found = torch.searchsorted(cumulative, target, right=True)[..., 0]
    return found.clamp_max(logits.shape[-1] - 1)


@dataclass(frozen=True, kw_only=True)
class MaskedFrame:
    """One frame on its way from all masked to clean.

    Attributes:
        codes: (b, 1, s).
        masked: bool (b, 1, s).
        draws: float32 (p, b, 1, s) in [0, 1), one for each token of each pass still to come.
    """

    codes: Codes
    masked: Tensor
    draws: Tensor

    @classmethod
    def begin(cls, mask_code: int, draws: Tensor) -> MaskedFrame:
        """A frame of masks; ``draws`` (p, b, 1, s) are uniform, from the caller's stream."""
        shape, device = draws.shape[1:], draws.device
        masked = torch.ones(shape, dtype=torch.bool, device=device)
        return cls(codes=torch.full(shape, mask_code, device=device), masked=masked, draws=draws)


@dataclass(frozen=True, kw_only=True)
class FilledFrame:
    """What a pass made of a masked frame.

    Attributes:
        codes: (b, 1, s), no token masked.
        confidence: float32 (b, 1, s); infinite for tokens that were not masked.
    """

    codes: Codes
    confidence: Tensor


def fill(frame: MaskedFrame, logits: Tensor, temperature: float) -> FilledFrame:
    """Fill the masked tokens of a frame.

    Args:
        frame: what the pass was given.
        logits: (b, 1, s, codes) of the pass.
        temperature: of the sampling; 0 takes the likeliest code.
    """
    logits = logits.float()
    made = draw_codes(logits / temperature, frame.draws[0]) if temperature > 0 else logits.argmax(-1)
    # Always at temperature 1: a confidence sharpened by a schedule saturates, and masks then go by index.
    chance = torch.log_softmax(logits, -1).gather(-1, made[..., None])[..., 0]
    codes = torch.where(frame.masked, made, frame.codes)
    return FilledFrame(codes=codes, confidence=chance.masked_fill(~frame.masked, torch.inf))


def remask(mask_code: int) -> Renoise:
    """Make the step of the rollout between two passes: the least confident tokens are masked again.

    What was once kept stays, as its confidence is infinite.
    """

    def step(x: MaskedFrame, clean: FilledFrame, level: float, lower: float) -> MaskedFrame:
        tokens = clean.codes.shape[-1]
        count = count_masked(lower, tokens, int(x.masked[0].sum()))
        order = clean.confidence.argsort(dim=-1, stable=True)
        masked = torch.zeros_like(x.masked).scatter_(-1, order[..., :count], True)
        codes = clean.codes.masked_fill(masked, mask_code)
        return replace(x, codes=codes, masked=masked, draws=x.draws[1:])

    return step
