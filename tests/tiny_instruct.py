"""The smallest masked dynamics and branch, with their inputs, for everyone's tests."""

from typing import Literal

import torch

from paracosm.models.dynamics_masked import MaskedDynamics, MaskedDynamicsConfig
from paracosm.models.instruct import InstructConfig, Instructions, InstructNet
from paracosm.models.text import HashedWords, TextTokens, collate
from tests.tiny import CONTROLS, perturb

GEN = ("text", "summary", "atmosphere")
INS = ("text", "environment", "transition", "light", "action", "misc")
ENCODER = HashedWords()


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def base_config(attention: Literal["joint", "alternating"] = "joint") -> MaskedDynamicsConfig:
    return MaskedDynamicsConfig(
        latent_channels=4,
        patch=2,
        width=32,
        depth=4,
        heads=2,
        hidden=24,
        attention=attention,
        text_width=ENCODER.width,
        fields=GEN,
    )


def base(attention: Literal["joint", "alternating"] = "joint", seed: int = 0) -> MaskedDynamics:
    model = MaskedDynamics(base_config(attention))
    perturb(model, seed)
    return model.eval()


def branch_config(attention: Literal["joint", "alternating"] = "joint", depth: int = 2) -> InstructConfig:
    return InstructConfig(
        base=base_config(attention),
        depth=depth,
        fields=INS,
        control_width=CONTROLS.width,
        look_limit=CONTROLS.look_limit,
    )


def branch(attention: Literal["joint", "alternating"] = "joint", seed: int = 1) -> InstructNet:
    model = InstructNet(branch_config(attention))
    perturb(model, seed)
    return model.eval()


def words(*texts: str, field: int = 0) -> TextTokens:
    return collate([{field: states} for states in ENCODER.encode(texts)], ENCODER.width)


def told(num_frames: int = 3, *texts: str) -> Instructions:
    count = len(texts)
    return Instructions(
        text=words(*texts, field=4),
        controls=draw(5, count, num_frames, CONTROLS.width),
        known=torch.ones(count, num_frames, dtype=torch.bool),
        guide=draw(6, count, num_frames, 4, 4, 6),
        guided=torch.ones(count, num_frames, dtype=torch.bool),
    )
