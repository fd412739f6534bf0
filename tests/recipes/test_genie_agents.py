"""Agents cloned from video: labels become real actions, every level is played once, figures by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from benchmarks import genie_agents
from benchmarks.genie_agents import TINY, find_actions, run, solved_figures
from benchmarks.genie_clone import (
    SEES,
    Clone,
    CloneConfig,
    ClonedAgent,
    CloneStage,
    CloneStageConfig,
    Translator,
    see,
    train_clone,
)
from benchmarks.genie_levels import Played, RandomAgent, play_levels, row_of
from benchmarks.genie_measures import Table
from benchmarks.genie_videos import (
    HELD_OUT_SEED,
    LEVELS_APART,
    GamesConfig,
    OtherGames,
    held_out_levels,
    real_actions,
    thin,
)
from paracosm.collect.games.counting import CountingWorld
from paracosm.collect.policies import StickyRandom
from paracosm.collect.record import RecordConfig, record
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, Snapshot, WorldInfo
from paracosm.models.latent_actions import LatentActions
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from tests.tiny import ungraded

SIDE = 8
STEPS = {0: Control(), 1: Control({"right"})}


class Corridor:
    """Ends with the coin after `level` steps to the right."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="game:corridor",
            fps=15.0,
            height=SIDE,
            width=SIDE,
            controls=ControlSpace(keys=("right",), bindings={}),
        )
        self.levels: list[int] = []

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        self.levels.append(seed)
        self._left = seed
        return self._draw(0)

    def step(self, control: Control) -> Frame:
        self._left -= "right" in control.keys
        return self._draw(self._index + 1)

    def snapshot(self) -> Snapshot:
        raise NotImplementedError

    def restore(self, snapshot: Snapshot) -> Frame:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _draw(self, index: int) -> Frame:
        self._index = index
        done = self._left <= 0
        image = np.full((SIDE, SIDE, 3), min(255, 20 * self._left), np.uint8)
        return Frame(image=image, index=index, truth={"ended": done, "level_complete": done})


class Runner:
    """Always runs right."""

    def act(self, seen: np.ndarray, draws: Sequence[np.random.Generator]) -> list[int]:
        assert seen.shape[1:] == (SEES, SIDE, SIDE, 3)
        return [1] * len(seen)


def config(run_folder: Path, steps: int = 40) -> CloneStageConfig:
    return CloneStageConfig(
        run=run_folder,
        labels="oracle",
        model=CloneConfig(side=SIDE, num_labels=2, channels=(4, 4, 4), hidden=8),
        loop=LoopConfig(
            num_steps=steps,
            optim=OptimConfig(learning_rate=1e-2, warmup_steps=2, ema_decay=0.9),
            preview_every=0,
        ),
        batch_size=16,
    )


