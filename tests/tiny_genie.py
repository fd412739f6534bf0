"""The smallest networks of a world of tokens, for everyone's tests."""

from typing import Literal

import torch

from paracosm.models.dynamics_maskgit import MaskGITDynamics, MaskGITDynamicsConfig
from paracosm.models.latent_actions import CodeInput, LatentActions, LatentActionsConfig, PixelInput
from paracosm.models.tokenizer_vq import TokenizerVQ, TokenizerVQConfig
from paracosm.nn.quantize import QuantizerConfig, VQConfig
from paracosm.nn.space_time import AnyAttention
from paracosm.nn.stack import StackConfig
from tests.tiny import perturb

HEIGHT, WIDTH, PATCH = 16, 24, 8
ROWS, COLUMNS = HEIGHT // PATCH, WIDTH // PATCH
CODES, ACTIONS, ACTION_WIDTH = 12, 4, 3
STACK = StackConfig(width=16, depth=2, heads=2, head_width=8, hidden=24)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw_codes(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(CODES, shape, generator=torch.Generator().manual_seed(seed))


def tokenizer_config(
    attention: AnyAttention = "factorised", window: int = 3, quantizer: QuantizerConfig | None = None
) -> TokenizerVQConfig:
    return TokenizerVQConfig(
        height=HEIGHT,
        width=WIDTH,
        patch=PATCH,
        encoder=STACK,
        decoder=STACK,
        quantizer=quantizer or VQConfig(codes=CODES, width=4),
        window=window,
        attention=attention,
    )


def tokenizer(attention: AnyAttention = "factorised", window: int = 3) -> TokenizerVQ:
    model = TokenizerVQ(tokenizer_config(attention, window))
    perturb(model)
    model.quantizer.codebook.copy_(draw(7, CODES, 4))  # pyright: ignore[reportCallIssue]
    return model.eval()


def latent_actions_config(
    kind: Literal["pixels", "codes"] = "pixels",
    num_actions: int = ACTIONS,
    span: int = 1,
    changes: bool = False,
) -> LatentActionsConfig:
    return LatentActionsConfig(
        input=PixelInput(height=HEIGHT, width=WIDTH, patch=PATCH, changes=changes)
        if kind == "pixels"
        else CodeInput(rows=ROWS, columns=COLUMNS, num_codes=CODES),
        encoder=STACK,
        decoder=STACK,
        quantizer=VQConfig(codes=num_actions, width=ACTION_WIDTH),
        window=3,
        draws="frame",
        span=span,
    )


def latent_actions(
    kind: Literal["pixels", "codes"] = "pixels", span: int = 1, changes: bool = False
) -> LatentActions:
    model = LatentActions(latent_actions_config(kind, span=span, changes=changes))
    perturb(model)
    model.quantizer.codebook.copy_(draw(8, ACTIONS, ACTION_WIDTH))  # pyright: ignore[reportCallIssue]
    return model.eval()


def dynamics_config(
    conditioning: Literal["add", "prepend", "film"] = "add", window: int = 3
) -> MaskGITDynamicsConfig:
    return MaskGITDynamicsConfig(
        num_codes=CODES,
        rows=ROWS,
        columns=COLUMNS,
        stack=STACK,
        window=window,
        control_width=ACTION_WIDTH,
        look_limit=(1.0, 1.0),
        num_actions=ACTIONS,
        conditioning=conditioning,
    )


def dynamics(conditioning: Literal["add", "prepend", "film"] = "add", window: int = 3) -> MaskGITDynamics:
    model = MaskGITDynamics(dynamics_config(conditioning, window))
    perturb(model)
    model.set_actions(draw(9, ACTIONS, ACTION_WIDTH))
    return model.eval()
