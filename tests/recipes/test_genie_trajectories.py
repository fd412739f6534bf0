"""Futures of one picture under every learnt action: distances by hand, beside those of other draws."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.genie_trajectories import (
    Futures,
    Start,
    figures_of,
    fit,
    hold_all,
    hold_true,
    measure_futures,
    train_world,
)
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, Snapshot, WorldInfo

SIDE = 4


class Lamp:
    """A picture that brightens by its learnt action a step, times its obedience, and by noise of its seed."""

    def __init__(self, obedience: int, noise: int, actions: int = 3) -> None:
        self.info = WorldInfo(
            name="model:lamp",
            fps=15.0,
            height=SIDE,
            width=SIDE,
            controls=ControlSpace(keys=(), bindings={}, num_latents=actions),
            starts=("image",),
        )
        self._obedience, self._noise = obedience, noise

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        assert start is not None
        self._picture, self._index = start.astype(int), 0
        self._draws = stream(seed, "lamp")
        return self._frame()

    def step(self, control: Control) -> Frame:
        self._index += 1
        noise = int(self._draws.integers(0, self._noise + 1))
        self._picture = self._picture + self._obedience * (control.latent or 0) + noise
        return self._frame()

    def restore(self, snapshot: Snapshot) -> Frame:
        return self.reset(0, snapshot.payload)

    def snapshot(self) -> Snapshot:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _frame(self) -> Frame:
        ended = self._index == 3
        return Frame(image=self._picture.astype(np.uint8), index=self._index, truth={"ended": ended})


def futures_of(world: Lamp, steps: int = 4) -> Futures:
    start = np.full((SIDE, SIDE, 3), 10, np.uint8)
    rows, again = ([hold_all(world, start, steps, seed=seed)] * 2 for seed in (0, 1))
    return measure_futures(rows, again)


def test_futures_are_as_far_apart_as_their_actions_move_them() -> None:
    futures = futures_of(Lamp(obedience=2, noise=0))
    # After t steps, while it has not ended, actions i and j are 2 t |i - j| apart: 2 t (1 + 2 + 1) / 3.
    assert futures.apart[0].tolist() == pytest.approx([8 / 3, 16 / 3, 8.0, 8.0])
    assert futures.between[0, 0, 2, 1] == 8.0
    assert not futures.within.any()
    figures = figures_of(futures, futures)
    assert figures["trajectories.apart@4"].value == pytest.approx(8.0)
    assert figures["trajectories.distance.1.3"].value == 12.0
    assert figures["trajectories.distinct_pairs"].value == 1.0
    assert "trajectories.apart@8" not in figures


def test_a_world_that_is_blind_to_its_actions_is_never_apart() -> None:
    futures = futures_of(Lamp(obedience=0, noise=9))
    figures = figures_of(futures, futures)
    assert figures["trajectories.apart@4"].value == 0.0
    assert figures["trajectories.distinct_pairs"].value == 0.0
    beyond = figures["trajectories.apart_beyond_chance@4"].value
    assert beyond is not None
    assert beyond < 0, "other draws move it further than other actions"


def test_the_last_picture_of_the_true_game_stays() -> None:
    game = Lamp(obedience=1, noise=0)
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    start = Start(
        picture=picture, state=Snapshot(world="", frame=Frame(image=picture, index=0), payload=picture)
    )
    rows = hold_true(game, start, 6)
    assert rows.shape == (6, 7, SIDE, SIDE, 3)


def test_a_frame_is_brought_to_the_size_of_the_world() -> None:
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    assert fit(picture, 4, 4).shape == (4, 4, 3)
    assert np.array_equal(fit(picture, 8, 8), picture)


def test_worlds_without_actions_or_without_a_way_to_train_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="offers 1 learnt actions; open a world that was trained on some"):
        hold_all(Lamp(1, 0, actions=1), np.zeros((SIDE, SIDE, 3), np.uint8), 1, seed=0)
    with pytest.raises(WorldError, match="is no folder of a world; give one, or --videos to train it from"):
        train_world(tmp_path / "world", None, 1)
    with pytest.raises(ConfigError, match="a recipe puts its world into RUN/world; give"):
        train_world(tmp_path / "mine", tmp_path, 1)
