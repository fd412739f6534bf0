"""Effects of keys by asking a game, purity beside a reader, entropies, margins: against counts by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.genie_effects import NOT_ASKED, ask_step, key_sets, label_effects, name_keys
from benchmarks.genie_map import CELL, draw_map
from benchmarks.genie_meaning import Steps, find_run, purity_figures
from benchmarks.genie_measures import HORIZON, START, HeldOut, Networks, action_margins
from paracosm.collect.games.counting import CountingConfig, CountingWorld
from paracosm.collect.policies import StickyRandom
from paracosm.collect.record import RecordConfig, record
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import DataError
from paracosm.core.world import Frame, Snapshot, World, WorldInfo
from paracosm.data.reader import Dataset
from paracosm.models.mask_schedule import SamplerConfig
from tests import tiny_genie

LEFT, RIGHT, UP = 1, 2, 4


class Slider:
    """A bright column that left and right move; left wins over right, up shows only on even steps."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="game:slider",
            fps=15.0,
            height=16,
            width=16,
            controls=ControlSpace(keys=("left", "right", "up"), bindings={}),
        )
        self._place, self._frame = 8, Frame(image=np.zeros((16, 16, 3), np.uint8), index=0, truth={})

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        self._place = 8
        self._frame = self._draw(0, False)
        return self._frame

    def step(self, control: Control) -> Frame:
        move = -1 if "left" in control.keys else int("right" in control.keys)
        self._place = min(15, max(0, self._place + move))
        index = self._frame.index
        self._frame = self._draw(index + 1, "up" in control.keys and index % 2 == 0)
        return self._frame

    def snapshot(self) -> Snapshot:
        return Snapshot(world=self.info.name, frame=self._frame, payload=self._place)

    def restore(self, snapshot: Snapshot) -> Frame:
        self._place, self._frame = snapshot.payload, snapshot.frame
        return self._frame

    def close(self) -> None:
        pass

    def _draw(self, index: int, up: bool) -> Frame:
        image = np.zeros((16, 16, 3), np.uint8)
        image[:, self._place] = 255
        image[0] = 200 if up else image[0]
        return Frame(image=image, index=index, truth={"ended": False, "events": (), "reward": 0.0})


def ask(world: World, held: int) -> int:
    keys = world.info.controls.keys
    sets = sorted(range(8), key=lambda one: (one.bit_count(), one))
    state = world.snapshot()
    shown = world.step(Control({key for i, key in enumerate(keys) if held >> i & 1})).image
    world.restore(state)
    like, exact = ask_step(world, held, shown, sets)
    assert like == exact
    assert np.array_equal(world.snapshot().frame.image, state.frame.image), "the world stands where it stood"
    return like


def test_keys_that_show_the_same_are_one_effect_in_the_state_they_are_held_in() -> None:
    world = Slider()
    world.reset()
    assert [ask(world, held) for held in (0, LEFT, RIGHT, UP, RIGHT | UP)] == [0, LEFT, RIGHT, UP, RIGHT | UP]
    assert ask(world, LEFT | RIGHT) == LEFT, "left wins over right"
    assert ask(world, LEFT | RIGHT | UP) == LEFT | UP
    world.step(Control({"left"}))
    assert ask(world, UP) == 0, "on odd steps up shows nothing"
    assert ask(world, RIGHT | UP) == RIGHT
    for _ in range(10):
        world.step(Control({"left"}))
    assert ask(world, LEFT) == 0, "against the wall left shows nothing"


def test_a_change_of_few_pixels_is_no_visible_effect_but_another_picture() -> None:
    world = Slider()
    world.reset()
    idle = world.snapshot()
    shown = world.step(Control()).image
    world.restore(idle)
    shown[3, 3] = 255  # one pixel of 256 is less than 1 %
    assert ask_step(world, LEFT, shown, (0, LEFT)) == (0, LEFT)
    shown[4:7, 3] = 255
    assert ask_step(world, LEFT, shown, (0, LEFT)) == (LEFT, LEFT)
    with pytest.raises(DataError, match=r"keys 4 are not among \[0, 1\]"):
        ask_step(world, UP, shown, (0, LEFT))


def open_slider(name: str, config: Any = None) -> World:
    return Slider()


def make_player(world: str, policy: str) -> StickyRandom:
    return StickyRandom()


def record_slider(folder: Path) -> Dataset:
    config = RecordConfig(
        world="game:slider", out=folder, num_episodes=2, max_steps=30, split="held_out", workers=1
    )
    return record(config, open_slider, make_player)


def test_effects_are_asked_once_and_kept_beside_the_recording(tmp_path: Path) -> None:
    dataset = record_slider(tmp_path / "data")
    found = label_effects(dataset, 2, 20, open_slider)
    assert all((one.effect[:20] != NOT_ASKED).all() and (one.effect[20:] == NOT_ASKED).all() for one in found)
    odd = np.arange(1, 20, 2)
    assert all(not (one.effect[odd] & UP).any() for one in found)
    assert any((one.held[odd] & UP).any() for one in found)

    def refuse(name: str, config: Any = None) -> World:
        raise AssertionError("the game was asked again")

    again = label_effects(dataset, 2, 10, refuse)
    assert np.array_equal(again[0].effect[:10], found[0].effect[:10])
    assert (again[0].effect[10:] == NOT_ASKED).all()


