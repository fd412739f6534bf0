"""The CoinRun explorer: repeatable, even-handed, far-roaming; and its look ahead agrees with the game."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from paracosm.collect.explorers.coinrun import CoinRunExplorer, CoinRunExplorerConfig
from paracosm.collect.explorers.coinrun_body import Body, Level
from paracosm.collect.games.coinrun import CoinRunConfig, CoinRunWorld
from paracosm.collect.games.counting import CountingWorld
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.world import Frame

pytestmark = pytest.mark.games("coinrun")


@pytest.fixture
def world() -> Iterator[CoinRunWorld]:
    world = CoinRunWorld(CoinRunConfig(look="meadow", min_length=20))
    yield world
    world.close()


def explore(world: CoinRunWorld, seed: int, steps: int = 300) -> tuple[list[Frame], list[frozenset[str]]]:
    explorer = CoinRunExplorer()
    frames, keys = [world.reset(seed)], []
    explorer.reset(world, frames[0], seed)
    while not frames[-1].truth["ended"] and len(keys) < steps:
        control = explorer.act(frames[-1])
        keys.append(control.keys)
        frames.append(world.step(control))
    return frames, keys


def test_same_seed_gives_the_same_play(world: CoinRunWorld) -> None:
    first, second = explore(world, seed=7), explore(world, seed=7)
    assert first[1] == second[1]
    assert first[0][-1].image.tobytes() == second[0][-1].image.tobytes()


def test_it_roams_whole_levels_and_uses_every_key(world: CoinRunWorld) -> None:
    pressed: Counter[str] = Counter()
    steps, reached, died = 0, [], 0
    for seed in range(0, 120, 6):
        frames, keys = explore(world, seed)
        steps += len(keys)
        for held in keys:
            pressed.update(held)
        coin = Level(world.tiles(), world.entities()).coin
        reached.append(max(frame.truth["pose"]["x"] for frame in frames) / coin)
        died += "died" in frames[-1].truth["events"]
    shares = {key: pressed[key] / steps for key in world.info.controls.keys}
    assert shares["left"] > 0.25
    assert shares["right"] > 0.25
    assert shares["up"] > 0.1
    assert np.mean(reached) > 0.65
    assert 0 < died < 14


def test_the_look_ahead_agrees_with_the_game(world: CoinRunWorld) -> None:
    errors = []
    for seed in (3, 8, 21):
        explorer = CoinRunExplorer()
        frame = world.reset(seed)
        explorer.reset(world, frame, seed)
        level = Level(world.tiles(), world.entities())
        while not frame.truth["ended"] and frame.index < 200:
            pose = frame.truth["pose"]
            body = Body(pose["x"], pose["y"], pose["vx"], pose["vy"], pose["vy"] == 0)
            control = explorer.act(frame)
            across = ("right" in control.keys) - ("left" in control.keys)
            after = level.step(body, across, "up" in control.keys)
            frame = world.step(control)
            if not frame.truth["ended"]:
                errors.append(
                    abs(after.x - frame.truth["pose"]["x"]) + abs(after.y - frame.truth["pose"]["y"])
                )
    assert np.mean(np.array(errors) < 0.02) > 0.95


def test_another_world_is_refused_by_name() -> None:
    world = CountingWorld()
    with pytest.raises(
        WorldError, match="cannot see the level of game:counting; use it on game:coinrun only"
    ):
        CoinRunExplorer().reset(world, world.reset(), 0)


def test_shares_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"errands must be >= 0 and the shares .* between 0 and 1"):
        CoinRunExplorerConfig(play_share=2)
