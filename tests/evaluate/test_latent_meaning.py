"""Purity and information of learnt actions against true controls, and keys mapped to them."""

import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.evaluate.latent_meaning import compare_purity, map_chords, map_keys, measure_meaning


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


def test_a_chord_takes_the_action_of_the_steps_that_hold_exactly_it() -> None:
    actions = np.array([0] * 8 + [1] * 6 + [2] * 5 + [3] * 3)
    keys = np.array([[True, False]] * 8 + [[True, True]] * 6 + [[False, True]] * 5 + [[False, False]] * 3)
    assert map_chords(actions, keys, ("right", "up"), 4) == {"right+up": 1}
    assert map_chords(actions, keys, ("right", "up"), 4, least=7) == {}
    assert map_chords(actions, keys, ("right", "up"), 4, least=3)[""] == 3


def test_labels_that_tell_nothing_are_refused() -> None:
    with pytest.raises(
        DataError, match='key "up" is held in 0 of 3 labelled steps; label some steps with it'
    ):
        map_keys(np.zeros(3, int), np.zeros((3, 1), bool), ("up",), 2)
    with pytest.raises(DataError, match="2 learnt actions and 3 controls cannot be compared"):
        measure_meaning(np.zeros(2, int), np.zeros(3, int), 2)


def test_entropies_are_those_counted_by_hand_and_undefined_for_what_never_occurs() -> None:
    meaning = measure_meaning(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, 1, 1]), 3)
    assert meaning.control_bits_of_actions[:2].tolist() == [1.0, 0.0]
    assert np.isnan(meaning.control_bits_of_actions[2])
    assert np.isnan(meaning.shares[2]).all()
    third = -(2 / 3 * np.log2(2 / 3) + 1 / 3 * np.log2(1 / 3))
    assert meaning.action_bits_of_controls == pytest.approx([0.0, third])
    conditional = (4 * 1.0 + 1 * 0.0) / 5
    assert meaning.control_bits - meaning.information_bits == pytest.approx(conditional)


def test_purity_is_held_against_the_reader_on_the_same_steps() -> None:
    counts = np.array([[[3, 1], [0, 0]], [[0, 0], [1, 3]]])
    ceiling = np.array([[[3, 0], [0, 1]], [[1, 0], [0, 3]]])
    found = compare_purity(counts, ceiling)
    assert (found.purity, found.ceiling, found.share) == (0.75, 1.0, 0.75)
    assert found.share_ci95 is not None
    assert found.share_ci95[0] <= 0.75 <= found.share_ci95[1]
    assert compare_purity(counts[:1], ceiling[:1]).share_ci95 is None, "one episode tells no interval"
    with pytest.raises(DataError, match="are not the same; count both on the same steps"):
        compare_purity(counts, ceiling + 1)
    with pytest.raises(DataError, match="no step is left to judge"):
        compare_purity(0 * counts, 0 * ceiling)
