"""The masked dynamics makes clips from words and goes on with given frames, which it never changes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from paracosm.core.errors import ConfigError
from paracosm.models.clip_rollout import Asked, ClipRollout
from paracosm.models.dynamics_masked import MaskedDynamics, clip_conditions, grid_places
from tests.tiny import CONTROLS, ungraded
from tests.tiny_instruct import KINDS, Kind, base, base_config, draw, flow_like, words

CONDITIONS = torch.tensor([clip_conditions(15.0, 16, 24, 3)] * 2)


def run(model: MaskedDynamics, noisy: torch.Tensor, *texts: str) -> torch.Tensor:
    levels = torch.full(noisy.shape[:2], 0.7)
    return model(noisy, levels, words(*texts), CONDITIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_keeps_its_shape_and_every_weight_learns(kind: Kind) -> None:
    model = base(kind).train()
    made = run(model, draw(0, 2, 3, 4, 4, 6), "a red room", "night")
    assert made.shape == (2, 3, 4, 4, 6)
    made.square().mean().backward()
    assert ungraded(model) == []


@pytest.mark.parametrize("kind", KINDS)
def test_words_frame_rate_shape_and_length_all_count(kind: Kind) -> None:
    model, noisy = base(kind), draw(0, 2, 3, 4, 4, 6)
    first = run(model, noisy, "open the door", "night")
    assert not torch.allclose(first, run(model, noisy, "close the door", "night"), atol=1e-4)
    assert torch.allclose(first[1], run(model, noisy, "close the door", "night")[1], atol=1e-6)
    levels = torch.full((2, 3), 0.7)
    for index in range(3):
        changed = CONDITIONS.clone()
        changed[:, index] += 0.1
        made = model(noisy, levels, words("open the door", "night"), changed)
        assert not torch.allclose(first, made, atol=1e-4), index


@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_other_texts_changes_nothing(kind: Kind) -> None:
    model, noisy = base(kind), draw(0, 2, 3, 4, 4, 6)
    alone = run(model, noisy, "night", "night")
    beside = run(model, noisy, "night", "a long text about a door that opens")
    assert torch.allclose(alone[0], beside[0], atol=1e-5)


def test_one_network_takes_grids_of_any_size_that_patches_divide() -> None:
    model = base()
    assert run(model, draw(0, 2, 5, 4, 8, 4), "a", "b").shape == (2, 5, 4, 8, 4)
    with pytest.raises(ConfigError, match="latent grid 5 x 4 does not divide by patch 2"):
        run(model, draw(0, 2, 3, 4, 5, 4), "a", "b")


def test_every_frame_sees_every_other() -> None:
    for kind in KINDS:
        model, noisy = base(kind), draw(0, 2, 3, 4, 4, 6).requires_grad_()
        run(model, noisy, "a", "b")[:, 0].sum().backward()
        assert noisy.grad is not None
        assert bool((noisy.grad.abs().amax((2, 3, 4)) > 0).all())


def test_given_frames_are_told_clean_and_never_changed() -> None:
    seen = []

    class Watched(MaskedDynamics):
        def forward(self, noisy, levels, *rest):
            seen.append((noisy.clone(), levels.clone()))
            return super().forward(noisy, levels, *rest)

    model = Watched(base_config()).eval()
    past = draw(3, 2, 2, 4, 4, 6)
    asked = Asked(text=words("a", "b"), conditions=CONDITIONS)
    rollout = ClipRollout(model, levels=(1.0, 0.5))
    made = rollout.next(draw(4, 2, 3, 4, 4, 6), past, asked)
    assert made.shape == (2, 3, 4, 4, 6)
    assert len(seen) == 2
    for (noisy, levels), level in zip(seen, (1.0, 0.5), strict=True):
        assert torch.equal(noisy[:, :2], past)
        assert levels[0].tolist() == [0.0, 0.0, level, level, level]


def test_without_a_past_a_clip_is_made_from_words_and_guidance_pushes_towards_them() -> None:
    model, noise = base(), draw(4, 2, 3, 4, 4, 6)
    asked = Asked(text=words("a room", "night"), conditions=CONDITIONS)
    free = Asked(text=words("", ""), conditions=CONDITIONS)
    plain = ClipRollout(model, levels=(1.0,)).next(noise, None, asked)
    none = ClipRollout(model, levels=(1.0,)).next(noise, None, free)
    pushed = ClipRollout(model, levels=(1.0,), guidance=3.0).next(noise, None, asked)
    assert torch.allclose(pushed, none + 3.0 * (plain - none), atol=1e-4)


def test_conditions_lie_between_0_and_1() -> None:
    assert clip_conditions(30.0, 64, 64, 60) == [0.5, 0.5, 0.1]
    assert clip_conditions(120.0, 1, 99, 99_999) == [1.0, 1.0, 1.0]


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="width 32 over 3 heads"):
        replace(base_config(), heads=3)
    with pytest.raises(ConfigError, match="must name each field once"):
        replace(base_config(), fields=("a", "a"))


def test_it_begins_as_a_dynamics_whose_controls_are_unknown() -> None:
    model = base("own norms")
    flow = flow_like(model.config)
    gain = draw(7, model.config.width)
    with torch.no_grad():
        flow.place.copy_(grid_places(2, 3, model.config.width, torch.device("cpu")) * gain)
    model.begin_from(flow)
    for pool in (model.entry.words, model.spoken):
        nn.init.zeros_(pool.leave.weight)  # pyright: ignore
        nn.init.zeros_(pool.leave.bias)  # pyright: ignore
    for block in model.blocks:
        nn.init.zeros_(block.words.leave.weight)  # pyright: ignore
    noisy, levels = draw(0, 2, 1, 4, 4, 6), torch.tensor([[0.3], [0.9]])
    unknown = torch.zeros(2, 1, dtype=torch.bool)
    expected = flow(noisy, levels, draw(1, 2, 1, CONTROLS.width), unknown)
    assert torch.allclose(model(noisy, levels, words("a", "b"), CONDITIONS), expected, atol=1e-3)


def test_it_begins_with_nothing_of_other_sizes() -> None:
    flow = flow_like(replace(base_config("own norms"), hidden=16))
    with pytest.raises(ConfigError, match=r"hidden 16.*needs the same \(now hidden 24\)"):
        base("own norms").begin_from(flow)
    with pytest.raises(ConfigError, match=r'modulation "own" \(now "shared"\)'):
        base().begin_from(flow_like(base_config()))
