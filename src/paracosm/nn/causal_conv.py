"""Convolutions over pictures, and causal ones over time with a streaming state.

A state is a value: it is passed in and returned, and ``forward`` keeps none. This file does NOT know
tokenizers.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from .norm import ChannelNorm


class CausalTimeConv(nn.Module):
    """Depthwise-separable convolution over time that sees only the present and the past.

    The state holds the last ``kernel - 1`` inputs, so a clip can be fed in pieces with the same result.
    Before the first frame the past is zero. The output is zero-initialised: a block begins as if it had no
    time axis.

    Args:
        num_channels: channels in and out.
        kernel: frames seen, >= 2.
    """

    def __init__(self, num_channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.over_time = nn.Conv1d(num_channels, num_channels, kernel, groups=num_channels)
        self.mix = nn.Conv2d(num_channels, num_channels, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Convolve a piece of a clip.

        Args:
            x: (b, t, c, h, w).
            state: (b, kernel - 1, c, h, w) from the piece before, or None at the start of a clip.

        Returns:
            The output, shaped as x, and the state for the next piece.
        """
        b, _, c, h, w = x.shape
        if state is None:
            state = x.new_zeros(b, self.kernel - 1, c, h, w)
        padded = torch.cat([state, x], 1)
        y = self.over_time(rearrange(padded, "b t c h w -> (b h w) c t"))
        y = rearrange(y, "(b h w) c t -> (b t) c h w", b=b, h=h, w=w)
        y = rearrange(self.mix(nn.functional.silu(y)), "(b t) c h w -> b t c h w", b=b)
        return y, padded[:, padded.shape[1] - self.kernel + 1 :]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions a frame, then, when ``time_kernel`` > 1, a causal convolution over time.

    Args:
        num_channels: channels in and out.
        time_kernel: frames seen; 1 keeps every frame apart.
    """

    def __init__(self, num_channels: int, time_kernel: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(num_channels)
        self.first = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.second = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # pyright: ignore[reportArgumentType]
        self.time = CausalTimeConv(num_channels, time_kernel) if time_kernel > 1 else None

    def forward(self, x: Tensor, num_frames: int, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the new features and the state for the next piece.

        Args:
            x: ((b t), c, h, w).
            num_frames: t.
            state: the state that this block returned for the piece before, or None.
        """
        x = x + self.second(nn.functional.silu(self.first(self.norm(x))))
        if self.time is None:
            return x, None
        over_time, state = self.time(rearrange(x, "(b t) c h w -> b t c h w", t=num_frames), state)
        return x + rearrange(over_time, "b t c h w -> (b t) c h w"), state
