"""Stage: a branch beside a frozen masked dynamics learns to make it obey keys, words and video prompts.

Every clip goes on from given frames. A published table says which of the conditions each clip keeps; given
frames are lightly noised against drift. The base is read from its folder, gets no gradient and is compared
with that folder at the end. This file does NOT know play.

Source: GameGen-X 2411.00769, sections 3.3 and C.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Latents
from paracosm.curate.guides import GUIDE_KINDS, GuideKind
from paracosm.models.base import read_tensors, weights_hash
from paracosm.models.clip_rollout import Asked, ClipRollout
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.dynamics_masked import MaskedDynamics, clip_conditions
from paracosm.models.instruct import InstructConfig, Instructions, InstructNet
from paracosm.models.pixels import to_frames
from paracosm.models.text import EncoderName, TextTokens
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.previews import contact_sheet
from paracosm.train.told_clips import ToldClips, ToldData, wanted_fields

from .encode_texts import CHANGES, TextSource, text_key
from .masked import check_told, mask_frames, masked_loss

PREVIEW_CLIPS = 4


@dataclass(frozen=True, kw_only=True)
class ConditionShares:
    """Which conditions clips keep, as shares that sum to 1; the defaults are the published ones."""

    none: float = 0.2
    """nothing is told: plain continuation"""
    text: float = 0.24
    """the instruction alone"""
    text_keys: float = 0.24
    """instruction and keys"""
    text_guide: float = 0.24
    """instruction and video prompt"""
    everything: float = 0.08
    """all three"""

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        shares = (self.none, self.text, self.text_keys, self.text_guide, self.everything)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(
                f"the shares {shares} sum to {sum(shares):g}; use shares from 0 up that sum to 1"
            )

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw which of ``count`` clips keep text, keys and video prompt, bool (count,) each."""
        drawn = torch.rand(count, generator=generator)
        ends = torch.tensor([self.none, self.text, self.text_keys, self.text_guide]).cumsum(0)
        kind = torch.bucketize(drawn, ends, right=True)
        return kind > 0, (kind == 2) | (kind == 4), kind >= 3


