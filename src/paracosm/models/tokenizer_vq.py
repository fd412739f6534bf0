"""Discrete tokenizer: a space-time transformer autoencoder from frames to a small grid of codes.

Encoder and decoder are causal: the codes of a frame see the frames before it, and so does its picture. Both
run over whole clips or frame by frame with a cache. By ``attention`` it is the ST-ViViT of Genie
(factorised), its per-frame ViT (space), or a C-ViViT-like one over all tokens of the window (joint).

This file does NOT know losses, datasets or the dynamics that predicts the codes.

Source: Genie 2402.15391, section 2.1 and table 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Codes, Pixels
from paracosm.nn.kv_cache import KVCache
from paracosm.nn.patch import from_patches, pad_to_patches, to_patches
from paracosm.nn.quantize import Quantized, QuantizerConfig, make_quantizer
from paracosm.nn.space_time import AnyAttention
from paracosm.nn.stack import SpaceTimeStack, StackConfig

from .base import Model
from .checks import check_stack


@dataclass(frozen=True, kw_only=True)
class TokenizerVQConfig:
    """Sizes of the tokenizer."""

    height: int
    """rows of a frame in pixels"""
    width: int
    """columns of a frame in pixels"""
    patch: int
    """pixels a side that become one token; where it does not divide a side, the picture's edge is repeated"""
    encoder: StackConfig
    """sizes of the encoder"""
    decoder: StackConfig
    """sizes of the decoder; the paper finds it better to scale than the encoder"""
    quantizer: QuantizerConfig
    """codebook or grid"""
    window: int
    """past frames that a frame sees"""
    attention: AnyAttention
    """factorised is ST-ViViT, space is ViT, joint sees all tokens of the window as C-ViViT does"""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        if not 1 <= self.patch <= min(self.height, self.width):
            raise ConfigError(
                f"patch {self.patch} does not fit frames of {self.height} x {self.width}; "
                f"use 1 to {min(self.height, self.width)}, e.g. 8"
            )
        for name, stack in (("encoder", self.encoder), ("decoder", self.decoder)):
            check_stack(name, stack, self.window)
        if self.quantizer.num_codes < 2:
            raise ConfigError(f"{self.quantizer.num_codes} code says nothing; use at least 2, e.g. 1024")

    @property
    def rows(self) -> int:
        """Token rows of a frame."""
        return -(-self.height // self.patch)

    @property
    def columns(self) -> int:
        """Token columns of a frame."""
        return -(-self.width // self.patch)

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of one frame."""
        return self.rows * self.columns

    @property
    def num_codes(self) -> int:
        """Different codes that a token can have."""
        return self.quantizer.num_codes


class TokenizerVQ(Model):
    """Encoder, quantizer and decoder."""

    kind = "tokenizer_vq"
    config_class = TokenizerVQConfig
    config: TokenizerVQConfig

    def __init__(self, config: TokenizerVQConfig) -> None:
        super().__init__(config)
        numbers = 3 * config.patch**2
        self.enter = nn.Linear(numbers, config.encoder.width)
        self.place = nn.Parameter(torch.randn(config.tokens_per_frame, config.encoder.width) * 0.02)
        self.encoder = _make_stack(config, config.encoder)
        self.squeeze = nn.Linear(config.encoder.width, config.quantizer.width)
        self.quantizer = make_quantizer(config.quantizer)
        self.widen = nn.Linear(config.quantizer.width, config.decoder.width)
        self.decoder_place = nn.Parameter(torch.randn(config.tokens_per_frame, config.decoder.width) * 0.02)
        self.decoder = _make_stack(config, config.decoder)
        self.leave = nn.Linear(config.decoder.width, numbers)

    def forward(self, pixels: Pixels) -> tuple[Pixels, Tensor, Quantized]:
        """Encode and decode whole clips, as training needs it.

        Args:
            pixels: (b, t, c, h, w) in [-1, 1].

        Returns:
            Pixels, not clipped; the vectors (b, t, s, e) before quantization; and what became of them.
        """
        x = self.squeeze(self.encoder(self._enter(pixels))).float()
        quantized = self.quantizer(x)
        return self._leave(self.decoder(self._widen(quantized.vectors))), x, quantized

    def encode(self, pixels: Pixels) -> Codes:
        """Encode whole clips; each frame sees ``window`` frames before it."""
        return self.quantizer(self.squeeze(self.encoder(self._enter(pixels)))).codes

    def decode(self, codes: Codes) -> Pixels:
        """Decode whole clips of codes to pixels in about [-1, 1]."""
        return self._leave(self.decoder(self._widen(self.quantizer.lookup(codes))))

    def encode_frame(self, pixels: Pixels, cache: KVCache) -> tuple[Codes, KVCache]:
        """Encode the next frame (b, 1, c, h, w) of a clip; the first has :meth:`encoder_cache`."""
        x, new = self.encoder.step(self._enter(pixels), cache)
        return self.quantizer(self.squeeze(x)).codes, cache.append(*new)

    def decode_frame(self, codes: Codes, cache: KVCache) -> tuple[Pixels, KVCache]:
        """Decode the next frame (b, 1, s) of a clip; the first has :meth:`decoder_cache`."""
        x, new = self.decoder.step(self._widen(self.quantizer.lookup(codes)), cache)
        return self._leave(x), cache.append(*new)

    def encoder_cache(self, batch: int = 1) -> KVCache:
        """What the encoder remembers before the first frame."""
        return self.encoder.empty_cache(batch)

    def decoder_cache(self, batch: int = 1) -> KVCache:
        """What the decoder remembers before the first frame."""
        return self.decoder.empty_cache(batch)

    def _enter(self, pixels: Pixels) -> Tensor:
        patches = to_patches(pad_to_patches(pixels, self.config.patch), self.config.patch)
        return self.enter(patches) + self.place

    def _widen(self, vectors: Tensor) -> Tensor:
        return self.widen(vectors) + self.decoder_place

    def _leave(self, x: Tensor) -> Pixels:
        made = from_patches(self.leave(x), self.config.patch, self.config.rows)
        return made[..., : self.config.height, : self.config.width]


def _make_stack(config: TokenizerVQConfig, sizes: StackConfig) -> SpaceTimeStack:
    return SpaceTimeStack(sizes, config.rows, config.columns, config.window, config.attention)
