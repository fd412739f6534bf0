"""The dynamics: shapes, learning, refusals; its laws stand in tests/laws."""

from dataclasses import replace

import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_flow import FlowDynamics, shift_controls
from paracosm.nn.kv_cache import cache_ages
from paracosm.nn.space_time import AttentionKind
from tests import tiny

FRAMES = 5
SHAPE = (2, FRAMES, 4, 4, 6)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    levels = torch.rand(2, FRAMES, generator=generator)
    controls = torch.randn(2, FRAMES, tiny.CONTROLS.width, generator=generator)
    known = torch.ones(2, FRAMES, dtype=torch.bool)
    known[:, 0] = False
    return torch.randn(SHAPE, generator=generator), levels, controls, known


def test_a_new_network_predicts_the_mean_latent() -> None:
    made = FlowDynamics(tiny.dynamics_config())(*inputs())
    assert made.shape == SHAPE
    assert not made.any()


@pytest.mark.parametrize("attention", ["joint", "factorised"])
@pytest.mark.parametrize("streams", [1, 2])
def test_gradient_reaches_every_parameter(attention: AttentionKind, streams: int) -> None:
    dynamics = tiny.dynamics(attention)
    noisy, levels, controls, known = inputs()
    past = ((noisy + 1.0, levels * 0.1), known) if streams == 2 else ()
    dynamics(noisy, levels, controls, known, *past).square().sum().backward()
    assert tiny.ungraded(dynamics) == []


@torch.no_grad()
def test_an_unknown_control_is_the_same_whatever_it_is() -> None:
    dynamics = tiny.dynamics()
    noisy, levels, controls, known = inputs()
    nothing = torch.zeros_like(known)
    assert torch.equal(
        dynamics(noisy, levels, controls, nothing), dynamics(noisy, levels, controls + 1.0, nothing)
    )
    made = dynamics(noisy, levels, controls, known), dynamics(noisy, levels, controls + 1.0, known)
    assert not torch.equal(*made)


@torch.no_grad()
def test_a_turn_counts_as_a_share_of_the_largest_turn() -> None:
    config = tiny.dynamics_config()
    wide = FlowDynamics(replace(config, look_limit=(12.0, 6.0)))
    narrow = FlowDynamics(config)
    tiny.perturb(wide)
    tiny.perturb(narrow)
    noisy, levels, controls, known = inputs()
    doubled = controls.clone()
    doubled[..., -2:] *= 2.0
    torch.testing.assert_close(narrow(noisy, levels, controls, known), wide(noisy, levels, doubled, known))


@torch.no_grad()
def test_denoising_leaves_the_cache_as_it_is() -> None:
    dynamics = tiny.dynamics()
    noisy, levels, controls, known = (part[:, :1] for part in inputs())
    cache = dynamics.write(noisy, levels, controls, known, dynamics.empty_cache(2))
    before = cache.keys.clone()
    dynamics.step(noisy, levels, controls, known, cache)
    assert torch.equal(cache.keys, before)
    assert cache.length == 1


def test_ages_count_back_from_the_frame_before() -> None:
    dynamics = tiny.dynamics(window=3)
    cache = dynamics.empty_cache()
    frame = torch.zeros(2, 1, 6, 2, 8)
    for _ in range(4):
        cache = cache.append(frame, frame)
    ages, held = cache_ages(cache, torch.device("cpu"))
    assert ages.tolist() == [1.0, 3.0, 2.0]
    assert held.all()


def test_controls_are_shifted_to_the_frame_they_lead_to() -> None:
    controls = torch.tensor([[[1.0], [2.0]]])
    assert shift_controls(controls).tolist() == [[[0.0], [1.0], [2.0]]]


def test_a_past_without_its_known_controls_is_refused() -> None:
    noisy, levels, controls, known = inputs()
    with pytest.raises(ConfigError, match="past needs past_known: say which controls"):
        tiny.dynamics()(noisy, levels, controls, known, (noisy, levels))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"latent_width": 5}, "latent grid 4 x 5 does not divide by patch 2; choose another patch"),
        ({"width": 20}, "width 20 over 2 heads gives no head width that is a multiple of 8"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(changes: dict[str, int], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        replace(tiny.dynamics_config(), **changes)  # pyright: ignore[reportArgumentType]


def test_a_frame_of_a_sink_counts_as_the_oldest_of_the_window() -> None:
    dynamics = tiny.dynamics(window=3)
    cache = dynamics.empty_cache(sink=1)
    frame = torch.zeros(2, 1, 6, 2, 8)
    for _ in range(5):
        cache = cache.append(frame, frame)
    ages, held = cache_ages(cache, torch.device("cpu"))
    assert ages[0] == 3.0
    assert sorted(ages.tolist()) == [1.0, 2.0, 3.0]
    assert held.all()


def looking_ahead() -> FlowDynamics:
    network = FlowDynamics(replace(tiny.dynamics_config(), mask="bidirectional"))
    tiny.perturb(network)
    return network.eval()


def test_only_a_bidirectional_network_sees_coming_frames() -> None:
    noisy, levels, controls, known = inputs()
    changed = noisy.clone()
    changed[:, -1] += 1.0
    for network, sees in ((tiny.dynamics(), False), (looking_ahead(), True)):
        with torch.no_grad():
            first, second = (network(x, levels, controls, known)[:, 0] for x in (noisy, changed))
        assert torch.equal(first, second) != sees


def test_a_bidirectional_network_neither_plays_nor_takes_a_clean_past() -> None:
    noisy, levels, controls, known = inputs()
    with pytest.raises(ConfigError, match="cannot run frame by frame; distil a causal one"):
        looking_ahead().empty_cache()
    with pytest.raises(ConfigError, match="takes no clean past beside the clip; give one stream"):
        looking_ahead()(noisy, levels, controls, known, (noisy, levels), known)
