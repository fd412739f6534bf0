"""Vectors to codes and back: a learnt codebook (VQ), or a fixed grid (FSQ).

Both round to the nearest of finitely many vectors and pass the gradient straight through. A codebook follows
the running mean of the vectors that chose each code; codes that nobody chooses are put where vectors are.
``forward`` changes nothing: the training stage calls ``update``. This file does NOT know pictures or actions.

Source: van den Oord et al. 1711.00937, section 3 and appendix A.1; Mentzer et al. 2309.15505, section 3.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class VQConfig:
    """A learnt codebook."""

    kind: Literal["vq"] = "vq"
    """which quantizer"""
    codes: int
    """vectors in the codebook, at least 2"""
    width: int
    """numbers of a vector"""
    decay: float = 0.99
    """decay of the running means"""
    commitment: float = 0.25
    """weight of the pull of vectors towards their codes"""
    dead_steps: int = 50
    """steps without a single choice after which a code is put on a vector of the batch"""

    @property
    def num_codes(self) -> int:
        """Number of different codes."""
        return self.codes


@dataclass(frozen=True, kw_only=True)
class FSQConfig:
    """A fixed grid: each number of a vector is rounded to one of a few levels."""

    kind: Literal["fsq"] = "fsq"
    """which quantizer"""
    levels: tuple[int, ...]
    """levels of each number, at least 2 each; (8, 5, 5, 5) makes 1,000 codes"""

    @property
    def num_codes(self) -> int:
        """Number of different codes."""
        return math.prod(self.levels)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return len(self.levels)


QuantizerConfig = VQConfig | FSQConfig
"""Which quantizer, told apart by ``kind``."""


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What a quantizer made of vectors (..., width).

    Attributes:
        vectors: (..., width), the codes' vectors; their gradient goes to the input as it is.
        codes: int64 (...,).
        loss: scalar to add to the training loss.
    """

    vectors: Tensor
    codes: Tensor
    loss: Tensor


SETTLE_TRIES, SETTLE_ROUNDS = 8, 50
"""Random beginnings of a codebook that is laid anew, and rounds from each."""


