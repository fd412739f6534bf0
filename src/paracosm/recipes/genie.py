"""Genie: a world from video without a single action label, from toy size to the published ones.

Each function returns a whole description that `paracosm plan genie.NAME` prices and, at sizes that fit a
machine, `paracosm recipe genie.NAME` walks. What the paper leaves open is said beside our choice.

Source: Genie 2402.15391; table and section numbers below are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paracosm.collect.games.coinrun import CoinRunConfig
from paracosm.collect.gym_games import GymConfig
from paracosm.collect.record import RecordConfig
from paracosm.data.pieces import CutKind
from paracosm.models.latent_actions import PixelInput
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages.maskgit import FinishedActions

from . import coinrun
from .genie_stages import GenieRecipe, Sizes, describe, stack

# The paper gives no width of the feed-forward layers, and its parameter counts leave room for a quarter of
# the token width only: 12 * 8 * 512**2 + 20 * 8 * 1024**2 = 193 M of the tokenizer's 200 M are attention.
PAPER_TOKENIZER = {"encoder": stack(512, 12, 8, 64, 128), "decoder": stack(1024, 20, 16, 64, 256)}
"""Table 7: 200 million parameters."""
PAPER_ACTIONS = stack(1024, 20, 16, 64, 256)
"""Table 5, encoder and decoder alike. Attention alone makes 335 M of the 300 M that the text names."""

ACTION_SPAN, ACTION_WIDTH = 3, 3
"""Of the small recipes: steps that a latent action tells of, and numbers of its vector."""

PAPER_10B = Sizes(
    # 4 does not divide 90 rows: padded to 23 * 40 = 920 tokens a frame. 512 * 16 * 920 * 125,000 are then the
    # 942 billion tokens of section 3.1.
    height=90,
    width=160,
    patch=4,
    action_patch=16,
    num_codes=1024,
    num_actions=8,
    **PAPER_TOKENIZER,
    action_encoder=PAPER_ACTIONS,
    action_decoder=PAPER_ACTIONS,
    # Table 12: 48 layers, 36 heads of 128, width 5120; the hidden width is what 10.1 B leave.
    dynamics=stack(5120, 48, 36, 128, 1408),
)
"""The final model of section 3.1: 10.7 billion parameters in all."""

PAPER_TOKENIZER_OPTIM = OptimConfig(
    # Table 8: a cosine whose largest and smallest rate are both 3e-4, so it is flat.
    learning_rate=3e-4,
    warmup_steps=10_000,
    betas=(0.9, 0.9),
    weight_decay=1e-4,
)
PAPER_DYNAMICS_OPTIM = OptimConfig(
    # Table 9; decay_steps is set to what follows the warm-up.
    learning_rate=3e-5,
    warmup_steps=5_000,
    decay_steps=120_000,
    decay_shape="cosine",
    final_share=0.1,
    betas=(0.9, 0.9),
    weight_decay=1e-4,
)


def paper_10b(run: Path) -> GenieRecipe:
    """The model of the paper: 10.7 billion parameters on 30,000 hours of platform games (never released)."""
    return GenieRecipe(
        name="genie-10b",
        description="Genie as published: platform games from filtered videos, 160 x 90, 10 frames a second.",
        recordings={},
        sampler=SamplerConfig(num_passes=25, temperature=2.0),
        **describe(
            run,
            PAPER_10B,
            data=run / "data" / "train",
            tokenizer_loop=LoopConfig(num_steps=300_000, optim=PAPER_TOKENIZER_OPTIM, device="cuda"),
            actions_loop=LoopConfig(num_steps=125_000, optim=PAPER_DYNAMICS_OPTIM, device="cuda"),
            dynamics_loop=LoopConfig(num_steps=125_000, optim=PAPER_DYNAMICS_OPTIM, device="cuda"),
            # Table 6 tries tokenizer batches of 64 to 384 and finds the largest best; the final model's is
            # not said. The actions are trained in parallel, so they share the dynamics' batch.
            batches=(384, 512, 512),
        ),
    )


def robotics_2_5b(run: Path) -> GenieRecipe:
    """The paper's robot arm: RT-1, its simulation and QT-Opt without their actions; 2.5 billion in all."""
    sizes = replace(
        PAPER_10B,
        # The paper keeps the hyper-parameters found on platform games and prints no table. 34 layers, width
        # 2560, 20 heads are its 2.3 B row of table 11; the hidden width is what the count leaves.
        dynamics=stack(2560, 34, 20, 128, 1856),
    )
    optim = replace(PAPER_DYNAMICS_OPTIM, decay_steps=195_000)
    return GenieRecipe(
        name="genie-robotics",
        description="A robot arm that follows latent actions learnt from its videos.",
        recordings={},
        sampler=SamplerConfig(num_passes=25, temperature=2.0),
        **describe(
            run,
            sizes,
            data=run / "data" / "train",
            tokenizer_loop=LoopConfig(num_steps=300_000, optim=PAPER_TOKENIZER_OPTIM, device="cuda"),
            actions_loop=LoopConfig(num_steps=200_000, optim=optim, device="cuda"),
            # Steps and batch are not printed for this model: those of the scaling runs, section 3.1.
            dynamics_loop=LoopConfig(num_steps=200_000, optim=optim, device="cuda"),
            batches=(384, 256, 256),
        ),
    )


