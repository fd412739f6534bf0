"""InstructNet: a branch beside a frozen masked dynamics that makes it obey keys, words and video prompts.

The branch reads the same noisy clip and adds what it makes to what leaves the base's blocks. Keys scale and
shift its tokens frame by frame, or what leaves its norms where blocks make their own modulation; structured
words enter by cross-attention; a video prompt (edges, motion) is added where the clip enters. Projections
into the base are zero at first, so an untrained branch changes nothing, not even a bit. This file does NOT
train, and does NOT know how a prompt was drawn.

Source: GameGen-X 2411.00769, sections 3.3 and C.2; zero projections: Zhang et al. 2302.05543, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Controls, Latents, NoiseLevels
from paracosm.nn.modulation import Modulation
from paracosm.nn.norm import rms_norm
from paracosm.nn.patch import to_patches

from .base import Model
from .conditioning import ControlEmbedding
from .dynamics_flow import FlowDynamics
from .dynamics_masked import (
    ClipEntry,
    Injection,
    MaskedDynamics,
    MaskedDynamicsConfig,
    begin_blocks,
    make_blocks,
    pool_sizes,
)
from .text import FieldPool, TextProjector, TextTokens, WordPool, make_pool

GAIN_RATE = 10.0
"""How much faster than other weights the gains of ``Leave`` move: they lead from 0 to about 1."""


@dataclass(frozen=True, kw_only=True)
class InstructConfig:
    """Sizes of the branch; its blocks have those of the base."""

    base: MaskedDynamicsConfig
    """sizes of the base"""
    depth: int
    """blocks, a divisor of the base's; each adds to the last of its share of the base's blocks"""
    fields: tuple[str, ...]
    """fields of an instruction, by the order of their numbers; the first takes free words"""
    control_width: int
    """numbers of a control: keys, yaw, pitch"""
    look_limit: tuple[float, float]
    """degrees of yaw and pitch that count as 1"""
    base_weights: str = ""
    """hash of the base's weights that the branch was trained beside; "" before training"""

    def __post_init__(self) -> None:
        """Refuse depths that do not divide."""
        if self.depth < 1 or self.base.depth % self.depth:
            raise ConfigError(
                f"depth {self.depth} of the branch does not divide the base's {self.base.depth} blocks; "
                "use a divisor, e.g. all or half of them"
            )
        if not self.fields or len(set(self.fields)) != len(self.fields):
            raise ConfigError(f"fields {self.fields} must name each field once, and at least one")


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """What a batch of clips is told; anything may be missing.

    Attributes:
        text: words of each clip; none where nothing is said.
        controls: (b, t, a), entry t leads to frame t.
        known: bool (b, t), which controls are known.
        guide: latents (b, t, z, h, w) of the video prompt.
        guided: bool (b, t), which frames have one.
    """

    text: TextTokens
    controls: Controls
    known: Tensor
    guide: Latents
    guided: Tensor

    def keep(self, kept: Tensor) -> Instructions:
        """Leave everything only where ``kept`` (b,) is True."""
        rows = kept.to(self.known.device)[:, None]
        return Instructions(
            text=self.text.keep(kept),
            controls=self.controls,
            known=self.known & rows,
            guide=self.guide,
            guided=self.guided & rows,
        )


