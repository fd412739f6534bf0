"""Play's fast path through the networks of a world of tokens: the same weights, one frame at a time.

Three functions with fixed shapes that are exported to graphs: a frame to codes, one pass over a frame of
codes, codes to a frame. Caches hold keys that were rotated once, when they were written, as in
:mod:`.frame_step`, whose layers these share.

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

from .byte_product import Product, byte_product, float_product
from .dynamics_maskgit import MaskGITDynamics
from .frame_step import EMPTY, attend_picture, feed, normalise, run_block
from .pixels import to_frames, to_pixels
from .tokenizer_vq import TokenizerVQ


class StackStep(nn.Module):
    """A stack over one frame's tokens against a cache of fixed shape; has no weights of its own.

    Args:
        stack: whose weights are used, not copied.
        product: how matrices are multiplied.
    """

    def __init__(self, stack: SpaceTimeStack, product: Product = float_product) -> None:
        super().__init__()
        self._product = product
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
        self, x: Tensor, condition: Tensor | None, place: Sequence[Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run one frame.

        Args:
            x: (s, d).
            condition: (1, d) for adaptive norms; None for plain ones.
            place: angle (k / 4,) of the frame axis at this frame in radians, mask (entries,), rotated keys
                of each layer and values of each layer; () where no layer sees the past.

        Returns:
            (s, d), and the frame's rotated keys and values, each (layers, n, s, k); () without a past.
        """
        blocks = cast("list[SpaceTimeBlock]", list(self.stack.blocks))
        table = self._table(x.shape[0], place)
        if not place:
            for block in blocks:
                x = attend_picture(block, x, (), table, self._product)
                x = feed(block, x, (), self._product)
            return normalise(x, self.stack.norm.gain), ()
        mask, cache = place[1], place[2:]
        keys, values = [], []
        for i, block in enumerate(blocks):
            cached = cache[i], cache[len(blocks) + i]
            parts = () if condition is None else _parts(block, condition)
            x, k, v = run_block(block, x, parts, table, mask, cached, self._product)
            keys.append(k)
            values.append(v)
        return normalise(x, self.stack.norm.gain), (torch.cat(keys), torch.cat(values))

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
        "mask": torch.full((entries,), EMPTY),
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


class CodesStep(nn.Module):
    """One pass over a frame of codes.

    Args:
        dynamics: whose weights are used, not copied.
        arithmetic: how the matrices of the layers are multiplied; int8 wants weights that were stored so.
    """

    def __init__(self, dynamics: MaskGITDynamics, arithmetic: Arithmetic = "float32") -> None:
        super().__init__()
        product = byte_product if arithmetic == "int8" else float_product
        self.dynamics, self.run = dynamics, StackStep(dynamics.stack, product)

    def forward(self, codes: Tensor, action: Tensor, known: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
        """Predict the codes of a frame.

        Args:
            codes: int64 (s,), masked tokens as ``config.mask_code``.
            action: int64 (1,), the latent action that leads to this frame.
            known: bool (1,); False where that action is unknown.
            place: see :class:`StackStep`.

        Returns:
            Logits (s, codes), and what the cache takes.
        """
        dynamics, embedding = self.dynamics, self.dynamics.control
        vector = functional.embedding(action, dynamics.actions)
        told = embedding.leave(functional.silu(embedding.enter(vector * embedding.scale)))
        condition = torch.where(known[:, None], told, embedding.null)
        x = functional.embedding(codes, dynamics.enter.weight) + dynamics.place
        match dynamics.config.conditioning:
            case "add":
                x, new = self.run(x + condition, None, place)
            case "prepend":
                x, new = self.run(torch.cat([condition, x]), None, place)
            case "film":
                x, new = self.run(x, condition, place)
        return dynamics.head(x[-dynamics.config.tokens_per_frame :]), *new


def _parts(block: SpaceTimeBlock, condition: Tensor) -> tuple[Tensor, ...]:
    """Shift, gain and gate (1, d) of each layer; a gain is 1 + scale."""
    made = block.modulation.make(functional.silu(condition)).chunk(block.modulation.count, -1)
    return tuple(1.0 + part if i % 3 == 1 else part for i, part in enumerate(made))