def coinrun_case_study(run: Path) -> GenieRecipe:
    """Appendix F to the letter: CoinRun from random play, one device of 16 GB for a week."""
    block = stack(512, 8, 8, 64, 128)
    sizes = Sizes(
        height=64,
        width=64,
        patch=4,
        # Table 16 prints no patch for the latent action model; 16 as in table 5.
        action_patch=16,
        num_codes=1024,
        num_actions=6,
        encoder=block,
        decoder=block,
        action_encoder=block,
        action_decoder=block,
        # Table 17 prints num_layers twice, 12 and 8; the second is taken for the heads.
        dynamics=stack(512, 12, 8, 64, 128),
    )
    # The appendix prints no optimiser of its own: those of tables 8 and 9.
    dynamics_optim = replace(PAPER_DYNAMICS_OPTIM, decay_steps=195_000)
    recordings = {
        "train": RecordConfig(
            world="game:coinrun",
            out=run / "data" / "train",
            # 1,000 steps on each of 10,000 levels. An episode here ends with its level, so more episodes than
            # levels are played to reach the 10 million transitions.
            num_episodes=10_000,
            max_steps=1000,
            policy="random",
            num_world_seeds=10_000,
            split="train",
        )
    }
    return GenieRecipe(
        name="genie-coinrun",
        description="CoinRun under six latent actions, learnt from random play without its keys.",
        recordings=recordings,
        games={"train": CoinRunConfig()},
        sampler=SamplerConfig(num_passes=25, temperature=1.0),
        **describe(
            run,
            sizes,
            data=run / "data" / "train",
            tokenizer_loop=LoopConfig(num_steps=300_000, optim=PAPER_TOKENIZER_OPTIM),
            actions_loop=LoopConfig(num_steps=200_000, optim=dynamics_optim),
            dynamics_loop=LoopConfig(num_steps=200_000, optim=dynamics_optim),
            batches=(48, 36, 36),
        ),
    )


def small(run: Path) -> GenieRecipe:
    """The bundled world `coinrun-latent`: hours on two cores, from the recordings of the coinrun recipe.

    Unlike the paper, for two slow cores: 64 tokens a frame, actions before the dynamics and not beside it, a
    clean corrupted past in training, and latent actions of their own kind (see ``_for_two_cores``).
    Sizes and steps share about three hours of one core between the stages: a dynamics of about two million
    parameters is what so few tokens can fill, and it fills in a frame four times within its turn of play.
    """
    tokens, actions = stack(256, 2, 2, 64, 512), stack(256, 2, 2, 64, 512)
    sizes = Sizes(
        height=64,
        width=64,
        patch=8,
        action_patch=4,
        num_codes=1024,
        num_actions=8,
        encoder=replace(tokens, depth=1),
        decoder=tokens,
        action_encoder=actions,
        action_decoder=actions,
        dynamics=stack(192, 4, 3, 64, 384),
    )
    optim = OptimConfig(learning_rate=1e-3, warmup_steps=100, ema_decay=0.995)
    loop = LoopConfig(
        num_steps=1200,
        optim=replace(optim, decay_steps=400),
        num_threads=1,
        # Worth most in the dynamics, the stage that takes longest.
        compile="blocks",
    )
    made = describe(
        run,
        sizes,
        data=run / "data" / "train",
        tokenizer_loop=loop,
        actions_loop=replace(loop, num_steps=1000, optim=replace(optim, decay_steps=350)),
        dynamics_loop=replace(loop, num_steps=1600, optim=replace(optim, decay_steps=900)),
        batches=(4, 64, 4),
    )
    return GenieRecipe(
        name="coinrun-latent",
        description="A neural CoinRun under eight actions that were found by watching; it never saw a key.",
        recordings=coinrun.recordings(run),
        games=dict.fromkeys(coinrun.recordings(run), coinrun.game()),
        # A small dynamics is unsure of much: at temperature 1 its pictures are strewn with wrong patches.
        sampler=SamplerConfig(num_passes=4, temperature=0.5),
        **_for_two_cores(made),
    )


