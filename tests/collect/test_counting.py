import numpy as np
import pytest

from paracosm.collect.games.counting import CountingConfig, CountingWorld, read_control, read_seed, read_step
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, DataError, WorldError
from paracosm.core.world import Snapshot, World


def test_it_is_a_world() -> None:
    assert isinstance(CountingWorld(), World)


def test_same_seed_and_controls_give_the_same_bytes() -> None:
    first, second = CountingWorld(), CountingWorld()
    assert np.array_equal(first.reset(9).image, second.reset(9).image)
    control = Control({"left"}, (1.5, -2))
    assert np.array_equal(first.step(control).image, second.step(control).image)
    assert not np.array_equal(first.reset(9).image, second.reset(10).image)


def test_a_restored_state_goes_on_with_the_same_bytes() -> None:
    world = CountingWorld()
    world.reset(3)
    world.step(Control({"left"}))
    saved = world.snapshot()
    after = [world.step(Control({"right"}, (turn, 0))) for turn in range(3)]
    assert world.restore(saved) is saved.frame
    again = [world.step(Control({"right"}, (turn, 0))) for turn in range(3)]
    assert all(
        np.array_equal(a.image, b.image) and a.truth == b.truth for a, b in zip(after, again, strict=True)
    )
    with pytest.raises(WorldError, match=r"the snapshot was taken in game:doom, not in game:counting"):
        world.restore(Snapshot(world="game:doom", frame=saved.frame, payload=None))


def test_it_goes_on_from_an_image_and_from_a_clip() -> None:
    world = CountingWorld()
    images = [world.reset(7).image] + [world.step(Control()).image for _ in range(5)]
    frame = world.reset(start=images[5])
    assert frame.index == 0
    frame = world.step(Control({"jump"}))
    assert (read_step(frame.image), read_seed(frame.image), frame.index) == (6, 7, 1)
    frame = world.reset(start=np.stack(images[2:5]), controls=[Control(), Control()])
    assert read_step(world.step(Control()).image) == 5


def test_it_refuses_what_it_cannot_do() -> None:
    world = CountingWorld(CountingConfig(length=1))
    with pytest.raises(WorldError, match=r"was stepped before it was reset; call reset\(\) first"):
        world.step(Control())
    with pytest.raises(WorldError, match=r"has not begun; call reset first"):
        world.snapshot()
    world.reset()
    assert world.step(Control()).truth["ended"]
    with pytest.raises(WorldError, match=r"has ended; call reset\(\) to begin again"):
        world.step(Control())
    world.close()
    world.close()
    with pytest.raises(WorldError, match=r"is closed; open it again"):
        world.reset()
    with pytest.raises(
        ConfigError, match=r"a counting world of 8 x 64 has no room for its blocks; use at least 20 x 64"
    ):
        CountingConfig(height=8)
    with pytest.raises(ConfigError, match=r"length -1 is negative; use 0 for no end"):
        CountingConfig(length=-1)


def test_pictures_of_something_else_are_refused() -> None:
    with pytest.raises(DataError, match=r"block 0 of row 0 is grey"):
        read_step(np.full((32, 64, 3), 128, np.uint8))
    with pytest.raises(DataError, match=r"of shape \(4, 4, 3\) is no frame of game:counting"):
        read_control(np.zeros((4, 4, 3), np.uint8))
