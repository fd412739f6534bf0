"""What every world promises, in one function; the opener gives a new one at each call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from paracosm.core.controls import Control
from paracosm.core.errors import ControlError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Snapshot, World


def draw_controls(world: World, seed: int, count: int) -> list[Control]:
    """Controls that the world offers."""
    generator, space = stream(seed, "contract"), world.info.controls
    return [
        Control(
            {key for key in space.keys if generator.random() < 0.3},
            tuple(float(round(generator.uniform(-limit, limit), 2)) for limit in space.look_limit),
        )
        for _ in range(count)
    ]


def check_world(open_one: Callable[[], World], steps: int = 12) -> None:
    """Steps, sizes, sameness, snapshots, refusals and closing."""
    world, other = open_one(), open_one()
    assert isinstance(world, World)
    info = world.info
    with pytest.raises(WorldError, match="reset"):
        world.step(Control())
    with pytest.raises(WorldError, match=r"reset|begun"):
        world.snapshot()
    controls = draw_controls(world, 1, steps)
    first = [world.reset(7), *(world.step(control) for control in controls)]
    again = [other.reset(7), *(other.step(control) for control in controls)]
    assert [frame.index for frame in first] == list(range(steps + 1))
    for one, two in zip(first, again, strict=True):
        assert one.image.shape == (info.height, info.width, 3)
        assert one.image.dtype == np.uint8
        assert np.array_equal(one.image, two.image)
        assert dict(one.truth) == dict(two.truth)
    state = world.snapshot()
    after = [world.step(control).image for control in controls]
    assert np.array_equal(world.restore(state).image, first[-1].image)
    assert all(
        np.array_equal(world.step(control).image, image)
        for control, image in zip(controls, after, strict=True)
    )
    with pytest.raises(ControlError, match="are not offered"):
        world.step(Control({"no such key"}))
    with pytest.raises(WorldError, match="taken in elsewhere"):
        world.restore(Snapshot(world="elsewhere", frame=state.frame, payload=None))
    world.close()
    world.close()
    other.close()
    with pytest.raises(WorldError, match="closed"):
        world.reset(7)
