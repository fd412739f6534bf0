"""The smallest masked dynamics and branch, with their inputs, for everyone's tests."""

from typing import Literal, get_args

import torch

from paracosm.core.controls import ControlSpace
from paracosm.models.dynamics_flow import FlowDynamics, FlowDynamicsConfig
from paracosm.models.dynamics_masked import MaskedDynamics, MaskedDynamicsConfig
from paracosm.models.instruct import InstructConfig, Instructions, InstructNet
from paracosm.models.text import HashedWords, TextTokens, collate
from tests.tiny import CONTROLS, perturb

GEN = ("text", "summary", "atmosphere")
INS = ("text", "environment", "transition", "light", "action", "misc")
ENCODER = HashedWords()


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


Kind = Literal["joint", "alternating", "own norms", "kept words"]
"""Ways in which blocks attend; "own norms" also makes its own modulation, and reads words into it;
"kept words" reads them there field by field."""
KINDS: tuple[Kind, ...] = get_args(Kind)


def base_config(kind: Kind = "joint") -> MaskedDynamicsConfig:
    own = kind in ("own norms", "kept words")
    return MaskedDynamicsConfig(
        latent_channels=4,
        patch=2,
        width=32,
        depth=4,
        heads=2,
        hidden=24,
        attention="alternating" if kind == "alternating" else "joint",
        text_width=ENCODER.width,
        fields=GEN,
        modulation="own" if own else "shared",
        pooled_words=own,
        spoken_words=own,
        words="kept" if kind == "kept words" else "learnt",
    )


def base(kind: Kind = "joint", seed: int = 0) -> MaskedDynamics:
    model = MaskedDynamics(base_config(kind))
    perturb(model, seed)
    return model.eval()


def flow_like(config: MaskedDynamicsConfig, controls: ControlSpace = CONTROLS) -> FlowDynamics:
    """A dynamics that is told controls, of the sizes of a masked one, over grids of 4 x 6."""
    same = {
        name: getattr(config, name)
        for name in ("latent_channels", "patch", "width", "depth", "heads", "hidden")
    }
    flow = FlowDynamics(
        FlowDynamicsConfig(
            **same,
            latent_height=4,
            latent_width=6,
            window=4,
            attention="joint",
            control_width=controls.width,
            look_limit=controls.look_limit,
        )
    )
    perturb(flow, 3)
    return flow.eval()


def branch_config(kind: Kind = "joint", depth: int = 2) -> InstructConfig:
    return InstructConfig(
        base=base_config(kind),
        depth=depth,
        fields=INS,
        control_width=CONTROLS.width,
        look_limit=CONTROLS.look_limit,
    )


def branch(kind: Kind = "joint", seed: int = 1) -> InstructNet:
    model = InstructNet(branch_config(kind))
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
