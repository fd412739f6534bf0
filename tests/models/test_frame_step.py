"""Play's fast path gives what the dynamics' own step gives."""

import pytest
import torch
from einops import rearrange

from paracosm.models.frame_step import FrameCondition, FrameStep, FrameWrite, empty_ring
from paracosm.nn.rope import axis_frequencies, axis_widths
from paracosm.nn.space_time import AttentionKind
from tests import tiny

FLOAT32_TOLERANCE = 2e-5
"""Latents of unit size through two layers; keys are rotated at other positions than in the slow path."""


def rollout(attention: AttentionKind, first_index: int, steps: int) -> list[torch.Tensor]:
    """Predict and write frames by the fast path, counting frames from ``first_index``."""
    dynamics = tiny.dynamics(attention)
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
        mask[first : first + tokens] = 0.0
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


@torch.no_grad()
def test_frame_one_million_is_placed_as_exactly_as_frame_one() -> None:
    early, late = rollout("joint", 0, 6), rollout("joint", 1_000_000, 6)
    for a, b in zip(early, late, strict=True):
        torch.testing.assert_close(a, b, atol=FLOAT32_TOLERANCE, rtol=0)