def tiny(run: Path) -> GenieRecipe:
    """Everything at toy size: minutes on two cores, to see every stretch work."""
    recipe = shorten(small(run))
    lengths = {"train": (16, 100), "held_out": (6, 160)}
    recordings = {
        split: replace(config, num_episodes=lengths[split][0], max_steps=lengths[split][1])
        for split, config in recipe.recordings.items()
    }
    return replace(recipe, recordings=recordings)


def robotics_tiny(run: Path) -> GenieRecipe:
    """A simulated robot arm over a table (MuJoCo's Fetch), its commands never read.

    As in RT-1, a command moves the hand by a little along three axes. About an hour of one core.
    """
    recipe = small(run)
    train = RecordConfig(
        world="gym:gymnasium_robotics:FetchPush-v4",
        out=run / "data" / "train",
        # Random commands soon lead the arm out of sight: many short episodes.
        num_episodes=600,
        max_steps=40,
        policy="sticky",
        split="train",
    )
    held_out = replace(
        train,
        out=run / "data" / "held_out",
        num_episodes=60,
        seed=1,
        first_world_seed=1_000_000_000,
        split="held_out",
    )
    recordings, loop = {"train": train, "held_out": held_out}, recipe.dynamics.loop
    return replace(
        recipe,
        name="robotics-tiny",
        description="A simulated robot arm that moves under eight actions found by watching it.",
        recordings=recordings,
        games=dict.fromkeys(recordings, arm()),
        # One table and one arm need less than CoinRun's levels.
        tokenizer=replace(recipe.tokenizer, loop=replace(recipe.tokenizer.loop, num_steps=700)),
        latent_actions=replace(
            recipe.latent_actions,
            loop=replace(recipe.latent_actions.loop, num_steps=700),
            free_steps=450,
        ),
        dynamics=replace(
            recipe.dynamics,
            loop=replace(loop, num_steps=700, optim=replace(loop.optim, decay_steps=400)),
            own_past_from=450,
        ),
    )


def arm() -> GymConfig:
    """The arm from above its table, 25 steps a second."""
    camera = {"distance": 1.5, "azimuth": 150.0, "elevation": -35.0, "lookat": [1.25, 0.75, 0.6]}
    # The environment ends its episodes after 50 steps; recordings say how long they are.
    arguments = {
        "default_camera_config": camera,
        "max_episode_steps": 100_000,
        # Drawn larger and averaged: thin parts stay whole.
        "width": 128,
        "height": 128,
    }
    return GymConfig(height=64, width=64, arguments=arguments)


def own(run: Path, folder: Path, height: int, width: int) -> GenieRecipe:
    """A world from recordings or imported videos, whose controls are not read; cuts are found and respected.

    Args:
        run: run folder.
        folder: dataset of the frames.
        height: rows of a frame in pixels.
        width: columns of a frame in pixels.
    """
    return replace(
        on_data(small(run), folder, height, width, "find"),
        name=folder.name,
        description=f"A world from the pictures of {folder.name} alone, under eight actions that they show.",
    )


