import numpy as np
import pytest

from paracosm.core.controls import ControlSpace
from paracosm.evaluate.metrics.returns import (
    leaving_gate,
    make_walks,
    memory_score,
    random_view_gap,
    return_ratio,
    view_gap,
)

DOOM = ControlSpace(keys=("forward", "back", "left", "right"), look_limit=(6.0, 0.0))


def plain(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


def test_turns_add_up_and_come_back() -> None:
    walks = {walk.name: walk for walk in make_walks(DOOM, 10.0)}
    turn = walks["turn_90deg_wait_1s"]
    yaws = [control.look[0] for control in turn.controls]
    assert sum(yaws) == pytest.approx(0.0)
    assert sum(yaws[: turn.farthest]) == pytest.approx(90.0)
    assert (turn.settle, yaws[:10]) == (10, [0.0] * 10)
    assert max(yaws) <= 6.0
    assert len(turn.controls) == 10 + 15 + 10 + 15
    assert turn.seconds_away == pytest.approx(4.0)
    whole = walks["turn_360deg"]
    assert sum(control.look[0] for control in whole.controls) == pytest.approx(360.0)
    assert whole.farthest == 10 + 30


def test_walks_undo_each_key_and_loops_close() -> None:
    walks = {walk.name: walk for walk in make_walks(DOOM, 10.0)}
    walk = walks["forward_back_1s"]
    held = [sorted(control.keys) for control in walk.controls]
    assert held.count(["forward"]) == held.count(["back"]) == 10
    loop = walks["loop_0.5s"]
    assert sum(control.look[0] for control in loop.controls) == pytest.approx(360.0)
    for walk in walks.values():
        DOOM.to_vectors(walk.controls)


def test_a_world_without_opposites_has_no_walks() -> None:
    assert make_walks(ControlSpace(keys=("jump",)), 10.0) == []


def test_view_gap_of_plain_pictures_is_by_hand() -> None:
    # 0.2 in three planes of four, edges equal
    assert view_gap(plain(0)[None], plain(51)[None])[0] == pytest.approx(0.2 * np.sqrt(3 / 4))


def test_random_views_are_taken_half_a_list_apart() -> None:
    views = [plain(0), plain(0), plain(51), plain(51)]
    assert random_view_gap(views) == pytest.approx(0.2 * np.sqrt(3 / 4))


def test_memory_is_one_for_a_perfect_return_and_nothing_for_one_no_better_than_chance() -> None:
    assert memory_score(0.0, 0.3, 0.3, 0.4) == 1.0
    assert memory_score(0.1, 0.3, 0.3, 0.4) == pytest.approx(0.75)
    assert memory_score(0.5, 0.3, 0.3, 0.4) == 0.0
    assert return_ratio(0.1, 0.4) == pytest.approx(0.25)
    assert np.isnan(return_ratio(0.1, 0.0))


def test_a_world_that_never_leaves_remembers_nothing() -> None:
    assert leaving_gate(0.0, 0.3) == 0.0
    assert leaving_gate(0.075, 0.3) == pytest.approx(0.5)
    assert leaving_gate(0.2, 0.3) == 1.0
    assert memory_score(0.0, 0.0, 0.3, 0.4) == 0.0
