"""Matrix-Game 2.0: the published networks by configuration, and the same network at sizes that train here.

``universal``, ``gta_drive`` and ``templerun`` are the students that play in three passes and more,
``foundation`` is the model that sees whole clips and teaches them. ``small`` is the same network for one
card, ``tiny`` at toy size over a toy codec of the same kind. A variant is a replacement of another's values.
``video_street`` walks the last two.

Source: Matrix-Game 2.0, 2508.13009; its published configs; stage lengths as its report gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from paracosm.collect.games.doom import KEYS
from paracosm.core.errors import ConfigError
from paracosm.models.action_module import ActionModuleConfig
from paracosm.models.dynamics_video import VideoDynamicsConfig
from paracosm.models.video_parts import ImageTowerConfig
from paracosm.models.video_stream import warped_levels


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long a stage trains."""

    num_steps: int
    """optimiser steps"""
    batch_size: int
    """clips a step"""
    clip_latents: int
    """latent frames of a clip"""
    passes: float
    """network passes of a step for each clip, in forwards: a backward counts two"""


@dataclass(frozen=True, kw_only=True)
class VideoRecipe:
    """A streamed video world as numbers."""

    name: str
    """e.g. "universal" """
    description: str
    """one or two sentences for people"""
    model: VideoDynamicsConfig
    """the transformer"""
    height: int
    """rows of a frame in pixels"""
    width: int
    """columns of a frame in pixels"""
    side: int
    """pixels along a side of one latent position"""
    fps: float
    """frames a second at the world's own pace"""
    image_tokens: int
    """tokens of the start picture"""
    levels: tuple[float, ...]
    """noise levels of the passes of a block; () for a network that does not play"""
    training: Mapping[str, TrainingPlan]
    """stages by name, in order"""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a latent frame."""
        return self.height // self.side, self.width // self.side


PUBLISHED_ACTIONS = ActionModuleConfig(
    keys=4,
    mouse=2,
    frames_per_latent=4,
    window=3,
    heads=16,
    keyboard_width=1024,
    mouse_width=1024,
    embedding=128,
    turned_pairs=4,
    theta=256.0,
)
"""Four keys and a mouse."""
PUBLISHED_MODEL = VideoDynamicsConfig(
    latent_channels=16,
    condition_channels=20,
    patch=2,
    width=1536,
    depth=30,
    heads=12,
    hidden=8960,
    time_width=256,
    context_width=1280,
    block=3,
    window=6,
    sink=0,
    positions="window",
    action_layers=tuple(range(15)),
    actions=PUBLISHED_ACTIONS,
)
"""The student: actions in the first half of the blocks, six latent frames of past and present."""

TINY_TOWER = ImageTowerConfig(width=32, depth=2, heads=2, side=32, patch=8)
"""The image tower of ``tiny``: random weights, 17 tokens."""

_FOUNDATION_STAGE = {
    "foundation": TrainingPlan(num_steps=120_000, batch_size=256, clip_latents=15, passes=3.0)
}
_STUDENT_STAGES = {
    "distil_init": TrainingPlan(num_steps=6_000, batch_size=64, clip_latents=15, passes=3.0),
    # a rollout of three passes and a write, the score's two passes, and the critic's share
    "self_forcing": TrainingPlan(num_steps=4_000, batch_size=64, clip_latents=15, passes=12.0),
}


def universal() -> VideoRecipe:
    """Any scene from one picture: W A S D and the mouse; 1,619,242,304 numbers."""
    return VideoRecipe(
        name="universal",
        description="Any scene from one picture, walked by keys and mouse, in three passes a block.",
        model=PUBLISHED_MODEL,
        height=352,
        width=640,
        side=8,
        fps=25.0,
        image_tokens=257,
        levels=warped_levels((1000, 666, 333), 5.0),
        training=_STUDENT_STAGES,
    )


def gta_drive() -> VideoRecipe:
    """Driving: two keys, steering by the mouse's yaw, a shorter window."""
    base = universal()
    return replace(
        base,
        name="gta_drive",
        description="Driving through a city from one picture, in three passes a block.",
        model=replace(base.model, window=4, actions=replace(base.model.actions, keys=2)),
    )


