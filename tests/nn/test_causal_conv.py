"""Convolutions over time see no future, and in pieces give what they give whole."""

import pytest
import torch

from paracosm.nn.causal_conv import CausalTimeConv, ResidualBlock
from tests.tiny import perturb, ungraded


def test_a_new_time_convolution_adds_nothing() -> None:
    y, _ = CausalTimeConv(4, 3)(torch.randn(1, 5, 4, 2, 2), None)
    assert not y.any()


def test_time_convolution_sees_no_future_and_exactly_its_kernel_of_past() -> None:
    layer = CausalTimeConv(4, 3)
    perturb(layer)
    x = torch.randn(1, 8, 4, 2, 2)
    changed = x.clone()
    changed[:, 3] += 1.0
    touched = (layer(x, None)[0] != layer(changed, None)[0]).flatten(2).any(2)[0]
    assert touched.tolist() == [False, False, False, True, True, True, False, False]


@pytest.mark.parametrize("time_kernel", [1, 2, 3])
def test_a_block_in_pieces_equals_the_block_on_the_whole(time_kernel: int) -> None:
    block = ResidualBlock(4, time_kernel)
    perturb(block)
    x = torch.randn(6, 4, 3, 3)
    whole, _ = block(x, 6, None)
    parts, state = [], None
    for first, last in ((0, 1), (1, 3), (3, 6)):
        part, state = block(x[first:last], last - first, state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts), whole)


@pytest.mark.parametrize("time_kernel", [1, 3])
def test_gradient_reaches_every_parameter(time_kernel: int) -> None:
    block = ResidualBlock(4, time_kernel)
    perturb(block)
    block(torch.randn(4, 4, 3, 3), 4, None)[0].square().sum().backward()
    assert ungraded(block) == []
