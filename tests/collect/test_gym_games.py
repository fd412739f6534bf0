from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from paracosm.collect.gym_games import GymConfig, GymWorld
from paracosm.collect.record import RecordConfig, record, rerender
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.world import World
from paracosm.worlds import make_policy, open_world

pytestmark = pytest.mark.games("gym")

SMALL = GymConfig(height=40, width=60)


class Pictures(gymnasium.Env):
    """Gives its own pictures as observations; its action space is chosen by the test."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  as Gymnasium has it

    def __init__(self, actions: gymnasium.Space, channels: int = 3) -> None:
        self.action_space = actions
        self.observation_space = gymnasium.spaces.Box(0, 255, (8, 8, channels), np.uint8)
        self.received: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample() * 0 + 7, {"lives": np.int64(3)}

    def step(self, action: Any) -> Any:
        self.received.append(action)
        return self.observation_space.sample() * 0 + 9, 1.0, len(self.received) > 90, False, {}


class Meanings(Pictures):
    def get_action_meanings(self) -> list[str]:
        return ["NOOP", "FIRE", "UP", "RIGHT", "UPRIGHT", "UPFIRE"]


@pytest.fixture
def make_world(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(env: Pictures, **config: Any) -> tuple[GymWorld, Any]:
        monkeypatch.setattr(gymnasium, "make", lambda *_, **__: env)
        world = GymWorld("Test-v0", GymConfig(image="observation", **config))
        world.reset()
        return world, env

    return make


@pytest.mark.parametrize("name", ["gym:CartPole-v1", "gym:Pendulum-v1"])
def test_an_environment_is_a_world(name: str) -> None:
    world = open_world(name, SMALL)
    assert isinstance(world, World)
    frame = world.reset(3)
    assert frame.image.shape == (world.info.height, world.info.width, 3) == (40, 60, 3)
    assert len(np.unique(frame.image)) > 2
    key = world.info.controls.keys[1]
    moved = [world.step(Control({key})) for _ in range(5)]
    assert not np.array_equal(moved[-1].image, frame.image)
    assert set(world.info.controls.bindings.values()) == set(world.info.controls.keys)


@pytest.mark.parametrize("snapshots", ["replay"])
def test_a_restored_state_goes_on_with_the_same_bytes(snapshots: Any) -> None:
    world = GymWorld("CartPole-v1", GymConfig(height=40, width=60, snapshots=snapshots))
    world.reset(3)
    world.step(Control({"right"}))
    saved = world.snapshot()
    controls = [Control({"left"}), Control(), Control({"right"})]
    first = [world.step(control) for control in controls]
    world.reset(8)
    world.restore(saved)
    second = [world.step(control) for control in controls]
    assert all(
        np.array_equal(a.image, b.image) and a.truth == b.truth for a, b in zip(first, second, strict=True)
    )


def test_a_state_is_copied_on_request(make_world: Any) -> None:
    world, _ = make_world(Pictures(gymnasium.spaces.Discrete(2)), snapshots="copy")
    world.step(Control({"action1"}))
    saved = world.snapshot()
    world.step(Control({"action0"}))
    world.restore(saved)
    world.step(Control({"action1"}))
    assert world._env.received == [1, 1]


def test_environments_are_recorded_and_play_again(tmp_path: Path) -> None:
    config = RecordConfig(
        world="gym:CartPole-v1", out=tmp_path, num_episodes=3, max_steps=20, policy="sticky", workers=1
    )
    dataset = record(config, open_world, make_policy, world_config=SMALL)
    for episode in dataset.episodes:
        rerender(episode, open_world)
        held = episode.control_vectors[:, :-2].sum(axis=1)
        # One action is one key: two at once would teach a key that does nothing.
        assert held.max() <= 1
        actions = episode.truth("truth_action")[1:]
        assert np.array_equal(actions == 1, episode.control_vectors[:, 1] == 1)
    assert dataset.episodes[0].truth("ended")[-1]


def test_discrete_actions_are_keys_by_their_names(make_world: Any) -> None:
    assert open_world("gym:MountainCar-v0", SMALL).info.controls.keys == ("left", "right")
    world, env = make_world(Meanings(gymnasium.spaces.Discrete(6)))
    assert set(world.info.controls.keys) == {"fire", "up", "right"}
    for keys in ((), ("fire",), ("up", "right"), ("up", "fire")):
        world.step(Control(keys))
    assert env.received == [0, 1, 4, 5]
    world, env = make_world(Pictures(gymnasium.spaces.Discrete(3)), action_names=("walk", "idle", "wait"))
    world.step(Control())
    world.step(Control({"walk", "wait"}))
    assert env.received == [1, 0]
    assert world.info.details == {"keys_at_once": 1}


def test_buttons_and_axes_are_keys(make_world: Any) -> None:
    world, env = make_world(Pictures(gymnasium.spaces.MultiBinary(3)))
    world.step(Control({"button0", "button2"}))
    assert env.received[0].tolist() == [1, 0, 1]
    low, high = np.array([-2, 0], np.float32), np.array([2, 5], np.float32)
    world, env = make_world(Pictures(gymnasium.spaces.Box(low, high)))
    world.step(Control({"axis0_minus", "axis1_plus"}))
    world.step(Control({"axis0_minus", "axis0_plus"}))
    assert [action.tolist() for action in env.received] == [[-2, 5], [0, 0]]


def test_steps_are_skipped_and_rewards_add_up(make_world: Any) -> None:
    world, env = make_world(Pictures(gymnasium.spaces.Discrete(2), channels=1), frame_skip=4)
    frame = world.step(Control())
    assert frame.truth["reward"] == 4
    assert len(env.received) == 4
    assert frame.image.shape == (8, 8, 3)
    assert world.reset().truth["lives"] == 3


def test_the_end_is_told_and_kept(make_world: Any) -> None:
    world, _ = make_world(Pictures(gymnasium.spaces.Discrete(2)), frame_skip=50)
    world.step(Control())
    assert world.step(Control()).truth["events"] == ("terminated",)
    with pytest.raises(WorldError, match=r"has ended; call reset\(\) to begin again"):
        world.step(Control())
    world.reset()
    with pytest.raises(ControlError, match=r"are not offered"):
        world.step(Control({"fly"}))
    world.close()
    with pytest.raises(WorldError, match=r"is closed; open it again"):
        world.reset()


def test_what_cannot_be_a_world_is_refused(make_world: Any) -> None:
    with pytest.raises(
        WorldError, match=r"gym:Nope-v1 cannot be made .*; check its id with gymnasium.pprint_registry"
    ):
        open_world("gym:Nope-v1")
    with pytest.raises(
        WorldError, match=r'gym:CartPole-v1 gives no picture as its observation .*; set image to "render"'
    ):
        open_world("gym:CartPole-v1", GymConfig(image="observation"))
    with pytest.raises(WorldError, match=r"which cannot be keys; wrap it so that its actions are Discrete"):
        make_world(Pictures(gymnasium.spaces.Box(-np.inf, np.inf, (2,))))
    with pytest.raises(
        ConfigError, match=r"action_names has 1 names, gym:Test-v0 has 2 actions; name each of them"
    ):
        make_world(Pictures(gymnasium.spaces.Discrete(2)), action_names=("up",))
    with pytest.raises(ConfigError, match=r"height 3 and width 0: give both, or 0 for both"):
        GymConfig(height=3)


class Goals(Pictures):
    """Says where it is beside what it looks like, as environments with goals do."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        _, info = super().reset(seed=seed)
        return {"reached": np.array([0.5, -0.5]), "view": np.zeros((9, 9))}, info

    def step(self, action: Any) -> Any:
        _, *rest = super().step(action)
        return {"reached": np.array([0.25, 0.0]), "view": np.ones((9, 9))}, *rest

    def render(self) -> Any:
        return np.zeros((8, 8, 3), np.uint8)


def test_the_parts_of_an_observation_are_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium, "make", lambda *_, **__: Goals(gymnasium.spaces.Discrete(2)))
    world = GymWorld("Goals-v0")
    assert world.reset().truth["observation.reached"] == (0.5, -0.5)
    truth = world.step(Control()).truth
    assert truth["observation.reached"] == (0.25, 0.0)
    assert "observation.view" not in truth  # a picture, not a fact
