import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.evaluate.metrics.ego_motion import motion_matrix
from paracosm.evaluate.metrics.trajectory import (
    align_similarity,
    chain,
    path_errors,
    path_length,
    rotation_angle_deg,
    speed_ratio,
)


def walk(forward: float, turn_deg: float = 5.0, steps: int = 10) -> np.ndarray:
    return chain(np.stack([motion_matrix(forward, 0.0, 0.0, np.radians(turn_deg))] * steps))


def about_z(angle_deg: float) -> np.ndarray:
    angle = np.radians(angle_deg)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])


def test_similarity_finds_the_transform_that_was_applied() -> None:
    points = stream(0, "points").normal(size=(12, 3))
    moved = 2.5 * points @ about_z(40).T + [1.0, -2.0, 3.0]
    found = align_similarity(points, moved)
    assert found is not None
    assert found.scale == pytest.approx(2.5)
    assert np.allclose(found.rotation, about_z(40))
    assert np.allclose(found.shift, [1.0, -2.0, 3.0])


def test_similarity_never_mirrors() -> None:
    points = stream(0, "points").normal(size=(12, 3))
    found = align_similarity(points, points * [-1, 1, 1])
    assert found is not None
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)


def test_single_points_have_no_similarity() -> None:
    assert align_similarity(np.ones((5, 3)), np.arange(15.0).reshape(5, 3)) is None
    with pytest.raises(
        DataError, match=r"shape \(2, 3\) and \(2, 3\) cannot be aligned; give two \(n, 3\), n >= 3"
    ):
        align_similarity(np.ones((2, 3)), np.ones((2, 3)))


def test_a_path_of_half_the_speed_has_no_error_after_alignment_and_half_the_speed() -> None:
    errors = path_errors(walk(1.0), walk(2.0))
    assert np.allclose(errors.translation, 0, atol=1e-9)
    assert np.allclose(errors.rotation_deg, 0, atol=1e-6)
    assert np.allclose(errors.unaligned, 1.0)
    assert errors.scale == pytest.approx(2.0)
    assert speed_ratio(walk(1.0), walk(2.0)) == pytest.approx(0.5)


def test_turning_too_far_by_two_degrees_is_an_error_of_two_degrees() -> None:
    errors = path_errors(walk(1.0, 7.0), walk(1.0, 5.0))
    assert np.allclose(errors.rotation_deg, 2.0)


def test_one_wrong_step_costs_its_length_in_that_step_only() -> None:
    steps = np.stack([motion_matrix(2.0, 0.0, 0.0, 0.05)] * 20)
    wrong = steps.copy()
    wrong[7] = motion_matrix(2.0, 0.5, 0.0, 0.05)
    errors = path_errors(chain(wrong), chain(steps))
    assert errors.translation[7] == pytest.approx(0.5, abs=0.02)
    assert np.delete(errors.translation, 7).max() < 0.02


def test_a_frozen_path_costs_every_true_step() -> None:
    errors = path_errors(walk(0.0, 0.0), walk(2.0, 5.0))
    assert np.allclose(errors.translation, 2.0)
    assert np.allclose(errors.unaligned, 2.0)
    assert np.allclose(errors.rotation_deg, 5.0)
    assert errors.scale == 0
    assert speed_ratio(walk(0.0, 0.0), walk(2.0)) == 0


def test_pure_rotation_has_no_translation_error() -> None:
    errors = path_errors(walk(0.0, 5.0), walk(0.0, 5.0))
    assert np.isnan(errors.translation).all()
    assert np.isnan(errors.unaligned).all()
    assert np.isnan(errors.scale)
    assert np.allclose(errors.rotation_deg, 0, atol=1e-6)
    assert np.isnan(speed_ratio(walk(1.0), walk(0.0)))


def test_short_paths_are_refused() -> None:
    short = walk(1.0, steps=7)
    with pytest.raises(
        DataError, match="paths of 8 and 8 poses cannot be judged; give two of one length, at least 9"
    ):
        path_errors(short, short)


def test_angles_of_rotations_small_and_large() -> None:
    angles = np.array([0.0, 1e-4, 1.0, 90.0, 180.0])
    assert np.allclose(rotation_angle_deg(np.stack([about_z(angle) for angle in angles])), angles, atol=1e-7)


def test_length_of_a_path_adds_its_steps() -> None:
    assert path_length(walk(2.0, steps=10)) == pytest.approx(20.0)
