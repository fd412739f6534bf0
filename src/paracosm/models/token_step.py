"""Play's fast path through the networks of a world of tokens: the same weights, one frame at a time.

Five functions with fixed shapes that are exported to graphs: a frame to codes, an action to what all passes
of a frame are told of it, one pass over a frame of codes, the pass that only fills the cache, codes to a
frame. Caches hold keys that were rotated once, when they were written, as in :mod:`.frame_step`, whose layers
these share.

Equal to ``TokenizerVQ.encode_frame`` and ``decode_frame`` and ``MaskGITDynamics.step`` up to rounding, by
test. This file does NOT know graphs, ring buffers or sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.world_spec import Arithmetic
from paracosm.nn.patch import from_patches, pad_to_patches, to_patches
from paracosm.nn.quantize import VectorQuantizer
from paracosm.nn.rope import axis_frequencies, axis_widths
from paracosm.nn.space_time import SpaceTimeBlock
from paracosm.nn.stack import SpaceTimeStack

from .dynamics_maskgit import MaskGITDynamics
from .frame_step import attend_picture, choose_kernels, feed, normalise, parts_of, run_blocks, write_blocks
from .pixels import to_frames, to_pixels
from .tokenizer_vq import TokenizerVQ


class StackStep(nn.Module):
    """A stack over one frame's tokens against a cache of fixed shape; has no weights of its own.

    Args:
        stack: whose weights are used, not copied.
        arithmetic: how matrices are multiplied.
    """

    def __init__(self, stack: SpaceTimeStack, arithmetic: Arithmetic = "float32") -> None:
        super().__init__()
        self._kernels = choose_kernels(cast("list[SpaceTimeBlock]", list(stack.blocks)), arithmetic)
        # in a list, so that each weight keeps the one name under which the network stores it
        self._stack = [stack]
        cos, sin = stack.positions(torch.zeros(1))
        self.pairs = axis_widths(stack.config.head_width)[0] // 2
        self.register_buffer("picture_cos", cos[:, self.pairs :].clone(), persistent=False)
        self.register_buffer("picture_sin", sin[:, self.pairs :].clone(), persistent=False)
        self.picture_cos: Tensor
        self.picture_sin: Tensor

    @property
    def stack(self) -> SpaceTimeStack:
        """The stack."""
        return self._stack[0]

    def forward(
        self, x: Tensor, told: Tensor | None, place: Sequence[Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run one frame.

        Args:
            x: (s, d).
            told: (rows, d), shift, gain and gate of each part of each layer, gains being 1 + scale; None for
                plain norms.
            place: angle (k / 4,) of the frame axis at this frame in radians, mask (entries,), rotated keys
                of each layer and values of each layer; () where no layer sees the past.

        Returns:
            (s, d), and the frame's rotated keys and values, each (layers, n, s, k); () without a past.
        """
        table = self._table(x.shape[0], place)
        if not place:
            for block in self._blocks:
                x = attend_picture(block, x, (), table, self._kernels.product)
                x = feed(block, x, (), self._kernels.product)
            return normalise(x, self.stack.norm.gain), ()
        x, *new = run_blocks(self._blocks, x, self._parts(told), table, place[1], place[2:], self._kernels)
        return normalise(x, self.stack.norm.gain), tuple(new)

    def write(self, x: Tensor, told: Tensor | None, place: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The keys and values alone; arguments as for :meth:`forward`."""
        table = self._table(x.shape[0], place)
        return write_blocks(self._blocks, x, self._parts(told), table, place[1], place[2:], self._kernels)

    @property
    def _blocks(self) -> list[SpaceTimeBlock]:
        return cast("list[SpaceTimeBlock]", list(self.stack.blocks))

    def _parts(self, told: Tensor | None) -> list[tuple[Tensor, ...]]:
        if told is None:
            return [()] * len(self._blocks)
        return parts_of(told, [block.modulation.count for block in self._blocks])

    def _table(self, tokens: int, place: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        angle = place[0] if place else torch.zeros(self.pairs)
        return (
            torch.cat([angle.cos().expand(tokens, -1), self.picture_cos], 1),
            torch.cat([angle.sin().expand(tokens, -1), self.picture_sin], 1),
        )


def empty_place(stack: SpaceTimeStack) -> dict[str, Tensor]:
    """What a stack is told of place and past at the first frame, by name; nothing when it sees no past."""
    sizes = stack_sizes(stack)
    if not sizes["window"]:
        return {}
    joint = sizes["attention"] == "joint"
    sequences = sizes["heads"] * (1 if joint else sizes["tokens_per_frame"])
    entries = sizes["window"] * (sizes["tokens_per_frame"] if joint else 1)
    place = {
        "angle": torch.zeros(len(sizes["frame_frequencies"])),
        "mask": torch.zeros(entries),
    }
    for i in range(sizes["layers"]):
        place[f"keys_{i}"] = torch.zeros(sequences, entries, sizes["head_width"])
    for i in range(sizes["layers"]):
        place[f"values_{i}"] = torch.zeros(sequences, sizes["head_width"], entries)
    return place


def stack_sizes(stack: SpaceTimeStack) -> dict[str, Any]:
    """What a player must know to keep the cache of a stack, as JSON values; window 0 keeps none."""
    block = cast("SpaceTimeBlock", stack.blocks[0])
    frequencies = axis_frequencies(axis_widths(stack.config.head_width)[0])
    return {
        "layers": stack.config.depth,
        "heads": stack.config.heads,
        "head_width": stack.config.head_width,
        "window": stack.window if block.sees_past else 0,
        "tokens_per_frame": stack.tokens,
        "attention": block.attention,
        "frame_frequencies": [float(value) for value in frequencies.double()],
    }


class EncodeCodes(nn.Module):
    """One frame to its codes.

    Args:
        tokenizer: whose weights are used, not copied.
    """

    def __init__(self, tokenizer: TokenizerVQ) -> None:
        super().__init__()
        self.tokenizer, self.run = tokenizer, StackStep(tokenizer.encoder)

    def forward(self, image: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
        """Encode uint8 (h, w, c) to int64 (s,), followed by what the cache takes; see :class:`StackStep`."""
        tokenizer = self.tokenizer
        patch = tokenizer.config.patch
        patches = to_patches(pad_to_patches(to_pixels(image[None, None]), patch), patch)[0, 0]
        x, new = self.run(tokenizer.enter(patches) + tokenizer.place, None, place)
        vectors, quantizer = tokenizer.squeeze(x), tokenizer.quantizer
        near = isinstance(quantizer, VectorQuantizer)
        return quantizer.nearest(vectors) if near else quantizer(vectors).codes, *new


class DecodeCodes(nn.Module):
    """Codes to one frame.

    Args:
        tokenizer: whose weights are used, not copied.
    """

    def __init__(self, tokenizer: TokenizerVQ) -> None:
        super().__init__()
        self.tokenizer, self.run = tokenizer, StackStep(tokenizer.decoder)

    def forward(self, codes: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
        """Decode int64 (s,) to uint8 (h, w, c), followed by what the cache takes; see :class:`StackStep`."""
        tokenizer, config = self.tokenizer, self.tokenizer.config
        x = tokenizer.widen(tokenizer.quantizer.lookup(codes)) + tokenizer.decoder_place
        x, new = self.run(x, None, place)
        made = from_patches(tokenizer.leave(x)[None, None], config.patch, config.rows)
        return to_frames(made[..., : config.height, : config.width])[0, 0], *new


class CodesCondition(nn.Module):
    """An action to what every pass of its frame is told of it.

    Args:
        dynamics: whose weights are used, not copied.
    """

    def __init__(self, dynamics: MaskGITDynamics) -> None:
        super().__init__()
        self.dynamics = dynamics
        blocks = cast("list[SpaceTimeBlock]", list(dynamics.stack.blocks))
        adaptive = dynamics.config.conditioning == "film"
        self.makers = [block.modulation.make for block in blocks] if adaptive else []
        rows = sum(block.modulation.count for block in blocks) if adaptive else 0
        ones = [1.0 if i % 3 == 1 else 0.0 for i in range(rows)]
        self.register_buffer("ones", torch.tensor(ones)[:, None], persistent=False)
        self.ones: Tensor

    def forward(self, action: Tensor, known: Tensor) -> Tensor:
        """Tell an action.

        Args:
            action: int64 (1,), the latent action that leads to a frame.
            known: bool (1,); False where that action is unknown.

        Returns:
            (rows, d): one row to add to the tokens or to put before them, or those of every adaptive norm.
        """
        dynamics, embedding = self.dynamics, self.dynamics.control
        vector = functional.embedding(action, dynamics.actions)
        made = embedding.leave(functional.silu(embedding.enter(vector * embedding.scale)))
        condition = torch.where(known[:, None], made, embedding.null)
        if not self.makers:
            return condition
        active = functional.silu(condition)
        rows = torch.cat([make(active) for make in self.makers], 1)
        return rows.reshape(-1, dynamics.config.stack.width) + self.ones


class CodesStep(nn.Module):
    """One pass over a frame of codes.

    Args:
        dynamics: whose weights are used, not copied.
        arithmetic: how the matrices of the layers are multiplied; int8 wants weights that were stored so.
    """

    def __init__(self, dynamics: MaskGITDynamics, arithmetic: Arithmetic = "float32") -> None:
        super().__init__()
        self.dynamics, self.run = dynamics, StackStep(dynamics.stack, arithmetic)

    def forward(self, codes: Tensor, told: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
        """Predict the codes of a frame.

        Args:
            codes: int64 (s,), masked tokens as ``config.mask_code``.
            told: (rows, d) of :class:`CodesCondition`.
            place: see :class:`StackStep`.

        Returns:
            Logits (s, codes), and what the cache takes.
        """
        x, new = self.run(*self._enter(codes, told), place)
        return self.dynamics.head(x[-self.dynamics.config.tokens_per_frame :]), *new

    def _enter(self, codes: Tensor, told: Tensor) -> tuple[Tensor, Tensor | None]:
        dynamics = self.dynamics
        x = functional.embedding(codes, dynamics.enter.weight) + dynamics.place
        match dynamics.config.conditioning:
            case "add":
                return x + told, None
            case "prepend":
                return torch.cat([told, x]), None
            case "film":
                return x, told


class CodesWrite(CodesStep):
    """The pass that fills the cache: :class:`CodesStep` without what only a prediction needs."""

    def forward(self, codes: Tensor, told: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
        """Return what the cache takes; arguments as for a step."""
        return self.run.write(*self._enter(codes, told), place)
