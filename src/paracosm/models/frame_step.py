"""Play's fast path through the flow dynamics: the same weights, one frame at a time, cut where work repeats.

A frame is made of several passes (denoise, denoise, write) that share its control and its past. So the
vectors of the adaptive norms are made once a frame for all passes (:class:`FrameCondition`), and the cache
holds keys that were rotated once, when they were written: rotary attention depends on differences of
positions only, and those do not change. What is left for each pass is :class:`FrameStep`: few, fat operations
with fixed shapes, which both backends run. The pass that only fills the cache is :class:`FrameWrite`: it
stops where the last layer's keys and values stand.

Equal to :meth:`FlowDynamics.step_raw` up to rounding, by test. This file does NOT know pixels, graphs or ring
buffers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.world_spec import Arithmetic
from paracosm.nn.attention import Projections
from paracosm.nn.feed_forward import FeedForward
from paracosm.nn.norm import EPSILON
from paracosm.nn.patch import from_patches, to_patches
from paracosm.nn.rope import rotate
from paracosm.nn.space_time import FEED_FORWARD, SPACE, TIME, SpaceTimeBlock

from .byte_product import Product, byte_product, float_product
from .dynamics_flow import FlowDynamics, FlowDynamicsConfig

Attend = Callable[[Tensor, Tensor, Tensor, tuple[Tensor, Tensor], Tensor], Tensor]
"""How a frame attends to the past; see :func:`attend_bounded`."""
LARGEST_SCORE = 80.0
"""Scores up to here may be exponentiated as they are: the sum of thousands of them is a float32 still."""
FAR_BELOW = 1e9
"""What takes a place that holds nothing out of a softmax: its share is exactly 0, and unlike with infinity
there never is a nan."""


class FrameCondition(nn.Module):
    """Noise levels and the control of one frame to the adaptive-norm vectors of every layer.

    Args:
        dynamics: whose weights are used, not copied.
    """

    def __init__(self, dynamics: FlowDynamics) -> None:
        super().__init__()
        self.dynamics = dynamics
        rows = []
        for block in _blocks(dynamics):
            rows += [1.0 if i % 3 == 1 else 0.0 for i in range(block.modulation.count)]
        self.register_buffer("ones", torch.tensor([*rows, 0.0, 1.0])[:, None], persistent=False)
        cos, sin = dynamics.positions(torch.zeros(1))
        self.register_buffer(
            "picture_cos", cos[:, dynamics.config.head_width // 4 :].clone(), persistent=False
        )
        self.register_buffer(
            "picture_sin", sin[:, dynamics.config.head_width // 4 :].clone(), persistent=False
        )
        self.ones: Tensor
        self.picture_cos: Tensor
        self.picture_sin: Tensor

    def forward(
        self, levels: Tensor, known: Tensor, control: Tensor, angle: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Make the vectors of all passes of a frame.

        Args:
            levels: (p,) noise level of each pass.
            known: bool (p,); False takes the null control, for guidance.
            control: (1, a), the control that leads to the frame.
            angle: (k / 4,) turn of each rotary pair of the frame axis at this frame, in radians.

        Returns:
            Vectors (p, rows, d): for each layer shift, gain and gate of its parts, then shift and gain of the
            head, gains being 1 + scale; and the cosines and sines (s, k / 2) of the frame's positions.
        """
        dynamics = self.dynamics
        embedding = dynamics.control
        embedded = embedding.leave(functional.silu(embedding.enter(control * embedding.scale)))
        condition = dynamics.level(levels) + torch.where(known[:, None], embedded, embedding.null)
        active = functional.silu(condition)
        makers = [block.modulation.make for block in _blocks(dynamics)] + [dynamics.head.modulation.make]
        made = torch.cat([make(active) for make in makers], 1)
        modulation = rearrange(made, "p (r d) -> p r d", d=dynamics.config.width) + self.ones
        tokens = dynamics.config.tokens_per_frame
        cos = torch.cat([angle.cos().expand(tokens, -1), self.picture_cos], 1)
        sin = torch.cat([angle.sin().expand(tokens, -1), self.picture_sin], 1)
        return modulation, cos, sin


