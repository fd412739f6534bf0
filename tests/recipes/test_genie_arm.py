"""The arm's benchmark: a reader that finds the hand, and what counts as the same way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import genie_arm
from benchmarks.arm_reader import HandStageConfig, train_reader
from paracosm.core.errors import ConfigError


def test_displacements_that_agree_count_and_those_of_a_blind_world_do_not() -> None:
    draws = np.random.default_rng(0)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    moves = axes[None] + 0.05 * draws.normal(size=(40, 6, 3))
    assert genie_arm.same_way(moves).mean() == 1.0
    blind = genie_arm.same_way(draws.normal(size=(400, 6, 3)))
    assert blind.mean() == pytest.approx(0.5, abs=0.05)
    assert genie_arm.same_way(np.zeros((5, 2, 3))).mean() == 0.5  # nothing moves: neither way
    figures = genie_arm.way_figures(moves, moves)
    share = figures["arm.same_way"]
    assert share.value == 1.0
    assert share.anchors["true_game"] == 1.0
    assert share.anchors["no_control"] == pytest.approx(0.5, abs=0.15)
    assert figures["arm.same_way.action_4"].anchors["mean_cm"] == pytest.approx(100, rel=0.05)


def test_actions_are_shuffled_within_a_start() -> None:
    moves = np.arange(60.0).reshape(4, 5, 3)
    shuffled = genie_arm.shuffle_actions(moves)
    assert not np.array_equal(shuffled, moves)
    assert np.array_equal(np.sort(shuffled, 1), moves)


def test_the_reader_learns_where_a_dot_is_and_goes_on_when_it_is_stopped(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    places = draws.uniform(0.2, 0.8, (300, 3))
    pictures = np.zeros((300, 32, 32, 3), np.uint8)
    for picture, (x, y, shade) in zip(pictures, places, strict=True):
        picture[int(32 * y) - 2 : int(32 * y) + 2, int(32 * x) - 2 : int(32 * x) + 2] = int(255 * shade)
    config = HandStageConfig(run=tmp_path)
    optim = replace(config.loop.optim, learning_rate=3e-3, decay_steps=100)
    config = replace(config, loop=replace(config.loop, num_steps=250, optim=optim))
    reader = train_reader(config, pictures[:250], places[:250])
    read = reader.read(pictures[250:])
    assert read.shape == (50, 3)
    assert np.abs(read - places[250:])[:, :2].mean() < 0.4 * np.abs(places[250:] - 0.5)[:, :2].mean()
    again = train_reader(config, pictures[:250], places[:250])  # a finished reader is only loaded
    assert np.array_equal(again.read(pictures[250:]), read)


def test_without_recordings_the_reader_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"walk the recipe genie\.robotics_tiny first"):
        genie_arm.learn_reader(tmp_path, ())
