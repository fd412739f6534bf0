"""Worlds side by side stand at one moment and get the same controls."""

from __future__ import annotations

import pytest

from paracosm.core.controls import Control
from paracosm.core.errors import WorldError
from paracosm.play.beside import Beside
from tests.play.little_worlds import RoomWorld, ShowingWorld


def test_worlds_side_by_side_get_the_same_controls_and_one_start() -> None:
    world = Beside([RoomWorld("true"), ShowingWorld("dream", size=(96, 128))])
    first = world.reset(seed=2)
    assert first.image.shape == (96, 256, 3)
    assert (first.image[1:, :128] == first.image[1:, 128:]).all()
    state = world.snapshot()
    one = world.step(Control({"forward"}, (3.0, 0.0)))
    world.restore(state)
    again = world.step(Control({"forward"}, (3.0, 0.0)))
    assert (one.image == again.image).all()
    assert one.image[0, 128:132, 0].tolist() == [1, 0, 1, 131]
    assert world.info.details == {"pane_1": "true", "pane_2": "dream"}


def test_worlds_of_two_sizes_are_not_put_side_by_side() -> None:
    with pytest.raises(
        WorldError, match="worlds side by side need one frame size; got a 24 x 32, b 96 x 128"
    ):
        Beside([ShowingWorld("a"), RoomWorld("b")])
    with pytest.raises(WorldError, match="1 world cannot stand beside itself; give two or more"):
        Beside([ShowingWorld("a")])
