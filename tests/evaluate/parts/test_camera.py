import functools

import pytest

from paracosm.data.reader import Dataset
from paracosm.evaluate.parts.camera import Camera

from .benches import measure_toy, value


@pytest.fixture(scope="module")
def measure(held_out: Dataset, reference: Dataset):
    return functools.cache(
        lambda kind: measure_toy(kind, [Camera(num_cases=2, steps=9)], held_out, reference)
    )


def test_the_oracle_is_as_near_as_the_estimator_reads_real_frames(measure) -> None:
    figures = measure("oracle")
    figure = figures["camera.rpe_translation"]
    assert value(figures, "camera.rpe_translation") == pytest.approx(figure.anchors["true_game"])
    assert figure.anchors["true_game"] < 0.1 < 1 < figure.anchors["copy_last"]
    assert value(figures, "camera.step_error") < 0.1
    assert value(figures, "camera.speed_ratio") == pytest.approx(1.0, abs=0.02)
    assert value(figures, "camera.valid_share") == 1.0
    rotation = figures["camera.rpe_rotation_deg"]
    assert (rotation.status, rotation.reason) == ("undefined", "the world has no camera to turn")


def test_a_frozen_world_pays_every_step(measure) -> None:
    figures = measure("frozen")
    anchors = figures["camera.rpe_translation"].anchors
    assert value(figures, "camera.rpe_translation") == pytest.approx(anchors["copy_last"], rel=0.01)
    assert value(figures, "camera.step_error") == pytest.approx(anchors["copy_last"], rel=0.01)
    assert value(figures, "camera.speed_ratio") == pytest.approx(0.0, abs=0.01)


def test_a_world_with_controls_swapped_is_no_better_than_a_frozen_one(measure) -> None:
    figures = measure("swapped")
    anchors = figures["camera.rpe_translation"].anchors
    assert value(figures, "camera.rpe_translation") > 0.7 * anchors["copy_last"]
    assert value(figures, "camera.step_error") > anchors["copy_last"]


def test_noise_has_no_valid_steps_and_no_path(measure) -> None:
    figures = measure("noise")
    assert value(figures, "camera.valid_share") == 0.0
    assert figures["camera.rpe_translation"].status == "undefined"
    assert "8 steps" in figures["camera.rpe_translation"].reason
