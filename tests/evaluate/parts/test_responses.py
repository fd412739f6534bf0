import functools

import pytest

from paracosm.core.controls import ControlSpace
from paracosm.data.reader import Dataset
from paracosm.evaluate.parts.responses import MOMENTS, Responses, pairs_of, single_controls

from .benches import measure_toy, value


@pytest.fixture(scope="module")
def measure(held_out: Dataset, reference: Dataset):
    return functools.cache(lambda kind: measure_toy(kind, [Responses(num_cases=2)], held_out, reference))


def test_every_control_is_tried_alone_and_what_does_not_undo_each_other_together() -> None:
    space = ControlSpace(keys=("forward", "back", "right", "attack"), look_limit=(6.0, 0.0))
    assert list(single_controls(space)) == [
        "idle", "forward", "back", "right", "attack", "turn_right", "turn_left"
    ]  # fmt: skip
    assert list(pairs_of(space)) == ["forward_right", "back_right", "forward_turn", "back_turn", "right_turn"]
    assert pairs_of(space)["forward_turn"][0].look == (4.0, 0.0)


def test_the_oracle_answers_as_the_true_game(measure) -> None:
    figures = measure("oracle")
    for name, figure in figures.items():
        assert value(figures, name) == pytest.approx(figure.anchors["true_game"]), name
    for step in MOMENTS:
        assert value(figures, f"control.action_margin_share@{step}") == 1.0
        assert value(figures, f"control.spread_share@{step}") == pytest.approx(1.0)
        assert value(figures, f"control.delta_psnr_db@{step}") > 20
    assert value(figures, "control.effect_delay") == 1.0
    assert value(figures, "control.stop_error_steps") == 0.0
    assert value(figures, "control.together_share") == 1.0


@pytest.mark.parametrize("kind", ["frozen", "blind"])
def test_a_frozen_or_blind_world_gains_nothing(kind: str, measure) -> None:
    figures = measure(kind)
    for step in MOMENTS:
        for name in ("delta_psnr_db", "action_margin", "action_margin_share", "spread_share"):
            assert value(figures, f"control.{name}@{step}") == pytest.approx(0.0, abs=1e-6)
    assert value(figures, "control.effect_missed_share") == 1.0
    assert value(figures, "control.effect_delay") == MOMENTS[-1] + 1
    assert value(figures, "control.together_share") == 0.0
    assert value(figures, "control.stop_error_steps") == 16.0


def test_a_world_with_controls_swapped_is_caught(measure) -> None:
    figures = measure("swapped")
    assert value(figures, "control.action_margin@4") < 0
    assert value(figures, "control.action_margin_share@4") < 0.5
    assert value(figures, "control.together_share") == 0.0


def test_a_world_one_step_late_shows_effects_and_stops_one_step_late(measure) -> None:
    figures = measure("late")
    assert value(figures, "control.effect_delay") == 2.0
    assert value(figures, "control.stop_steps") == 1.0
    assert value(figures, "control.stop_error_steps") == 1.0
