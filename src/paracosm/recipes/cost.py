"""What a recipe describes and would cost, counted on the meta device: no weight is made, no byte is read.

Operations are those of matrix products, convolutions and attention, counted by torch; a multiplication and an
addition are two. This file does NOT train or time anything but one matrix product, when asked for this
machine.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from paracosm.core.errors import ConfigError
from paracosm.core.figures import hardware
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.export import Graph, dynamics_graphs, tokenizer_graphs
from paracosm.models.inverse_dynamics import WINDOW, InverseDynamics
from paracosm.models.latent_actions import CodeInput, LatentActions
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.train.stages.inverse_dynamics import InverseDynamicsStageConfig
from paracosm.train.stages.latent_actions import LatentActionsStageConfig
from paracosm.train.stages.maskgit import MaskGITStageConfig
from paracosm.train.stages.teacher import TeacherStageConfig
from paracosm.train.stages.tokenizer import TokenizerStageConfig
from paracosm.train.stages.tokenizer_vq import TokenizerVQStageConfig

FLOAT_BYTES = 4
"""Weights, averages, gradients and the optimiser's two moments are kept in float32."""
HERE = "here"
"""Name of the machine that runs; its speed is measured, not looked up."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device that a recipe could run on.

    Attributes:
        flops_per_second: operations a second that training is assumed to reach.
        memory_gb: memory of one device.
        source: where the figure comes from.
    """

    flops_per_second: float
    memory_gb: float
    source: str


REACHED = 0.4
"""Share of the peak that training of large models commonly reaches; the plan's hours rest on it."""

DEVICES: Mapping[str, Device] = {
    "h100": Device(
        flops_per_second=REACHED * 989e12, memory_gb=80, source="bf16 peak 989 TFLOP/s, 40 % reached"
    ),
    "a100": Device(
        flops_per_second=REACHED * 312e12, memory_gb=80, source="bf16 peak 312 TFLOP/s, 40 % reached"
    ),
    "rtx-4090": Device(
        flops_per_second=REACHED * 165e12, memory_gb=24, source="bf16 peak 165 TFLOP/s, 40 % reached"
    ),
}
"""Devices by name; dense bf16 peaks as their maker states them."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What one training stage costs.

    Attributes:
        parameters: trained numbers.
        flops_per_step: operations of one optimiser step, forward and backward.
        num_steps: optimiser steps.
        memory: bytes by part while it trains.
    """

    parameters: int
    flops_per_step: int
    num_steps: int
    memory: Mapping[str, int]

    @property
    def flops(self) -> int:
        """Operations of the whole stage."""
        return self.flops_per_step * self.num_steps


@dataclass(frozen=True, kw_only=True)
class PlayCost:
    """What playing costs.

    Attributes:
        flops_per_frame: operations of one frame: every denoising pass, the cache write and the decoder.
        cache_bytes: keys and values of the past.
    """

    flops_per_frame: int
    cache_bytes: int


@dataclass(frozen=True, kw_only=True)
class _Traced:
    """What one forward pass over a batch showed."""

    parameters: int
    forward_flops: int
    step_flops: int
    saved_bytes: int

    def plus(self, deeper: _Traced, shallow: _Traced, times: int) -> _Traced:
        """Add what ``deeper`` has more than ``shallow``, so many times."""
        return _Traced(
            parameters=self.parameters + times * (deeper.parameters - shallow.parameters),
            forward_flops=self.forward_flops + times * (deeper.forward_flops - shallow.forward_flops),
            step_flops=self.step_flops + times * (deeper.step_flops - shallow.step_flops),
            saved_bytes=self.saved_bytes + times * (deeper.saved_bytes - shallow.saved_bytes),
        )


def stage_cost(config: Any) -> StageCost:
    """Count what a stage costs.

    Args:
        config: config of a tokenizer, dynamics or inverse-dynamics stage.

    Raises:
        ConfigError: for a stage that cannot be counted; names those that can.
    """
    trace = _TRACES.get(type(config))
    if trace is None:
        known = ", ".join(cls.__name__ for cls in _TRACES)
        raise ConfigError(f"{type(config).__name__} cannot be planned; stages that can: {known}")
    found = _trace_by_depth(config, trace) if type(config) in _STACKS else _trace(*trace(config))
    return _stage_cost(config, found)


def _stage_cost(config: Any, found: _Traced) -> StageCost:
    size = found.parameters * FLOAT_BYTES
    # bf16, which auto is on every listed card, halves what is kept for the backward pass; weights, averages
    # and sums stay in float32
    activations = found.saved_bytes // (1 if config.loop.precision == "fp32" else 2)
    return StageCost(
        parameters=found.parameters,
        flops_per_step=found.step_flops * config.loop.accumulate,
        num_steps=config.loop.num_steps,
        memory={
            "weights": size,
            "averages": size,
            "gradients": size,
            "moments": 2 * size,
            "activations": activations,
        },
    )


