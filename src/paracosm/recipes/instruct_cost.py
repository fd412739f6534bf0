"""What a masked base and its branch describe and would cost: as traces to be counted.

This file does NOT make a weight or read a recording.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from paracosm.models.dynamics_masked import CONDITIONS, MaskedDynamics, MaskedDynamicsConfig
from paracosm.models.instruct import Instructions, InstructNet, predict_instructed
from paracosm.models.text import TextTokens
from paracosm.train.stages.instruct import InstructStageConfig
from paracosm.train.stages.masked import MaskedStageConfig

TEXT_TOKENS = 300
"""Tokens of a text as published; texts from engine truth are shorter."""
Trace = tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]


def trace_masked(config: MaskedStageConfig, grid: tuple[int, int]) -> Trace:
    """The base over one batch of its first shape, on a latent grid of (rows, columns)."""
    frames, model = config.shapes[0].frames, config.model
    tokens = frames * (grid[0] // model.patch) * (grid[1] // model.patch)
    count = max(1, config.tokens_per_batch // tokens)

    def run(network: nn.Module) -> Tensor:
        return network(*_inputs(model, count, frames, grid))

    return lambda: MaskedDynamics(model), run


def trace_branch(config: InstructStageConfig, grid: tuple[int, int]) -> Trace:
    """The branch, and the frozen base that its gradient passes; only the branch counts as trained."""
    model, frames = config.model, config.given_frames + config.new_frames

    def run(network: nn.Module) -> Tensor:
        assert isinstance(network, InstructNet), type(network)
        base = MaskedDynamics(model.base).requires_grad_(False)
        noisy, levels, text, conditions = _inputs(model.base, config.batch_size, frames, grid)
        shape = levels.shape
        told = Instructions(
            text=text,
            controls=torch.zeros(*shape, model.control_width),
            known=torch.ones(shape, dtype=torch.bool),
            guide=torch.zeros_like(noisy),
            guided=torch.ones(shape, dtype=torch.bool),
        )
        return predict_instructed(base, network, noisy, levels, text, conditions, told)

    return lambda: InstructNet(model), run


def _inputs(
    model: MaskedDynamicsConfig, count: int, frames: int, grid: tuple[int, int]
) -> tuple[Tensor, Tensor, TextTokens, Tensor]:
    places = torch.zeros(count, TEXT_TOKENS, dtype=torch.int64)
    text = TextTokens(
        states=torch.zeros(count, TEXT_TOKENS, model.text_width),
        fields=places,
        places=places,
        mask=torch.ones(count, TEXT_TOKENS, dtype=torch.bool),
    )
    latents = torch.zeros(count, frames, model.latent_channels, *grid)
    return latents, torch.zeros(count, frames), text, torch.zeros(count, len(CONDITIONS))
