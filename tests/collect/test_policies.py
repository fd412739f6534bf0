import numpy as np
import pytest

from paracosm.collect.games.counting import CountingWorld
from paracosm.collect.policies import (
    IdlePolicy,
    MixedConfig,
    MixedPolicy,
    ScriptPolicy,
    StickyConfig,
    StickyRandom,
)
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.world import Policy
from paracosm.worlds import make_policy, open_world, world_config


def play(policy: Policy, num_steps: int, seed: int = 0) -> list[Control]:
    world = CountingWorld()
    frame = world.reset()
    policy.reset(world, frame, seed)
    controls = []
    for _ in range(num_steps):
        controls.append(policy.act(frame))
        frame = world.step(controls[-1])
    return controls


def test_same_seed_same_controls() -> None:
    assert play(StickyRandom(), 200, 1) == play(StickyRandom(), 200, 1)
    assert play(StickyRandom(), 200, 1) != play(StickyRandom(), 200, 2)


def test_keys_are_held_for_as_long_as_asked() -> None:
    held = np.array(
        ["attack" in control.keys for control in play(StickyRandom(StickyConfig(hold_steps=12)), 8000)]
    )
    changes = np.diff(held.astype(int))
    holds = held.sum() / max(1, (changes == 1).sum())
    assert 10 < holds < 14


def test_a_weight_is_the_share_of_time_that_a_key_is_down() -> None:
    config = StickyConfig(weights={"attack": 0.1, "jump": 0.8})
    controls = play(StickyRandom(config), 12000)
    for key, share in config.weights.items():
        assert np.mean([key in control.keys for control in controls]) == pytest.approx(share, abs=0.05)


def test_opposite_keys_are_never_down_together() -> None:
    for control in play(StickyRandom(), 3000):
        assert not {"forward", "back"} <= control.keys
        assert not {"left", "right"} <= control.keys


def test_turns_are_smooth_and_reach_both_sides() -> None:
    yaw = np.array([control.look[0] for control in play(StickyRandom(), 5000)])
    assert np.abs(np.diff(yaw)).max() <= 0.35 * 60 + 0.01
    assert yaw.min() < -20
    assert yaw.max() > 20
    assert 0.2 < (yaw == 0).mean() < 0.6


def test_a_script_is_played_then_nothing() -> None:
    script = [Control({"jump"}), Control(look=(3, 0))]
    assert play(ScriptPolicy(script), 4) == [*script, Control(), Control()]
    with pytest.raises(ControlError, match=r"keys .'fly'. are not offered"):
        play(ScriptPolicy([Control({"fly"})]), 1)


def test_a_mixture_plays_segments_of_both_in_the_share_asked() -> None:
    jump = ScriptPolicy([Control({"jump"})] * 5000)
    shares = np.array([bool(control.keys) for control in play(MixedPolicy(jump, IdlePolicy()), 5000)])
    assert 0.55 < shares.mean() < 0.85
    assert 40 < (np.diff(shares.astype(int)) != 0).sum() < 160


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"are mean numbers of steps; use 1 or more"):
        StickyConfig(hold_steps=0)
    with pytest.raises(ConfigError, match=r"are shares of time; use numbers between 0 and 1"):
        StickyConfig(weights={"jump": 1})
    with pytest.raises(ConfigError, match=r"make no mixture; use >= 1 and 0 to 1"):
        MixedConfig(first_share=2)


def test_players_are_made_by_name() -> None:
    assert isinstance(make_policy("game:counting", "idle"), IdlePolicy)
    assert isinstance(make_policy("gym:CartPole-v1", "sticky"), StickyRandom)
    with pytest.raises(
        ControlError,
        match=r'no policy "genius" for this world; choose one of explorer, mixed, sticky, random, idle',
    ):
        make_policy("game:doom", "genius")


def test_worlds_are_opened_by_name() -> None:
    assert open_world("game:counting").info.name == "game:counting"
    assert open_world("game:counting", {"width": 80}).info.width == 80
    assert world_config("game:counting", {"length": 3}).length == 3
    for name in ("doom", "game:", "castle:doom"):
        with pytest.raises(
            WorldError, match=f'"{name}" names no world; use model:NAME, game:NAME, gym:ID or replay:'
        ):
            open_world(name)
    with pytest.raises(WorldError, match=r"did you mean game:doom?"):
        open_world("doom")
    with pytest.raises(WorldError, match=r'there is no game "chess"; choose one of game:doom'):
        open_world("game:chess")
    with pytest.raises(ConfigError, match=r"widthh: CountingConfig has no such key; did you mean width?"):
        open_world("game:counting", {"widthh": 80})
    with pytest.raises(
        ConfigError, match=r"StickyConfig is not the config of this world; pass a CountingConfig"
    ):
        open_world("game:counting", StickyConfig())
    with pytest.raises(ConfigError, match=r"replay worlds take no config; leave it out"):
        open_world("replay:here#0", {"width": 3})
    with pytest.raises(
        WorldError, match=r'"replay:here#last" does not end in an episode number; use replay:PATH#3'
    ):
        open_world("replay:here#last")