def templerun() -> VideoRecipe:
    """Running: one of seven moves, no mouse, four passes a block."""
    base = universal()
    return replace(
        base,
        name="templerun",
        description="Running through a temple from one picture, one move of seven, in four passes a block.",
        model=replace(base.model, actions=replace(base.model.actions, keys=7, mouse=0)),
        levels=warped_levels((1000, 750, 500, 250), 5.0),
    )


def foundation() -> VideoRecipe:
    """The teacher: actions in every block, whole clips at once."""
    base = universal()
    return replace(
        base,
        name="foundation",
        description="The foundation model: sees whole clips, is trained from an image-to-video model.",
        model=replace(base.model, window=0, action_layers=tuple(range(base.model.depth))),
        levels=(),
        training=_FOUNDATION_STAGE,
    )


def small() -> VideoRecipe:
    """The same network over the published codec, a tenth of the numbers, for one card."""
    base = universal()
    actions = replace(base.model.actions, heads=8, keyboard_width=512, mouse_width=512, embedding=64)
    return replace(
        base,
        name="small",
        description="The published network at a tenth of its size, for one graphics card.",
        model=replace(
            base.model,
            width=768,
            depth=12,
            heads=12,
            hidden=3072,
            action_layers=tuple(range(6)),
            actions=actions,
        ),
        training={
            "foundation": TrainingPlan(num_steps=20_000, batch_size=16, clip_latents=15, passes=6.0),
            "distil_init": TrainingPlan(num_steps=4_000, batch_size=16, clip_latents=15, passes=10.0),
            "self_forcing": TrainingPlan(num_steps=2_000, batch_size=8, clip_latents=15, passes=12.0),
        },
    )


def tiny() -> VideoRecipe:
    """Toy size: Doom at 64 x 48, four frames a latent frame, 12 tokens; minutes on a processor."""
    base = universal()
    actions = replace(
        base.model.actions,
        keys=len(KEYS),
        heads=2,
        keyboard_width=32,
        mouse_width=32,
        embedding=8,
    )
    return replace(
        base,
        name="tiny",
        description="The published network at toy size, over a toy codec of the same kind.",
        model=replace(
            base.model,
            width=96,
            depth=4,
            heads=3,
            hidden=256,
            context_width=TINY_TOWER.width,
            action_layers=(0, 1),
            actions=actions,
        ),
        height=48,
        width=64,
        fps=17.5,
        image_tokens=TINY_TOWER.num_tokens,
        training={
            # two streams of each clip, clean and noisy: twice the tokens of a plain pass
            "base": TrainingPlan(num_steps=150, batch_size=8, clip_latents=9, passes=6.0),
            "foundation": TrainingPlan(num_steps=300, batch_size=8, clip_latents=9, passes=6.0),
            "distil_init": TrainingPlan(num_steps=150, batch_size=8, clip_latents=9, passes=10.0),
            "self_forcing": TrainingPlan(num_steps=100, batch_size=4, clip_latents=9, passes=12.0),
        },
    )


RECIPES: Mapping[str, Callable[[], VideoRecipe]] = {
    "universal": universal,
    "gta_drive": gta_drive,
    "templerun": templerun,
    "foundation": foundation,
    "small": small,
    "tiny": tiny,
}
"""The recipes of this file by name; ``paracosm plan matrix_game2.universal`` takes one."""
PREFIX = "matrix_game2."


def find_recipe(name: str) -> VideoRecipe:
    """Return a recipe by its full name, e.g. "matrix_game2.universal".

    Raises:
        ConfigError: when there is none; names those that there are.
    """
    recipe = RECIPES.get(name.removeprefix(PREFIX))
    if recipe is None:
        known = ", ".join(PREFIX + known for known in RECIPES)
        raise ConfigError(f'there is no recipe "{name}"; choose one of {known}')
    return recipe()
