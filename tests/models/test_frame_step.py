"""Play's fast path gives what the dynamics' own step gives."""

import pytest
import torch
from einops import rearrange

from paracosm.models import frame_step
from paracosm.models.byte_product import float_product
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.frame_step import (
    FrameCondition,
    FrameStep,
    FrameWrite,
    attend_any,
    choose_kernels,
    empty_ring,
    project,
    score_bound,
)
from paracosm.nn.rope import axis_frequencies, axis_widths
from paracosm.nn.space_time import AttentionKind, SpaceTimeBlock
from tests import tiny

FLOAT32_TOLERANCE = 2e-5
"""Latents of unit size through two layers; keys are rotated at other positions than in the slow path."""


def rollout(
    attention: AttentionKind, first_index: int, steps: int, dynamics: FlowDynamics | None = None
) -> list[torch.Tensor]:
    """Predict and write frames by the fast path, counting frames from ``first_index``."""
    dynamics = dynamics or tiny.dynamics(attention)
    condition, step, write = FrameCondition(dynamics), FrameStep(dynamics), FrameWrite(dynamics)
    keys, values, mask = empty_ring(dynamics.config)
    frequencies = axis_frequencies(axis_widths(dynamics.config.head_width)[0]).double()
    tokens = dynamics.config.tokens_per_frame if attention == "joint" else 1
    generator = torch.Generator().manual_seed(0)
    made = []
    for index in range(steps):
        x = torch.randn(4, 4, 6, generator=generator)
        control = torch.randn(1, tiny.CONTROLS.width, generator=generator)
        known = torch.tensor([index > 0, index > 0])
        angle = torch.remainder((first_index + index) * frequencies, 2 * torch.pi).float()
        vectors, cos, sin = condition(torch.tensor([0.7, 0.0]), known, control, angle)
        clean, _, _ = step(x, vectors[0], cos, sin, mask, *keys, *values)
        new_keys, new_values = write(clean, vectors[1], cos, sin, mask, *keys, *values)
        for one, other in zip(
            (new_keys, new_values), step(clean, vectors[1], cos, sin, mask, *keys, *values)[1:], strict=True
        ):
            assert torch.equal(one, other)
        made.append(clean)
        first = index % dynamics.config.window * tokens
        for layer in range(dynamics.config.depth):
            k, v = new_keys[layer], new_values[layer]
            if attention == "factorised":
                k, v = (rearrange(part, "n s k -> (s n) 1 k") for part in (k, v))
            keys[layer][:, first : first + tokens] = k
            values[layer][:, :, first : first + tokens] = v.transpose(1, 2)
        mask[first : first + tokens] = 1.0
    return made


@pytest.mark.parametrize("attention", ["joint", "factorised"])
@torch.no_grad()
def test_a_rollout_equals_that_of_the_dynamics_itself(attention: AttentionKind) -> None:
    fast = rollout(attention, first_index=0, steps=7)
    dynamics = tiny.dynamics(attention)
    cache = dynamics.empty_cache()
    generator = torch.Generator().manual_seed(0)
    for index, made in enumerate(fast):
        x = torch.randn(4, 4, 6, generator=generator)[None, None]
        control = torch.randn(1, tiny.CONTROLS.width, generator=generator)[None]
        known = torch.tensor([[index > 0]])
        clean = dynamics.step(x, torch.tensor([[0.7]]), control, known, cache)
        torch.testing.assert_close(made, clean[0, 0], atol=FLOAT32_TOLERANCE, rtol=0)
        cache = dynamics.write(clean, torch.tensor([[0.0]]), control, known, cache)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
@torch.no_grad()
def test_both_ways_to_attend_give_the_same(attention: AttentionKind, monkeypatch: pytest.MonkeyPatch) -> None:
    bounded = rollout(attention, first_index=0, steps=7)
    monkeypatch.setattr(frame_step, "LARGEST_SCORE", 0.0)
    for one, other in zip(bounded, rollout(attention, first_index=0, steps=7), strict=True):
        torch.testing.assert_close(one, other, atol=FLOAT32_TOLERANCE, rtol=0)


@torch.no_grad()
def test_scores_too_large_to_exponentiate_are_told_and_attended_to_all_the_same() -> None:
    dynamics = tiny.dynamics("joint")
    blocks = [block for block in dynamics.blocks if isinstance(block, SpaceTimeBlock)]
    width = dynamics.config.head_width
    for block in blocks:
        block.time.query_gain.fill_(15.0)
        block.time.key_gain.fill_(15.0)
    assert score_bound(blocks[0].time) == pytest.approx(225 * width**0.5)
    assert choose_kernels(blocks).attend is attend_any
    for made in rollout("joint", 0, 5, dynamics):
        assert torch.isfinite(made).all()


@torch.no_grad()
def test_no_score_is_beyond_the_bound() -> None:
    dynamics = tiny.dynamics("joint")
    block = next(block for block in dynamics.blocks if isinstance(block, SpaceTimeBlock))
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        x = 100 * torch.randn(12, dynamics.config.width, generator=generator)
        q, k, _ = project(block.time, x, float_product)
        assert float((q @ k.transpose(-1, -2)).abs().max()) <= score_bound(block.time) * (1 + 1e-5)


@torch.no_grad()
def test_frame_one_million_is_placed_as_exactly_as_frame_one() -> None:
    early, late = rollout("joint", 0, 6), rollout("joint", 1_000_000, 6)
    for a, b in zip(early, late, strict=True):
        torch.testing.assert_close(a, b, atol=FLOAT32_TOLERANCE, rtol=0)
