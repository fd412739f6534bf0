"""Law 3, streamed equals whole: caches, windows and streaming states change the cost and nothing else."""

from typing import Literal

import pytest
import torch

from tests import tiny

FLOAT32_TOLERANCE = 2e-5
"""Latents of unit size: sums of some dozen float32 products in another order, through two layers."""
FRAMES = 11


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("attention", ["joint", "factorised"])
@pytest.mark.parametrize("window", [1, 4, FRAMES])
@torch.no_grad()
def test_a_cached_rollout_equals_the_masked_forward_pass_also_after_eviction(
    attention: Literal["joint", "factorised"], window: int
) -> None:
    """Two streams: each frame is predicted from noise while the cache holds the clean frames before it.

    Frames older than the window left the cache; their trace in deeper layers is the same in both.
    """
    dynamics = tiny.dynamics(attention, window)
    clean, noisy = draw(0, 2, FRAMES, 4, 4, 6), draw(1, 2, FRAMES, 4, 4, 6)
    controls, levels = draw(2, 2, FRAMES, tiny.CONTROLS.width), draw(3, 2, FRAMES).sigmoid()
    known = draw(4, 2, FRAMES) > -0.5
    context = torch.full((2, FRAMES), 0.1)
    whole = dynamics(noisy, levels, controls, known, (clean, context), known)
    cache = dynamics.empty_cache(2)
    for t in range(FRAMES):
        now = slice(t, t + 1)
        made = dynamics.step(noisy[:, now], levels[:, now], controls[:, now], known[:, now], cache)
        torch.testing.assert_close(made, whole[:, now], atol=FLOAT32_TOLERANCE, rtol=0)
        cache = dynamics.write(clean[:, now], context[:, now], controls[:, now], known[:, now], cache)
    assert cache.length == min(window, FRAMES)


@pytest.mark.parametrize("time_kernel", [1, 3])
@pytest.mark.parametrize("pieces", [[1] * FRAMES, [4, 1, 6]])
@torch.no_grad()
def test_a_streamed_encode_and_decode_equal_the_whole_clip(time_kernel: int, pieces: list[int]) -> None:
    tokenizer = tiny.tokenizer(time_kernel)
    inputs = draw(0, 1, FRAMES, 3, tiny.HEIGHT, tiny.WIDTH), draw(1, 1, FRAMES, 4, 4, 6)
    for function, x in zip((tokenizer.encode, tokenizer.decode), inputs, strict=True):
        whole, _ = function(x)
        state, made = None, []
        for piece in x.split(pieces, 1):
            part, state = function(piece, state)
            made.append(part)
        torch.testing.assert_close(torch.cat(made, 1), whole, atol=FLOAT32_TOLERANCE, rtol=0)
