"""Root-mean-square norms over the width axis and over the channel axis of pictures."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .fused import can_fuse, fused_norm

EPSILON = 1e-6
"""Added to the mean square; small against any activation we see, large against bf16 underflow."""


class ChannelNorm(nn.Module):
    """Root-mean-square norm over the channels of (n, c, h, w), one learnt gain a channel.

    Group norm would mix positions and is slow in channels-last on a CPU; this one is local, so it streams and
    tiles.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x divided by its root mean square over channels, times the gain."""
        scale = torch.rsqrt(x.float().square().mean(1, keepdim=True) + EPSILON).to(x.dtype)
        return x * scale * self.gain.to(x.dtype)[:, None, None]


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis, one learnt gain a number.

    Args:
        width: numbers of the last axis.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x divided by its root mean square, times the gain."""
        return gained_norm(x, self.gain)


def gained_norm(x: Tensor, gain: Tensor) -> Tensor:
    """Divide by the root mean square over the last axis, times a gain (width,)."""
    if can_fuse(x):
        return fused_norm(x, gain, EPSILON)
    return functional.rms_norm(x, (x.shape[-1],), gain.to(x.dtype), EPSILON)


def rms_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over the last axis, without a gain."""
    return functional.rms_norm(x, (x.shape[-1],), eps=EPSILON)
