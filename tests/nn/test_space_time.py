"""The block: whole and stepped agree, a new block is the identity, every parameter learns."""

import pytest
import torch

from paracosm.nn.attention import PositionTables
from paracosm.nn.space_time import AttentionKind, SpaceTimeBlock
from tests.tiny import perturb, ungraded

ROUNDING = 2e-5
"""float32 sums of a few dozen products, in another order."""
WIDTH, HEADS, FRAMES, ROWS, COLUMNS = 16, 2, 6, 2, 3
TOKENS = ROWS * COLUMNS
TABLES = PositionTables(ROWS, COLUMNS, WIDTH // HEADS)


def block_and_input(
    kind: AttentionKind, streams: int = 1
) -> tuple[SpaceTimeBlock, torch.Tensor, torch.Tensor]:
    block = SpaceTimeBlock(WIDTH, HEADS, 24, kind)
    perturb(block)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(streams, FRAMES, TOKENS, WIDTH, generator=generator)
    return block, x, torch.randn(streams, FRAMES, WIDTH, generator=generator)


@pytest.mark.parametrize("kind", ["joint", "factorised"])
def test_a_new_block_changes_nothing(kind: AttentionKind) -> None:
    block = SpaceTimeBlock(WIDTH, HEADS, 24, kind)
    _, x, condition = block_and_input(kind)
    assert torch.equal(block(x, condition, TABLES(torch.arange(FRAMES)), 1, 3), x)


@pytest.mark.parametrize("kind", ["joint", "factorised"])
@pytest.mark.parametrize("streams", [1, 2])
def test_gradient_reaches_every_parameter(kind: AttentionKind, streams: int) -> None:
    block, x, condition = block_and_input(kind, streams)
    block(x, condition, TABLES(torch.arange(FRAMES)), streams, 3).square().sum().backward()
    assert ungraded(block) == []


@pytest.mark.parametrize("kind", ["joint", "factorised"])
def test_the_noisy_stream_is_the_same_when_nothing_else_leaves(kind: AttentionKind) -> None:
    block, x, condition = block_and_input(kind, 2)
    table = TABLES(torch.arange(FRAMES))
    both, noisy = (block(x, condition, table, 2, 3, leaves=leaves) for leaves in ("all", "noisy"))
    assert noisy.shape == x[1:].shape
    torch.testing.assert_close(noisy, both[1:])


@pytest.mark.parametrize("kind", ["joint", "factorised"])
def test_stepping_with_a_ring_in_any_order_equals_the_whole_clip(kind: AttentionKind) -> None:
    block, x, condition = block_and_input(kind)
    window = 3
    whole = block(x, condition, TABLES(torch.arange(FRAMES)), 1, window)
    keys = torch.zeros(1, window, TOKENS, HEADS, WIDTH // HEADS)
    values = torch.zeros_like(keys)
    for t in range(FRAMES):
        ages = torch.tensor([float((t - 1 - slot) % window + 1) for slot in range(window)])
        tables = (TABLES(torch.zeros(1)), TABLES(-ages))
        y, (k, v) = block.step(x[:, t : t + 1], condition[:, t : t + 1], tables, ages <= t, (keys, values))
        torch.testing.assert_close(y[:, 0], whole[:, t], atol=ROUNDING, rtol=0)
        keys[:, t % window], values[:, t % window] = k, v
