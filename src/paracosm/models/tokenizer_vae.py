"""Continuous tokenizer: a convolutional variational autoencoder from frames to a small grid of latents.

Each frame gets its own latents (no compression in time), so a key press can be answered by the very next
frame. With ``time_kernel`` > 1 encoder and decoder also see past frames through causal convolutions and can
be streamed.

This file does NOT know losses, datasets or the dynamics that uses the latents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Latents, Pixels
from paracosm.nn.causal_conv import ResidualBlock
from paracosm.nn.norm import ChannelNorm

from .base import Model

State = list[Tensor | None]
"""Streaming state of an encoder or decoder: one entry a residual block."""


@dataclass(frozen=True, kw_only=True)
class TokenizerVAEConfig:
    """Sizes of the tokenizer; the grid is (height / stem / 2, width / stem / 2)."""

    height: int
    """rows of a frame in pixels"""
    width: int
    """columns of a frame in pixels"""
    stem: int
    """first space-to-depth factor: pixels a side that become one position"""
    latent_channels: int
    """numbers for each grid position"""
    fine_channels: int
    """channels at 1 / stem of the frame size"""
    coarse_channels: int
    """channels at 1 / (2 stem) of the frame size"""
    encoder_blocks: tuple[int, int]
    """residual blocks of the encoder at the fine and at the coarse scale"""
    decoder_blocks: tuple[int, int]
    """residual blocks of the decoder at the coarse and at the fine scale"""
    time_kernel: int
    """frames seen by each causal time convolution; 1 treats every frame by itself"""

    def __post_init__(self) -> None:
        """Refuse sizes that do not divide."""
        if self.height % (2 * self.stem) or self.width % (2 * self.stem):
            raise ConfigError(
                f"frames of {self.height} x {self.width} do not divide by 2 x stem = {2 * self.stem}; "
                "choose another size or stem"
            )
        if self.time_kernel < 1:
            raise ConfigError(
                f"time_kernel {self.time_kernel} is too small; use 1 for single frames or 2 and more"
            )

    @property
    def latent_height(self) -> int:
        """Rows of the latent grid."""
        return self.height // (2 * self.stem)

    @property
    def latent_width(self) -> int:
        """Columns of the latent grid."""
        return self.width // (2 * self.stem)


class TokenizerVAE(Model):
    """Encoder and decoder; latents leave ``encode`` scaled to zero mean and unit variance a channel.

    The scale is measured once after training (:meth:`set_scale`) and stored with the weights.
    """

    kind = "tokenizer_vae"
    config_class = TokenizerVAEConfig
    config: TokenizerVAEConfig

    def __init__(self, config: TokenizerVAEConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.register_buffer("shift", torch.zeros(config.latent_channels))
        self.register_buffer("scale", torch.ones(config.latent_channels))
        self.shift: Tensor
        self.scale: Tensor
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def encode(self, pixels: Pixels, state: State | None = None) -> tuple[Latents, State]:
        """Encode a clip, or the next piece of one, to the means of its latents.

        Args:
            pixels: (b, t, c, h, w) in [-1, 1].
            state: what the piece before returned; None begins a clip.

        Returns:
            Latents (b, t, z, h, w), about unit variance, and the state for the next piece.
        """
        mean, _, after = self.encoder(pixels, state)
        return (mean - self.shift[:, None, None]) / self.scale[:, None, None], after

    def decode(self, latents: Latents, state: State | None = None) -> tuple[Pixels, State]:
        """Decode a clip of latents, or the next piece of one, to pixels in about [-1, 1]."""
        return self.decoder(latents * self.scale[:, None, None] + self.shift[:, None, None], state)

    def posterior(self, pixels: Pixels) -> tuple[Latents, Latents]:
        """Mean and log-variance of the raw latents of whole clips, as the training loss needs them."""
        mean, log_variance, _ = self.encoder(pixels, None)
        return mean, log_variance

    def set_scale(self, mean: Tensor, deviation: Tensor) -> None:
        """Store the mean and standard deviation (z) of raw latents over the training data."""
        self.shift.copy_(mean)
        self.scale.copy_(deviation)


def inflate(tokenizer: TokenizerVAE, into: TokenizerVAE) -> None:
    """Give a tokenizer that sees time the weights of one that sees single frames.

    Its causal convolutions over time still add nothing, so both agree to the bit.

    Args:
        tokenizer: of time kernel 1.
        into: of the same sizes but for its time kernel; freshly made, changed in place.

    Raises:
        ConfigError: when the sizes differ otherwise.

    Source: 2-D weights with temporal layers that begin as identity: Open-Sora 1.2's report; GameGen-X
    2411.00769, C.2.
    """
    if replace(tokenizer.config, time_kernel=into.config.time_kernel) != into.config or (
        tokenizer.config.time_kernel != 1
    ):
        raise ConfigError(
            f"{tokenizer.config} cannot be inflated to {into.config}; only time_kernel may differ, and the "
            "given one must have 1"
        )
    missing, unused = into.load_state_dict(tokenizer.state_dict(), strict=False)
    assert not unused, unused
    assert all(".time." in name for name in missing), missing


class Encoder(nn.Module):
    """Pixels to the mean and log-variance of raw latents."""

    def __init__(self, config: TokenizerVAEConfig) -> None:
        super().__init__()
        self.stem = config.stem
        self.enter = nn.Conv2d(3 * config.stem**2, config.fine_channels, 3, padding=1)
        self.fine = _blocks(config.encoder_blocks[0], config.fine_channels, config.time_kernel)
        self.down = nn.Conv2d(4 * config.fine_channels, config.coarse_channels, 1)
        self.coarse = _blocks(config.encoder_blocks[1], config.coarse_channels, config.time_kernel)
        self.norm = ChannelNorm(config.coarse_channels)
        self.leave = nn.Conv2d(config.coarse_channels, 2 * config.latent_channels, 1)

    def forward(self, pixels: Pixels, state: State | None) -> tuple[Latents, Latents, State]:
        """Return mean, log-variance and the streaming state."""
        b, t = pixels.shape[:2]
        before: State = state or [None] * (len(self.fine) + len(self.coarse))
        x = rearrange(pixels, "b t c h w -> (b t) c h w")
        x = self.enter(_channels_last(functional.pixel_unshuffle(x, self.stem)))
        x, fine_state = _run(self.fine, x, t, before[: len(self.fine)])
        x = self.down(_channels_last(functional.pixel_unshuffle(x, 2)))
        x, coarse_state = _run(self.coarse, x, t, before[len(self.fine) :])
        x = rearrange(self.leave(self.norm(x)), "(b t) c h w -> b t c h w", b=b)
        mean, log_variance = x.chunk(2, 2)
        return mean, log_variance, fine_state + coarse_state


class Decoder(nn.Module):
    """Raw latents to pixels."""

    def __init__(self, config: TokenizerVAEConfig) -> None:
        super().__init__()
        self.stem = config.stem
        self.enter = nn.Conv2d(config.latent_channels, config.coarse_channels, 3, padding=1)
        self.coarse = _blocks(config.decoder_blocks[0], config.coarse_channels, config.time_kernel)
        self.up = nn.Conv2d(config.coarse_channels, 4 * config.fine_channels, 1)
        self.fine = _blocks(config.decoder_blocks[1], config.fine_channels, config.time_kernel)
        self.norm = ChannelNorm(config.fine_channels)
        self.leave = nn.Conv2d(config.fine_channels, 3 * config.stem**2, 3, padding=1)

    def forward(self, latents: Latents, state: State | None) -> tuple[Pixels, State]:
        """Return pixels (not yet clipped to [-1, 1]) and the streaming state."""
        b, t = latents.shape[:2]
        before: State = state or [None] * (len(self.coarse) + len(self.fine))
        x = self.enter(_channels_last(rearrange(latents, "b t z h w -> (b t) z h w")))
        x, coarse_state = _run(self.coarse, x, t, before[: len(self.coarse)])
        x = _channels_last(functional.pixel_shuffle(self.up(x), 2))
        x, fine_state = _run(self.fine, x, t, before[len(self.coarse) :])
        x = functional.pixel_shuffle(self.leave(functional.silu(self.norm(x))), self.stem)
        return rearrange(x, "(b t) c h w -> b t c h w", b=b), coarse_state + fine_state


def _blocks(count: int, num_channels: int, time_kernel: int) -> nn.ModuleList:
    return nn.ModuleList(ResidualBlock(num_channels, time_kernel) for _ in range(count))


def _run(blocks: nn.ModuleList, x: Tensor, num_frames: int, state: State) -> tuple[Tensor, State]:
    after: State = []
    for block, before in zip(blocks, state, strict=True):
        x, kept = block(x, num_frames, before)
        after.append(kept)
    return x, after


def _channels_last(x: Tensor) -> Tensor:
    # Convolutions on a CPU are about twice as fast in this layout; space-to-depth does not keep it by itself.
    return x.contiguous(memory_format=torch.channels_last)
