"""Collisions, exploration, balance and looks are counted from poses, controls and pictures."""

import math
from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.coverage import (
    describe_balance,
    describe_collisions,
    describe_exploration,
    describe_looks,
    look_of,
)
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe
from paracosm.core.world import Frame, WorldInfo
from paracosm.data import Dataset, EpisodeWriter, prepare_dataset

SPACE = ControlSpace(keys=("forward", "back", "jump"), look_limit=(10.0, 0.0))
INFO = WorldInfo(name="game:hall", fps=10, height=12, width=16, controls=SPACE)


def record(path: Path, controls: list[Control], places: list[float] | None, shade: int = 0) -> Dataset:
    """Write an episode whose player stands at these places."""
    prepare_dataset(path, INFO)
    with EpisodeWriter(path, f"e{shade}", INFO, Recipe(world="game:hall", policy="script")) as writer:
        for index in range(len(controls) + 1):
            image = np.full((12, 16, 3), shade + 3 * index, np.uint8)
            truth = {} if places is None else {"pose": {"x": places[index], "y": 0.0}}
            frame = Frame(image=image, index=index, truth=truth)
            if index:
                writer.step(controls[index - 1], frame)
            else:
                writer.begin(frame)
    return Dataset(path)


def test_a_push_that_comes_on_no_further_is_a_collision(tmp_path: Path) -> None:
    push, both = Control({"forward"}), Control({"forward", "back"})
    controls = [push, push, push, push, push, both, Control(), push, push, push]
    places = [0.0, 1, 2, 3, 3.1, 3.1, 3.1, 3.1, 4.1, 5.1, 5.1]
    found = describe_collisions(record(tmp_path, controls, places))
    assert found is not None
    assert found["pushed"] == 8, "opposite keys and no key push nowhere"
    assert found["collisions"] == 2
    assert found["blocked_share"] == 3 / 8
    assert found["per_minute"] == pytest.approx(2 / (10 / 10 / 60))


def test_without_a_pose_collisions_are_not_known(tmp_path: Path) -> None:
    assert describe_collisions(record(tmp_path, [Control({"forward"})] * 3, None)) is None


def test_places_found_early_leave_nothing_for_later() -> None:
    early = [("a",), ("b",), ("c",), ("d",), *[("a",)] * 12]
    assert describe_exploration(early) == {"found@0.25": 1.0, "found@0.5": 1.0, "found@0.75": 1.0}
    late = [(index,) for index in range(16)]
    assert describe_exploration(late) == {"found@0.25": 0.25, "found@0.5": 0.5, "found@0.75": 0.75}


def test_balance_is_one_for_even_hands() -> None:
    held = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], bool)
    look = np.array([[5.0, 0], [-5.0, 0], [0, 0], [9.0, 0]])
    assert describe_balance(held, look) == {"keys": pytest.approx(1.0), "yaw": 0.5}
    uneven = describe_balance(np.array([[1, 0], [1, 0], [1, 0], [0, 1]], bool), look)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
    assert uneven["keys"] == pytest.approx(entropy)
    assert describe_balance(held[:, :1] & False, 0 * look) == {"keys": None, "yaw": None}


def test_looks_are_pictures_that_differ_at_a_glance(tmp_path: Path) -> None:
    record(tmp_path, [Control()] * 3, None)  # grey 0, 3, 6, 9: one look, since 64 greys are one
    found = describe_looks(record(tmp_path, [Control()] * 3, None, shade=100))  # 100 to 109: one more
    assert found == {"pictures": 8, "distinct": 2, "distinct_share": 0.25, "effective": pytest.approx(2.0)}


def test_a_look_fits_pictures_of_any_size() -> None:
    picture = np.zeros((5, 3, 3), np.uint8)
    picture[0] = 255
    assert len(look_of(picture)) == 9
    assert look_of(picture) != look_of(np.zeros_like(picture))
