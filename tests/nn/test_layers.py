"""Small layers: their arithmetic, and a gradient for every parameter."""

import math

import pytest
import torch
from torch import nn

from paracosm.nn.embed import NumberEmbedding
from paracosm.nn.feed_forward import FeedForward
from paracosm.nn.modulation import Modulation, modulate
from paracosm.nn.norm import ChannelNorm, rms_norm
from paracosm.nn.patch import from_patches, to_patches
from tests.tiny import perturb, ungraded


def test_a_channel_norm_gives_every_position_unit_mean_square() -> None:
    y = ChannelNorm(6)(3.0 * torch.randn(2, 6, 4, 5))
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 4, 5), atol=1e-4, rtol=0)


def test_a_channel_norm_is_local_so_that_it_can_be_streamed() -> None:
    norm, x = ChannelNorm(3), torch.randn(1, 3, 2, 2)
    changed = x.clone()
    changed[:, :, 0, 0] += 1.0
    same = torch.ones(2, 2, dtype=torch.bool)
    same[0, 0] = False
    assert torch.equal(norm(x)[0, :, same], norm(changed)[0, :, same])


def test_rms_norm_divides_by_the_root_mean_square() -> None:
    x = torch.tensor([3.0, 4.0])
    torch.testing.assert_close(rms_norm(x), x / math.sqrt(12.5))


def test_a_new_modulation_is_zero_and_modulate_then_only_normalises() -> None:
    parts = Modulation(8, 6)(torch.randn(2, 3, 8))
    assert len(parts) == 6
    assert all(part.shape == (2, 3, 1, 8) and not part.any() for part in parts)
    x = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(modulate(x, parts[0], parts[1]), rms_norm(x))


def test_number_embedding_tells_near_levels_apart() -> None:
    embed = NumberEmbedding(16)
    perturb(embed)
    a, b = embed(torch.tensor([[0.50, 0.51]]))[0]
    assert (a - b).abs().max() > 1e-2


def test_patches_go_row_by_row_and_back() -> None:
    grid = torch.arange(2 * 3 * 4 * 6.0).reshape(1, 2, 3, 4, 6)
    tokens = to_patches(grid, 2)
    assert tokens.shape == (1, 2, 6, 12)
    torch.testing.assert_close(tokens[0, 0, 1], grid[0, 0, :, 0:2, 2:4].reshape(-1))
    assert torch.equal(from_patches(tokens, 2, rows=2), grid)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(FeedForward(8, 12), (2, 3, 8)), (NumberEmbedding(8), (2, 3)), (ChannelNorm(4), (2, 4, 3, 3))],
)
def test_gradient_reaches_every_parameter(layer: nn.Module, shape: tuple[int, ...]) -> None:
    layer(torch.rand(shape)).square().sum().backward()
    assert ungraded(layer) == []


def test_a_number_embedding_lies_on_the_device_asked_for_though_torch_forgot_linspace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after transformers has loaded a model, which replaces linspace meanwhile."""
    known = torch.utils._device._device_constructors  # pyright: ignore
    known.cache_clear()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(torch, "linspace", lambda *args, **kwargs: None)
            known()
        with torch.device("meta"):
            assert torch.linspace(0, 1, 2).device.type == "cpu"
            assert NumberEmbedding(8).frequencies.device.type == "meta"
    finally:
        known.cache_clear()
