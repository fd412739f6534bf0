"""Losses shared by stages. Each takes floats, returns a scalar, and knows no network."""

import torch
from einops import rearrange
from torch import Tensor

from paracosm.core.shapes import Latents, Pixels


def edge_loss(made: Pixels, real: Pixels) -> Tensor:
    """Mean absolute error of the differences between neighbouring pixels, across and down.

    It keeps edges sharp.
    """
    across = (made.diff(dim=-1) - real.diff(dim=-1)).abs().mean()
    down = (made.diff(dim=-2) - real.diff(dim=-2)).abs().mean()
    return across + down


def kl_to_normal(mean: Latents, log_variance: Latents) -> Tensor:
    """Mean over all latents of KL(N(mean, variance) || N(0, 1)), in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()


def psnr_db(made: Pixels, real: Pixels) -> Tensor:
    """Mean over frames of the peak signal-to-noise ratio in dB.

    Pixels are in [-1, 1]; those made are clipped there first.
    """
    error = (
        rearrange(made.float().clamp(-1, 1) - real.float(), "b t c h w -> (b t) (c h w)").square().mean(-1)
    )
    return (10 * torch.log10(4.0 / error.clamp_min(1e-10))).mean()
