"""Latent action model: finds, from pictures alone, which of a few actions lay between two frames.

The encoder sees the past and the next frame and names one of ``num_actions`` codes; the decoder sees the past
and that code and must draw the next frame. What the past does not tell has to go through the code, and when
the codes are few, that is what the player did. Only the codebook is needed to play.

Frames come as pixels, or, for the ablation, as codes of a tokenizer. This file does NOT know losses, datasets
or true controls.

Source: Genie 2402.15391, section 2.1; token input: table 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Codes, Pixels
from paracosm.nn.patch import from_patches, pad_to_patches, to_patches
from paracosm.nn.quantize import Quantized, QuantizerConfig, make_quantizer
from paracosm.nn.stack import SpaceTimeStack, StackConfig

from .base import Model
from .checks import check_stack


@dataclass(frozen=True, kw_only=True)
class PixelInput:
    """The model sees frames as pixels."""

    kind: Literal["pixels"] = "pixels"
    """what it sees"""
    height: int
    """rows of a frame in pixels"""
    width: int
    """columns of a frame in pixels"""
    patch: int
    """pixels a side that become one token; where it does not divide a side, the picture's edge is repeated"""

    @property
    def grid(self) -> tuple[int, int]:
        """Token rows and columns of a frame."""
        return -(-self.height // self.patch), -(-self.width // self.patch)


@dataclass(frozen=True, kw_only=True)
class CodeInput:
    """The model sees frames as a tokenizer's codes."""

    kind: Literal["codes"] = "codes"
    """what it sees"""
    rows: int
    """token rows of a frame"""
    columns: int
    """token columns of a frame"""
    num_codes: int
    """codes of the tokenizer"""

    @property
    def grid(self) -> tuple[int, int]:
        """Token rows and columns of a frame."""
        return self.rows, self.columns


@dataclass(frozen=True, kw_only=True)
class LatentActionsConfig:
    """Sizes of the latent action model."""

    input: PixelInput | CodeInput
    """what frames come as"""
    encoder: StackConfig
    """sizes of the encoder"""
    decoder: StackConfig
    """sizes of the decoder"""
    quantizer: QuantizerConfig
    """the latent actions: their number, and numbers of each"""
    window: int
    """past frames that a frame sees"""
    draws: Literal["frame", "change"]
    """what the decoder's last layer makes: the next frame, or its difference from the present one"""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built and a single action."""
        if self.num_actions < 2:
            raise ConfigError(
                f"{self.num_actions} latent action cannot tell two controls apart; use at least 2, e.g. 6"
            )
        if self.draws == "change" and isinstance(self.input, CodeInput):
            raise ConfigError('draws "change" needs pixels: codes have no differences; use draws "frame"')
        check_stack("encoder", self.encoder, self.window)
        check_stack("decoder", self.decoder, self.window)

    @property
    def num_actions(self) -> int:
        """How many latent actions there are."""
        return self.quantizer.num_codes


class LatentActions(Model):
    """Encoder, quantizer and decoder."""

    kind = "latent_actions"
    config_class = LatentActionsConfig
    config: LatentActionsConfig

    def __init__(self, config: LatentActionsConfig) -> None:
        super().__init__(config)
        rows, columns = config.input.grid
        self.encoder_eye = _make_eye(config.input, config.encoder.width)
        self.encoder = SpaceTimeStack(config.encoder, rows, columns, config.window, "factorised")
        self.squeeze = nn.Linear(config.encoder.width, config.quantizer.width)
        self.quantizer = make_quantizer(config.quantizer)
        self.action = nn.Linear(config.quantizer.width, config.decoder.width)
        self.decoder_eye = _make_eye(config.input, config.decoder.width)
        self.decoder = SpaceTimeStack(config.decoder, rows, columns, config.window, "factorised")
        numbers = config.input.num_codes if isinstance(config.input, CodeInput) else 3 * config.input.patch**2
        self.leave = nn.Linear(config.decoder.width, numbers)
        if config.draws == "change":  # begins by drawing the present frame again
            nn.init.zeros_(self.leave.weight)
            nn.init.zeros_(self.leave.bias)

    def forward(self, frames: Pixels | Codes) -> tuple[Tensor, Tensor, Quantized]:
        """Find the actions of whole clips and draw their frames from them.

        Args:
            frames: pixels (b, t, c, h, w) in [-1, 1], or codes (b, t, s), by the config.

        Returns:
            Frames 1 to t - 1 as drawn, pixels (b, t - 1, c, h, w) in [-1, 1] or logits (b, t - 1, s, codes);
            the vectors (b, t - 1, e) before quantization; and what became of them.
        """
        x = self._find(frames)
        quantized = self.quantizer(x)
        return self.draw(frames[:, :-1], quantized.vectors), x, quantized

    def infer(self, frames: Pixels | Codes) -> Tensor:
        """Codes (b, t - 1) of the actions between the frames of whole clips."""
        return self.quantizer(self._find(frames)).codes

    def draw(self, past: Pixels | Codes, actions: Tensor) -> Tensor:
        """Draw the frame after each frame of a clip.

        Args:
            past: frames, as for :meth:`forward`.
            actions: vectors (b, t, e); entry i acts between frame i and frame i + 1.

        Returns:
            The frames after; see :meth:`forward`.
        """
        # Actions are added, not concatenated: the paper found that to help control.
        x = self.decoder_eye(past) + self.action(actions)[:, :, None]
        made = self.leave(self.decoder(x)).float()
        if isinstance(self.config.input, CodeInput):
            return made
        picture = from_patches(made, self.config.input.patch, self.config.input.grid[0])
        picture = picture[..., : self.config.input.height, : self.config.input.width]
        # The paper ends in a sigmoid over [0, 1]; over [-1, 1] the same curve is a hyperbolic tangent.
        return picture.tanh() if self.config.draws == "frame" else past + 2.0 * picture.tanh()

    def _find(self, frames: Pixels | Codes) -> Tensor:
        x = self.encoder(self.encoder_eye(frames))
        # The paper does not say how a frame's tokens become one action; here their mean does.
        return self.squeeze(x.mean(2))[:, 1:].float()


class _PixelEye(nn.Module):
    def __init__(self, config: PixelInput, width: int) -> None:
        super().__init__()
        self.patch = config.patch
        self.enter = nn.Linear(3 * config.patch**2, width)
        rows, columns = config.grid
        self.place = nn.Parameter(torch.randn(rows * columns, width) * 0.02)

    def forward(self, frames: Pixels) -> Tensor:
        return self.enter(to_patches(pad_to_patches(frames, self.patch), self.patch)) + self.place


class _CodeEye(nn.Module):
    def __init__(self, config: CodeInput, width: int) -> None:
        super().__init__()
        self.enter = nn.Embedding(config.num_codes, width)
        self.place = nn.Parameter(torch.randn(config.rows * config.columns, width) * 0.02)

    def forward(self, frames: Codes) -> Tensor:
        return functional.embedding(frames, self.enter.weight) + self.place


def _make_eye(config: PixelInput | CodeInput, width: int) -> nn.Module:
    return _PixelEye(config, width) if isinstance(config, PixelInput) else _CodeEye(config, width)