def traced_cost(config: Any, trace: _Trace) -> StageCost:
    """Count what a stage costs whose network and batch are brought along as a trace."""
    return _stage_cost(config, _trace(*trace))


def play_cost(tokenizer: TokenizerStageConfig, dynamics: TeacherStageConfig, num_passes: int) -> PlayCost:
    """Count what a frame of play costs.

    Args:
        tokenizer: stage that makes the tokenizer.
        dynamics: stage that makes the dynamics.
        num_passes: denoising passes a frame, without guidance; the cache write adds one.
    """
    with torch.device("meta"):
        decoder, model = TokenizerVAE(tokenizer.model), FlowDynamics(dynamics.model)
        graphs = {graph.name: graph for graph in [*tokenizer_graphs(decoder), *dynamics_graphs(model)]}
        flops = {name: _count(graph) for name, graph in graphs.items()}
    sizes = dynamics.model
    entries = sizes.depth * sizes.window * sizes.tokens_per_frame * sizes.heads * sizes.head_width
    return PlayCost(
        flops_per_frame=sum(
            (flops["condition"], num_passes * flops["step"], flops["write"], flops["decode"])
        ),
        cache_bytes=2 * entries * FLOAT_BYTES,
    )


def token_play_cost(
    tokenizer: TokenizerVQStageConfig, dynamics: MaskGITStageConfig, sampler: SamplerConfig
) -> PlayCost:
    """Count what a frame of play costs in a world of tokens: its passes, one write, and its decoding.

    Args:
        tokenizer: stage that makes the tokenizer.
        dynamics: stage that makes the dynamics.
        sampler: passes a frame.
    """
    sizes = dynamics.model
    with torch.device("meta"), torch.no_grad():
        model, decoder = MaskGITDynamics(sizes), TokenizerVQ(tokenizer.model)
        codes = torch.zeros(1, 1, sizes.tokens_per_frame, dtype=torch.int64)
        control, known = torch.zeros(1, 1, sizes.control_width), torch.ones(1, 1, dtype=torch.bool)
        with FlopCounterMode(display=False) as step:
            model.step(codes, control, known, model.empty_cache())
        with FlopCounterMode(display=False) as write:
            model.write(codes, control, known, model.empty_cache())
        with FlopCounterMode(display=False) as decode:
            decoder.decode_frame(codes, decoder.decoder_cache())
        caches = (model.empty_cache(), decoder.decoder_cache())
    passes = sampler.num_passes * step.get_total_flops() + write.get_total_flops()
    return PlayCost(
        flops_per_frame=passes + decode.get_total_flops(),
        cache_bytes=sum(2 * cache.keys.numel() * FLOAT_BYTES for cache in caches),
    )


def num_tokens(config: MaskGITStageConfig) -> int:
    """Tokens that a dynamics sees in all of its training, each as often as it is drawn."""
    clips = config.batch_size * config.loop.accumulate * config.loop.num_steps
    return clips * config.clip_frames * config.model.tokens_per_frame


def find_device(name: str) -> Device:
    """Return a device by name; "here" is measured by a matrix product of half a second.

    Raises:
        ConfigError: for a name that is not in the table.
    """
    if name == HERE:
        memory_gb = float(hardware()["memory_gb"])
        source = "this machine's speed in a float32 matrix product"
        return Device(flops_per_second=_measure_here(), memory_gb=memory_gb, source=source)
    if name not in DEVICES:
        raise ConfigError(f'there is no device "{name}"; choose one of {", ".join([*DEVICES, HERE])}')
    return DEVICES[name]


def _trace_tokenizer(config: TokenizerStageConfig) -> _Trace:
    model = config.model

    def run(network: nn.Module) -> Tensor:
        assert isinstance(network, TokenizerVAE), type(network)
        pixels = torch.zeros(config.batch_size, config.clip_frames, 3, model.height, model.width)
        mean, _ = network.posterior(pixels)
        return network.decoder(mean, None)[0]

    return lambda: TokenizerVAE(model), run


def _trace_dynamics(config: TeacherStageConfig) -> _Trace:
    model = config.model

    def run(network: nn.Module) -> Tensor:
        shape = (config.batch_size, config.clip_frames)
        latents = torch.zeros(*shape, model.latent_channels, model.latent_height, model.latent_width)
        levels, known = torch.zeros(shape), torch.ones(shape, dtype=torch.bool)
        past = ((latents, levels), known) if config.past == "two_streams" else (None, None)
        return network(latents, levels, torch.zeros(*shape, model.control_width), known, *past)

    return lambda: FlowDynamics(model), run


