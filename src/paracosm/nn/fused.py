"""Elementwise layers with their gradients spelt out: fewer passes over memory than autograd takes.

On a processor half of a training step is not products but reading and writing numbers between them. Norms,
rotations and gates are therefore computed here in as few passes as they need, forward and backward, in
float32. Graph compilers fuse such passes themselves, and other number types go through plain torch, so each
function has its plain twin beside it and a test that both agree. This file does NOT know attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def can_fuse(x: Tensor) -> bool:
    """Whether gradients of x are wanted where these functions pay: float32 on a processor, not compiled."""
    return (
        x.requires_grad
        and torch.is_grad_enabled()
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.compiler.is_compiling()
    )


def fused_norm(x: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm over the last axis, times a gain (width,)."""
    return _Norm.apply(x, gain, epsilon)  # pyright: ignore[reportReturnType]


def fused_rotation(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs (i, i + k / 2) of the last axis of x (..., k); cos and sin broadcast to (..., k / 2)."""
    return _Rotation.apply(x, cos, sin)  # pyright: ignore[reportReturnType]


def fused_gate(x: Tensor) -> Tensor:
    """SwiGLU: silu of the first half of the last axis times the second."""
    return _Gate.apply(x)  # pyright: ignore[reportReturnType]


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, epsilon: float) -> Tensor:
        width = x.shape[-1]
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(width).add_(epsilon).rsqrt_()
        unit = x * scale
        ctx.save_for_backward(unit, scale, gain)
        return unit * gain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        unit, scale, gain = ctx.saved_tensors
        width = unit.shape[-1]
        product = grads[0] * unit
        along = (product @ gain).div_(width)
        out = (grads[0] * gain).addcmul_(unit, along[..., None], value=-1.0).mul_(scale)
        return out, product.reshape(-1, width).sum(0), None


class _Rotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        cos, sin = ctx.saved_tensors
        return _turn(grads[0], cos, sin, -1.0), None, None


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        gate, value = x.chunk(2, -1)
        return torch.nn.functional.silu(gate).mul_(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        gate, value = x.chunk(2, -1)
        out = torch.empty_like(x)
        first, second = out.chunk(2, -1)
        torch.mul(torch.nn.functional.silu(gate), grads[0], out=second)
        torch.ops.aten.silu_backward.grad_input(grads[0] * value, gate, grad_input=first)
        return out


def _turn(x: Tensor, cos: Tensor, sin: Tensor, way: float) -> Tensor:
    """Rotate by the angles, or back by them when ``way`` is -1."""
    out = torch.empty_like(x)
    (first, second), (low, high) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(first, cos, out=low).addcmul_(second, sin, value=-way)
    torch.mul(second, cos, out=high).addcmul_(first, sin, value=way)
    return out
