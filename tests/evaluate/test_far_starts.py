"""Starts unlike the training data: drawings by seed, and whether opposite actions stay opposite from them."""

import numpy as np
import pytest

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ControlError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, WorldInfo
from paracosm.evaluate.drawings import KINDS, make_drawings
from paracosm.evaluate.far_starts import OWN, FarStart, far_figures, find_opposites, play_starts

SIDE = 32


class Scroller:
    """A picture that its actions scroll: left, not at all, right; drawn starts may be deaf to them.

    Args:
        obeys: how far an action moves pictures of its own, and pictures that it is begun from.
    """

    def __init__(self, obeys: tuple[int, int] = (1, 1), num_latents: int = 3) -> None:
        space = ControlSpace(num_latents=num_latents)
        self.info = WorldInfo(name="scroller", fps=10.0, height=SIDE, width=SIDE, controls=space)
        self.obeys = obeys

    def reset(self, seed: int = 0, start: np.ndarray | None = None, **_: object) -> Frame:
        own = stream(seed, "texture").integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        self.image, self.speed = (own, self.obeys[0]) if start is None else (start, self.obeys[1])
        return Frame(image=self.image, index=0)

    def step(self, control: Control) -> Frame:
        self.image = np.roll(self.image, self.speed * ((control.latent or 0) - 1), 1)
        return Frame(image=self.image, index=1)


def texture(kind: str, count: int) -> list[FarStart]:
    draws = stream(5, kind)
    return [
        FarStart(kind=kind, name=str(i), picture=draws.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
        for i in range(count)
    ]


def test_opposite_actions_are_found_and_hold_from_pictures_that_obey() -> None:
    world = Scroller()
    pair = find_opposites(world, num_starts=2)  # pyright: ignore[reportArgumentType]
    assert pair is not None
    assert (pair.one, pair.other, pair.axis) == (2, 0, "right")
    assert pair.motions == pytest.approx((-8, 0, 8), abs=0.5)
    results = play_starts(world, pair, texture("photo", 3))  # pyright: ignore[reportArgumentType]
    figures = far_figures(results, ["photo", "sketch"])
    assert figures["far_starts.opposite_share.photo"].value == 1.0
    assert figures[f"far_starts.opposite_share.{OWN}"].value == 1.0
    assert (figures["far_starts.opposite_share.all"].value, figures["far_starts.opposite_share.all"].n) == (
        1.0,
        3,
    )
    assert figures["far_starts.opposite_share.sketch"].reason == "no start of kind sketch was given"


def test_a_world_that_is_deaf_from_far_starts_scores_nothing_there() -> None:
    world = Scroller(obeys=(1, 0))
    pair = find_opposites(world, num_starts=2)  # pyright: ignore[reportArgumentType]
    assert pair is not None
    figures = far_figures(play_starts(world, pair, texture("photo", 3)), ["photo"])  # pyright: ignore
    assert figures["far_starts.opposite_share.photo"].value == 0.0
    assert figures["far_starts.apart_share.photo"].value == 0.0
    assert figures[f"far_starts.opposite_share.{OWN}"].value == 1.0


def test_a_world_blind_to_its_actions_has_no_opposites_and_no_figure() -> None:
    assert find_opposites(Scroller(obeys=(0, 0)), num_starts=2) is None  # pyright: ignore[reportArgumentType]
    figure = far_figures([], ["photo"])["far_starts.opposite_share.photo"]
    assert (figure.status, figure.value) == ("undefined", None)
    with pytest.raises(ControlError, match="scroller offers no learnt actions"):
        find_opposites(Scroller(num_latents=0))  # pyright: ignore[reportArgumentType]


def test_drawings_come_from_their_seed_in_every_kind() -> None:
    drawings = make_drawings(24, 32, count=10)
    assert [drawing.kind for drawing in drawings] == [*KINDS, *KINDS]
    for one, two in zip(drawings, make_drawings(24, 32, count=10), strict=True):
        assert one.picture.shape == (24, 32, 3)
        assert one.picture.dtype == np.uint8
        assert np.array_equal(one.picture, two.picture)
        assert one.picture.std() > 5
    assert not np.array_equal(drawings[0].picture, drawings[5].picture)
    assert not np.array_equal(drawings[0].picture, make_drawings(24, 32, count=1, seed=1)[0].picture)
