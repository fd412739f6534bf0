"""Play's view of the tokenizer: one uint8 frame in, one uint8 frame out, streaming state passed by hand.

The functions that are exported beside :mod:`.frame_step`. This file does NOT know graphs or the dynamics.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .pixels import to_frames, to_pixels
from .tokenizer_vae import State, TokenizerVAE


class EncodeFrame(nn.Module):
    """One frame to its latents.

    Args:
        tokenizer: whose weights are used, not copied.
    """

    def __init__(self, tokenizer: TokenizerVAE) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, image: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Encode uint8 (h, w, c) to float32 (z, h, w); the next state follows, () without time layers."""
        latents, after = self.tokenizer.encode(to_pixels(image[None, None]), _state(state))
        return latents[0, 0], *_held(after)


class DecodeFrame(nn.Module):
    """Latents to one frame.

    Args:
        tokenizer: whose weights are used, not copied.
    """

    def __init__(self, tokenizer: TokenizerVAE) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, latents: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Decode (z, h, w) to uint8 (h, w, c), followed by the next state."""
        pixels, after = self.tokenizer.decode(latents[None, None], _state(state))
        return to_frames(pixels)[0, 0], *_held(after)


def first_states(tokenizer: TokenizerVAE) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """States of an encoder and a decoder before the first frame: zeros, () without time layers."""
    config = tokenizer.config
    with torch.no_grad():
        image = torch.zeros(config.height, config.width, 3, dtype=torch.uint8)
        latents, *encoder = EncodeFrame(tokenizer)(image)
        _, *decoder = DecodeFrame(tokenizer)(latents)
    return tuple(torch.zeros_like(part) for part in encoder), tuple(
        torch.zeros_like(part) for part in decoder
    )


def _state(given: tuple[Tensor, ...]) -> State | None:
    return list(given) if given else None


def _held(state: State) -> list[Tensor]:
    return [part for part in state if part is not None]
