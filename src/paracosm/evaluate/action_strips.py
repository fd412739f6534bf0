"""What each learnt action does, as pictures: from one start, every action held in turn, a row for each.

The same start and the same draws for all rows, so that what differs is the action. This file does NOT know
networks: it plays any world that offers learnt actions.
"""

from __future__ import annotations

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ControlError
from paracosm.core.world import World
from paracosm.train.previews import contact_sheet


def play_actions(world: World, num_steps: int, seed: int = 0) -> np.ndarray:
    """Hold each learnt action from the same start.

    Args:
        world: offers learnt actions.
        num_steps: steps that each is held.
        seed: chooses the start, and the draws.

    Returns:
        uint8 (actions, num_steps + 1, h, w, 3), the start first.

    Raises:
        ControlError: when the world offers none.
    """
    count = world.info.controls.num_latents
    if not count:
        raise ControlError(
            f"{world.info.name} offers no learnt actions; open a world that was trained on some"
        )
    rows = []
    for action in range(count):
        first = world.reset(seed=seed).image
        held = Control(latent=action)
        rows.append(np.stack([first, *(world.step(held).image for _ in range(num_steps))]))
    return np.stack(rows)


def strips(rows: np.ndarray, every: int = 2) -> np.ndarray:
    """Lay rows of :func:`play_actions` out as one picture, uint8 (h, w, 3), every so many steps."""
    return contact_sheet([row[::every] for row in rows], scale=2)


def spread(rows: np.ndarray) -> float:
    """Mean absolute difference between the last pictures of two actions, of 255: 0 when none matters."""
    last = rows[:, -1].astype(np.float32)
    pairs = [
        float(np.abs(last[i] - last[j]).mean()) for i in range(len(last)) for j in range(i + 1, len(last))
    ]
    return float(np.mean(pairs))
