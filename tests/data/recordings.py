"""Small recordings for the tests of this room, made without any game."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe
from paracosm.core.world import Frame, WorldInfo
from paracosm.data import Dataset, EpisodeRef, EpisodeWriter, prepare_dataset

SPACE = ControlSpace(
    keys=("forward", "attack"),
    bindings={"KeyW": "forward"},
    look_limit=(30.0, 10.0),
    num_latents=4,
    text=True,
    guide=True,
)
INFO = WorldInfo(name="game:test", fps=20.0, height=6, width=10, controls=SPACE, engine="test 1")


def make_frames(count: int, seed: int = 0) -> list[Frame]:
    images = np.random.default_rng(seed).integers(0, 256, (count, INFO.height, INFO.width, 3), np.uint8)
    return [
        Frame(
            image=image,
            index=index,
            truth={
                "reward": float(index),
                "ended": False,
                "events": ("shot",),
                "pose": {"x": index / 2},
                "health": 9,
            },
        )
        for index, image in enumerate(images)
    ]


def write_episode(
    path: Path,
    controls: Sequence[Control | None],
    *,
    name: str = "episode-000000",
    recipe: Recipe | None = None,
    **options: object,
) -> EpisodeRef:
    prepare_dataset(path, INFO)
    frames = make_frames(len(controls) + 1)
    recipe = recipe or Recipe(world=INFO.name, engine=INFO.engine, seed=3, policy="script")
    with EpisodeWriter(path, name, INFO, recipe, **options) as writer:
        writer.begin(frames[0])
        for control, frame in zip(controls, frames[1:], strict=True):
            writer.step(control, frame)
    return Dataset(path).episode(name)
