"""Law 2, nothing after t changes an output at or before t: to the bit, in networks and in play."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from paracosm.core.controls import Control
from paracosm.play.engine import EngineConfig, NeuralWorld
from tests import tiny

FRAMES, CHANGED = 9, 5


def clip(seed: int, *shape: int) -> Tensor:
    return torch.randn(1, FRAMES, *shape, generator=torch.Generator().manual_seed(seed))


def with_other_future(x: Tensor) -> Tensor:
    changed = x.clone()
    changed[:, CHANGED:] += 1.0
    return changed


@pytest.mark.parametrize("attention", ["joint", "factorised"])
@pytest.mark.parametrize("past", ["two_streams", "independent"])
@torch.no_grad()
def test_the_future_of_a_clip_changes_no_earlier_prediction(
    attention: Literal["joint", "factorised"], past: str
) -> None:
    dynamics = tiny.dynamics(attention)
    noisy, clean, controls = clip(0, 4, 4, 6), clip(1, 4, 4, 6), clip(2, tiny.CONTROLS.width)
    levels, known = torch.full((1, FRAMES), 0.7), torch.ones(1, FRAMES, dtype=torch.bool)

    def predict(change: bool) -> Tensor:
        inputs = [with_other_future(x) if change else x for x in (noisy, clean, controls)]
        if past == "independent":
            return dynamics(inputs[0], levels, inputs[2], known)
        return dynamics(inputs[0], levels, inputs[2], known, (inputs[1], levels * 0.1), known)

    before, after = predict(False), predict(True)
    assert torch.equal(before[:, :CHANGED], after[:, :CHANGED])
    assert not torch.equal(before[:, CHANGED:], after[:, CHANGED:])


@pytest.mark.parametrize("past", ["two_streams", "independent"])
@torch.no_grad()
def test_the_noise_of_other_frames_never_reaches_a_frame_that_sees_a_clean_past(past: str) -> None:
    dynamics = tiny.dynamics()
    noisy, clean, controls = clip(0, 4, 4, 6), clip(1, 4, 4, 6), clip(2, tiny.CONTROLS.width)
    levels, known = torch.full((1, FRAMES), 0.7), torch.ones(1, FRAMES, dtype=torch.bool)
    other = noisy.clone()
    other[:, 2] += 1.0
    made = [
        dynamics(x, levels, controls, known, (clean, levels * 0), known)
        if past == "two_streams"
        else dynamics(x, levels, controls, known)
        for x in (noisy, other)
    ]
    changed = (made[0] != made[1]).flatten(2).any(2)[0].tolist()
    expected_later = past == "independent"
    assert changed[:4] == [False, False, True, expected_later]


@pytest.mark.parametrize("time_kernel", [1, 3])
@torch.no_grad()
def test_the_future_changes_no_earlier_latent_and_no_earlier_pixel(time_kernel: int) -> None:
    tokenizer = tiny.tokenizer(time_kernel)
    pixels, latents = clip(0, 3, tiny.HEIGHT, tiny.WIDTH), clip(1, 4, 4, 6)
    for function, x in ((tokenizer.encode, pixels), (tokenizer.decode, latents)):
        before, after = function(x)[0], function(with_other_future(x))[0]
        assert torch.equal(before[:, :CHANGED], after[:, :CHANGED])
        assert not torch.equal(before[:, CHANGED:], after[:, CHANGED:])


def test_a_control_changes_the_next_frame_of_play_and_none_before() -> None:
    worlds = [NeuralWorld(tiny.shared_tiny_world(), EngineConfig(num_threads=1)) for _ in range(2)]
    frames = [world.reset(seed=1).image for world in worlds]
    assert np.array_equal(*frames)
    for _ in range(3):
        frames = [world.step(Control(keys={"left"})).image for world in worlds]
        assert np.array_equal(*frames)
    frames = [
        world.step(Control(keys=keys)).image
        for world, keys in zip(worlds, ({"left"}, {"right"}), strict=True)
    ]
    assert not np.array_equal(*frames)
