"""Learnt actions as pictures: one start, a row for each, and how far apart they end."""

import numpy as np
import pytest

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ControlError
from paracosm.core.world import Frame, WorldInfo
from paracosm.evaluate.action_strips import play_actions, spread, strips


class Dot:
    """A dot that each of three actions moves by -1, 0 or +1."""

    def __init__(self, num_latents: int = 3) -> None:
        space = ControlSpace(num_latents=num_latents)
        self.info = WorldInfo(
            name="dot", fps=10.0, height=4, width=32, controls=space, engine="test", description="A dot."
        )

    def reset(self, seed: int = 0, **_: object) -> Frame:
        self.place, self.index = 16, 0
        return self._frame()

    def step(self, control: Control) -> Frame:
        self.place, self.index = self.place + (control.latent or 0) - 1, self.index + 1
        return self._frame()

    def _frame(self) -> Frame:
        image = np.zeros((4, 32, 3), np.uint8)
        image[:, self.place] = 255
        return Frame(image=image, index=self.index)


def test_every_action_is_held_from_the_same_start() -> None:
    rows = play_actions(Dot(), 5)  # pyright: ignore[reportArgumentType]
    assert rows.shape == (3, 6, 4, 32, 3)
    assert (rows[:, 0] == rows[0, 0]).all()
    assert [int(row[-1, 0, :, 0].argmax()) for row in rows] == [11, 16, 21]
    assert spread(rows) == pytest.approx(2 * 255 / 32)
    assert strips(rows).shape[2] == 3


def test_a_world_without_learnt_actions_is_refused() -> None:
    with pytest.raises(ControlError, match="dot offers no learnt actions; open a world that was trained on"):
        play_actions(Dot(0), 2)  # pyright: ignore[reportArgumentType]
