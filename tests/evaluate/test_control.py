import numpy as np
import pytest

from paracosm.evaluate.control import (
    count_keys,
    f1,
    key_f1,
    share_of_ceiling,
    turn_error_deg,
    turn_explained,
    turn_sign_accuracy,
    why_undefined,
)

ASKED = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.float32)
READ = np.array([[0.9, 0.2], [0.4, 0.7], [0.6, 0.8], [0.1, 0.1]], np.float32)


def test_counts_and_f1_are_those_computed_by_hand() -> None:
    counts = count_keys([READ], [ASKED])
    assert (counts.hit.tolist(), counts.false.tolist(), counts.missed.tolist()) == (
        [[1, 1]],
        [[1, 1]],
        [[1, 0]],
    )
    assert key_f1(counts).tolist() == pytest.approx([2 / 4, 2 / 3])


def test_a_key_neither_held_nor_read_has_no_f1() -> None:
    assert np.isnan(f1(np.array([0]), np.array([0]), np.array([0]))).all()


def test_units_are_pooled_before_f1_and_not_averaged_after() -> None:
    counts = count_keys([READ[:2], READ[2:]], [ASKED[:2], ASKED[2:]])
    assert key_f1(counts).tolist() == pytest.approx([2 / 4, 2 / 3])
    assert key_f1(counts, np.array([0, 0]))[0] == pytest.approx(
        2 / 3
    )  # the first unit twice: 2 hits, 2 missed


def test_share_of_ceiling_is_macro_f1_over_macro_f1_and_a_lost_key_counts_as_zero() -> None:
    asked = [np.tile([[1, 0], [0, 1]], (10, 1)).astype(np.float32)]
    never = [np.tile([[0.9, 0.1], [0.1, 0.1]], (10, 1)).astype(np.float32)]
    ceiling, counts = count_keys(asked, asked), count_keys(never, asked)
    assert share_of_ceiling(ceiling, ceiling, np.array([0, 1])) == 1.0
    assert share_of_ceiling(counts, ceiling, np.array([0, 1])) == pytest.approx(0.5)
    assert np.isnan(share_of_ceiling(counts, ceiling, np.array([], int)))


def test_a_key_that_real_frames_cannot_judge_says_why() -> None:
    generator = np.random.default_rng(0)
    asked = np.stack(
        [np.arange(100) < 5, np.arange(100) % 2 == 0, np.arange(100) % 2 == 0, np.arange(100) < 80], 1
    )
    read = asked.astype(np.float32)
    read[:, 1] = generator.random(100) < 0.2  # hardly ever read
    read[:, 3] = 1  # always read as held: F1 0.889 and yet blind
    reasons = why_undefined(count_keys([read], [asked]))
    assert reasons[0].startswith("held in 5 of 100 real rows; at least 10")
    assert "at least 0.5 is needed to judge" in reasons[1]
    assert reasons[2] == ""
    assert reasons[3] == "read with F1 0.89 on real frames, no better than always guessing held (0.89)"


def test_turn_figures_are_those_computed_by_hand() -> None:
    asked = np.array([4.0, -2.0, 0.0, 0.5])
    read = np.array([3.0, 1.0, 0.5, -0.5])
    assert turn_error_deg(read, asked) == pytest.approx((1 + 3 + 0.5 + 1) / 4)
    assert turn_sign_accuracy(read, asked) == 0.5  # the turn of half a degree is not judged
    assert turn_explained(read, asked) == pytest.approx(1 - 1.375 / 1.625)
    assert turn_explained(np.zeros(4), asked) == 0.0
    assert turn_explained(asked, asked) == 1.0


def test_turns_that_never_happen_have_no_figure() -> None:
    assert np.isnan(turn_sign_accuracy(np.ones(3), np.zeros(3)))
    assert np.isnan(turn_explained(np.ones(3), np.zeros(3)))
