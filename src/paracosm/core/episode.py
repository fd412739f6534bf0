"""What one episode is made of: the recipe that makes it happen again, and the loop that plays it.

This file does NOT know how an episode is stored, shown or learnt from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.world import Frame, World

Split = Literal["train", "held_out", "unseen"]
"""What an episode may be used for: to learn from; to measure on, never learnt from; to measure on as a
separate and harder line, since no training episode shows the like."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything, beside the controls, that makes an episode happen again with the same bytes.

    Attributes:
        world: name that ``paracosm.open_world`` takes, e.g. "game:doom".
        config: the world's whole configuration as plain JSON values; None for a world without one.
        engine: ``WorldInfo.engine`` at the time of recording; another version may draw other pixels.
        seed: seed given to ``World.reset``.
        level_seed: seed of the level, where the world tells one apart from ``seed``; else equal to it.
        policy: who played, e.g. "explorer" or "person".
        policy_seed: seed of the player's own draws, 0 for a person.
        split: what the episode may be used for.
        prompt: words given to ``World.reset``, or None.
        start: clip uint8 (t, h, w, 3) given to ``World.reset``, or None.
        start_controls: the t - 1 controls between the frames of the start clip.
    """

    world: str
    config: Mapping[str, Any] | None = None
    engine: str = ""
    seed: int = 0
    level_seed: int = 0
    policy: str = ""
    policy_seed: int = 0
    split: Split = "train"
    prompt: str | None = None
    start: np.ndarray | None = field(default=None, compare=False)
    start_controls: tuple[Control, ...] = ()


def play_recipe(world: World, recipe: Recipe, controls: Iterable[Control]) -> Iterator[Frame]:
    """Play an episode again: reset as the recipe says, then one step for each control.

    Args:
        world: an open world of the recipe's name, configuration and engine.
        recipe: how the episode began.
        controls: what the player did, in order.

    Yields:
        The first frame, then the frame after each control.
    """
    yield world.reset(recipe.seed, recipe.start, recipe.start_controls, recipe.prompt)
    for control in controls:
        yield world.step(control)
