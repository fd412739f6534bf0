"""Stage: latents and texts to the masked dynamics, which makes video from words and goes on with it.

Most clips are made from nothing but their text; the others are given their first frames, clean. Clips of
several lengths, frame rates and pictures learn in turn, each batch of one shape and about one cost. This file
does NOT know keys.

Source: GameGen-X 2411.00769, sections 3.2 and C.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Controls, Latents
from paracosm.models.base import model_kind
from paracosm.models.clip_rollout import Asked, ClipRollout
from paracosm.models.conditioning import ControlEmbedding
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.dynamics_masked import MaskedDynamics, MaskedDynamicsConfig, clip_conditions
from paracosm.models.noise import draw_levels, mix, velocity_weight
from paracosm.models.pixels import to_frames
from paracosm.models.text import EncoderName, TextTokens
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.first_weights import begin_with, first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.previews import contact_sheet
from paracosm.train.told_clips import ToldClips, ToldData, drop_fields, wanted_fields

from .encode_texts import SHOWN, TextSource, text_key

PREVIEW_CLIPS = 3
"""Clips of a preview: true frames, then a clip from the same words, then one that was given half of it."""


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """One kind of clip; with the frame rate of a recording it says how long a clip lasts.

    Attributes:
        frames: frames of a clip.
        stride: every how many recorded frames one is taken; 2 halves the frame rate.
        share: how often it is drawn, against the others.
    """

    frames: int
    stride: int = 1
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.frames < 2 or self.stride < 1 or self.share <= 0:
            raise ConfigError(f"{self} is no clip; use 2 frames or more, a stride from 1 and a share above 0")

    @property
    def span(self) -> int:
        """Recorded frames from the first to the last."""
        return (self.frames - 1) * self.stride + 1


@dataclass(frozen=True, kw_only=True)
class MaskedStageConfig:
    """What the masked dynamics is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/dynamics"""
    data: tuple[Path, ...]
    """dataset folders, encoded by the stages encode and encode_texts; pictures may differ in size"""
    tokenizers: tuple[Path, ...]
    """tokenizer folder of each dataset; of the same latents"""
    model: MaskedDynamicsConfig
    """sizes of the dynamics"""
    loop: LoopConfig
    """length, optimiser, logging"""
    encoder: EncoderName
    """encoder whose token states are read"""
    text_frames: int
    """frames of the clips that the texts tell of"""
    text_source: TextSource = "truth"
    """where the texts come from"""
    shapes: tuple[ClipShape, ...] = (ClipShape(frames=16),)
    """kinds of clips"""
    tokens_per_batch: int = 4096
    """tokens of a batch: it holds as many clips of its shape as fit, and one at least"""
    initial: Path | None = None
    """dynamics folder whose weights the run begins with, of a masked dynamics or of one that is told
    controls; nothing begins from random weights"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    continue_share: float = 0.25
    """share of clips that are given their first frames; the others are made from words alone"""
    event_share: float = 0.0
    """share of clips drawn evenly from the kinds of event that the texts tell of, not from all places"""
    most_given: int = 8
    """most frames given, drawn from 1 once a clip; always fewer than it has"""
    text_dropout: float = 0.25
    """share of clips whose text is dropped, for guidance"""
    field_dropout: float = 0.0
    """chance of each field to be left unsaid, or of free words to be those of one field: as people write"""
    joint_share: float = 0.5
    """share of clips that are told in free words, not field by field"""
    context_noise: float = 0.0
    """largest noise level of given frames, which are told clean"""
    level_mean: float = 0.0
    """mean of the normal whose sigmoid is the noise level"""
    level_deviation: float = 1.2
    """standard deviation of that normal"""
    pure_share: float = 0.1
    """share of clips at level 1"""
    apart_share: float = 0.0
    """share of clips whose frames have a noise level each, not one for all"""
    spoken_weight: float = 0.0
    """weight of how far words lie from the controls that were held, as controls_from hears them: what they
    tell of doing acts as controls do; asks for model.spoken_words"""
    controls_from: Path | None = None
    """dynamics folder that is told controls, of the same width"""
    preview_levels: tuple[float, ...] = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1)
    """noise levels of the passes in previews"""

    def __post_init__(self) -> None:
        """Refuse shares outside their range and data without a tokenizer."""
        if len(self.data) != len(self.tokenizers) or not self.data or not self.shapes:
            raise ConfigError(
                f"{len(self.data)} datasets, {len(self.tokenizers)} tokenizers, {len(self.shapes)} shapes; "
                "give one tokenizer for each dataset, and at least one shape"
            )
        names = (
            "continue_share",
            "text_dropout",
            "joint_share",
            "field_dropout",
            "context_noise",
            "apart_share",
            "event_share",
        )
        shares = tuple(getattr(self, name) for name in names)
        if not all(0 <= share <= 1 for share in shares) or self.most_given < 1:
            raise ConfigError(
                f"{', '.join(names)} {shares} must lie in [0, 1], "
                f"and most_given {self.most_given} be 1 or more"
            )
        heard = self.controls_from is not None and self.model.spoken_words
        if self.spoken_weight < 0 or (self.spoken_weight and not heard):
            raise ConfigError(
                f"spoken_weight {self.spoken_weight} asks for model.spoken_words (now "
                f"{self.model.spoken_words}) and for controls_from (now {self.controls_from}); "
                "use 0 without them"
            )


