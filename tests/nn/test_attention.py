"""Attention over streams of frames equals attention written out frame by frame, whatever the chunk."""

import pytest
import torch
from einops import rearrange
from torch import Tensor

from paracosm.nn import attention
from paracosm.nn.attention import PositionTables, Projections, attend, attend_streams
from tests.tiny import perturb, ungraded

Stream = tuple[Tensor, Tensor, Tensor]
FRAMES, TOKENS, HEADS, HEAD_WIDTH = 7, 3, 2, 8


def stream(seed: int) -> Stream:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, FRAMES, TOKENS, HEADS, HEAD_WIDTH)
    return tuple(torch.randn(shape, generator=generator) for _ in range(3))  # pyright: ignore[reportReturnType]


def one_frame(query: Tensor, sources: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Attend from one frame (b, s, n, k) to the frames in ``sources``, without any mask."""
    keys = torch.cat([k for k, _ in sources], 1)
    values = torch.cat([v for _, v in sources], 1)
    return attend(query, keys, values)


@pytest.mark.parametrize("chunk_tokens", [TOKENS, 2 * TOKENS, 100])
@pytest.mark.parametrize("window", [2, FRAMES])
def test_two_streams_see_the_clean_past_and_themselves(
    chunk_tokens: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "CHUNK_TOKENS", chunk_tokens)
    clean, noisy = stream(0), stream(1)
    made_clean, made_noisy = attend_streams(clean, noisy, window)
    assert made_clean is not None
    for t in range(FRAMES):
        past = [(clean[1][:, i], clean[2][:, i]) for i in range(max(0, t - window), t)]
        expected = one_frame(clean[0][:, t], [*past, (clean[1][:, t], clean[2][:, t])])
        torch.testing.assert_close(made_clean[:, t], expected)
        expected = one_frame(noisy[0][:, t], [*past, (noisy[1][:, t], noisy[2][:, t])])
        torch.testing.assert_close(made_noisy[:, t], expected)


def test_one_stream_sees_its_own_past() -> None:
    only = stream(0)
    nothing, made = attend_streams(None, only, window=2)
    assert nothing is None
    for t in range(FRAMES):
        seen = [(only[1][:, i], only[2][:, i]) for i in range(max(0, t - 2), t + 1)]
        torch.testing.assert_close(made[:, t], one_frame(only[0][:, t], seen))


def test_projections_normalise_queries_and_keys_and_leave_values() -> None:
    layer = Projections(16, 2)
    q, k, v = layer.split(10.0 * torch.randn(2, 3, 5, 16))
    assert q.shape == k.shape == v.shape == (2, 3, 5, 2, 8)
    for part in (q, k):
        torch.testing.assert_close(part.square().mean(-1), torch.ones(2, 3, 5, 2), atol=1e-3, rtol=0)
    assert layer.join(v).shape == (2, 3, 5, 16)


def test_gradient_reaches_every_parameter_of_the_projections() -> None:
    layer = Projections(16, 2)
    perturb(layer)
    q, k, v = (rearrange(part, "b t s n k -> b (t s) n k") for part in layer.split(torch.randn(1, 2, 3, 16)))
    layer.join(attend(q, k, v)).square().sum().backward()
    assert ungraded(layer) == []


def test_tables_are_in_the_order_of_tokens() -> None:
    tables = PositionTables(2, 3, 16)
    cos, sin = tables(torch.tensor([0.0, 4.0]))
    assert cos.shape == sin.shape == (12, 8)
    angle = torch.atan2(sin, cos)
    torch.testing.assert_close(angle[6, 0], torch.tensor(4.0 - 2 * torch.pi))  # frame 4, row 0, column 0
    torch.testing.assert_close(angle[5, 4], torch.tensor(1.0))  # frame 0, row 1, column 2: row part
    torch.testing.assert_close(angle[5, 6], torch.tensor(2.0))  # column part
