"""CoinRun as a world: seeds, control law, restore, endings, looks, errors."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from paracosm.collect.explorers.coinrun import CoinRunExplorer
from paracosm.collect.games.coinrun import (
    COIN,
    HELD_OUT_START,
    LAVA_TOP,
    LOOKS,
    CoinRunConfig,
    CoinRunWorld,
    level_seeds,
)
from paracosm.collect.games.procgen_state import GameState
from paracosm.core.controls import IDLE, Control
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame

pytestmark = pytest.mark.games("coinrun")

RIGHT, LEFT, JUMP = Control({"right"}), Control({"left"}), Control({"up"})

DIGEST_SCRIPT = """
import sys
from tests.collect.test_coinrun import digest_of_play
sys.stdout.write(digest_of_play())
"""


@pytest.fixture
def world() -> Iterator[CoinRunWorld]:
    world = CoinRunWorld(CoinRunConfig(look="meadow", min_length=12))
    yield world
    world.close()


def random_controls(count: int, seed: int = 0) -> list[Control]:
    draw = stream(seed, "controls")
    keys = [(), ("right",), ("right",), ("right", "up"), ("left",), ("up",)]
    return [Control(keys[int(draw.integers(len(keys)))]) for _ in range(count)]


def play(world: CoinRunWorld, controls: list[Control]) -> list[Frame]:
    frames = []
    for control in controls:
        frames.append(world.step(control))
        if frames[-1].truth["ended"]:
            break
    return frames


def play_to_end(world: CoinRunWorld, seed: int, player_seed: int) -> list[Frame]:
    explorer = CoinRunExplorer()
    frames = [world.reset(seed)]
    explorer.reset(world, frames[0], player_seed)
    while not frames[-1].truth["ended"]:
        frames.append(world.step(explorer.act(frames[-1])))
    return frames


def digest_of_play() -> str:
    world = CoinRunWorld(CoinRunConfig(min_length=12))
    digest = hashlib.sha256(world.reset(seed=11).image.tobytes())
    for frame in play(world, random_controls(150)):
        digest.update(frame.image.tobytes() + repr(frame.truth).encode())
    world.close()
    return digest.hexdigest()


def test_same_seed_and_controls_give_the_same_bytes_in_two_processes() -> None:
    command = [sys.executable, "-c", DIGEST_SCRIPT]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert other == digest_of_play()


def test_earlier_episodes_leave_no_trace(world: CoinRunWorld) -> None:
    world.reset(seed=3)
    first = [frame.image.tobytes() for frame in play(world, random_controls(60))]
    state = world.state().data
    world.reset(seed=99)
    play(world, random_controls(80, seed=5))
    world.reset(seed=3)
    assert [frame.image.tobytes() for frame in play(world, random_controls(60))] == first
    assert world.state().data == state


def test_a_control_acts_between_its_frame_and_the_next(world: CoinRunWorld) -> None:
    first = world.reset(seed=3)
    assert first.index == 0
    assert first.truth["pose"]["vx"] == 0
    moved = world.step(RIGHT)
    assert moved.index == 1
    assert moved.truth["pose"]["vx"] == pytest.approx(0.1)
    world.reset(seed=3)
    still = world.step(IDLE)
    assert still.truth["pose"]["vx"] == 0
    assert not np.array_equal(still.image, moved.image)
    assert "jumped" in world.step(JUMP).truth["events"]


def test_left_wins_over_right_as_in_the_game(world: CoinRunWorld) -> None:
    pictures = []
    for keys in ({"left"}, {"left", "right"}):
        world.reset(seed=3)
        pictures.append([world.step(Control(keys)).image.tobytes() for _ in range(5)])
    assert pictures[0] == pictures[1]


def test_restore_replays_the_same_bytes(world: CoinRunWorld) -> None:
    world.reset(seed=4)
    play(world, random_controls(37))
    saved = world.snapshot()
    first = play(world, random_controls(90, seed=2))
    assert world.restore(saved) is saved.frame
    second = play(world, random_controls(90, seed=2))
    assert [f.image.tobytes() for f in first] == [f.image.tobytes() for f in second]
    assert [f.truth for f in first] == [f.truth for f in second]


def test_a_snapshot_of_an_ended_episode_stays_ended(world: CoinRunWorld) -> None:
    last = play_to_end(world, seed=8, player_seed=0)[-1]
    saved = world.snapshot()
    world.reset(seed=9)
    assert world.restore(saved) is last
    with pytest.raises(WorldError, match=rf"the episode ended at frame {last.index}; call reset\(seed\)"):
        world.step(IDLE)


def test_the_last_picture_is_drawn_as_any_other(world: CoinRunWorld) -> None:
    frame = world.reset(seed=6)
    explorer = CoinRunExplorer()
    explorer.reset(world, frame, 1)
    for _ in range(45):
        before, frame = frame, world.step(explorer.act(frame))
        true, saved = world.state(), world.snapshot()
        picture = world._last_picture(world._open_game(), before)
        assert np.array_equal(picture, frame.image)
        assert world.state().replace(done=true["done"]).data == true.data
        world.restore(saved)


def test_taking_the_coin_ends_the_episode_at_the_coin(world: CoinRunWorld) -> None:
    for player_seed in range(20):
        frames = play_to_end(world, seed=8, player_seed=player_seed)
        if frames[-1].truth["level_complete"]:
            break
    last, before = frames[-1], frames[-2]
    row, column = np.argwhere(world.tiles() == COIN)[0]
    assert last.truth["reward"] == 10
    assert "coin" in last.truth["events"]
    assert abs(last.truth["pose"]["x"] - column - 0.5) < 1
    assert abs(last.truth["pose"]["y"] - row - 0.5) < 1.2
    assert not np.array_equal(last.image, before.image)
    assert not np.array_equal(last.image, frames[0].image)
    assert np.abs(last.image.astype(int) - before.image).mean() < 30
    assert sum(frame.truth["reward"] for frame in frames[:-1]) == 0


def test_lava_under_the_player_ends_the_episode(world: CoinRunWorld) -> None:
    world.reset(seed=3)
    state = world.state()
    tiles = state.tiles.copy()
    tiles[0, :] = LAVA_TOP
    frame = world.edit(state.with_tiles(tiles))
    while not frame.truth["ended"]:
        frame = world.step(IDLE)
    assert frame.truth["events"][-1] == "died"
    assert frame.truth["reward"] == 0
    assert frame.truth["pose"]["y"] < 1.5


def test_the_clock_ends_the_episode_after_a_thousand_steps(world: CoinRunWorld) -> None:
    frame = world.reset(seed=3)
    while not frame.truth["ended"]:
        frame = world.step(IDLE)
    assert frame.index == 1000
    assert frame.truth["events"] == ("timed_out",)
    assert not frame.truth["level_complete"]


def test_a_look_changes_pictures_and_nothing_else() -> None:
    courses, pictures = [], []
    for look in ("original", *LOOKS):
        world = CoinRunWorld(CoinRunConfig(look=look))
        world.reset(seed=14)
        frames = play(world, random_controls(100))
        courses.append([(frame.truth["pose"], frame.truth["events"]) for frame in frames])
        pictures.append(frames[0].image.tobytes())
        world.close()
    assert all(course == courses[0] for course in courses)
    assert len(set(pictures)) == len(pictures)


def test_an_edit_shows_and_the_background_is_checked(world: CoinRunWorld) -> None:
    frame = world.reset(seed=3)
    state = world.state()
    assert not np.array_equal(world.edit(state.replace(background_index=40)).image, frame.image)
    assert np.array_equal(world.edit(state).image, frame.image)
    with pytest.raises(WorldError, match="background_index 62 does not exist; use 0 to 61"):
        world.edit(state.replace(background_index=62))
    world.close()
    with pytest.raises(WorldError, match="closed"):
        world.edit(GameState(state.data))


def test_training_and_held_out_levels_never_meet(world: CoinRunWorld) -> None:
    train, held_out = level_seeds("train", 1_999_000), level_seeds("held_out", 10_000)
    assert not set(train[-5:]) & set(held_out)
    assert train[-1] < held_out[0] == HELD_OUT_START
    opened = {
        split: {world.reset(seed).truth["level_seed"] for seed in (seeds[0], seeds[-1])}
        for split, seeds in (("train", train), ("held_out", held_out))
    }
    assert max(opened["train"]) < HELD_OUT_START <= min(opened["held_out"])
    with pytest.raises(ConfigError, match=r"5 train levels from 1999000 on do not exist; .* 1999000 levels"):
        level_seeds("train", 5, offset=1_999_000)


def test_levels_keep_within_their_range_and_length() -> None:
    world = CoinRunWorld(CoinRunConfig(start_level=500, num_levels=6, min_length=12))
    levels = {world.reset(seed).truth["level_seed"] for seed in range(20)}
    assert levels <= set(range(500, 506))
    for seed in range(6):
        world.reset(seed)
        assert np.argwhere(world.tiles() == COIN)[0, 1] >= 12
    world.close()


def test_no_long_level_in_the_range_is_an_error() -> None:
    world = CoinRunWorld(CoinRunConfig(start_level=2, num_levels=1, min_length=40))
    with pytest.raises(WorldError, match="no level from 2 on has 40 tiles; lower min_length"):
        world.reset(0)
    world.close()


def test_wrong_use_is_refused_with_what_to_do(world: CoinRunWorld) -> None:
    with pytest.raises(WorldError, match=r"game:coinrun has not begun; call reset\(seed\) first"):
        world.step(IDLE)
    with pytest.raises(WorldError, match="has not begun"):
        world.snapshot()
    with pytest.raises(WorldError, match="seed -1 is negative"):
        world.reset(-1)
    with pytest.raises(WorldError, match="cannot start from an image"):
        world.reset(0, start=np.zeros((64, 64, 3), np.uint8))
    world.reset(0)
    with pytest.raises(ControlError, match=r"keys \['down'\] are not offered"):
        world.step(Control({"down"}))
    saved = world.snapshot()
    other = CoinRunWorld(CoinRunConfig(difficulty="easy"))
    with pytest.raises(WorldError, match="was taken in game:coinrun with other settings"):
        other.restore(saved)
    other.close()
    world.close()
    world.close()
    with pytest.raises(WorldError, match="game:coinrun is closed; open it again"):
        world.reset(0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"game": "jumper"}, 'game "jumper" is not coinrun; open it as game:jumper'),
        (
            {"keys": ("left", "fire")},
            r"keys \['left', 'fire'\] are not CoinRun's; choose from \['left', 'right', 'up'",
        ),
        ({"look": "moon"}, r'look "moon" is unknown; choose one of \[.original., .meadow.'),
        ({"min_length": 60}, "min_length 60 leaves too few levels; use 0 to 40 tiles"),
    ],
)
def test_a_wrong_config_is_refused_by_name(changes: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        CoinRunConfig(**changes)
