"""Law 5, same seed and controls, same bytes: in two processes, after restoring, and in a fork."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.rng import stream
from paracosm.core.world import World
from paracosm.play.engine import EngineConfig, NeuralWorld
from tests import tiny

STEPS = 12
PLAY = """
import hashlib, sys
from pathlib import Path
from paracosm.core.controls import Control
from paracosm.play.engine import EngineConfig, NeuralWorld
world = NeuralWorld(Path(sys.argv[1]), EngineConfig(num_threads=1))
digest = hashlib.sha256(world.reset(seed=5).image.tobytes())
for i in range(12):
    keys = {"left"} if i % 3 else {"right", "jump"}
    digest.update(world.step(Control(keys=keys, look=(i / 4, 0.0))).image.tobytes())
print(digest.hexdigest())
"""


def controls(seed: int, count: int = STEPS) -> list[Control]:
    draws = stream(seed, "law")
    keys = tiny.CONTROLS.keys
    return [
        Control({key for key in keys if draws.random() < 0.4}, draws.uniform(-3, 3, 2).tolist())
        for _ in range(count)
    ]


def play(world: World, given: list[Control]) -> bytes:
    digest = hashlib.sha256()
    for control in given:
        digest.update(world.step(control).image.tobytes())
    return digest.digest()


def open_tiny(folder: Path | None = None) -> NeuralWorld:
    return NeuralWorld(folder or tiny.shared_tiny_world(), EngineConfig(num_threads=1), "model:tiny")


def test_two_processes_make_the_same_bytes() -> None:
    command = [sys.executable, "-c", PLAY, str(tiny.shared_tiny_world())]
    made = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0].strip()) == 64


def test_the_number_of_threads_changes_no_byte() -> None:
    made = []
    for num_threads in (1, 2):
        world = NeuralWorld(tiny.shared_tiny_world(), EngineConfig(num_threads=num_threads))
        world.reset(seed=6)
        made.append(play(world, controls(0)))
    assert made[0] == made[1]


def test_another_seed_makes_other_bytes() -> None:
    world = open_tiny()
    world.reset(seed=1)
    first = play(world, controls(0))
    world.reset(seed=2)
    assert play(world, controls(0)) != first


def test_restoring_replays_the_same_bytes_also_far_past_the_window() -> None:
    world = open_tiny()
    world.reset(seed=3)
    play(world, controls(1))
    state = world.snapshot()
    first = play(world, controls(2))
    play(world, controls(3))
    assert np.array_equal(world.restore(state).image, state.frame.image)
    assert play(world, controls(2)) == first


def test_a_fork_goes_the_same_way_and_leaves_its_origin_alone() -> None:
    world, fork = open_tiny(), open_tiny()
    world.reset(seed=4)
    play(world, controls(1, 3))  # the cache is not yet full
    state = world.snapshot()
    fork.reset(seed=9)
    fork.restore(state)
    play(fork, controls(5))
    fork.restore(state)
    assert play(fork, controls(2)) == play(world, controls(2))


def test_streaming_state_of_the_decoder_is_part_of_a_snapshot() -> None:
    world = open_tiny(tiny.shared_tiny_world(time_kernel=3))
    world.reset(seed=4)
    play(world, controls(1, 3))
    state = world.snapshot()
    first = play(world, controls(2))
    world.restore(state)
    assert play(world, controls(2)) == first