def told_videos() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Videos whose bright frames are labelled 1 and whose dark ones are labelled 0."""
    labels = [stream(i, "labels").integers(0, 2, 9) for i in range(3)]
    frames = [
        np.stack([np.full((SIDE, SIDE, 3), 220 * int(one), np.uint8) for one in [*told, 0]])
        for told in labels
    ]
    return frames, labels


def test_a_clone_learns_what_it_is_told_and_is_trained_once(tmp_path: Path) -> None:
    frames, labels = told_videos()
    clone = train_clone(config(tmp_path), frames, labels)
    agent = ClonedAgent(clone=clone, translator=None)
    seen = np.stack([see(frames[0], t) for t in range(9)])
    draws = [stream(t, "acts") for t in range(9)]
    assert agent.act(seen, draws) == labels[0].tolist()
    again = train_clone(config(tmp_path), [], [])
    assert all(torch.equal(a, b) for a, b in zip(clone.parameters(), again.parameters(), strict=True))


def test_every_weight_of_a_clone_learns_and_odd_sizes_are_refused(tmp_path: Path) -> None:
    frames, labels = told_videos()
    stage = CloneStage(config(tmp_path), frames, labels)
    loss, _ = stage.loss(0, 0, torch.Generator())
    loss.backward()
    assert not ungraded(stage.networks["clone"])
    clone = Clone(CloneConfig(side=SIDE, num_labels=3, channels=(4, 4, 4), hidden=8))
    assert clone(torch.zeros(2, SEES, 3, SIDE, SIDE)).shape == (2, 3)
    with pytest.raises(ConfigError, match="frames of 12 pixels a side do not divide by 8"):
        CloneConfig(side=12, num_labels=2, channels=(4, 4, 4), hidden=8)
    with pytest.raises(DataError, match="do not go together; give one label for each step"):
        CloneStage(config(tmp_path), frames, [one[:-1] for one in labels])


def test_the_first_frame_stands_for_those_before_it() -> None:
    frames = np.arange(6)
    assert see(frames, 0).tolist() == [0, 0, 0, 0]
    assert see(frames, 5).tolist() == [2, 3, 4, 5]


def test_a_label_stands_for_the_actions_it_went_with_and_an_unknown_one_for_any() -> None:
    translator = Translator(np.array([0, 0, 1, 1, 1, 1]), np.array([5, 5, 2, 2, 2, 3]))
    draws = stream(0, "translate")
    assert {translator.translate(0, draws) for _ in range(20)} == {5}
    found = [translator.translate(1, draws) for _ in range(400)]
    assert set(found) == {2, 3}
    assert 0.65 < np.mean(np.array(found) == 2) < 0.85
    assert {translator.translate(7, draws) for _ in range(200)} == {2, 3, 5}
    with pytest.raises(DataError, match="0 labels and 0 real actions make no dictionary"):
        Translator(np.zeros(0, int), np.zeros(0, int))


def test_every_level_is_played_once_and_counted_where_it_belongs() -> None:
    worlds = [Corridor(), Corridor()]
    levels = [3, 9, 1, 4, 2]
    played = play_levels(Runner(), worlds, levels, STEPS, max_steps=5, seed=0)
    assert [one.solved for one in played] == [True, False, True, True, True]
    assert [one.steps for one in played] == [3, 5, 1, 4, 2]
    assert sorted(worlds[0].levels + worlds[1].levels) == sorted(levels)
    row = row_of(played)
    assert row == {"levels": 5.0, "solved_share": 0.8, "mean_steps": 3.0}


def test_what_becomes_of_a_level_does_not_depend_on_those_beside_it() -> None:
    agent = RandomAgent(num_actions=2)
    levels = [2, 5, 3, 4]
    alone = play_levels(agent, [Corridor()], levels, STEPS, max_steps=20, seed=3)
    beside = play_levels(agent, [Corridor() for _ in range(3)], levels, STEPS, max_steps=20, seed=3)
    assert alone == beside
    assert alone != [Played(solved=True, steps=level) for level in levels]


def test_held_out_levels_of_seeds_never_meet_and_are_no_training_levels() -> None:
    one, two = held_out_levels(0, 100), held_out_levels(1, 100)
    assert one[0] == HELD_OUT_SEED
    assert not set(one) & set(two)
    with pytest.raises(ConfigError, match="run into the next; use at most"):
        held_out_levels(0, LEVELS_APART + 1)


def test_real_actions_are_numbered_as_they_are_played() -> None:
    held = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]])
    assert real_actions(held).tolist() == [0, 1, 2, 3, 4, 5, 1]


def test_shares_of_the_oracle_are_those_counted_by_hand(tmp_path: Path) -> None:
    table = Table(tmp_path, "agents")
    solved = {"oracle": (0.8, 0.6), "unseen": (0.6, 0.5), "seen": (0.8, 0.6), "random": (0.1, 0.1)}
    solved["expert"] = (1.0, 1.0)
    for name, values in solved.items():
        for seed, value in enumerate(values):
            for difficulty in ("easy", "hard"):
                share = value if difficulty == "easy" or name != "oracle" else 0.0
                table.add(f"{name} {difficulty} {seed}", lambda share=share: {"solved_share": share})
    figures = solved_figures(table, range(2))
    unseen = figures["agents.solved.easy.unseen"]
    assert unseen.value == pytest.approx(0.55)
    assert unseen.n == 2
    assert unseen.anchors == {"true_game": pytest.approx(0.7), "no_control": pytest.approx(0.1)}
    share = figures["agents.share_of_oracle.easy.unseen"]
    assert share.value == pytest.approx(0.55 / 0.7)
    assert share.ci95 == (pytest.approx(0.75), pytest.approx(0.5 / 0.6))
    none = figures["agents.share_of_oracle.hard.unseen"]
    assert (none.status, none.reason) == ("undefined", "the oracle solved no level")


def test_coinrun_is_not_among_the_other_games() -> None:
    with pytest.raises(ConfigError, match=r"games \['coinrun'\] must be other games than coinrun"):
        GamesConfig(games=("coinrun",))


class Brightness:
    """Names the change of brightness from frame to frame, as a latent action model would an action."""

    def infer(self, pixels: torch.Tensor) -> torch.Tensor:
        bright = ((pixels.mean((2, 3, 4)) + 1) * 127.5).round().long()
        return bright[:, 1:] - bright[:, :-1]


def test_each_step_is_named_by_its_frame_and_the_one_so_many_steps_after() -> None:
    bright = np.array([0, 1, 3, 7, 15, 31, 63], np.uint8)
    frames = np.broadcast_to(bright[:, None, None, None], (7, 2, 2, 3)).copy()
    model = cast("LatentActions", Brightness())
    assert find_actions(model, frames, 1).tolist() == [1, 2, 4, 8, 16, 32]
    assert find_actions(model, frames, 3).tolist() == [7, 14, 28, 56, 48, 32]
    assert find_actions(model, frames[:2], 3).tolist() == [1]


def test_thinned_videos_hold_every_frame_once_and_no_control(tmp_path: Path) -> None:
    config = RecordConfig(
        world="game:counting", out=tmp_path / "whole", num_episodes=1, max_steps=10, workers=1
    )
    whole = record(config, lambda name, config=None: CountingWorld(), lambda world, policy: StickyRandom())
    thinned = thin(whole, tmp_path / "thinned", 3)
    assert [episode.num_frames for episode in thinned.episodes] == [4, 4, 3]
    frames = whole.episodes[0].frames
    for first, episode in enumerate(thinned.episodes):
        assert np.array_equal(episode.frames, frames[first::3])
        assert not episode.has_controls
    assert thinned.info.fps == whole.info.fps / 3
    assert len(thin(whole, tmp_path / "thinned", 3)) == 3


@pytest.mark.games("coinrun")
def test_other_games_take_turns_and_come_back_to_a_snapshot() -> None:
    world = OtherGames(GamesConfig(games=("climber", "ninja")))
    first = world.reset(seed=0)
    state = world.snapshot()
    moved = world.step(Control({"right"}))
    other = world.reset(seed=1)
    assert not np.array_equal(first.image, other.image)
    assert np.array_equal(world.restore(state).image, first.image)
    assert np.array_equal(world.step(Control({"right"})).image, moved.image)
    world.close()


@pytest.mark.slow
@pytest.mark.games("coinrun")
def test_a_run_that_goes_on_makes_nothing_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = TINY
    figures = run(tmp_path, sizes, range(1))
    assert {f"agents.solved.{one}.{who}" for one in ("easy", "hard") for who in genie_agents.CLONES} <= set(
        figures
    )
    monkeypatch.setattr(genie_agents, "clone_agent", None)
    monkeypatch.setattr(genie_agents, "play", None)
    monkeypatch.setattr(genie_agents, "find_actions", None)
    assert run(tmp_path, sizes, range(1)) == figures
