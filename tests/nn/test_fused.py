"""Spelt-out gradients equal autograd's, and are used only where they pay."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from paracosm.nn.fused import can_fuse, fused_gate, fused_norm, fused_rotation
from paracosm.nn.norm import EPSILON

TOLERANCE = 1e-5
"""float32: the same sums in another order."""


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain_norm(x: Tensor, gain: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],), gain, EPSILON)


def plain_rotation(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def plain_gate(x: Tensor) -> Tensor:
    gate, value = x.chunk(2, -1)
    return functional.silu(gate) * value


def fused_norm_of(x: Tensor, gain: Tensor) -> Tensor:
    return fused_norm(x, gain, EPSILON)


ANGLE = draw(9, 5, 1, 4)
CASES = [
    (fused_norm_of, plain_norm, (draw(1, 2, 5, 3, 8), draw(2, 8))),
    (fused_rotation, plain_rotation, (draw(3, 2, 5, 3, 8), ANGLE.cos(), ANGLE.sin())),
    (fused_gate, plain_gate, (draw(4, 2, 5, 12),)),
]


@pytest.mark.parametrize(("fused", "plain", "inputs"), CASES, ids=["norm", "rotation", "gate"])
@pytest.mark.parametrize("layout", ["whole", "transposed"])
def test_values_and_gradients_equal_plain_torch(
    fused: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: tuple[Tensor, ...], layout: str
) -> None:
    results = []
    for function in (fused, plain):
        x = inputs[0].clone().requires_grad_()
        others = [part.clone().requires_grad_(function in (fused_norm_of, plain_norm)) for part in inputs[1:]]
        seen = x if layout == "whole" else x.transpose(0, 1).contiguous().transpose(0, 1)
        made = function(seen, *others)
        made.backward(draw(7, *made.shape))
        results.append([made, x.grad, *(part.grad for part in others if part.requires_grad)])
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, atol=TOLERANCE, rtol=TOLERANCE)


def test_only_float32_with_gradients_on_a_processor_is_fused() -> None:
    x = draw(5, 2, 4)
    assert not can_fuse(x)
    x.requires_grad_()
    assert can_fuse(x)
    assert not can_fuse(x.bfloat16())
    with torch.no_grad():
        assert not can_fuse(x)
    with torch.device("meta"):
        assert not can_fuse(torch.ones(2, requires_grad=True))
