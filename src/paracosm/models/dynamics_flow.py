"""Flow-matching dynamics: a causal transformer that turns noise into the latents of the next frame.

It is given the frames before and the controls. Whole clips are trained in one pass, either with two streams
(noisy frames attend to a clean, lightly noised past: the situation of play) or with an independent noise
level a frame. Play runs the same weights frame by frame with a cache.

This file does NOT know pixels, losses, samplers or keyboards; ``rollout`` turns ``step`` into frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Controls, Latents, NoiseLevels
from paracosm.nn.attention import PositionTables, Table
from paracosm.nn.embed import NumberEmbedding
from paracosm.nn.kv_cache import KVCache, cache_ages
from paracosm.nn.modulation import Modulation, modulate
from paracosm.nn.patch import from_patches, to_patches
from paracosm.nn.space_time import AttentionKind, SpaceTimeBlock

from .base import Model
from .conditioning import ControlEmbedding
from .rollout import check_window


@dataclass(frozen=True, kw_only=True)
class FlowDynamicsConfig:
    """Sizes of the dynamics."""

    latent_channels: int
    """numbers for each position of the latent grid"""
    latent_height: int
    """rows of the latent grid"""
    latent_width: int
    """columns of the latent grid"""
    patch: int
    """side of the square of grid positions that become one token"""
    width: int
    """numbers a token"""
    depth: int
    """blocks"""
    heads: int
    """attention heads"""
    hidden: int
    """numbers inside a feed-forward layer"""
    window: int
    """past frames that a frame sees"""
    attention: AttentionKind
    """joint space-time attention, or factorised"""
    control_width: int
    """numbers of a control: keys, yaw, pitch"""
    look_limit: tuple[float, float]
    """degrees of yaw and pitch that count as 1"""
    mask: Literal["causal", "bidirectional"] = "causal"
    """frames see the past only, or also as many coming frames: a teacher of students, which cannot play"""

    def __post_init__(self) -> None:
        """Refuse sizes that do not divide."""
        if self.latent_height % self.patch or self.latent_width % self.patch:
            raise ConfigError(
                f"latent grid {self.latent_height} x {self.latent_width} does not divide by "
                f"patch {self.patch}; choose another patch"
            )
        if self.width % self.heads or (self.width // self.heads) % 8:
            raise ConfigError(
                f"width {self.width} over {self.heads} heads gives no head width that is a multiple of 8; "
                "choose e.g. width 256 with 4 or 8 heads"
            )

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of one frame."""
        return (self.latent_height // self.patch) * (self.latent_width // self.patch)

    @property
    def head_width(self) -> int:
        """Numbers a head."""
        return self.width // self.heads

    @property
    def ahead(self) -> int:
        """Coming frames that a frame of a whole clip sees."""
        return self.window if self.mask == "bidirectional" else 0


class FlowDynamics(Model):
    """Predicts clean latents from noisy ones."""

    kind = "dynamics_flow"
    config_class = FlowDynamicsConfig
    config: FlowDynamicsConfig

    def __init__(self, config: FlowDynamicsConfig) -> None:
        super().__init__(config)
        numbers = config.latent_channels * config.patch**2
        rows, columns = config.latent_height // config.patch, config.latent_width // config.patch
        self.enter = nn.Linear(numbers, config.width)
        self.place = nn.Parameter(torch.randn(config.tokens_per_frame, config.width) * 0.02)
        self.level = NumberEmbedding(config.width)
        self.control = ControlEmbedding(config.control_width, config.look_limit, config.width)
        self.positions = PositionTables(rows, columns, config.head_width)
        self.blocks = nn.ModuleList(
            SpaceTimeBlock(config.width, config.heads, config.hidden, config.attention)
            for _ in range(config.depth)
        )
        self.head = FlowHead(config.width, numbers)

    def forward(
        self,
        noisy: Latents,
        levels: NoiseLevels,
        controls: Controls,
        known: Tensor,
        past: tuple[Latents, NoiseLevels] | None = None,
        past_known: Tensor | None = None,
    ) -> Latents:
        """Predict the clean latents of every frame of a clip.

        Args:
            noisy: frames at their noise levels.
            levels: of the noisy frames.
            controls: (b, t, a); entry t is the control applied at frame t - 1.
            known: bool (b, t); False where that control is unknown or dropped.
            past: the clean stream: lightly noised frames and their levels. Without it, frames attend to the
                noisy frames before them (independent levels).
            past_known: ``known`` of the clean stream; required with ``past``.

        Raises:
            ConfigError: for a past without past_known, or one under a bidirectional mask.
        """
        x, condition = self._enter(noisy, levels, controls, known)
        if past is not None:
            if past_known is None:
                raise ConfigError("past needs past_known: say which controls of the clean stream are known")
            if self.config.ahead:
                raise ConfigError("a bidirectional mask takes no clean past beside the clip; give one stream")
            clean, clean_condition = self._enter(*past, controls, past_known)
            x, condition = torch.cat([clean, x]), torch.cat([clean_condition, condition])
        table = self.positions(torch.arange(noisy.shape[1], device=noisy.device))
        num_streams = 1 if past is None else 2
        for i, block in enumerate(self.blocks):
            # Nothing reads what the last block makes of the clean stream but its keys and values.
            leaves = "noisy" if i == len(self.blocks) - 1 else "all"
            x = block(x, condition, table, num_streams, self.config.window, self.config.ahead, leaves)
        return self._leave(x, condition.chunk(num_streams)[-1])

    def step(
        self, x: Latents, level: NoiseLevels, controls: Controls, known: Tensor, cache: KVCache
    ) -> Latents:
        """Predict the clean latents of one new frame; the cache stays as it is.

        Args:
            x: (b, 1, z, h, w).
            level: (b, 1).
            controls: (b, 1, a), the control that leads to this frame.
            known: bool (b, 1).
            cache: the frames before.
        """
        ages, mask = cache_ages(cache, x.device)
        clean, _, _ = self.step_raw(x, level, controls, known, cache.keys, cache.values, ages, mask)
        return clean

    def write(
        self, x: Latents, level: NoiseLevels, controls: Controls, known: Tensor, cache: KVCache
    ) -> KVCache:
        """Return the cache with one more frame; arguments as for :meth:`step`."""
        ages, mask = cache_ages(cache, x.device)
        _, keys, values = self.step_raw(x, level, controls, known, cache.keys, cache.values, ages, mask)
        return cache.append(keys, values)

    def step_raw(
        self,
        x: Latents,
        level: NoiseLevels,
        controls: Controls,
        known: Tensor,
        keys: Tensor,
        values: Tensor,
        ages: Tensor,
        mask: Tensor,
    ) -> tuple[Latents, Tensor, Tensor]:
        """One frame against a cache of fixed shape: the function that is exported.

        Args:
            x: as for :meth:`step`, like ``level``, ``controls`` and ``known``.
            level: see ``x``.
            controls: see ``x``.
            known: see ``x``.
            keys: (layers, b, window, s, n, k), slots in any order.
            values: as keys.
            ages: float (window,): frames between each slot and the new frame, 1 for the one just before.
            mask: bool (window,): slots that hold a frame.

        Returns:
            Clean latents (b, 1, z, h, w), and this frame's keys and values (layers, b, s, n, k).
        """
        tokens, condition = self._enter(x, level, controls, known)
        tables: tuple[Table, Table] = (self.positions(torch.zeros_like(ages[:1])), self.positions(-ages))
        new = []
        for i, block in enumerate(cast("Iterable[SpaceTimeBlock]", self.blocks)):
            tokens, pair = block.step(tokens, condition, tables, mask, (keys[i], values[i]))
            new.append(pair)
        clean = self._leave(tokens, condition)
        return clean, torch.stack([k for k, _ in new]), torch.stack([v for _, v in new])

    def empty_cache(self, batch: int = 1, *, window: int = 0, sink: int = 0) -> KVCache:
        """Make the cache of a rollout that has not begun.

        Args:
            batch: clips that roll out together.
            window: past frames that are kept; 0 takes all that the network was made for.
            sink: first frames that stay for good, as the oldest of the window; below ``window``.

        Raises:
            ConfigError: when the network looks ahead, or window and sink do not fit it.
        """
        config = self.config
        if config.ahead:
            raise ConfigError(
                "a bidirectional dynamics cannot run frame by frame; distil a causal one from it"
            )
        check_window(config.window, window, sink)
        return KVCache.empty(
            layers=config.depth,
            batch=batch,
            window=window or config.window,
            tokens=config.tokens_per_frame,
            heads=config.heads,
            head_width=config.head_width,
            device=self.place.device,
            sink=sink,
        )

    def _enter(self, x: Latents, level: Tensor, controls: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.enter(to_patches(x, self.config.patch)) + self.place
        return tokens, self.level(level) + self.control(controls, known)

    def _leave(self, x: Tensor, condition: Tensor) -> Latents:
        patch = self.config.patch
        return from_patches(self.head(x, condition), patch, self.config.latent_height // patch)


class FlowHead(nn.Module):
    """Last norm and projection; zero-initialised, so that the first prediction is the mean latent."""

    def __init__(self, width: int, numbers: int) -> None:
        super().__init__()
        self.modulation = Modulation(width, 2)
        self.leave = nn.Linear(width, numbers)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (b, t, s, d) to (b, t, s, numbers)."""
        return self.leave(modulate(x, *self.modulation(condition)))


def shift_controls(controls: Tensor) -> Controls:
    """Turn the controls between t frames (b, t - 1, a) into the control that led to each frame (b, t, a).

    Nothing led to the first frame: its row is 0.
    """
    return torch.cat([torch.zeros_like(controls[:, :1]), controls], 1)
