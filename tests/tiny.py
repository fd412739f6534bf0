"""The smallest config of every model, and a whole neural world of random weights, for everyone's tests."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from paracosm.core.controls import ControlSpace
from paracosm.core.rng import stream, sub_seed
from paracosm.core.world_spec import PlayDefaults, Starts
from paracosm.models.dynamics_flow import FlowDynamics, FlowDynamicsConfig
from paracosm.models.storage import Storage
from paracosm.models.tokenizer_vae import TokenizerVAE, TokenizerVAEConfig
from paracosm.models.world_model import WORLD_STORAGE, WorldModel, assemble_world

HEIGHT, WIDTH = 16, 24
CONTROLS = ControlSpace(
    keys=("left", "right", "jump"),
    bindings={"ArrowLeft": "left", "ArrowRight": "right", "Space": "jump"},
    look_limit=(6.0, 3.0),
)


def tokenizer_config(time_kernel: int = 1) -> TokenizerVAEConfig:
    return TokenizerVAEConfig(
        height=HEIGHT,
        width=WIDTH,
        stem=2,
        latent_channels=4,
        fine_channels=8,
        coarse_channels=12,
        encoder_blocks=(1, 1),
        decoder_blocks=(1, 1),
        time_kernel=time_kernel,
    )


def dynamics_config(
    attention: Literal["joint", "factorised"] = "joint", window: int = 4
) -> FlowDynamicsConfig:
    return FlowDynamicsConfig(
        latent_channels=4,
        latent_height=4,
        latent_width=6,
        patch=2,
        width=16,
        depth=2,
        heads=2,
        hidden=24,
        window=window,
        attention=attention,
        control_width=CONTROLS.width,
        look_limit=CONTROLS.look_limit,
    )


def tokenizer(time_kernel: int = 1, seed: int = 0) -> TokenizerVAE:
    model = TokenizerVAE(tokenizer_config(time_kernel))
    perturb(model, seed)
    return model.eval()


def dynamics(
    attention: Literal["joint", "factorised"] = "joint", window: int = 4, seed: int = 0
) -> FlowDynamics:
    model = FlowDynamics(dynamics_config(attention, window))
    perturb(model, seed)
    return model.eval()


@torch.no_grad()
def perturb(model: nn.Module, seed: int = 0) -> None:
    """Draw every weight anew, so that no layer is zero and two builds of one seed are equal."""
    generator = torch.Generator().manual_seed(sub_seed(seed, "tiny weights"))
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)
        else:
            around = 1.0 if bool((parameter == 1).all()) else 0.0
            parameter.copy_(around + 0.2 * noise)


def starts(count: int = 3, num_frames: int = 3) -> Starts:
    draws = stream(0, "tiny starts")
    return Starts(
        frames=draws.integers(0, 256, (count, num_frames, HEIGHT, WIDTH, 3), np.uint8),
        controls=draws.integers(0, 2, (count, num_frames - 1, CONTROLS.width)).astype(np.float32),
    )


def world_model(
    *,
    attention: Literal["joint", "factorised"] = "joint",
    time_kernel: int = 1,
    window: int = 4,
    seed: int = 0,
    name: str = "tiny",
    levels: tuple[float, ...] = (1.0, 0.5),
) -> WorldModel:
    return assemble_world(
        tokenizer(time_kernel, seed),
        dynamics(attention, window, seed),
        starts(),
        name=name,
        description="Random weights that answer to every control.",
        fps=15.0,
        controls=CONTROLS,
        play=PlayDefaults(levels=levels),
    )


def build_tiny_world(
    folder: Path,
    *,
    attention: Literal["joint", "factorised"] = "joint",
    time_kernel: int = 1,
    window: int = 4,
    seed: int = 0,
    name: str = "tiny",
    storage: Storage = WORLD_STORAGE,
) -> Path:
    """Write a world folder, graphs included, in about a second; open it as "model:FOLDER"."""
    world_model(attention=attention, time_kernel=time_kernel, window=window, seed=seed, name=name).save(
        folder, storage
    )
    return folder


@cache
def shared_tiny_world(
    attention: Literal["joint", "factorised"] = "joint",
    time_kernel: int = 1,
    storage: Storage = WORLD_STORAGE,
) -> Path:
    """A tiny world that is built once a test process; do not write to it."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return build_tiny_world(folder / "tiny", attention=attention, time_kernel=time_kernel, storage=storage)


def ungraded(model: nn.Module) -> list[str]:
    """Names of parameters that a backward pass left without a gradient."""
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.abs().sum() > 0)
    ]
