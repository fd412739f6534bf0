"""The scripted Doom player: covers rooms, keys and turns, never gets stuck, says where it cannot play."""

from collections.abc import Iterator

import numpy as np
import pytest

from paracosm.collect.explorers.doom import DoomExplorer, DoomExplorerConfig
from paracosm.collect.games.counting import CountingWorld
from paracosm.collect.games.doom import KEYS, DoomConfig, DoomWorld
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.world import Frame

STEPS = 1500


def explore(world: DoomWorld, seed: int, steps: int) -> tuple[list[Frame], list[Control]]:
    explorer = DoomExplorer()
    frames, controls = [world.reset(seed)], []
    explorer.reset(world, frames[0], seed)
    for _ in range(steps):
        controls.append(explorer.act(frames[-1]))
        frames.append(world.step(controls[-1]))
    return frames, controls


@pytest.fixture(scope="module")
def world() -> Iterator[DoomWorld]:
    world = DoomWorld(DoomConfig(depth="on"))
    yield world
    world.close()


@pytest.fixture(scope="module")
def tour(world: DoomWorld) -> tuple[list[Frame], list[Control]]:
    return explore(world, 0, STEPS)


@pytest.mark.games("doom")
def test_all_rooms_are_visited(tour: tuple[list[Frame], list[Control]]) -> None:
    rooms = [frame.truth["room"] for frame in tour[0]]
    assert set(rooms) >= set(range(9))
    assert max(np.bincount([room for room in rooms if room >= 0])) < STEPS / 3


@pytest.mark.games("doom")
def test_doors_are_opened(tour: tuple[list[Frame], list[Control]]) -> None:
    assert sum("door_opened" in frame.truth["events"] for frame in tour[0]) >= 2


@pytest.mark.games("doom")
def test_every_key_is_used_and_no_opposites_meet(tour: tuple[list[Frame], list[Control]]) -> None:
    shares = {key: np.mean([key in control.keys for control in tour[1]]) for key in KEYS}
    assert all(shares[key] > 0.15 for key in ("forward", "back", "left", "right")), shares
    assert all(shares[key] > 0.015 for key in ("attack", "use", "jump")), shares
    assert not any({"forward", "back"} <= control.keys for control in tour[1])
    assert not any({"left", "right"} <= control.keys for control in tour[1])


@pytest.mark.games("doom")
def test_turns_cover_every_rate_in_both_directions(tour: tuple[list[Frame], list[Control]]) -> None:
    yaw = np.array([control.look[0] for control in tour[1]])
    shares, _ = np.histogram(yaw, bins=[-6.01, -4, -2, -0.05, 0.05, 2, 4, 6.01])
    assert (shares / STEPS > 0.04).all(), shares / STEPS
    assert abs(yaw).max() <= 6
    assert abs(np.mean(yaw)) < 1.0


@pytest.mark.games("doom")
def test_keys_are_held_and_not_flickered(tour: tuple[list[Frame], list[Control]]) -> None:
    holds = []
    for key in KEYS:
        held = np.array([0, *(key in control.keys for control in tour[1]), 0])
        holds += list(np.flatnonzero(np.diff(held) == -1) - np.flatnonzero(np.diff(held) == 1))
    assert np.mean(holds) > 6
    assert np.mean(np.array(holds) < 3) < 0.2


@pytest.mark.games("doom")
def test_the_camera_seldom_stares_at_a_wall(tour: tuple[list[Frame], list[Control]]) -> None:
    centre = np.array([frame.truth["depth"][20:28, 28:36].mean() for frame in tour[0]])
    assert np.mean(centre < 64) < 0.12


@pytest.mark.games("doom")
def test_the_same_seed_plays_the_same(world: DoomWorld) -> None:
    first, again, other = (explore(world, 4, 60)[1] for _ in range(3))
    assert first == again == other


@pytest.mark.games("doom")
def test_it_looks_up_and_down_where_pitch_is_offered() -> None:
    world = DoomWorld(DoomConfig(max_pitch=4.0))
    frames, _ = explore(world, 0, 800)
    world.close()
    pitch = [frame.truth["pose"]["pitch"] for frame in frames]
    assert min(pitch) < -3
    assert max(pitch) > 3
    assert max(map(abs, pitch)) < 21


def test_a_world_without_a_graph_is_refused() -> None:
    world = CountingWorld()
    with pytest.raises(
        WorldError, match="has no level graph here; explore made levels, or use a random player"
    ):
        DoomExplorer().reset(world, world.reset(0), 0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"roam_steps": (50, 20)},
            "roam_steps (50, 20) is no range of steps; use two numbers, 1 <= first <= second",
        ),
        ({"attack_share": 1.2}, "attack_share 1.2 is no share; use 0 to 1"),
        ({"slowest_turn": 0.0}, "slowest_turn 0 must be above 0 degrees a step"),
    ],
)
def test_an_explorer_config_out_of_range_is_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DoomExplorerConfig(**change)  # type: ignore[arg-type]
    assert str(caught.value) == text