def _trace_inverse_dynamics(config: InverseDynamicsStageConfig) -> _Trace:
    model = config.model

    def run(network: nn.Module) -> Tensor:
        keys, look = network(torch.zeros(config.batch_size, WINDOW, 3, model.height, model.width))
        return torch.cat([keys.flatten(1), look.flatten(1)], 1)

    return lambda: InverseDynamics(model), run


def _trace_tokenizer_vq(config: TokenizerVQStageConfig) -> _Trace:
    model = config.model

    def run(network: nn.Module) -> Tensor:
        return network(torch.zeros(config.batch_size, config.clip_frames, 3, model.height, model.width))[0]

    return lambda: TokenizerVQ(model), run


def _trace_latent_actions(config: LatentActionsStageConfig) -> _Trace:
    seen, shape = config.model.input, (config.batch_size, config.clip_frames)

    def run(network: nn.Module) -> Tensor:
        if isinstance(seen, CodeInput):
            return network(torch.zeros(*shape, seen.rows * seen.columns, dtype=torch.int64))[0]
        return network(torch.zeros(*shape, 3, seen.height, seen.width))[0]

    return lambda: LatentActions(config.model), run


def _trace_maskgit(config: MaskGITStageConfig) -> _Trace:
    """The dynamics alone: a latent action model beside it is a stage of its own in the plan."""
    model, shape = config.model, (config.batch_size, config.clip_frames)

    def run(network: nn.Module) -> Tensor:
        assert isinstance(network, MaskGITDynamics), type(network)
        codes = torch.zeros(*shape, model.tokens_per_frame, dtype=torch.int64)
        known, past = torch.ones(shape, dtype=torch.bool), codes if config.past == "clean" else None
        x = network(codes, torch.zeros(*shape, model.control_width), known, past)
        # logits are made of masked tokens only; which ones is random, their share is not
        masked = round(sum(config.mask_rates) / 2 * (config.clip_frames - 1))
        return network.head(x[:, :masked])

    return lambda: MaskGITDynamics(model), run


_Trace = tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]
"""A function that builds a network, and one that runs it on a batch of the stage."""

_TRACES: Mapping[type, Callable[[Any], _Trace]] = {
    TokenizerStageConfig: _trace_tokenizer,
    TeacherStageConfig: _trace_dynamics,
    InverseDynamicsStageConfig: _trace_inverse_dynamics,
    TokenizerVQStageConfig: _trace_tokenizer_vq,
    LatentActionsStageConfig: _trace_latent_actions,
    MaskGITStageConfig: _trace_maskgit,
}


_STACKS: Mapping[type, tuple[str, ...]] = {
    TokenizerVQStageConfig: ("encoder", "decoder"),
    LatentActionsStageConfig: ("encoder", "decoder"),
    MaskGITStageConfig: ("stack",),
}
"""Stacks of equal blocks in the models of stages that have them, by name."""


def _trace_by_depth(config: Any, trace: Callable[[Any], _Trace]) -> _Traced:
    """Trace a network with one block a stack, then with two: each further block costs what the second does.

    A plan of 120 blocks then takes seconds, not minutes, and its counts are the same.
    """
    names = _STACKS[type(config)]

    def traced(**depths: int) -> _Traced:
        stacks = {name: replace(getattr(config.model, name), depth=depths.get(name, 1)) for name in names}
        return _trace(*trace(replace(config, model=replace(config.model, **stacks))))

    shallow = traced()
    found = shallow
    for name in names:
        more = getattr(config.model, name).depth - 1
        if more:
            found = found.plus(traced(**{name: 2}), shallow, more)
    return found


def _trace(build: Callable[[], nn.Module], run: Callable[[nn.Module], Tensor]) -> _Traced:
    # Storages themselves, not their sizes: one that is let go would leave its address to another.
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    with torch.device("meta"):
        network = build()
        weights = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
        with FlopCounterMode(display=False) as forward, torch.autograd.graph.saved_tensors_hooks(keep, _same):
            made = run(network)
        with FlopCounterMode(display=False) as backward:
            made.sum().backward()
    return _Traced(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        forward_flops=forward.get_total_flops(),
        step_flops=forward.get_total_flops() + backward.get_total_flops(),
        saved_bytes=sum(storage.nbytes() for address, storage in saved.items() if address not in weights),
    )


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _count(graph: Graph) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        graph.module(*graph.inputs.values())
    return counter.get_total_flops()


@functools.cache
def _measure_here() -> float:
    side = 768
    one = torch.ones(side, side)
    torch.mm(one, one)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 0.5:
        torch.mm(one, one)
        count += 1
    return 2 * side**3 * count / (time.perf_counter() - began)
