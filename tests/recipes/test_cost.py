from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.recipes import doom
from paracosm.recipes.cost import DEVICES, find_device, play_cost, stage_cost

RUN = Path("runs")


def small_dynamics():
    config = doom.street(RUN).dynamics
    return replace(config, model=replace(config.model, width=32, heads=2, hidden=48, depth=2), batch_size=2)


def test_parameters_are_those_of_the_real_network():
    config = small_dynamics()
    assert stage_cost(config).parameters == FlowDynamics(config.model).num_parameters


def test_operations_are_those_of_a_real_step():
    config = small_dynamics()
    model, shape = config.model, (config.batch_size, config.clip_frames)
    network = FlowDynamics(model)
    latents = torch.randn(*shape, model.latent_channels, model.latent_height, model.latent_width)
    known, levels = torch.ones(shape, dtype=torch.bool), torch.zeros(shape)
    controls = torch.zeros(*shape, model.control_width)
    with FlopCounterMode(display=False) as counter:
        network(latents, levels, controls, known, (latents, levels), known).sum().backward()
    # the processor's fused attention is counted by another formula than the plain one
    assert stage_cost(config).flops_per_step == pytest.approx(counter.get_total_flops(), rel=0.1)


def test_costs_grow_as_they_should():
    config = small_dynamics()
    once, twice = stage_cost(config), stage_cost(replace(config, batch_size=4))
    assert twice.flops_per_step == 2 * once.flops_per_step
    assert twice.memory["activations"] > 1.8 * once.memory["activations"]
    assert twice.memory["weights"] == once.memory["weights"] == 4 * once.parameters
    longer = replace(config, loop=replace(config.loop, num_steps=2 * config.loop.num_steps))
    assert stage_cost(longer).flops == 2 * once.flops


def test_a_played_frame_costs_its_passes_and_one_write():
    tokenizer, dynamics = doom.street(RUN).tokenizer, small_dynamics()
    costs = [play_cost(tokenizer, dynamics, passes).flops_per_frame for passes in (1, 2, 3)]
    assert costs[2] - costs[1] == costs[1] - costs[0] > 0
    sizes = dynamics.model
    entries = sizes.depth * sizes.window * sizes.tokens_per_frame * sizes.width
    assert play_cost(tokenizer, dynamics, 2).cache_bytes == 2 * 4 * entries


def test_what_cannot_be_planned_is_refused_by_name():
    with pytest.raises(
        ConfigError, match='there is no device "moon"; choose one of h100, a100, rtx-4090, here'
    ):
        find_device("moon")
    with pytest.raises(
        ConfigError, match="RecordConfig cannot be planned; stages that can: TokenizerStageConfig"
    ):
        stage_cost(doom.recordings(RUN)["train"])


def test_this_machine_is_measured_and_slower_than_a_graphics_card():
    here = find_device("here")
    assert 1e8 < here.flops_per_second < DEVICES["h100"].flops_per_second
    assert here.memory_gb > 0
