"""Masked dynamics: a causal transformer that fills in masked codes of a frame from its past and an action.

Whole clips are trained in one pass, either as in the paper (one stream, whose past is masked too) or with two
(masked frames see a clean past: the situation of play). Play runs the same weights frame by frame with a
cache. Actions are vectors: a codebook's, or a recorded control's.

This file does NOT know pixels, losses or samplers; ``masking`` and ``token_rollout`` turn ``step`` into
frames.

Source: Genie 2402.15391, section 2.1; MaskGIT 2202.04200.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Codes, Controls
from paracosm.nn.kv_cache import KVCache
from paracosm.nn.stack import SpaceTimeStack, StackConfig

from .base import Model
from .checks import check_stack
from .conditioning import ControlEmbedding


@dataclass(frozen=True, kw_only=True)
class MaskGITDynamicsConfig:
    """Sizes of the dynamics."""

    num_codes: int
    """codes of the tokenizer"""
    rows: int
    """token rows of a frame"""
    columns: int
    """token columns of a frame"""
    stack: StackConfig
    """sizes of the transformer"""
    window: int
    """past frames that a frame sees"""
    control_width: int
    """numbers of an action: those of a latent action's vector, or of a control"""
    look_limit: tuple[float, float]
    """what counts as 1 in the last two numbers: degrees of yaw and pitch, or (1, 1) for latent actions"""
    num_actions: int
    """latent actions whose vectors are kept with the weights; 0 when trained on recorded controls"""
    conditioning: Literal["add", "prepend", "film"]
    """how an action reaches its frame: added to each token as in the paper, a token before them, or through
    every norm"""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        check_stack("stack", self.stack, self.window)
        if self.num_actions == 1:
            raise ConfigError("1 latent action cannot tell two controls apart; use at least 2, e.g. 6")
        if self.num_codes < 2 or self.rows < 1 or self.columns < 1 or self.control_width < 2:
            raise ConfigError(
                f"{self.num_codes} codes on a grid of {self.rows} x {self.columns} under "
                f"{self.control_width} control numbers make no dynamics; "
                "use at least 2 codes, 1 x 1 and 2 numbers"
            )

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of one frame."""
        return self.rows * self.columns

    @property
    def mask_code(self) -> int:
        """The code that stands for a masked token."""
        return self.num_codes


class MaskGITDynamics(Model):
    """Predicts the codes of masked tokens."""

    kind = "dynamics_maskgit"
    config_class = MaskGITDynamicsConfig
    config: MaskGITDynamicsConfig

    def __init__(self, config: MaskGITDynamicsConfig) -> None:
        super().__init__(config)
        width = config.stack.width
        self.enter = nn.Embedding(config.num_codes + 1, width)
        self.place = nn.Parameter(torch.randn(config.tokens_per_frame, width) * 0.02)
        self.control = ControlEmbedding(config.control_width, config.look_limit, width)
        self.stack = SpaceTimeStack(
            config.stack,
            config.rows,
            config.columns,
            config.window,
            "factorised",
            "adaptive" if config.conditioning == "film" else "plain",
            1 if config.conditioning == "prepend" else 0,
        )
        self.head = nn.Linear(width, config.num_codes)
        # Embedding tables begin at unit variance; transformers of this kind want them small.
        nn.init.normal_(self.enter.weight, std=0.02)
        self.register_buffer("actions", torch.zeros(config.num_actions, config.control_width))
        self.actions: Tensor

    def forward(self, codes: Codes, controls: Controls, known: Tensor, past: Codes | None = None) -> Tensor:
        """Features of every token of a clip; :meth:`head` turns those that matter into logits.

        Args:
            codes: (b, t, s), masked tokens as ``config.mask_code``.
            controls: (b, t, a); entry t is the action that led to frame t. No gradient goes into it.
            known: bool (b, t); False where that action is unknown.
            past: clean codes that masked frames see as their past; without it they see each other.

        Returns:
            (b, t, s, d).
        """
        x, condition = self._enter(codes, controls, known)
        if past is None:
            return self._features(self.stack(x, condition))
        clean, _ = self._enter(past, controls, known)
        both = torch.cat([condition, condition]) if condition is not None else None
        return self._features(self.stack(torch.cat([clean, x]), both, 2))

    def step(self, codes: Codes, controls: Controls, known: Tensor, cache: KVCache) -> Tensor:
        """Logits (b, 1, s, codes) of one new frame; the cache stays as it is.

        Args:
            codes: (b, 1, s), masked tokens as ``config.mask_code``.
            controls: (b, 1, a), the action that leads to this frame.
            known: bool (b, 1).
            cache: the frames before.
        """
        x, condition = self._enter(codes, controls, known)
        return self.head(self._features(self.stack.step(x, cache, condition)[0]))

    def write(self, codes: Codes, controls: Controls, known: Tensor, cache: KVCache) -> KVCache:
        """Return the cache with one more frame; arguments as for :meth:`step`."""
        x, condition = self._enter(codes, controls, known)
        return cache.append(*self.stack.step(x, cache, condition)[1])

    def empty_cache(self, batch: int = 1) -> KVCache:
        """Make the cache of a rollout that has not begun."""
        return self.stack.empty_cache(batch)

    def action_vectors(self, latents: Tensor) -> Tensor:
        """Vectors (..., a) of latent actions by number (...,)."""
        return functional.embedding(latents, self.actions)

    @torch.no_grad()
    def lay_codes(self, vectors: Tensor) -> None:
        """Begin with codes as far apart as the tokenizer's vectors (codes, v) for them are.

        Tables of random rows must learn one by one what each code looks like. Only first weights are set:
        random projections of the vectors, as large as before.
        """
        spread = (vectors - vectors.mean(0)) / vectors.std(0).clamp_min(1e-6)
        projections = torch.randn(2, vectors.shape[1], self.config.stack.width) / vectors.shape[1] ** 0.5
        for table, projection in zip((self.enter.weight[:-1], self.head.weight), projections, strict=True):
            table.copy_(spread @ projection * table.std())

    def set_actions(self, vectors: Tensor) -> None:
        """Keep the vectors (|A|, a) of the latent actions with the weights."""
        self.actions.copy_(vectors)

    def _enter(self, codes: Codes, controls: Controls, known: Tensor) -> tuple[Tensor, Tensor | None]:
        x = self.enter(codes) + self.place
        action = self.control(controls.detach(), known)
        match self.config.conditioning:
            case "add":
                return x + action[:, :, None], None
            case "prepend":
                return torch.cat([action[:, :, None], x], 2), None
            case "film":
                return x, action

    def _features(self, x: Tensor) -> Tensor:
        return x[:, :, -self.config.tokens_per_frame :]
