"""Purity and information of learnt actions against true controls, and keys mapped to them."""

import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.latent_meaning import map_keys, measure_meaning


def test_actions_that_are_the_controls_renamed_are_pure() -> None:
    controls = np.array([0, 1, 2, 0, 1, 2, 2, 2])
    meaning = measure_meaning((controls + 1) % 3, controls, 4)
    assert meaning.purity == 1.0
    assert meaning.most_common == 0.5
    assert meaning.information_bits == pytest.approx(meaning.control_bits)
    assert meaning.best[:3].tolist() == [2, 0, 1]
    assert meaning.counts.sum() == 8


def test_actions_that_mean_nothing_have_the_purity_of_the_commonest_control() -> None:
    controls = np.array([0, 0, 0, 1] * 100)
    actions = np.repeat([0, 1], 200)
    meaning = measure_meaning(actions, controls, 2)
    assert meaning.purity == meaning.most_common == 0.75
    assert meaning.information_bits == pytest.approx(0.0, abs=1e-9)


def test_a_key_takes_the_action_it_favours_and_not_the_commonest() -> None:
    actions = np.array([0] * 8 + [1, 1])
    keys = np.array([[False, True]] * 6 + [[True, False]] * 2 + [[True, False]] * 2)
    assert map_keys(actions, keys, ("jump", "left"), 3) == {"jump": 1, "left": 0}


def test_labels_that_tell_nothing_are_refused() -> None:
    with pytest.raises(
        DataError, match='key "up" is held in 0 of 3 labelled steps; label some steps with it'
    ):
        map_keys(np.zeros(3, int), np.zeros((3, 1), bool), ("up",), 2)
    with pytest.raises(DataError, match="2 learnt actions and 3 controls cannot be compared"):
        measure_meaning(np.zeros(2, int), np.zeros(3, int), 2)