def test_a_game_that_draws_other_frames_or_turns_is_refused(tmp_path: Path) -> None:
    dataset = record_slider(tmp_path / "data")

    class Shifted(Slider):
        def _draw(self, index: int, up: bool) -> Frame:
            frame = super()._draw(index, up)
            return replace(frame, image=frame.image[:, ::-1].copy())

    with pytest.raises(DataError, match=r"does not draw frame 0 of .* again; ask the version of the game"):
        label_effects(dataset, 1, 5, lambda name, config=None: Shifted())
    config = RecordConfig(
        world="game:counting", out=tmp_path / "turning", num_episodes=1, max_steps=4, workers=1
    )
    turning = record(config, lambda name, config=None: CountingWorld(config or CountingConfig()), make_player)
    with pytest.raises(DataError, match="cannot be asked; use one that is steered by keys alone"):
        label_effects(turning, 1, 5, open_slider)


def test_sets_of_keys_are_those_held_with_the_fewest_first(tmp_path: Path) -> None:
    dataset = record_slider(tmp_path / "data")
    sets = key_sets(dataset.episodes)
    assert sets[0] == 0
    assert list(sets) == sorted(sets, key=lambda one: (one.bit_count(), one))
    assert name_keys(LEFT | UP, dataset.info.controls) == "left+up"
    assert name_keys(0, dataset.info.controls) == "none"


def test_purity_leaves_steps_without_effect_out_and_stands_beside_the_reader(tmp_path: Path) -> None:
    dataset = record_slider(tmp_path / "data")
    # Visible: left left left right right up; actions 0 0 1 1 1 1: purity (2 + 2) / 6. The reader errs once.
    effect = np.array([LEFT, LEFT, LEFT, RIGHT, RIGHT, UP, 0, 0])
    steps = Steps(
        episode=np.array([0, 0, 0, 0, 1, 1, 1, 1]),
        action=np.array([0, 0, 1, 1, 1, 1, 0, 1]),
        read=np.array([LEFT, LEFT, LEFT, RIGHT, RIGHT, LEFT, 0, 0]),
        effect=effect,
        exact=np.where(effect == 0, RIGHT, effect),
    )
    figures, meaning, names = purity_figures(steps, dataset, 3)
    value = {name: figure.value for name, figure in figures.items()}
    assert names == ["left", "right", "up"]
    assert value["learnt_actions.purity"] == pytest.approx(4 / 6)
    assert value["learnt_actions.reader_purity"] == pytest.approx(5 / 6)
    assert value["learnt_actions.purity_share_of_reader"] == pytest.approx(4 / 5)
    assert figures["learnt_actions.purity"].anchors == {"no_control": 0.5}
    assert figures["learnt_actions.purity"].n == 6
    assert value["learnt_actions.visible_share"] == pytest.approx(6 / 8)
    assert value["learnt_actions.purity_any_change"] == pytest.approx(5 / 8)
    assert value["learnt_actions.entropy_bits.effects_of.action_1"] == 0.0
    # Action 2: left, right, right, up: 1.5 bits. Left: actions 1 1 2.
    assert value["learnt_actions.entropy_bits.effects_of.action_2"] == pytest.approx(1.5)
    expected = -(2 / 3 * np.log2(2 / 3) + 1 / 3 * np.log2(1 / 3))
    assert value["learnt_actions.entropy_bits.actions_of.left"] == pytest.approx(expected)
    assert value["learnt_actions.share.action_2.right"] == pytest.approx(0.5)
    unused = figures["learnt_actions.entropy_bits.effects_of.action_3"]
    assert unused.status == "undefined"
    assert "action 3 occurs in no step" in unused.reason
    picture = draw_map(meaning, names)
    assert picture.shape == (5 * CELL[1], 5 * CELL[0], 3)
    cells = [picture[(i + 1) * CELL[1] + 2, (j + 1) * CELL[0] + 2] for i, j in ((0, 0), (0, 1))]
    assert cells[0].sum() < cells[1].sum() == 3 * 255


def test_a_world_without_its_latent_action_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a world alone keeps only its codebook; give the run folder"):
        find_run(tmp_path / "world")
    tiny_genie.latent_actions().save(tmp_path / "latent_actions" / "latent_actions")
    assert find_run(tmp_path) == find_run(tmp_path / "world") == tmp_path


def test_margins_of_a_world_that_is_blind_to_its_actions_are_zero() -> None:
    networks = Networks(
        tokenizer=tiny_genie.tokenizer(), dynamics=tiny_genie.dynamics(), actions=tiny_genie.latent_actions()
    )
    shape = (3, START + HORIZON, 3, tiny_genie.HEIGHT, tiny_genie.WIDTH)
    held_out = HeldOut(
        pixels=tiny_genie.draw(4, *shape).clamp(-1, 1), controls=torch.zeros(3, START + HORIZON - 1, 3)
    )
    sampler = SamplerConfig(num_passes=2)
    margins = action_margins(networks, held_out, sampler)
    assert {step: len(found) for step, found in margins.items()} == {1: 3, HORIZON: 3}
    assert any((found != 0).any() for found in margins.values()), "these actions matter"
    networks.dynamics.set_actions(torch.zeros(tiny_genie.ACTIONS, tiny_genie.ACTION_WIDTH))
    blind = action_margins(networks, held_out, sampler)
    assert all((found == 0).all() for found in blind.values())