class FrameStep(nn.Module):
    """One pass over one frame against a cache of fixed shape.

    Args:
        dynamics: whose weights are used, not copied.
        arithmetic: how the matrices of the layers are multiplied; int8 wants weights that were stored so.
    """

    def __init__(self, dynamics: FlowDynamics, arithmetic: Arithmetic = "float32") -> None:
        super().__init__()
        self.dynamics = dynamics
        self.kernels = choose_kernels(_blocks(dynamics), arithmetic)

    def forward(
        self, x: Tensor, modulation: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, *cache: Tensor
    ) -> tuple[Tensor, ...]:
        """Predict the clean latents of one frame.

        Sequences are one for joint attention and one a token for factorised attention; they are folded with
        the heads.

        Args:
            x: (z, h, w) latents at the noise level of this pass.
            modulation: (rows, d), this pass's part of what :class:`FrameCondition` made.
            cos: (s, k / 2) cosines of the frame's positions, counted as when the cache was written.
            sin: sines, as cos.
            mask: (entries,) 1 where the cache holds something, 0 where not; values must be 0 there too.
            cache: rotated keys (sequences n, entries, k) of each layer, then values (sequences n, k, entries)
                of each.

        Returns:
            Clean latents (z, h, w), and this frame's rotated keys and values, each (layers, n, s, k).
        """
        dynamics = self.dynamics
        *parts, (shift, gain) = parts_of(modulation, [*_modulations(dynamics), 2])
        tokens, keys, values = run_blocks(
            _blocks(dynamics), self._enter(x), parts, (cos, sin), mask, cache, self.kernels
        )
        made = dynamics.head.leave(normalise(tokens, gain) + shift)
        side = dynamics.config.latent_height // dynamics.config.patch
        return from_patches(made[None, None], dynamics.config.patch, side)[0, 0], keys, values

    def _enter(self, x: Tensor) -> Tensor:
        dynamics = self.dynamics
        return dynamics.enter(to_patches(x[None, None], dynamics.config.patch)[0, 0]) + dynamics.place


class FrameWrite(FrameStep):
    """The pass that fills the cache: :class:`FrameStep` without what only a prediction needs."""

    def forward(
        self, x: Tensor, modulation: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, *cache: Tensor
    ) -> tuple[Tensor, ...]:
        """Return a frame's rotated keys and values, each (layers, n, s, k); arguments as for a step."""
        parts, table = parts_of(modulation, _modulations(self.dynamics)), (cos, sin)
        return write_blocks(_blocks(self.dynamics), self._enter(x), parts, table, mask, cache, self.kernels)


