"""A block-causal video transformer under keyboard and mouse: several latent frames at once, from noise.

Every latent frame carries a noise level, an image condition beside its channels and a window of controls; a
start picture enters as context of a cross attention. Whole clips run under any mask of which frame sees which
(for training, and as the plain reference); play runs block by block against a ring of past keys and values.
Picture sizes come from the tensors, so one network serves all.

This file does NOT know pixels, step schedules, losses or key names; ``video_stream`` turns it into frames.

Source: Matrix-Game 2.0, 2508.13009; Wan, 2503.20314.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.config import from_json
from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Latents, NoiseLevels
from paracosm.nn.attention import Table
from paracosm.nn.embed import sinusoid
from paracosm.nn.patch import to_patches
from paracosm.nn.ring_cache import PositionKind, RingCache
from paracosm.nn.rope import rotate_pairs
from paracosm.nn.video_attention import FullNormProjections, attend_frames

from .action_module import ActionModule, ActionModuleConfig, Pair
from .base import Model, read_config, read_fitting_tensors
from .video_positions import PassTables, pass_tables

TIMESTEPS = 1000.0
"""The network is told noise level times this."""
EPSILON = 1e-6
"""Of the layer norms inside blocks and head; the norms around the image tokens keep torch's own 1e-5."""


@dataclass(frozen=True, kw_only=True)
class VideoDynamicsConfig:
    """Sizes of the network."""

    latent_channels: int
    """numbers for each position of the latent grid, in and out"""
    condition_channels: int
    """numbers joined to each position: mask and latents of the start picture"""
    patch: int
    """side of the square of grid positions that become one token"""
    width: int
    """numbers a token"""
    depth: int
    """blocks"""
    heads: int
    """attention heads of self and cross attention"""
    hidden: int
    """numbers inside a feed-forward layer"""
    time_width: int
    """numbers of the sinusoid of a noise level"""
    context_width: int
    """numbers of an image token"""
    block: int
    """latent frames made at once"""
    window: int
    """latent frames seen in play, the block being made counted; 0 for a network that sees whole clips"""
    sink: int
    """first latent frames that stay in the window for good"""
    positions: PositionKind
    """frame positions in play: counted from the oldest frame held, or since the start"""
    action_layers: tuple[int, ...]
    """blocks that have an action module"""
    actions: ActionModuleConfig
    """keyboard and mouse"""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work."""
        if self.width % self.heads or (self.width // self.heads) % 2 or self.width // self.heads < 6:
            raise ConfigError(
                f"width {self.width} over {self.heads} heads gives no even head width from 6 up; "
                "choose e.g. width 1536 with 12 heads"
            )
        if self.time_width % 2:
            raise ConfigError(
                f"time_width {self.time_width} is odd, but a sinusoid has as many cosines as sines; "
                f"use {self.time_width + 1}"
            )
        if self.block < 1:
            raise ConfigError(f"block {self.block} makes no latent frame; use 1 or more, e.g. 3")
        if self.window and self.window - self.block < self.sink:
            raise ConfigError(
                f"window {self.window} holds no block of {self.block} and sink of {self.sink} latent frames; "
                f"use a window of at least {self.block + self.sink}, or 0 for whole clips"
            )
        if not all(0 <= layer < self.depth for layer in self.action_layers):
            raise ConfigError(
                f"action_layers {list(self.action_layers)} are not all blocks 0 .. {self.depth - 1}; "
                "leave out those beyond"
            )

    @property
    def head_width(self) -> int:
        """Numbers a head of self and cross attention."""
        return self.width // self.heads

    def tokens_per_frame(self, height: int, width: int) -> int:
        """Tokens of one latent frame of this grid.

        Raises:
            ConfigError: when the patch does not divide the grid.
        """
        if height % self.patch or width % self.patch:
            raise ConfigError(
                f"latent grid {height} x {width} does not divide by patch {self.patch}; "
                f"choose a picture whose latent sides are multiples of {self.patch}"
            )
        return (height // self.patch) * (width // self.patch)

    def choose_window(self, window: int, sink: int) -> tuple[int, int]:
        """Return what is seen in play: latent frames, the block being made counted, and those that stay.

        Args:
            window: 0 takes the network's own.
            sink: -1 takes the network's own.

        Raises:
            ConfigError: when the network sees whole clips only or was made for less, or nothing fits.
        """
        if not self.window:
            raise ConfigError(
                "window 0 sees whole clips and cannot be played block by block; give a window, e.g. 6"
            )
        if not (self.block <= window <= self.window or window == 0):
            raise ConfigError(
                f"window {window} is outside {self.block} to {self.window} latent frames, from the block "
                "being made alone to all that the network was made for; 0 takes all of it"
            )
        window, sink = window or self.window, self.sink if sink == -1 else sink
        if not 0 <= sink <= window - self.block:
            raise ConfigError(
                f"sink {sink} does not fit beside the block of {self.block} in a window of {window} latent "
                f"frames; use 0 to {window - self.block}, or a wider window"
            )
        return window, sink


@dataclass(frozen=True, kw_only=True)
class BlockInput:
    """What stays the same over all passes of some latent frames.

    Attributes:
        condition: (b, t, z', h, w), joined to the noisy channels.
        keyboard: (b, t, rows, keys): the rows of controls that each latent frame sees.
        mouse: (b, t, rows, numbers).
        context: of the start picture; see :meth:`VideoDynamics.read_context`.
        idle: place of the keyboard number that is 1 while no key is held; -1 where all are 0 then.
    """

    condition: Tensor
    keyboard: Tensor
    mouse: Tensor
    context: tuple[Pair, ...]
    idle: int = -1

    def without_control(self) -> BlockInput:
        """The same under no control, in the numbers that a player gives who touches nothing."""
        keyboard = torch.zeros_like(self.keyboard)
        if self.idle >= 0:
            keyboard[..., self.idle] = 1.0
        return replace(self, keyboard=keyboard, mouse=torch.zeros_like(self.mouse))


class VideoDynamics(Model):
    """Predicts the flow, noise minus clean, of latent frames."""

    kind = "dynamics_video"
    config_class = VideoDynamicsConfig
    config: VideoDynamicsConfig

    def __init__(self, config: VideoDynamicsConfig) -> None:
        super().__init__(config)
        width, numbers = config.width, config.patch**2
        self.enter = nn.Linear((config.latent_channels + config.condition_channels) * numbers, width)
        self.time = nn.Sequential(nn.Linear(config.time_width, width), nn.SiLU(), nn.Linear(width, width))
        self.time_vectors = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.context = nn.Sequential(
            nn.LayerNorm(config.context_width),
            nn.Linear(config.context_width, config.context_width),
            nn.GELU(),
            nn.Linear(config.context_width, width),
            nn.LayerNorm(width),
        )
        self.blocks = nn.ModuleList(
            VideoBlock(config, config.actions if layer in config.action_layers else None)
            for layer in range(config.depth)
        )
        self.head = VideoHead(width, config.latent_channels * numbers)

    @classmethod
    def load(
        cls, folder: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> VideoDynamics:
        """Build the network of a folder in eval mode; weights are read once, straight to their place.

        Raises:
            DataError: when a file is missing, truncated or does not fit the config.
            ConfigError: when the config is of another kind, a newer format or has an unknown key.
        """
        config = from_json(cls.config_class, read_config(folder, cls.kind), f"{folder.name}.config")
        with torch.device("meta"):  # no random weights are made: of a billion they take a minute
            model = cls(config)
        tensors = read_fitting_tensors(folder, model.state_dict())
        model.load_state_dict(
            {name: tensor.to(device, dtype) for name, tensor in tensors.items()}, assign=True
        )
        return model.eval()

    def read_context(self, image_tokens: Tensor) -> tuple[Pair, ...]:
        """Project the tokens of a start picture once for all passes.

        Args:
            image_tokens: (b, l, context_width).

        Returns:
            For each block keys and values (b, l, n, k).
        """
        tokens = self.context(image_tokens)
        return tuple(block.cross.keys_values(tokens) for block in self._blocks())

    def forward(
        self,
        x: Latents,
        levels: NoiseLevels,
        given: BlockInput,
        frames: Sequence[int] | None = None,
        seen: Tensor | None = None,
    ) -> Latents:
        """Predict the flow of every latent frame of a clip at once.

        Args:
            x: noisy latents.
            levels: noise level of each latent frame.
            given: condition, controls and context.
            frames: position of each latent frame; None counts from 0. Two streams of one clip, a clean and a
                noisy one, are given one after the other with the same positions.
            seen: bool (t, t): which latent frame sees which, see :func:`streams_mask`; None for all.
        """
        positions = list(range(x.shape[1])) if frames is None else list(frames)
        flow, _ = self._run(x, levels, given, positions, None, [], seen)
        return flow

    def step(self, x: Latents, level: NoiseLevels, given: BlockInput, cache: RingCache) -> Latents:
        """Predict the flow of a new block; the cache stays as it is.

        Args:
            x: (b, t, z, h, w), t latent frames that come next.
            level: (b, t).
            given: condition, controls and context.
            cache: the latent frames before.
        """
        past, positions = cache.plan.positions(x.shape[1], self.config.positions)
        return self._run(x, level, given, positions, cache, past, None)[0]

    def write(self, x: Latents, level: NoiseLevels, given: BlockInput, cache: RingCache) -> RingCache:
        """Return the cache with a block of clean latents; arguments as for :meth:`step`."""
        past, positions = cache.plan.positions(x.shape[1], self.config.positions)
        _, made = self._run(x, level, given, positions, cache, past, None)
        names = [name for name, _ in self.tracks()]
        stacks = [[pairs[name] for pairs in made if name in pairs] for name in names]
        return cache.append(
            [torch.stack([k for k, _ in stack]) for stack in stacks],
            [torch.stack([v for _, v in stack]) for stack in stacks],
        )

    def tracks(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name the tracks of the cache, and the blocks that keep keys and values in each."""
        config = self.config
        found = [("self", tuple(range(config.depth)))]
        if config.actions.mouse and config.action_layers:
            found.append(("mouse", config.action_layers))
        if config.actions.keys and config.action_layers:
            found.append(("keyboard", config.action_layers))
        return found

    def empty_cache(
        self, height: int, width: int, batch: int = 1, *, window: int = 0, sink: int = -1
    ) -> RingCache:
        """Make the cache of a rollout that has not begun, for latents of this grid.

        Args:
            height: rows of the grid.
            width: columns of the grid.
            batch: clips that roll out together.
            window: latent frames seen, the block being made counted; 0 takes the network's own.
            sink: first latent frames that stay for good; -1 takes the network's own.

        Raises:
            ConfigError: when the network sees whole clips only, the patch does not divide the grid, or window
                and sink do not fit the network.
        """
        config, tokens = self.config, self.config.tokens_per_frame(height, width)
        window, sink = config.choose_window(window, sink)
        actions = config.actions
        sizes = {
            "self": (tokens, config.heads, config.head_width),
            "mouse": (tokens, actions.heads, actions.mouse_width // actions.heads),
            "keyboard": (1, actions.heads, actions.keyboard_width // actions.heads),
        }
        return RingCache.empty(
            size=window - config.block,
            sink=sink,
            shapes=[(len(layers), batch, *sizes[name]) for name, layers in self.tracks()],
            dtype=self.enter.weight.dtype,
            device=self.enter.weight.device,
        )

    def _run(
        self,
        x: Latents,
        levels: NoiseLevels,
        given: BlockInput,
        positions: Sequence[int],
        cache: RingCache | None,
        past_positions: Sequence[int],
        seen: Tensor | None,
    ) -> tuple[Latents, list[dict[str, Pair]]]:
        """The one forward pass; returns the flow, and each block's new keys and values by track."""
        config, rows, columns = self.config, x.shape[-2], x.shape[-1]
        config.tokens_per_frame(rows, columns)
        grid = (rows // config.patch, columns // config.patch)
        tokens = self.enter(to_patches(torch.cat([x, given.condition.to(x.dtype)], 2), config.patch))
        time = self.time(sinusoid(TIMESTEPS * levels.float(), config.time_width).to(tokens.dtype))
        vectors = rearrange(self.time_vectors(time), "b t (six d) -> b t six d", six=6)
        tables = pass_tables(
            positions,
            past_positions,
            grid,
            head_width=config.head_width,
            turned=(config.actions.turned_pairs, config.actions.theta),
            like=self.enter.weight,
        )
        tracks = list(enumerate(self.tracks()))
        made = []
        for layer, block in enumerate(self._blocks()):
            past = (
                {}
                if cache is None or not cache.plan.held
                else {
                    name: cache.held(track, layers.index(layer))
                    for track, (name, layers) in tracks
                    if layer in layers
                }
            )
            tokens, pairs = block(tokens, vectors, given, given.context[layer], tables, past, seen)
            made.append(pairs)
        numbers = self.head(tokens, time)
        flow = rearrange(
            numbers,
            "b t (h w) (p q z) -> b t z (h p) (w q)",
            h=grid[0],
            p=config.patch,
            q=config.patch,
        )
        return flow, made

    def _blocks(self) -> Iterable[VideoBlock]:
        return cast("Iterable[VideoBlock]", self.blocks)


class VideoBlock(nn.Module):
    """Self attention, cross attention, actions, feed-forward.

    Args:
        config: sizes of the network.
        actions: sizes of the action module; None for a block without one.
    """

    def __init__(self, config: VideoDynamicsConfig, actions: ActionModuleConfig | None) -> None:
        super().__init__()
        width = config.width
        self.shifts = nn.Parameter(torch.randn(6, width) / width**0.5)
        self.self_attention = FullNormProjections(width, config.heads)
        self.cross_norm = nn.LayerNorm(width, eps=EPSILON)
        self.cross = FullNormProjections(width, config.heads)
        self.actions = ActionModule(width, actions) if actions is not None else None
        self.feed_forward = nn.Sequential(
            nn.Linear(width, config.hidden), nn.GELU(approximate="tanh"), nn.Linear(config.hidden, width)
        )

    def forward(
        self,
        x: Tensor,
        vectors: Tensor,
        given: BlockInput,
        context: Pair,
        tables: PassTables,
        past: dict[str, Pair],
        seen: Tensor | None,
    ) -> tuple[Tensor, dict[str, Pair]]:
        """Return the new residual stream, and keys and values by track.

        Args:
            x: residual stream (b, t, s, d).
            vectors: (b, t, 6, d), from the noise level: shift, scale, gate of both modulated layers.
            given: the controls.
            context: keys and values of the start picture for this block.
            tables: rotations.
            past: cached keys and values of this block by track; {} without a cache.
            seen: bool (t, t), see :meth:`VideoDynamics.forward`.
        """
        parts = (self.shifts + vectors)[:, :, :, None].unbind(2)
        change, own = self._attend(_modulate(x, *parts[:2]), tables, past.get("self"), seen)
        x = x + parts[2] * change
        queries = self.cross.queries(self.cross_norm(x))
        keys, values = (part[:, None] for part in context)
        flat = rearrange(queries, "b t s n k -> b 1 (t s) n k")
        answer = attend_frames(flat, keys, values)
        x = x + self.cross.join(rearrange(answer, "b 1 (t s) n k -> b t s n k", t=x.shape[1]))
        made = {"self": own}
        if self.actions is not None:
            windows = given.keyboard, given.mouse
            x, pairs = self.actions(x, windows, tables.actions, past, seen)
            made |= pairs
        return x + parts[5] * self.feed_forward(_modulate(x, *parts[3:5])), made

    def _attend(
        self, x: Tensor, tables: PassTables, past: Pair | None, seen: Tensor | None
    ) -> tuple[Tensor, Pair]:
        own = self.self_attention.keys_values(x)
        q = _rotate(self.self_attention.queries(x), tables.own)
        k, v = _rotate(own[0], tables.own), own[1]
        if past is not None:
            k = torch.cat([_rotate(past[0], tables.past), k], 1)
            v = torch.cat([past[1], v], 1)
        return self.self_attention.join(attend_frames(q, k, v, seen)), own


class VideoHead(nn.Module):
    """Last norm and projection; shifted and scaled by the embedded noise level itself."""

    def __init__(self, width: int, numbers: int) -> None:
        super().__init__()
        self.shifts = nn.Parameter(torch.randn(2, width) / width**0.5)
        self.leave = nn.Linear(width, numbers)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map tokens (b, t, s, d) under a time embedding (b, t, d) to numbers of patches."""
        shift, scale = (self.shifts + time[:, :, None])[:, :, :, None].unbind(2)
        return self.leave(_modulate(x, shift, scale))


def streams_mask(num_frames: int, block: int, window: int, *, streams: int) -> Tensor:
    """Say which latent frame of a clip sees which, as streaming would.

    Args:
        num_frames: latent frames of the clip.
        block: latent frames made at once; they see each other.
        window: latent frames seen, the own block counted; 0 for all before.
        streams: 1: every frame sees its window. 2: the clip stands twice, clean then noisy; noisy frames see
            their own noisy block and the clean frames before it, clean frames only clean ones.

    Returns:
        bool (streams t, streams t).
    """
    frame = torch.arange(num_frames)
    of_block = frame // block
    end = (of_block + 1) * block
    inside = frame[None, :] >= end[:, None] - (window or num_frames + block)
    same = of_block[:, None] == of_block[None, :]
    before = of_block[None, :] < of_block[:, None]
    clean = inside & (same | before)
    if streams == 1:
        return clean
    none = torch.zeros_like(clean)
    return torch.cat([torch.cat([clean, none], 1), torch.cat([inside & before, same], 1)])


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    normed = functional.layer_norm(x.float() if x.dtype != torch.float64 else x, x.shape[-1:], eps=EPSILON)
    return normed.to(x.dtype) * (1.0 + scale) + shift


def _rotate(x: Tensor, table: Table) -> Tensor:
    cos, sin = (rearrange(part, "(t s) k -> t s 1 k", t=x.shape[1]) for part in table)
    return rotate_pairs(x, (cos, sin))
