"""Products of a layer's input with its weights, in floating point or in bytes.

A frame in play has a dozen tokens, so a pass costs what reading its weights costs: weights stored as bytes
are also multiplied as bytes (``benchmarks/byte_products.py`` measures the gain). The input is rounded to
8 bits too, with one scale and one zero point a product, as ONNX Runtime's DynamicQuantizeMatMul does it; the
torch function computes the same numbers up to the order of sums. This file does NOT know how weights are
stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Product = Callable[[nn.Linear, Tensor], Tensor]
"""Multiplies an input (s, in) by a layer's weights; gives (s, out)."""
BYTE_PRODUCT = "DynamicQuantizeMatMul"
"""ONNX operator of :func:`byte_product`; the exporter hands it bytes and scales as they are stored."""
LARGEST = 255
"""Largest unsigned byte."""


def float_product(layer: nn.Linear, x: Tensor) -> Tensor:
    """Multiply in floating point."""
    return layer(x)


def byte_product(layer: nn.Linear, x: Tensor) -> Tensor:
    """Multiply the input, rounded to bytes, by weights that are multiples of their scales.

    Args:
        layer: without bias; its weights as :func:`paracosm.models.storage.from_disk` gives them.
        x: (s, in).
    """
    return _ByteProduct.apply(x, layer.weight)  # pyright: ignore[reportReturnType]


def round_to_bytes(x: Tensor) -> Tensor:
    """Round to the 256 values between the smallest and largest entry; 0 is always one of them.

    Source: the ONNX operator DynamicQuantizeLinear.
    """
    low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
    scale = (high - low) / LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = (-low / scale).round()
    return ((x / scale).round().add(zero).clamp(0, LARGEST) - zero) * scale


class _ByteProduct(torch.autograd.Function):
    """One node in the exported graph; its scales are added where the weights are pointed to."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        return functional.linear(round_to_bytes(x), weight)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any) -> Any:
        turned = g.op("Transpose", weight, perm_i=[1, 0])
        sizes = x.type().sizes()  # the exporter loses track of shapes behind some operators
        shape = [sizes[0] if sizes else None, weight.type().sizes()[0]]
        return g.op(f"com.microsoft::{BYTE_PRODUCT}", x, turned).setType(x.type().with_sizes(shape))