@dataclass(frozen=True, kw_only=True)
class MaskedBatch:
    """Clips of one shape, and what is told of them."""

    clean: Latents
    text: TextTokens
    conditions: Tensor
    controls: Controls | None
    """held while the text came true, where words are to act as controls"""


class MaskedStage:
    """Networks and loss of the stage."""

    def __init__(self, config: MaskedStageConfig) -> None:
        self.config = config
        with first_weights(config.loop.seed, "dynamics"):
            dynamics = MaskedDynamics(config.model)
        if config.initial is not None and model_kind(config.initial) == FlowDynamics.kind:
            dynamics.begin_from(FlowDynamics.load(config.initial))
        elif config.initial is not None:
            anew = tuple(name for name in dynamics.state_dict() if name.startswith("spoken."))
            begin_with(dynamics, config.initial, ("spoken_words",) if anew else (), anew)
        self.control: ControlEmbedding | None = None
        if config.spoken_weight and config.controls_from is not None:
            heard = FlowDynamics.load(config.controls_from).control
            self.control = heard.requires_grad_(False).to(config.loop.device)
        self.networks: dict[str, nn.Module] = {"dynamics": dynamics}
        self.blocks: Sequence[nn.Module] = tuple(dynamics.blocks)
        key = text_key(config.encoder, config.text_source, config.text_frames)
        pairs = list(zip(config.data, config.tokenizers, strict=True))
        self.sets = [
            ToldClips(ToldData(data=data, tokenizer=tokenizer, split=config.split, texts=key))
            for data, tokenizer in pairs
        ]
        self.samplers = [
            [
                told.sampler(shape.span, config.loop.seed, event_share=config.event_share)
                for shape in config.shapes
            ]
            for told in self.sets
        ]
        self.tokenizer = TokenizerVAE.load(config.tokenizers[0])
        check_told(self.sets, config.model)
        if self.control is not None:
            self._check_heard(self.control)

    def batch(self, step: int, part: int, kind: tuple[int, int] | None = None, count: int = 0) -> MaskedBatch:
        """Draw the clips of a step.

        Args:
            step: see ``Stage.loss``, like ``part``.
            part: see ``step``.
            kind: (dataset, shape) by number; None draws it.
            count: clips; 0 takes as many as the budget of tokens allows.
        """
        config = self.config
        draws = stream(config.loop.seed, "shapes", step, part)
        which, number = kind or self._draw_kind(draws)
        shape, told = config.shapes[number], self.sets[which]
        z_h_w = told.clips.latents[0].shape[1:]
        tokens = shape.frames * (z_h_w[1] // config.model.patch) * (z_h_w[2] // config.model.patch)
        count = count or max(1, config.tokens_per_batch // tokens)
        places = self.samplers[which][number].draw(step, part, count)
        as_one = draws.random(count) < config.joint_share
        fields = config.model.fields
        wanted = [wanted_fields(fields, SHOWN, bool(one)) for one in as_one]
        if config.field_dropout:
            wanted = [drop_fields(one, fields, config.field_dropout, draws) for one in wanted]
        info, device = told.info, config.loop.device
        row = clip_conditions(info.fps / shape.stride, info.height, info.width, shape.frames)
        clean = told.latents(places, shape.frames, shape.stride).to(device)
        return MaskedBatch(
            clean=clean,
            text=told.text(places, wanted).to(clean),
            conditions=torch.tensor([row] * count, device=device),
            controls=told.controls(places, config.text_frames).to(clean) if self.control else None,
        )

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config, dynamics = self.config, cast("MaskedDynamics", self.networks["dynamics"])
        batch = self.batch(step, part)
        clean = batch.clean
        b, t = clean.shape[:2]
        most = min(config.most_given, t - 1)
        given = torch.randint(1, most + 1, (b, 1), generator=generator)
        given = given * (torch.rand(b, 1, generator=generator) < config.continue_share)
        spoken = torch.rand(b, generator=generator) >= config.text_dropout
        text = batch.text.keep(spoken)
        noisy, levels, asked = mask_frames(
            clean,
            given,
            generator,
            context_noise=config.context_noise,
            level=(config.level_mean, config.level_deviation, config.pure_share),
            apart_share=config.apart_share,
        )
        made = dynamics(noisy, levels, text, batch.conditions)
        loss, error = masked_loss(made, clean, levels, asked)
        whole = (given[:, 0] == 0).to(clean.device)
        metrics = {"clean_error": _mean(error, asked)}
        metrics["clean_error_from_text"] = _mean(error, asked & whole[:, None])
        metrics["clean_error_continued"] = _mean(error, asked & ~whole[:, None])
        if self.control is not None and batch.controls is not None:
            new = torch.ones(batch.controls.shape[:2], dtype=torch.bool, device=clean.device)
            new[:, 0] = False
            misheard = self.control.misheard(dynamics.say(text), batch.controls, new)
            misheard = (misheard * spoken.to(misheard)).sum() / spoken.sum().clamp_min(1)
            loss = loss + config.spoken_weight * misheard
            metrics["misheard"] = misheard.detach()
        return loss, metrics

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        """True clips; the same words drawn from noise; the second half drawn from the first."""
        batch = self.batch(0, 0, (0, 0), PREVIEW_CLIPS)
        dynamics = cast("MaskedDynamics", averages["dynamics"])
        rollout = ClipRollout(dynamics, levels=self.config.preview_levels)
        asked = Asked(text=batch.text, conditions=batch.conditions)
        noise = stream(0, "masked preview").standard_normal(batch.clean.shape, np.float32)
        half = batch.clean.shape[1] // 2
        drawn = torch.from_numpy(noise).to(batch.clean)
        made = rollout.next(drawn, None, asked)
        rest = rollout.next(drawn[:, half:], batch.clean[:, :half], asked)
        rows = (batch.clean, made, torch.cat([batch.clean[:, :half], rest], 1))
        clips = [to_frames(self.tokenizer.decode(part.cpu())[0]).numpy()[:, ::2] for part in rows]
        return contact_sheet([clip[i] for i in range(PREVIEW_CLIPS) for clip in clips], scale=2)

    def _check_heard(self, control: ControlEmbedding) -> None:
        """Refuse a dynamics whose controls are not those of every recording, or that is of another width."""
        heard, width = control.scale.shape[0], control.null.shape[0]
        if width != self.config.model.width:
            raise ConfigError(
                f"{self.config.controls_from} has width {width}, the network {self.config.model.width}; "
                "words can be held only against a dynamics of its own width"
            )
        for told in self.sets:
            if told.info.controls.width != heard:
                raise ConfigError(
                    f"{told.data} has {told.info.controls.width} control numbers, "
                    f"{self.config.controls_from} is told {heard}; set spoken_weight to 0 for recordings "
                    "of another game"
                )

    def _draw_kind(self, draws: np.random.Generator) -> tuple[int, int]:
        """Draw a dataset by the places that it has, and a shape by its share."""
        places = np.array([samplers[0].num_places for samplers in self.samplers], float)
        shares = np.array([shape.share for shape in self.config.shapes])
        which = draws.choice(len(places), p=places / places.sum())
        return int(which), int(draws.choice(len(shares), p=shares / shares.sum()))


def mask_frames(
    clean: Latents,
    given: Tensor,
    generator: torch.Generator,
    *,
    context_noise: float,
    level: tuple[float, float, float],
    apart_share: float = 0.0,
) -> tuple[Latents, Tensor, Tensor]:
    """Add noise to the frames that are asked for; given ones stay clean, or nearly so.

    In play all frames of a clip have one level. Where each has its own, a frame under much noise beside one
    under little shows how the one follows from the other: every frame of a clip teaches motion then, and
    not only those next to given ones.

    Args:
        clean: (b, t, z, h, w).
        given: int (b, 1), frames given at the beginning of each clip.
        generator: of levels and noise.
        context_noise: largest noise level of given frames, drawn uniformly once a clip.
        level: mean and deviation of the normal whose sigmoid is the level, and share of pure noise.
        apart_share: share of clips whose frames have a level each.

    Returns:
        Noisy clips, the levels that the network is told (0 for given frames), and bool (b, t) of the frames
        that are asked for.
    """
    b, t = clean.shape[:2]
    mean, deviation, pure = level
    drawn = draw_levels((b, 1), generator, mean=mean, deviation=deviation, pure_share=pure).expand(b, t)
    if apart_share:
        apart = torch.rand(b, 1, generator=generator) < apart_share
        own = draw_levels((b, t), generator, mean=mean, deviation=deviation, pure_share=pure)
        drawn = torch.where(apart, own, drawn)
    context = context_noise * torch.rand(b, 1, generator=generator).expand(b, t)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    asked = torch.arange(t) >= given
    noisy = mix(clean, noise, torch.where(asked, drawn, context).to(clean))
    return noisy, (drawn * asked).to(clean), asked.to(clean.device)


def masked_loss(made: Latents, clean: Latents, levels: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Flow-matching error of the frames that were asked for; also the plain error of every frame (b, t)."""
    error = (made.float() - clean).square().mean((2, 3, 4))
    return (error * velocity_weight(levels))[asked].mean(), error.detach()


def check_told(sets: Sequence[ToldClips], model: MaskedDynamicsConfig) -> None:
    """Refuse latents and texts that the network was not made for.

    Raises:
        ConfigError: says what the recording has and what the network takes.
    """
    for told in sets:
        channels, width = told.clips.latents[0].shape[1], told.texts.width
        if (channels, width) != (model.latent_channels, model.text_width):
            raise ConfigError(
                f"{told.data} has latents of {channels} channels and token states of {width} numbers, the "
                f"network takes {model.latent_channels} and {model.text_width}; set model.latent_channels "
                "and model.text_width to those of the recording"
            )
        unknown = sorted(set(model.fields[1:]) - set(told.texts.fields))
        if unknown:
            raise ConfigError(
                f"{told.data} has no texts for the fields {unknown}; it has {', '.join(told.texts.fields)}"
            )


def _mean(error: Tensor, where: Tensor) -> Tensor:
    return error[where].mean() if bool(where.any()) else error.new_tensor(0.0)


def main(config: MaskedStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the dynamics and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = MaskedStage(config)
        averages = train(stage, config.loop, run, progress, "train masked dynamics")
        folder = config.run / "dynamics"
        cast("MaskedDynamics", averages["dynamics"]).save(folder)
    return folder