def empty_ring(config: FlowDynamicsConfig) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Keys and values of each layer and the mask of a cache that holds nothing, shaped for FrameStep."""
    joint = config.attention == "joint"
    sequences = config.heads if joint else config.heads * config.tokens_per_frame
    entries = config.window * config.tokens_per_frame if joint else config.window
    keys = [torch.zeros(sequences, entries, config.head_width) for _ in range(config.depth)]
    values = [torch.zeros(sequences, config.head_width, entries) for _ in range(config.depth)]
    return keys, values, torch.zeros(entries)


def _blocks(dynamics: FlowDynamics) -> list[SpaceTimeBlock]:
    return [block for block in dynamics.blocks if isinstance(block, SpaceTimeBlock)]


def _modulations(dynamics: FlowDynamics) -> list[int]:
    return [block.modulation.count for block in _blocks(dynamics)]


def parts_of(modulation: Tensor, counts: Sequence[int]) -> list[tuple[Tensor, ...]]:
    """Cut vectors (rows, d) into those of each layer, (d,) each; rows beyond the counts are left out."""
    vectors = iter(modulation.flatten().split(modulation.shape[-1]))
    return [tuple(itertools.islice(vectors, count)) for count in counts]


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """How a layer computes; what it computes is the same up to rounding.

    Attributes:
        product: how matrices are multiplied.
        attend: how a frame attends to the past, see :func:`attend_bounded`.
    """

    product: Product
    attend: Attend


def choose_kernels(blocks: Sequence[SpaceTimeBlock], arithmetic: Arithmetic = "float32") -> Kernels:
    """The fastest kernels that these layers allow.

    Args:
        blocks: the layers, with the weights that they will have.
        arithmetic: how matrices are multiplied.
    """
    bounded = all(score_bound(block.time) <= LARGEST_SCORE for block in blocks if block.sees_past)
    return Kernels(
        product=byte_product if arithmetic == "int8" else float_product,
        attend=attend_bounded if bounded else attend_any,
    )


def score_bound(projections: Projections) -> float:
    """The largest score that queries and keys of a layer can have; 0 for weights without values."""
    if projections.query_gain.is_meta:  # a network that is only counted
        return 0.0
    query, key = (gain.detach().abs().max() for gain in (projections.query_gain, projections.key_gain))
    return float(query * key) * projections.query_gain.shape[-1] ** 0.5


def run_blocks(
    blocks: Sequence[SpaceTimeBlock],
    x: Tensor,
    parts: Sequence[tuple[Tensor, ...]],
    table: tuple[Tensor, Tensor],
    mask: Tensor,
    cache: Sequence[Tensor],
    kernels: Kernels,
) -> tuple[Tensor, Tensor, Tensor]:
    """All layers over tokens (s, d).

    Args:
        blocks: the layers, attending in time.
        x: (s, d).
        parts: of each layer; see :func:`run_block`.
        table: cosines and sines (s, k / 2).
        mask: (entries,).
        cache: rotated keys of each layer, then values of each.
        kernels: how layers compute.

    Returns:
        Tokens (s, d), and the frame's rotated keys and values, each (layers, n, s, k).
    """
    keys, values, depth = [], [], len(cache) // 2
    for i, block in enumerate(blocks):
        cached = cache[i], cache[depth + i]
        x, k, v = run_block(block, x, parts[i], table, mask, cached, kernels)
        keys.append(k)
        values.append(v)
    return x, torch.cat(keys), torch.cat(values)


def write_blocks(
    blocks: Sequence[SpaceTimeBlock],
    x: Tensor,
    parts: Sequence[tuple[Tensor, ...]],
    table: tuple[Tensor, Tensor],
    mask: Tensor,
    cache: Sequence[Tensor],
    kernels: Kernels,
) -> tuple[Tensor, Tensor]:
    """Keys and values as :func:`run_blocks` makes them, without what follows them in the last layer."""
    *before, last = blocks
    keys, values = [], []
    if before:
        x, *made = run_blocks(before, x, parts, table, mask, cache, kernels)
        keys, values = [made[0]], [made[1]]
    x = attend_picture(last, x, parts[-1], table, kernels.product)
    _, k, v = project(last.time, enter(last, x, parts[-1], TIME), kernels.product)
    return torch.cat([*keys, rotated(k, *table)]), torch.cat([*values, v])


def run_block(
    block: SpaceTimeBlock,
    x: Tensor,
    parts: tuple[Tensor, ...],
    table: tuple[Tensor, Tensor],
    mask: Tensor,
    cached: tuple[Tensor, Tensor],
    kernels: Kernels,
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer over tokens (s, d); returns them with the frame's rotated keys and values (1, n, s, k).

    Args:
        block: attends in time.
        x: (s, d).
        parts: for each layer shift, gain and gate (d,), gains being 1 + scale; () for plain norms.
        table: cosines and sines (s, k / 2).
        mask: (entries,).
        cached: rotated keys (sequences n, entries, k) and values (sequences n, k, entries).
        kernels: how the layer computes.
    """
    product = kernels.product
    x = attend_picture(block, x, parts, table, product)
    q, k, v = project(block.time, enter(block, x, parts, TIME), product)
    q, k = rotated(q, *table), rotated(k, *table)
    if block.space is None:
        y = kernels.attend(q, k, v, cached, mask)
    else:
        by_token = [rearrange(part, "1 n s k -> (s n) 1 k") for part in (q, k, v)]
        y = kernels.attend(by_token[0], by_token[1], by_token[2], cached, mask)
        y = rearrange(y, "(s n) 1 k -> 1 n s k", s=x.shape[0])
    x = x + gate(join(block.time, y, product), parts, TIME)
    return feed(block, x, parts, product), k, v


def attend_picture(
    block: SpaceTimeBlock,
    x: Tensor,
    parts: tuple[Tensor, ...],
    table: tuple[Tensor, Tensor],
    product: Product,
) -> Tensor:
    """Attention within the frame, where a layer has it; arguments as for :func:`run_block`."""
    if block.space is None:
        return x
    q, k, v = project(block.space, enter(block, x, parts, SPACE), product)
    scores = rotated(q, *table) @ rotated(k, *table).transpose(-1, -2)
    return x + gate(join(block.space, scores.softmax(-1) @ v, product), parts, SPACE)


def feed(block: SpaceTimeBlock, x: Tensor, parts: tuple[Tensor, ...], product: Product) -> Tensor:
    """The feed-forward layer of a block; arguments as for :func:`run_block`."""
    y = feed_forward(block.feed_forward, enter(block, x, parts, FEED_FORWARD), product)
    return x + gate(y, parts, FEED_FORWARD)


def enter(block: SpaceTimeBlock, x: Tensor, parts: tuple[Tensor, ...], first: int) -> Tensor:
    """Norm before a layer."""
    if parts:
        return normalise(x, parts[first + 1]) + parts[first]
    return normalise(x, block.norms[str(first)].gain)  # pyright: ignore[reportArgumentType]


