"""Masked dynamics: one network that makes clips from words and goes on with clips that have begun.

The first frames of a clip may be given: they are clean, at noise level 0, and never predicted. Without any
it makes video from text, with some it continues. Frame rate, shape and length enter as conditions, and the
grid may have any size, so that one network learns from clips of many kinds. A branch may change what leaves
each block (``instruct``); this file does NOT know who does, and knows no keys, pixels or losses.

Source: GameGen-X 2411.00769, sections 3.2 and C.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Latents, NoiseLevels
from paracosm.nn.attention import Table
from paracosm.nn.clip_block import NUM_VECTORS, ClipAttention, ClipBlock, ModulationKind
from paracosm.nn.embed import NumberEmbedding, sinusoid
from paracosm.nn.modulation import Modulation
from paracosm.nn.patch import from_patches, to_patches
from paracosm.nn.rope import axis_widths, rotary_table
from paracosm.nn.space_time import SpaceTimeBlock

from .base import Model
from .dynamics_flow import FlowDynamics, FlowHead
from .text import TextProjector, TextTokens, Words, WordsKind, make_pool

MOST_FPS, MOST_SECONDS = 60.0, 20.0
"""Frame rate and length that count as 1; GameGen-X reaches 480 frames at 24 a second."""
CONDITIONS = ("fps", "shape", "seconds")
"""What a clip is conditioned on beside its words, in the order of its row of numbers."""


@dataclass(frozen=True, kw_only=True)
class MaskedDynamicsConfig:
    """Sizes of the dynamics."""

    latent_channels: int
    """numbers for each position of the latent grid, whose size may vary"""
    patch: int
    """side of the square of grid positions that become one token"""
    width: int
    """numbers a token"""
    depth: int
    """blocks; in alternating attention space and time are a block each"""
    heads: int
    """attention heads"""
    hidden: int
    """numbers inside a feed-forward layer"""
    attention: Literal["joint", "alternating"]
    """over the whole clip, or within frames and over time in turn"""
    text_width: int
    """numbers of a token's state"""
    fields: tuple[str, ...]
    """fields of a structured text, by the order of their numbers; the first takes free words"""
    modulation: ModulationKind = "shared"
    """norms of all blocks take the same vectors and an offset, as published, or each block makes its own"""
    pooled_words: bool = False
    """what a clip's words say as a whole goes into the norms too, beside cross-attention"""
    spoken_words: bool = False
    """what words say of doing stands where a dynamics is told keys: in the norms of asked frames"""
    words: WordsKind = "learnt"
    """how token states reach width and norms: by learnt layers, or kept apart as the encoder has them"""

    def __post_init__(self) -> None:
        """Refuse sizes that do not divide."""
        if self.width % self.heads or (self.width // self.heads) % 8:
            raise ConfigError(
                f"width {self.width} over {self.heads} heads gives no head width that is a multiple of 8; "
                "choose e.g. width 256 with 4 or 8 heads"
            )
        if min(self.latent_channels, self.patch, self.depth, self.hidden, self.text_width) < 1:
            raise ConfigError(f"{self} has a size below 1; all must be at least 1")
        if not self.fields or len(set(self.fields)) != len(self.fields):
            raise ConfigError(f"fields {self.fields} must name each field once, and at least one")

    def attention_of(self, block: int) -> ClipAttention:
        """Attention of a block."""
        return "joint" if self.attention == "joint" else ("space", "time")[block % 2]  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Injection:
    """What a branch does to the tokens that leave a block.

    Attributes:
        gain: (d,), how far each channel goes from the base's tokens to the branch's: 0 not at all, 1 wholly.
        tokens: of the branch, (b, t, s, d).
        more: added beside, (b, t, s, d).
    """

    gain: Tensor
    tokens: Tensor
    more: Tensor

    def into(self, x: Tensor) -> Tensor:
        """Return the base's tokens x (b, t, s, d) so changed."""
        return x + self.gain * (self.tokens - x) + self.more


class MaskedDynamics(Model):
    """Predicts the clean latents of a clip of which some frames may be given."""

    kind = "dynamics_masked"
    config_class = MaskedDynamicsConfig
    config: MaskedDynamicsConfig

    def __init__(self, config: MaskedDynamicsConfig) -> None:
        super().__init__(config)
        numbers = config.latent_channels * config.patch**2
        self.entry = ClipEntry(config, config.fields)
        self.text = TextProjector(config.text_width, len(config.fields), config.width, config.words)
        self.spoken = make_pool(*pool_sizes(config, config.fields)) if config.spoken_words else None
        self.blocks = make_blocks(config, config.depth)
        self.head = FlowHead(config.width, numbers)

    def forward(
        self,
        noisy: Latents,
        levels: NoiseLevels,
        text: TextTokens,
        conditions: Tensor,
        injected: Sequence[Injection | None] | None = None,
    ) -> Latents:
        """Predict the clean latents of every frame; those of given frames mean nothing.

        Args:
            noisy: frames at their noise levels; given ones clean.
            levels: of the frames; 0 for those that are given.
            text: words of each clip; a clip without any takes the learnt null word.
            conditions: (b, 3), see ``clip_conditions``.
            injected: for each block what a branch makes of what leaves it, or None.

        Raises:
            ConfigError: for a grid that patches do not divide.
        """
        words = self.text(text)
        x, vectors, condition, table = self._enter(noisy, levels, conditions, words)
        for i, block in enumerate(self.blocks):
            x = block(x, vectors, words.states, words.mask, table)
            injection = None if injected is None else injected[i]
            if injection is not None:
                x = injection.into(x)
        return self._leave(x, condition, noisy.shape[3] // self.config.patch)

    def read(
        self, tokens: Tensor, noisy: Latents, levels: NoiseLevels, text: TextTokens, conditions: Tensor
    ) -> Latents:
        """What the head would make of other tokens (b, t, s, d) behind the last block, e.g. of a branch's."""
        condition = self._enter(noisy, levels, conditions, self.text(text))[2]
        return self._leave(tokens, condition, noisy.shape[3] // self.config.patch)

    def say(self, text: TextTokens) -> Tensor:
        """What words put where a dynamics is told controls, (b, d).

        Raises:
            ConfigError: for a network without ``spoken_words``.
        """
        if self.spoken is None:
            raise ConfigError("words stand nowhere for controls; set spoken_words")
        return self.spoken(self.text(text))

    def begin_from(self, dynamics: FlowDynamics) -> None:
        """Take the weights of a dynamics that is told controls, under controls unknown.

        Each block does at first what that one's does; words, frame rate, shape and length add nothing yet.
        Two things differ until training has mended them: every frame sees the frames that follow it too, and
        the learnt places are made as well as they can be from the fixed ones.

        Raises:
            ConfigError: when the dynamics has other sizes or factorised attention, or this one shares its
                modulation.
        """
        begin_blocks(self.config, self.blocks, dynamics)
        self.entry.begin_from(dynamics)
        self.head.load_state_dict(dynamics.head.state_dict())

    def _enter(
        self, noisy: Latents, levels: NoiseLevels, conditions: Tensor, words: Words
    ) -> tuple[Tensor, tuple[Tensor, ...] | Tensor, Tensor, Table]:
        more = None
        if self.spoken is not None:
            more = self.spoken(words)[:, None] * (levels > 0)[..., None]
        return self.entry(noisy, levels, conditions, words, more)

    def _leave(self, x: Tensor, condition: Tensor, rows: int) -> Latents:
        return from_patches(self.head(x, condition), self.config.patch, rows)


class ClipEntry(nn.Module):
    """Latents, their levels and conditions to tokens, modulation and rotations.

    Args:
        config: sizes.
        fields: of the texts that are read; a branch has fields of its own.
    """

    def __init__(self, config: MaskedDynamicsConfig, fields: tuple[str, ...]) -> None:
        super().__init__()
        self.patch, self.width, self.head_width = config.patch, config.width, config.width // config.heads
        self.enter = nn.Linear(config.latent_channels * config.patch**2, config.width)
        self.place_gain = nn.Parameter(torch.ones(config.width))
        self.level = NumberEmbedding(config.width)
        self.conditions = nn.ModuleList(NumberEmbedding(config.width) for _ in CONDITIONS)
        self.words = make_pool(*pool_sizes(config, fields)) if config.pooled_words else None
        self.modulation = Modulation(config.width, NUM_VECTORS) if config.modulation == "shared" else None

    def forward(
        self,
        noisy: Latents,
        levels: NoiseLevels,
        conditions: Tensor,
        words: Words,
        more: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...] | Tensor, Tensor, Table]:
        """Enter a clip.

        Args:
            noisy: as for the dynamics, like ``levels`` and ``conditions``.
            levels: see ``noisy``.
            conditions: see ``noisy``.
            words: of each clip.
            more: what else each frame is told, (b, t, d).

        Returns:
            Tokens (b, t, s, d); what blocks are modulated by: the shared vectors, or the condition itself
            when they make their own; the condition (b, t, d); and the rotations.
        """
        rows, columns = (size // self.patch for size in noisy.shape[3:])
        if (rows * self.patch, columns * self.patch) != tuple(noisy.shape[3:]):
            raise ConfigError(
                f"latent grid {noisy.shape[3]} x {noisy.shape[4]} does not divide by patch {self.patch}; "
                "use clips of another size"
            )
        tokens = self.enter(to_patches(noisy, self.patch))
        places = grid_places(rows, columns, self.width, noisy.device) * self.place_gain
        tokens = tokens + places.to(tokens.dtype)
        condition = self.level(levels)
        for embed, number in zip(self.conditions, conditions.unbind(1), strict=True):
            condition = condition + embed(number)[:, None]
        if self.words is not None:
            condition = condition + self.words(words)[:, None]
        if more is not None:
            condition = condition + more
        table = clip_table(noisy.shape[1], rows, columns, self.head_width, noisy.device)
        vectors = condition if self.modulation is None else self.modulation(condition)
        return tokens, vectors, condition, table

    def begin_from(self, dynamics: FlowDynamics) -> None:
        """Take the entry of a dynamics of the same sizes; rate, shape and length of clips add nothing yet."""
        self.enter.load_state_dict(dynamics.enter.state_dict())
        self.level.load_state_dict(dynamics.level.state_dict())
        with torch.no_grad():
            self.level.leave.bias.add_(dynamics.control.null)
        for embed in cast("list[NumberEmbedding]", list(self.conditions)):
            nn.init.zeros_(embed.leave.weight)
            nn.init.zeros_(embed.leave.bias)
        config = dynamics.config
        rows, columns = config.latent_height // config.patch, config.latent_width // config.patch
        fixed = grid_places(rows, columns, self.width, dynamics.place.device)
        with torch.no_grad():
            self.place_gain.copy_((fixed * dynamics.place).sum(0) / fixed.square().sum(0).clamp_min(1e-6))


def pool_sizes(config: MaskedDynamicsConfig, fields: tuple[str, ...]) -> tuple[WordsKind, int, int, int]:
    """What ``make_pool`` is given by a network of this config that reads these fields."""
    return config.words, config.width, config.heads, len(fields)


def make_blocks(config: MaskedDynamicsConfig, depth: int) -> nn.ModuleList:
    """Make blocks of a config's sizes."""
    return nn.ModuleList(
        ClipBlock(config.width, config.heads, config.hidden, config.attention_of(i), config.modulation)
        for i in range(depth)
    )


def begin_blocks(config: MaskedDynamicsConfig, blocks: nn.ModuleList, dynamics: FlowDynamics) -> None:
    """Give blocks all that those of a dynamics have; their words stay as they are.

    Args:
        config: of the masked dynamics whose blocks they are.
        blocks: changed in place.
        dynamics: whose weights.

    Raises:
        ConfigError: when the dynamics has other sizes or factorised attention, or blocks share modulation.
    """
    names = ("latent_channels", "patch", "width", "depth", "heads", "hidden", "attention")
    differing = [name for name in names if getattr(config, name) != getattr(dynamics.config, name)]
    if differing or config.modulation != "own":
        given = ", ".join(f"{name} {getattr(dynamics.config, name)}" for name in names)
        raise ConfigError(
            f"the dynamics has {given}; a masked one that begins with it needs the same (now "
            f"{', '.join(f'{name} {getattr(config, name)}' for name in differing) or 'all alike'}) and "
            f'modulation "own" (now "{config.modulation}")'
        )
    own = cast("list[ClipBlock]", list(blocks))
    for block, before in zip(own, cast("list[SpaceTimeBlock]", list(dynamics.blocks)), strict=True):
        block.own.load_state_dict(before.time.state_dict())
        block.feed_forward.load_state_dict(before.feed_forward.state_dict())
        block.modulation.load_state_dict(before.modulation.state_dict())


def clip_conditions(fps: float, height: int, width: int, num_frames: int) -> list[float]:
    """Frame rate, shape and length of a clip as numbers in [0, 1]; a square counts as a half."""
    shape = 0.5 + math.log2(width / height) / 4
    seconds = num_frames / fps / MOST_SECONDS
    return [min(1.0, max(0.0, number)) for number in (fps / MOST_FPS, shape, seconds)]


def grid_places(rows: int, columns: int, width: int, device: torch.device) -> Tensor:
    """Fixed vectors (rows columns, width) that say where a token lies; grids of every size share them."""
    half = width // 2 // 2 * 2
    row, column = (sinusoid(torch.arange(n, device=device), half) for n in (rows, columns))
    row = row[:, None].expand(rows, columns, half)
    column = column[None].expand(rows, columns, half)
    both = rearrange(torch.cat([row, column], -1), "h w d -> (h w) d").float()
    return torch.nn.functional.pad(both, (0, width - 2 * half))


def clip_table(num_frames: int, rows: int, columns: int, head_width: int, device: torch.device) -> Table:
    """Rotations of all tokens of a clip, in (t, row, column) order."""
    axes = [torch.arange(n, device=device).float() for n in (num_frames, rows, columns)]
    grid = torch.meshgrid(*axes, indexing="ij")
    return rotary_table([axis.reshape(-1) for axis in grid], axis_widths(head_width))