def on_data(recipe: GenieRecipe, folder: Path, height: int, width: int, cuts: CutKind) -> GenieRecipe:
    """The same recipe on frames that are there already: nothing is recorded.

    Args:
        recipe: whose latent actions see pixels.
        folder: dataset of the frames.
        height: rows of a frame in pixels.
        width: columns of a frame in pixels.
        cuts: whether its episodes have cuts.
    """
    patch = recipe.tokenizer.model.patch
    rows, columns = -(-height // patch), -(-width // patch)
    seen = recipe.latent_actions.model.input
    assert isinstance(seen, PixelInput), seen
    actions = replace(recipe.latent_actions.model, input=replace(seen, height=height, width=width))
    tokenizer = replace(recipe.tokenizer.model, height=height, width=width)
    dynamics = replace(recipe.dynamics.model, rows=rows, columns=columns)
    return replace(
        recipe,
        recordings={},
        games={},
        tokenizer=replace(recipe.tokenizer, data=folder, cuts=cuts, model=tokenizer),
        latent_actions=replace(recipe.latent_actions, data=folder, cuts=cuts, model=actions),
        dynamics=replace(recipe.dynamics, data=folder, cuts=cuts, model=dynamics),
    )


RECIPES: Mapping[str, Callable[[Path], GenieRecipe]] = {
    "tiny": tiny,
    "small": small,
    "coinrun_case_study": coinrun_case_study,
    "paper_10b": paper_10b,
    "robotics_2_5b": robotics_2_5b,
    "robotics_tiny": robotics_tiny,
}
"""Recipes by name, as in `paracosm plan genie.tiny`."""


def shorten(recipe: GenieRecipe) -> GenieRecipe:
    """The same recipe at toy size: seconds a stage."""
    toy = stack(64, 1, 1, 32, 96)
    actions = replace(recipe.latent_actions.model, encoder=toy, decoder=toy)
    return replace(
        recipe,
        name=f"{recipe.name}-tiny",
        tokenizer=replace(
            recipe.tokenizer,
            model=replace(recipe.tokenizer.model, encoder=toy, decoder=toy),
            loop=_shorten(recipe.tokenizer.loop, 120),
            batch_size=8,
        ),
        latent_actions=replace(
            recipe.latent_actions,
            model=actions,
            loop=_shorten(recipe.latent_actions.loop, 120),
            batch_size=8,
            free_steps=60,
        ),
        dynamics=replace(
            recipe.dynamics,
            model=replace(recipe.dynamics.model, stack=replace(toy, depth=2)),
            loop=_shorten(recipe.dynamics.loop, 120),
            batch_size=8,
            own_past_from=60,
        ),
    )


def _for_two_cores(made: dict[str, Any]) -> dict[str, Any]:
    """Losses and order of the small recipes, and latent actions of the motion over three steps.

    The paper's latent actions tell what the past does not. A step of CoinRun moves the picture by a pixel or
    two and its keys are held, so that such codes learnt jumps alone: purity 0.72 of a supervised reader's,
    the commonest effect alone having 0.71. Small pictures, because a small network learns to shift those.
    """
    actions, dynamics = made["latent_actions"], made["dynamics"]
    seen = replace(actions.model.input, shrink=4, changes=True)
    quantizer = replace(actions.model.quantizer, width=ACTION_WIDTH)
    told = replace(
        actions.model, input=seen, quantizer=quantizer, draws="change", span=ACTION_SPAN, past="none"
    )
    return made | {
        "tokenizer": replace(made["tokenizer"], absolute_weight=1.0, squared_weight=5.0, edge_weight=1.0),
        "latent_actions": replace(
            actions, model=told, clip_frames=ACTION_SPAN + 1, errors="step", free_steps=700
        ),
        "dynamics": replace(
            dynamics,
            # Both tell in the loss of small models, see docs/models/genie.md; the paper adds the action.
            model=replace(dynamics.model, control_width=ACTION_WIDTH, conditioning="film"),
            first_codes="codebook",
            actions=FinishedActions(model=made["run"] / "latent_actions" / "latent_actions"),
            past="clean",
            corruption=0.2,
            own_past=1.0,
            own_past_from=1100,
            preview_sampler=SamplerConfig(num_passes=4),
        ),
    }


def _shorten(loop: LoopConfig, num_steps: int) -> LoopConfig:
    optim = replace(loop.optim, warmup_steps=10, decay_steps=num_steps // 2, ema_decay=0.95)
    return replace(loop, num_steps=num_steps, optim=optim, preview_every=0, log_every=10, compile="off")