@dataclass(frozen=True, kw_only=True)
class InstructStageConfig:
    """What the branch is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/branch"""
    data: Path
    """dataset folder, encoded by the stages encode, encode_texts and, for video prompts, encode_guides"""
    tokenizer: Path
    """tokenizer folder whose latents are used"""
    base: Path
    """masked dynamics folder; never changed"""
    model: InstructConfig
    """sizes of the branch and of the base"""
    loop: LoopConfig
    """length, optimiser, logging"""
    encoder: EncoderName
    """encoder whose token states are read"""
    given_frames: int
    """frames given at the beginning of every clip, as in play"""
    new_frames: int
    """frames that follow; instructions tell of them, and of the last given frame before"""
    text_source: TextSource = "truth"
    """where the texts come from"""
    text_form: Literal["fields", "mixed", "joined", "none"] = "mixed"
    """the instruction field by field, as one free text, or either by half: what a player types is free; none
    tells no words at all, for comparison"""
    shares: ConditionShares = field(default_factory=ConditionShares)
    """which conditions clips keep"""
    guides: tuple[GuideKind, ...] = GUIDE_KINDS
    """kinds of video prompts, at equal odds; without any, clips that would have one keep the rest"""
    begin: Literal["base", "random"] = "base"
    """the branch's blocks begin as copies of the base's, or at random"""
    controls_from: Path | None = None
    """dynamics folder that the base began with: the branch begins to hear keys as that one does"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    batch_size: int = 16
    """clips a batch"""
    event_share: float = 0.0
    """share of clips drawn evenly from the kinds of event that instructions tell of, not from all places"""
    context_noise: float = 0.1
    """largest noise level of given frames, which are told clean"""
    level_mean: float = 0.0
    """mean of the normal whose sigmoid is the noise level"""
    level_deviation: float = 1.2
    """standard deviation of that normal"""
    pure_share: float = 0.1
    """share of clips at level 1"""
    apart_share: float = 0.0
    """share of clips whose frames have a noise level each, not one for all"""
    alone_weight: float = 0.0
    """weight of the same loss for what the base's head reads from the branch's last tokens alone: a branch
    that injects next to nothing yet learns by it as fast as the base did, and is then let in"""
    spoken_weight: float = 0.0
    """weight of how far words lie from the keys that were held: what they tell of doing acts as keys do"""
    preview_levels: tuple[float, ...] = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1)
    """noise levels of the passes in previews"""

    def __post_init__(self) -> None:
        """Refuse clips without a beginning or an end."""
        if self.given_frames < 1 or self.new_frames < 1:
            raise ConfigError(
                f"given_frames {self.given_frames} and new_frames {self.new_frames} must both be 1 or more"
            )
        shares = (self.apart_share, self.event_share)
        if not all(0 <= share <= 1 for share in shares) or min(self.alone_weight, self.spoken_weight) < 0:
            raise ConfigError(
                f"apart_share and event_share {shares} must lie in [0, 1], and alone_weight "
                f"{self.alone_weight} and spoken_weight {self.spoken_weight} be 0 or more"
            )


@dataclass(frozen=True, kw_only=True)
class InstructBatch:
    """Clips and all that could be told of them."""

    clean: Latents
    told: Instructions
    base_text: TextTokens
    conditions: Tensor


class InstructStage:
    """Networks and loss of the stage; only the branch is trained."""

    def __init__(self, config: InstructStageConfig) -> None:
        self.config = config
        self.frames = config.given_frames + config.new_frames
        self.base = MaskedDynamics.load(config.base).requires_grad_(False).to(config.loop.device)
        model = replace(config.model, base_weights=weights_hash(config.base))
        with first_weights(config.loop.seed, "branch"):
            branch = InstructNet(model)
        if config.begin == "base":
            branch.begin_from(self.base)
        if config.controls_from is not None:
            branch.hear_as(FlowDynamics.load(config.controls_from))
        self.networks: dict[str, nn.Module] = {"branch": branch}
        self.blocks: Sequence[nn.Module] = tuple(branch.blocks)
        key = text_key(config.encoder, config.text_source, config.new_frames + 1)
        self.clips = ToldClips(
            ToldData(
                data=config.data,
                tokenizer=config.tokenizer,
                split=config.split,
                texts=key,
                guides=config.guides,
            )
        )
        self.sampler = self.clips.sampler(
            self.frames,
            config.loop.seed,
            event_share=config.event_share,
            told_from=config.given_frames - 1,
        )
        self.tokenizer = TokenizerVAE.load(config.tokenizer)
        check_told([self.clips], replace(config.model.base, fields=config.model.fields))
        _check_controls(self.clips, config)

    def batch(self, step: int, part: int, count: int) -> InstructBatch:
        """Draw the clips of a step, with everything that is known of them."""
        config, clips = self.config, self.clips
        draws = stream(config.loop.seed, "instructions", step, part)
        places = self.sampler.draw(step, part, count)
        clean = clips.latents(places, self.frames).to(config.loop.device)
        joined = {"fields": 0.0, "mixed": 0.5, "joined": 1.0, "none": 0.0}[config.text_form]
        as_one = draws.random(count) < joined
        wanted = [wanted_fields(config.model.fields, CHANGES, bool(one)) for one in as_one]
        newest = [(episode, first + config.given_frames - 1) for episode, first in places]
        known = torch.ones(count, self.frames, dtype=torch.bool)
        known[:, 0] = False
        guide, guided = self._guide(places, draws)
        info = clips.info
        row = clip_conditions(info.fps, info.height, info.width, self.frames)
        return InstructBatch(
            clean=clean,
            told=Instructions(
                text=clips.text(newest, wanted).to(clean),
                controls=clips.controls(places, self.frames).to(clean),
                known=known.to(clean.device),
                guide=guide.to(clean),
                guided=guided.to(clean.device),
            ),
            base_text=clips.text(places, [{}] * count).to(clean),
            conditions=torch.tensor([row] * count).to(clean),
        )

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config, branch = self.config, cast("InstructNet", self.networks["branch"])
        batch = self.batch(step, part, config.batch_size)
        count = len(batch.clean)
        text, keys, guide = config.shares.draw(count, generator)
        text = text & (config.text_form != "none")
        device = batch.clean.device
        told = replace(
            batch.told,
            text=batch.told.text.keep(text),
            known=batch.told.known & keys.to(device)[:, None],
            guided=batch.told.guided & guide.to(device)[:, None],
        )
        noisy, levels, asked = mask_frames(
            batch.clean,
            torch.full((count, 1), config.given_frames),
            generator,
            context_noise=config.context_noise,
            level=(config.level_mean, config.level_deviation, config.pure_share),
            apart_share=config.apart_share,
        )
        injected = branch(noisy, levels, batch.conditions, told)
        made = self.base(noisy, levels, batch.base_text, batch.conditions, injected)
        loss, error = masked_loss(made, batch.clean, levels, asked)
        metrics = {"clean_error": error[asked].mean()}
        last = injected[-1]
        if config.alone_weight and last is not None:
            alone = self.base.read(last.tokens, noisy, levels, batch.base_text, batch.conditions)
            more, error_alone = masked_loss(alone, batch.clean, levels, asked)
            loss = loss + config.alone_weight * more
            metrics["clean_error_alone"] = error_alone[asked].mean()
        if config.spoken_weight:
            misheard = branch.misheard(batch.told, asked)
            misheard = (misheard * text.to(misheard)).sum() / text.sum().clamp_min(1)
            loss = loss + config.spoken_weight * misheard
            metrics["misheard"] = misheard.detach()
        for name, kept in (("untold", ~text), ("keys", keys)):
            rows = error[kept.to(device), config.given_frames :]
            metrics[f"clean_error_{name}"] = rows.mean() if rows.numel() else error.new_tensor(0.0)
        return loss, metrics

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        """True clips; those of the base with the branch, told all but the video prompt; the base's alone."""
        config = self.config
        batch = self.batch(0, 0, PREVIEW_CLIPS)
        given, shape = config.given_frames, batch.clean[:, config.given_frames :].shape
        noise = torch.from_numpy(stream(0, "instruct preview").standard_normal(shape, np.float32)).to(
            batch.clean
        )
        told = replace(batch.told, guided=torch.zeros_like(batch.told.guided))
        rows = [batch.clean]
        for branch in (cast("InstructNet", averages["branch"]), None):
            asked = Asked(text=batch.base_text, conditions=batch.conditions, told=told if branch else None)
            rollout = ClipRollout(self.base, branch, levels=config.preview_levels)
            made = rollout.next(noise, batch.clean[:, :given], asked)
            rows.append(torch.cat([batch.clean[:, :given], made], 1))
        clips = [to_frames(self.tokenizer.decode(part.cpu())[0]).numpy() for part in rows]
        return contact_sheet([clip[i] for i in range(PREVIEW_CLIPS) for clip in clips], scale=2)

    def _guide(self, places: list[tuple[int, int]], draws: np.random.Generator) -> tuple[Latents, Tensor]:
        """Video prompts of the new frames, one kind a clip; given frames have none."""
        kinds = self.clips.guide_kinds
        latents = self.clips.latents(places, self.frames)
        guided = torch.zeros(len(places), self.frames, dtype=torch.bool)
        if not kinds:
            return torch.zeros_like(latents), guided
        guided[:, self.config.given_frames :] = True
        drawn = draws.integers(len(kinds), size=len(places))
        guides = [
            self.clips.guide(kinds[kind], [place], self.frames)
            for kind, place in zip(drawn, places, strict=True)
        ]
        return torch.cat(guides), guided


def _check_controls(clips: ToldClips, config: InstructStageConfig) -> None:
    recorded = clips.info.controls.width
    if recorded != config.model.control_width:
        raise ConfigError(
            f"{config.data} has {recorded} control numbers, the branch takes {config.model.control_width}; "
            "set model.control_width to the recording's: one for each key, then yaw and pitch"
        )


def check_frozen(base: MaskedDynamics, folder: Path) -> None:
    """Compare a base with the weights of its folder, byte by byte.

    Raises:
        AssertionError: when training changed it, which would be our bug.
    """
    stored = read_tensors(folder)
    for name, value in base.state_dict().items():
        same = stored[name].contiguous().view(torch.uint8).equal(value.cpu().contiguous().view(torch.uint8))
        assert same, f"{name} of the frozen base changed while its branch was trained"


def main(config: InstructStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the branch and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = InstructStage(config)
        averages = train(stage, config.loop, run, progress, "train branch")
        check_frozen(stage.base, config.base)
        folder = config.run / "branch"
        cast("InstructNet", averages["branch"]).save(folder)
    return folder