class InstructNet(Model):
    """What is added to each block of the base under instructions."""

    kind = "instruct"
    config_class = InstructConfig
    config: InstructConfig

    def __init__(self, config: InstructConfig) -> None:
        super().__init__(config)
        base = config.base
        self.entry = ClipEntry(base, config.fields)
        self.text = TextProjector(base.text_width, len(config.fields), base.width, base.words)
        self.control = ControlEmbedding(config.control_width, config.look_limit, base.width)
        self.spoken = make_pool(*pool_sizes(base, config.fields)) if base.modulation == "own" else None
        steers = config.depth if base.modulation == "shared" else 0
        self.steer = nn.ModuleList(Modulation(base.width, 2) for _ in range(steers))
        self.guide = nn.Linear(base.latent_channels * base.patch**2, base.width)
        self.blocks = make_blocks(base, config.depth)
        self.leave = nn.ModuleList(Leave(base.width) for _ in range(config.depth))
        nn.init.zeros_(self.guide.weight)
        nn.init.zeros_(self.guide.bias)

    def forward(
        self, noisy: Latents, levels: NoiseLevels, conditions: Tensor, told: Instructions
    ) -> list[Injection | None]:
        """Return what each block of the base gets, or None; arguments as for the base."""
        words = self.text(told.text)
        steered = self.control(told.controls, told.known)
        own = self.spoken is not None
        if self.spoken is not None:
            # what keys do not tell of a new frame, words do, by the same way
            silent = (levels > 0) & ~told.known
            steered = steered + self.spoken(words)[:, None] * silent[..., None].to(steered.dtype)
        x, vectors, _, table = self.entry(noisy, levels, conditions, words, steered if own else None)
        guide = self.guide(to_patches(told.guide, self.config.base.patch))
        x = x + guide * told.guided[..., None, None].to(guide.dtype)
        share = self.config.base.depth // self.config.depth
        injected: list[Injection | None] = [None] * self.config.base.depth
        for i, (block, leave) in enumerate(zip(self.blocks, self.leave, strict=True)):
            if not own:
                shift, scale = self.steer[i](steered)
                # gamma (x - mu) / sigma + beta, as a residual: keys that say nothing leave the tokens alone
                x = x + rms_norm(x) * scale + shift
            x = block(x, vectors, words.states, words.mask, table)
            injected[(i + 1) * share - 1] = leave(x)
        return injected

    def misheard(self, told: Instructions, new: Tensor) -> Tensor:
        """How far what words say lies from what keys would have said, (b,), relative to the latter.

        Args:
            told: words and the controls that were held while they came true.
            new: bool (b, t), the frames that the words tell of.

        Raises:
            ConfigError: when blocks share their modulation, which words do not reach.
        """
        if self.spoken is None:
            raise ConfigError('words reach no norms: misheard needs a base with modulation "own"')
        return self.control.misheard(self.spoken(self.text(told.text)), told.controls, new)

    def begin_from(self, base: MaskedDynamics) -> None:
        """Take the base's entry, blocks and reading of words as the first weights; what is added stays zero.

        Raises:
            ConfigError: when the base has other sizes.
        """
        if base.config != self.config.base:
            raise ConfigError(
                f"the branch is made for a base of {self.config.base}, not of {base.config}; "
                "set model.base to the base's own config"
            )
        _take(self.entry, base.entry, without=("words.",))
        _take(self.text, base.text, without=("field", "null"))
        for own, other in ((self.entry.words, base.entry.words), (self.spoken, base.spoken)):
            self._take_pool(own, other)
        share = base.config.depth // self.config.depth
        for i, block in enumerate(self.blocks):
            group = range(i * share, (i + 1) * share)
            alike = [j for j in group if base.config.attention_of(j) == base.config.attention_of(i)]
            block.load_state_dict(base.blocks[(alike or list(group))[-1]].state_dict())

    def _take_pool(self, own: WordPool | FieldPool | None, other: WordPool | FieldPool | None) -> None:
        """Take how the base reads words; by field, of the fields that both have."""
        if isinstance(own, FieldPool) and isinstance(other, FieldPool):
            here, there = self.config.fields, self.config.base.fields
            own.take(other, {here.index(field): there.index(field) for field in set(here) & set(there)})
        elif own is not None and other is not None:
            own.load_state_dict(other.state_dict())

    def hear_as(self, dynamics: FlowDynamics) -> None:
        """Take a dynamics that is told controls, beside a base that began with it; words are kept.

        Such a branch knows from the first step what keys do: what the base made of that dynamics has
        forgotten most of it. What it injects is still zero. What that dynamics takes for unknown controls is
        told with the noise level, as in the base.

        Raises:
            ConfigError: when the dynamics has other sizes or controls, or blocks share their modulation.
        """
        own, other = self.config, dynamics.config
        heard = (own.control_width, own.look_limit, own.depth)
        if heard != (other.control_width, other.look_limit, other.depth):
            raise ConfigError(
                f"the dynamics hears {other.control_width} control numbers within {other.look_limit} degrees "
                f"in {other.depth} blocks, the branch {own.control_width}, {own.look_limit}, {own.depth}; "
                "set model.control_width, look_limit and depth to those of the dynamics"
            )
        begin_blocks(own.base, self.blocks, dynamics)
        self.entry.begin_from(dynamics)
        self.control.load_state_dict(dynamics.control.state_dict())
        with torch.no_grad():
            self.control.leave.bias.sub_(self.control.null)
            self.control.null.zero_()


def _take(own: nn.Module, other: nn.Module, without: tuple[str, ...]) -> None:
    """Take all weights of a part of the base but those whose names begin so."""
    kept = {name: value for name, value in own.state_dict().items() if name.startswith(without)}
    own.load_state_dict(other.state_dict() | kept)


class Leave(nn.Module):
    """What a block of the branch does to one of the base: channels go over to the branch's, a mix is added.

    Both are zero at first. A branch that begins as a copy of the base speaks the base's own channels, so the
    first way is open at once, where the second has a matrix to learn; and whatever share of a channel goes
    over, the network behind it sees tokens of the size that it knows.

    Args:
        width: numbers a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(width))
        self.mix = nn.Linear(width, width)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor) -> Injection:
        """Make the injection of the branch's tokens (b, t, s, d)."""
        return Injection(gain=GAIN_RATE * self.gain, tokens=x, more=self.mix(x))


def predict_instructed(
    base: MaskedDynamics,
    branch: InstructNet | None,
    noisy: Latents,
    levels: NoiseLevels,
    text: TextTokens,
    conditions: Tensor,
    told: Instructions | None,
) -> Latents:
    """Predict clean latents by the base, with the branch where there is one and it is told something.

    Args:
        base: the masked dynamics.
        branch: its branch, or None for the base alone.
        noisy: as for the base, like ``levels``, ``text`` and ``conditions``.
        levels: see ``noisy``.
        text: words of the base.
        conditions: see ``noisy``.
        told: instructions of the branch; None leaves it out.
    """
    injected = None if branch is None or told is None else branch(noisy, levels, conditions, told)
    return base(noisy, levels, text, conditions, injected)