def gate(y: Tensor, parts: tuple[Tensor, ...], first: int) -> Tensor:
    """What of a layer's output is added."""
    return parts[first + 2] * y if parts else y


def attend_bounded(q: Tensor, k: Tensor, v: Tensor, cached: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
    """Attend to the cache and to the frame itself, where no score is beyond :data:`LARGEST_SCORE`.

    The weights are divided by their sum at the end, so that cache and frame need not meet before; empty
    places weigh something, but have no value, and the mask leaves them out of the sum. Entries stand in rows
    of the products: a matrix product packs its right side anew each time, and the few queries of a frame are
    packed sooner than a past of hundreds.

    Args:
        q: rotated queries (..., s, k), scaled.
        k: rotated keys of the frame, as q.
        v: its values, as q.
        cached: rotated keys (n, entries, k) and values (n, k, entries).
        mask: (entries,) 1 where the cache holds something, 0 where not.

    Returns:
        As q.
    """
    met, turned = _own_scores(q, k)
    past, own = (cached[0] @ turned).exp(), met.exp()
    total = mask[None] @ past + own.sum(-2, keepdim=True)
    return ((cached[1] @ past + _own_values(v, own)) / total).transpose(-1, -2)


def attend_any(q: Tensor, k: Tensor, v: Tensor, cached: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
    """The same for scores of any size, by a softmax over cache and frame; slower by a third."""
    met, turned = _own_scores(q, k)
    past = cached[0] @ turned + ((mask - 1) * FAR_BELOW)[:, None]
    past, own = torch.cat([past, met], -2).softmax(-2).split([mask.shape[0], k.shape[-2]], -2)
    return (cached[1] @ past + _own_values(v, own)).transpose(-1, -2)


def _own_scores(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (..., s, s) of the frame's own keys, and its queries turned (..., k, s)."""
    turned = q.transpose(-1, -2)
    # hundreds of products of one row cost more calls than numbers
    return (k * q).sum(-1, keepdim=True) if k.shape[-2] == 1 else k @ turned, turned


def _own_values(v: Tensor, own: Tensor) -> Tensor:
    turned = v.transpose(-1, -2)
    return turned * own if v.shape[-2] == 1 else turned @ own


def project(projections: Projections, x: Tensor, product: Product) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (1, n, s, k) of tokens (s, d); the attention scale is in the query gain."""
    fused = rearrange(product(projections.enter, x), "s (n k) -> 1 n s k", n=3 * projections.heads)
    q, k, v = fused.split(projections.heads, 1)
    gain = projections.query_gain * q.shape[-1] ** -0.5
    return normalise(q, gain), normalise(k, projections.key_gain), v


def join(projections: Projections, x: Tensor, product: Product) -> Tensor:
    """Merge heads (1, n, s, k) and project back to (s, d)."""
    return product(projections.leave, rearrange(x, "1 n s k -> s (n k)"))


def feed_forward(layer: FeedForward, x: Tensor, product: Product) -> Tensor:
    """The two products of a feed-forward layer over tokens (s, d)."""
    gate, value = product(layer.enter, x).chunk(2, -1)
    return product(layer.leave, functional.silu(gate) * value)


class _Normalise(torch.autograd.Function):
    """Root-mean-square norm with a gain; one node in the exported graph instead of six."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), eps=EPSILON) * gain

    @staticmethod
    def symbolic(g: Any, x: Any, gain: Any) -> Any:
        made = g.op("SimplifiedLayerNormalization", x, gain, axis_i=-1, epsilon_f=EPSILON, stash_type_i=1)
        return made.setType(x.type())


class _Rotate(torch.autograd.Function):
    """Rotary positions; one node in the exported graph instead of nine."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, rows: Tensor) -> Tensor:
        return rotate(x, (cos, sin))

    @staticmethod
    def symbolic(g: Any, x: Any, cos: Any, sin: Any, rows: Any) -> Any:
        return g.op("com.microsoft::RotaryEmbedding", x, rows, cos, sin).setType(x.type())


def normalise(x: Tensor, gain: Tensor) -> Tensor:
    """Root-mean-square norm with a gain, one node in an exported graph."""
    return _Normalise.apply(x, gain)  # pyright: ignore[reportReturnType]


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys (1, n, s, k) by cosines and sines (s, k / 2), one node in an exported graph."""
    rows = torch.arange(cos.shape[0])[None]
    return _Rotate.apply(x, cos, sin, rows)  # pyright: ignore[reportReturnType]