class VectorQuantizer(nn.Module):
    """Nearest vector of a codebook that follows running means.

    Args:
        config: sizes.
    """

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.codes, config.width)
        self.register_buffer("codebook", torch.randn(shape) * config.width**-0.5)
        self.register_buffer("count", torch.zeros(config.codes))
        self.register_buffer("total", torch.zeros(shape))
        # Every code begins dead, so that the first update spreads the codebook over the first batch.
        self.register_buffer("idle", torch.full((config.codes,), float(config.dead_steps)))
        self.codebook: Tensor
        self.count: Tensor
        self.total: Tensor
        self.idle: Tensor

    def forward(self, x: Tensor) -> Quantized:
        """Quantize vectors (..., width)."""
        x = x.float()
        # bf16 would confuse codes that lie close together; counting costs runs on no device at all
        kind = "cpu" if x.device.type == "meta" else x.device.type
        with torch.autocast(kind, enabled=False):
            codes = self.nearest(x)
            near = self.lookup(codes)
        loss = self.config.commitment * functional.mse_loss(x, near)
        return Quantized(vectors=x + (near - x).detach(), codes=codes, loss=loss)

    def nearest(self, x: Tensor) -> Tensor:
        """Codes (...,) of the nearest vectors, float32 (..., width)."""
        with torch.no_grad():
            # |x - e|^2 without |x|^2, which is the same for all codes
            distance = self.codebook.square().sum(1) - 2.0 * (x @ self.codebook.T)
        return distance.argmin(-1)

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors (..., width) of codes (...,)."""
        return functional.embedding(codes, self.codebook)

    @torch.no_grad()
    def settle(self, x: Tensor, generator: torch.Generator) -> None:
        """Lay the codebook anew where vectors are: the best of a few k-means from random beginnings.

        Args:
            x: vectors (..., width), at least as many as there are codes.
            generator: chooses the beginnings.
        """
        x = x.detach().float().reshape(-1, x.shape[-1])
        tries = [self._k_means(x, generator) for _ in range(SETTLE_TRIES)]
        _, self.codebook[:], codes = min(tries, key=lambda one: one[0])
        self.count.copy_(torch.bincount(codes, minlength=self.config.codes).to(x)).clamp_min_(1.0)
        self.total.copy_(self.codebook * self.count[:, None])
        self.idle.zero_()

    def _k_means(self, x: Tensor, generator: torch.Generator) -> tuple[float, Tensor, Tensor]:
        """Mean squared distance, centres (codes, width) and the centre of each vector (n,)."""
        picks = torch.randperm(len(x), generator=generator)[: self.config.codes].to(x.device)
        centres = x[picks].clone()
        codes = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for _ in range(SETTLE_ROUNDS):
            codes = torch.cdist(x, centres).argmin(1)
            chosen = torch.bincount(codes, minlength=len(centres))
            total = torch.zeros_like(centres).index_add_(0, codes, x)
            # a centre that nothing is near stays where it is
            centres = torch.where(chosen[:, None] > 0, total / chosen[:, None].clamp_min(1), centres)
        return float((x - centres[codes]).square().sum(1).mean()), centres, codes

    @torch.no_grad()
    def update(self, x: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        """Move the codebook towards the vectors that chose each code, and wake dead codes.

        Args:
            x: vectors (..., width) of a batch.
            codes: what they were quantized to.
            generator: chooses the vectors that dead codes take.
        """
        x, codes = x.detach().float().reshape(-1, x.shape[-1]), codes.reshape(-1)
        chosen = torch.bincount(codes, minlength=self.config.codes).to(x)
        total = torch.zeros_like(self.total).index_add_(0, codes, x)
        self.count.lerp_(chosen, 1.0 - self.config.decay)
        self.total.lerp_(total, 1.0 - self.config.decay)
        self.idle.copy_(torch.where(chosen > 0, 0.0, self.idle + 1.0))
        alive = self.count > 1e-6
        self.codebook[alive] = self.total[alive] / self.count[alive, None]
        dead = torch.nonzero(self.idle >= self.config.dead_steps)[:, 0]
        if len(dead):
            picks = torch.randint(len(x), (len(dead),), generator=generator).to(x.device)
            self.codebook[dead] = x[picks]
            self.count[dead], self.total[dead] = 1.0, x[picks]
            self.idle[dead] = 0.0


class FiniteScalarQuantizer(nn.Module):
    """Each number is squashed to [-1, 1] and rounded to one of evenly spaced levels; nothing is learnt.

    Args:
        config: sizes.
    """

    def __init__(self, config: FSQConfig) -> None:
        super().__init__()
        self.config = config
        steps = torch.tensor(config.levels) - 1
        places = torch.cumprod(torch.tensor((1, *config.levels[:-1])), 0)
        self.register_buffer("steps", steps.float(), persistent=False)
        self.register_buffer("places", places, persistent=False)
        self.steps: Tensor
        self.places: Tensor

    def forward(self, x: Tensor) -> Quantized:
        """Quantize vectors (..., width)."""
        soft = torch.tanh(x.float())
        level = ((soft + 1.0) / 2.0 * self.steps).round()
        hard = 2.0 * level / self.steps - 1.0
        codes = (level.long() * self.places).sum(-1)
        return Quantized(vectors=soft + (hard - soft).detach(), codes=codes, loss=soft.new_tensor(0.0))

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors (..., width) of codes (...,)."""
        level = torch.div(codes[..., None], self.places, rounding_mode="floor") % (self.steps.long() + 1)
        return 2.0 * level / self.steps - 1.0

    def update(self, x: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        """Do nothing: the grid is fixed."""


Quantizer = VectorQuantizer | FiniteScalarQuantizer


def make_quantizer(config: QuantizerConfig) -> Quantizer:
    """Build the quantizer of a config."""
    return VectorQuantizer(config) if isinstance(config, VQConfig) else FiniteScalarQuantizer(config)


def code_usage(codes: Tensor, num_codes: int) -> tuple[Tensor, Tensor]:
    """Share of codes that occur at all, and the perplexity of their distribution in codes."""
    share = torch.bincount(codes.reshape(-1), minlength=num_codes).float() / codes.numel()
    entropy = -(share * share.clamp_min(1e-12).log()).sum()
    return (share > 0).float().mean(), entropy.exp()
