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
    shrink: int = 1
    """pixels a side that are averaged into one at the door, for a small network that need only tell motion;
    what it draws is as small. The paper has 1"""
    changes: bool = False
    """whether tokens also see how their pixels changed since the frame ``span`` steps before, which a small
    network would else have to find by attention; the paper has nothing of the kind"""

    @property
    def grid(self) -> tuple[int, int]:
        """Token rows and columns of a frame."""
        height, width = self.seen_size
        return -(-height // self.patch), -(-width // self.patch)

    @property
    def seen_size(self) -> tuple[int, int]:
        """Rows and columns of a frame as the network sees and draws it."""
        return -(-self.height // self.shrink), -(-self.width // self.shrink)


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
    span: int = 1
    """steps of which an action tells: the frame that the decoder must draw lies so many ahead. More than 1
    where a step moves the picture by less than a pixel or two, and controls are held for longer"""
    past: Literal["clip", "none"] = "clip"
    """what is seen beside the frames that an action spans. clip: all frames before, so that a code tells only
    what could not be foreseen, as in the paper; none: nothing, so that a code tells the motion itself, also
    where a control is held so long that it surprises nobody"""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built and a single action."""
        if self.num_actions < 2:
            raise ConfigError(
                f"{self.num_actions} latent action cannot tell two controls apart; use at least 2, e.g. 6"
            )
        if self.span < 1:
            raise ConfigError(f"span {self.span} leads to no later frame; use at least 1")
        if self.past == "none" and self.window < self.span:
            raise ConfigError(
                f"window {self.window} does not reach over a span of {self.span}; use {self.span}"
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
        self.encoder_eye = _make_eye(config, config.encoder.width)
        self.encoder = SpaceTimeStack(config.encoder, rows, columns, config.window, "factorised")
        self.squeeze = nn.Linear(config.encoder.width, config.quantizer.width)
        self.quantizer = make_quantizer(config.quantizer)
        self.action = nn.Linear(config.quantizer.width, config.decoder.width)
        self.decoder_eye = _make_eye(config, config.decoder.width)
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
            Frames k to t - 1 as drawn, k being the span: pixels (b, t - k, c, h, w) in [-1, 1], of the size
            that :meth:`seen` makes, or logits (b, t - k, s, codes); the vectors (b, t - k, e) before
            quantization; and what became of them.
        """
        x = self.find(frames)
        quantized = self.quantizer(x)
        return self.draw(frames[:, : -self.config.span], quantized.vectors), x, quantized

    def seen(self, frames: Pixels | Codes) -> Tensor:
        """Frames as the networks see and draw them: pixels are shrunk."""
        sees = self.config.input
        if isinstance(sees, CodeInput) or sees.shrink == 1:
            return frames
        whole = pad_to_patches(frames, sees.shrink)
        return functional.avg_pool2d(whole.flatten(0, 1), sees.shrink).unflatten(0, frames.shape[:2])

    def infer(self, frames: Pixels | Codes) -> Tensor:
        """Codes (b, t - 1) of the actions between the frames of whole clips.

        With a span of several steps the last ones, whose outcome the clip does not show, repeat the action
        before.
        """
        return repeat_last(self.infer_ended(frames), self.config.span - 1)

    def infer_ended(self, frames: Pixels | Codes) -> Tensor:
        """Codes (b, t - k) of the actions whose outcome the clip shows, k being the span."""
        return self.quantizer(self.find(frames)).codes

    def draw(self, past: Pixels | Codes, actions: Tensor) -> Tensor:
        """Draw the frame ``span`` steps after each frame of a clip.

        Args:
            past: frames, as for :meth:`forward`.
            actions: vectors (b, t, e); entry i acts from frame i on.

        Returns:
            The frames after; see :meth:`forward`.
        """
        past = self.seen(past)
        if self.config.past == "none":  # every frame is a clip of its own
            alone = self._draw(past.flatten(0, 1)[:, None], actions.flatten(0, 1)[:, None])
            return alone.reshape(*past.shape[:2], *alone.shape[2:])
        return self._draw(past, actions)

    def _draw(self, past: Tensor, actions: Tensor) -> Tensor:
        # Actions are added, not concatenated: the paper found that to help control.
        x = self.decoder_eye(past) + self.action(actions)[:, :, None]
        made = self.leave(self.decoder(x)).float()
        if isinstance(self.config.input, CodeInput):
            return made
        height, width = self.config.input.seen_size
        picture = from_patches(made, self.config.input.patch, self.config.input.grid[0])
        picture = picture[..., :height, :width]
        # The paper ends in a sigmoid over [0, 1]; over [-1, 1] the same curve is a hyperbolic tangent.
        return picture.tanh() if self.config.draws == "frame" else past + 2.0 * picture.tanh()

    def find(self, frames: Pixels | Codes) -> Tensor:
        """Vectors (b, t - k, e) of the actions of whole clips before quantization, k being the span."""
        frames, span = self.seen(frames), self.config.span
        if self.config.past == "clip":
            x = self.encoder(self.encoder_eye(frames))[:, span:]
        else:  # every action is found in a clip of its own
            clips = frames.unfold(1, span + 1, 1).movedim(-1, 2)
            x = self.encoder(self.encoder_eye(clips.flatten(0, 1)))[:, -1].unflatten(0, clips.shape[:2])
        # The paper does not say how a frame's tokens become one action; here their mean does. An encoder that
        # sees no later frame knows the outcome when its last frame has come.
        return self.squeeze(x.mean(2)).float()


def repeat_last(actions: Tensor, count: int) -> Tensor:
    """Actions (b, t) with the last one ``count`` times more: (b, t + count)."""
    return torch.cat([actions, actions[:, -1:].expand(-1, count)], 1)


class _PixelEye(nn.Module):
    def __init__(self, config: PixelInput, width: int, span: int) -> None:
        super().__init__()
        self.patch, self.changes, self.span = config.patch, config.changes, span
        self.enter = nn.Linear((3 + 3 * config.changes) * config.patch**2, width)
        rows, columns = config.grid
        self.place = nn.Parameter(torch.randn(rows * columns, width) * 0.02)

    def forward(self, frames: Pixels) -> Tensor:
        seen = frames
        if self.changes:
            changed = frames[:, self.span :] - frames[:, : -self.span]
            first = torch.zeros_like(frames[:, : self.span])  # nothing is known before a clip
            seen = torch.cat([frames, torch.cat([first, changed], 1)], 2)
        return self.enter(to_patches(pad_to_patches(seen, self.patch), self.patch)) + self.place


class _CodeEye(nn.Module):
    def __init__(self, config: CodeInput, width: int) -> None:
        super().__init__()
        self.enter = nn.Embedding(config.num_codes, width)
        self.place = nn.Parameter(torch.randn(config.rows * config.columns, width) * 0.02)

    def forward(self, frames: Codes) -> Tensor:
        return functional.embedding(frames, self.enter.weight) + self.place


def _make_eye(config: LatentActionsConfig, width: int) -> nn.Module:
    if isinstance(config.input, PixelInput):
        return _PixelEye(config.input, width, config.span)
    return _CodeEye(config.input, width)
