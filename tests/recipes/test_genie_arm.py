"""The arm's benchmark: a reader that finds the hand, and what counts as the same way."""

import numpy as np
import pytest

from benchmarks import genie_arm
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


def test_pictures_that_cannot_be_halved_to_the_readers_size_are_refused() -> None:
    reader = genie_arm.HandReader(weights=np.zeros((32 * 32 * 3 + 1, 3)))
    assert reader.read(np.zeros((2, 64, 64, 3), np.uint8)).shape == (2, 3)
    with pytest.raises(ConfigError, match="pictures of 40 x 64; give multiples of 32"):
        reader.read(np.zeros((2, 40, 64, 3), np.uint8))
