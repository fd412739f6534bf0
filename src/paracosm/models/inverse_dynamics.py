"""Inverse dynamics: reads from four frames which control was given between the second and the third.

The judge of controllability: trained on real recordings only, it reads freely running generated frames.
Frames after the step are used on purpose; a jump shows one frame late. This file does NOT know losses,
datasets or worlds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.shapes import Pixels

from .base import Model
from .pixels import to_pixels

FRAMES_BEFORE = 1
"""Frames that a window holds before frame t; the control of row t acts between frame t and frame t + 1."""
FRAMES_AFTER = 2
"""Frames that a window holds after frame t."""
WINDOW = FRAMES_BEFORE + 1 + FRAMES_AFTER
"""Frames of one window: t - 1, t, t + 1, t + 2."""
READ_BATCH = 256
"""Windows read at a time: keeps the activations of 64 x 64 frames near 200 MB."""


@dataclass(frozen=True, kw_only=True)
class InverseDynamicsConfig:
    """Sizes of the reader and the controls that it reads."""

    height: int
    """rows of a frame in pixels, a multiple of 8"""
    width: int
    """columns of a frame in pixels, a multiple of 8"""
    keys: tuple[str, ...]
    """names of the keys it reads, in the order of the world's ControlSpace"""
    look: tuple[Literal["yaw", "pitch"], ...]
    """axes of the camera turn it reads; empty for a world without a camera"""
    look_scale: float
    """degrees that become 1 inside the network; about the largest turn of one step"""
    channels: tuple[int, int, int]
    """channels at 1/2, 1/4 and 1/8 of the frame size, multiples of 8"""
    blocks: int
    """residual blocks at 1/4 and at 1/8 of the frame size"""
    features: int
    """width of the last hidden layer"""

    def __post_init__(self) -> None:
        """Refuse sizes that do not divide and a reader without anything to read."""
        if self.height % 8 or self.width % 8:
            raise ConfigError(
                f"frames of {self.height} x {self.width} do not divide by 8; choose another size"
            )
        if any(count % 8 for count in self.channels):
            raise ConfigError(f"channels {self.channels} do not divide by 8; use multiples of 8")
        if not self.keys and not self.look:
            raise ConfigError(
                "inverse dynamics with neither keys nor look has nothing to read; name at least one"
            )
        if self.look_scale <= 0:
            raise ConfigError(
                f"look_scale {self.look_scale:g} is not above 0; give the largest turn of one step in degrees"
            )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read from a clip of t frames; entry i belongs to row i + FRAMES_BEFORE of the clip.

    Attributes:
        keys: float32 (t - 3, number of keys), probability in [0, 1] that the key was held.
        look: float32 (t - 3, number of axes), degrees, right and up positive.
    """

    keys: np.ndarray
    look: np.ndarray


class InverseDynamics(Model):
    """Four frames in, one control out."""

    kind = "inverse_dynamics"
    config_class = InverseDynamicsConfig
    config: InverseDynamicsConfig

    def __init__(self, config: InverseDynamicsConfig) -> None:
        super().__init__(config)
        half, quarter, eighth = config.channels
        self.enter = nn.Conv2d(3 * (2 * WINDOW - 1), half, 5, stride=2, padding=2)
        self.quarter = _scale(half, quarter, config.blocks)
        self.eighth = _scale(quarter, eighth, config.blocks)
        self.squeeze = nn.Conv2d(eighth, 16, 1)
        self.hidden = nn.Linear(16 * (config.height // 8) * (config.width // 8), config.features)
        self.leave = nn.Linear(config.features, len(config.keys) + len(config.look))
        # Convolutions on a CPU are about twice as fast in this layout.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, windows: Pixels) -> tuple[Tensor, Tensor]:
        """Read the control of each window.

        Args:
            windows: (b, WINDOW, c, h, w) in [-1, 1].

        Returns:
            Key logits (b, keys), and the turn (b, axes) in units of ``look_scale``.
        """
        # Differences are what a first layer would have to find; given outright, training starts several times
        # faster.
        steps = torch.cat([windows, windows[:, 1:] - windows[:, :-1]], dim=1)
        x = rearrange(steps, "b t c h w -> b (t c) h w").contiguous(memory_format=torch.channels_last)
        x = self.eighth(self.quarter(functional.silu(self.enter(x))))
        x = rearrange(functional.silu(self.squeeze(x)), "b c h w -> b (c h w)")
        out = self.leave(functional.silu(self.hidden(x)))
        return out[:, : len(self.config.keys)], out[:, len(self.config.keys) :]

    @torch.inference_mode()
    def read(self, frames: np.ndarray) -> Reading:
        """Read every control of a clip that has a whole window around it.

        Args:
            frames: uint8 (t, h, w, 3), t >= 4.

        Returns:
            Readings of rows 1 to t - 3 of the clip.

        Raises:
            DataError: when the clip is too short or its frames have another size.
        """
        logits, look = self.read_logits(frames)
        return Reading(keys=logits.sigmoid().numpy(), look=(look * self.config.look_scale).numpy())

    @torch.inference_mode()
    def read_logits(self, frames: np.ndarray) -> tuple[Tensor, Tensor]:
        """Key logits (t - 3, keys) and turns (t - 3, axes) of a clip as :meth:`forward` gives them.

        Raises:
            DataError: as :meth:`read`.
        """
        expected = (self.config.height, self.config.width, 3)
        if frames.dtype != np.uint8 or frames.shape[1:] != expected or len(frames) < WINDOW:
            raise DataError(
                f"a clip of shape {frames.shape} and type {frames.dtype} cannot be read; "
                f"inverse dynamics needs uint8 (t >= {WINDOW}, {expected[0]}, {expected[1]}, 3)"
            )
        pixels = to_pixels(torch.from_numpy(np.array(frames))[None])[0]
        windows = rearrange(pixels.unfold(0, WINDOW, 1), "n c h w t -> n t c h w")
        parts = [self(windows[i : i + READ_BATCH]) for i in range(0, len(windows), READ_BATCH)]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


class _Block(nn.Module):
    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, num_channels)
        self.first = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.second = nn.Conv2d(num_channels, num_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.silu(self.first(functional.silu(self.norm(x)))))


def _scale(before: int, after: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1), *(_Block(after) for _ in range(blocks))
    )
