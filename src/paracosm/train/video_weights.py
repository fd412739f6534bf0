"""First weights of streamed video networks: random, an image-to-video base, or a teacher's.

A network may begin from one that has no action modules, or has them in other blocks: new modules add nothing,
so that its first output is the other's own. This file does NOT know losses.

Source: Matrix-Game 2.0, 2508.13009, section 3.2.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_video import VideoDynamics, VideoDynamicsConfig
from paracosm.train.first_weights import first_weights

ACTIONS = ".actions."
"""In the names of all weights of action modules."""


def begin_video(
    config: VideoDynamicsConfig,
    initial: Path | None,
    seed: int,
    *,
    may_lose: Literal["nothing", "actions"] = "nothing",
) -> VideoDynamics:
    """Make a network that learns.

    Args:
        config: its sizes.
        initial: folder of the network that it begins from; None begins from random weights.
        seed: run seed, of weights that are new.
        may_lose: what of ``initial`` may have no place here; "actions" is for students that have action
            modules in fewer blocks than their teacher, as published.

    Raises:
        ConfigError: when ``initial`` is of other sizes, or has action modules that would be lost.
        DataError: when its folder is incomplete.
    """
    with first_weights(seed, "video dynamics"):
        network = VideoDynamics(config)
    if initial is None:
        return network.train()
    begun = VideoDynamics.load(initial)
    like = replace(
        begun.config,
        window=config.window,
        sink=config.sink,
        positions=config.positions,
        block=config.block,
        action_layers=config.action_layers,
        actions=begun.config.actions
        if config.action_layers and begun.config.action_layers
        else config.actions,
    )
    if like != config:
        raise ConfigError(
            f"{initial} holds {begun.config}, the stage trains {config}; choose weights of the same sizes"
        )
    lost = sorted(set(begun.config.action_layers) - set(config.action_layers))
    if lost and may_lose == "nothing":
        raise ConfigError(
            f"{initial} has action modules in blocks {lost}, which the stage's network has not; "
            "add these blocks to model.action_layers"
        )
    tensors = begun.state_dict()
    own = network.state_dict()
    network.load_state_dict({name: tensors.get(name, own[name]) for name in own})
    return network.train()


def load_judge(folder: Path, device: str) -> VideoDynamics:
    """Load a network that is asked and never learns."""
    return VideoDynamics.load(folder, device=device).requires_grad_(False)
