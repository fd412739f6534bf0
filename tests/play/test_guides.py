"""A video of the player's own becomes a video prompt, once, or is refused."""

from __future__ import annotations

import numpy as np
import pytest

from paracosm.core.errors import DataError, WorldError
from paracosm.curate.guides import draw_guide
from paracosm.play.session import Session
from tests.play.little_worlds import GuidedWorld
from tests.play.test_session import drive, make_session


def test_a_video_prompt_is_drawn_and_given_with_one_step() -> None:
    world = GuidedWorld()
    session = Session(lambda name, config=None: world)
    session.open("guided")
    half = np.zeros((2, 24, 32, 3), np.uint8)
    half[:, :, 16:] = 255
    session.guide(half.tobytes(), "edges")
    shown = drive(session, 2)
    assert shown[1].control.guide is None
    given = shown[0].control.guide
    assert given is not None
    assert np.array_equal(given, draw_guide("edges", half))
    assert given[0, :, 15:17].min() == 255, "white where dark meets bright"
    session.guide(half.tobytes(), "drawn")
    session.guide(half[:1].tobytes(), "drawn")
    (last,) = drive(session, 1)
    assert np.array_equal(last.control.guide, half[:1]), (
        "the newest prompt takes the place of one not yet used"
    )


def test_a_video_prompt_that_does_not_fit_is_refused() -> None:
    session = Session(lambda name, config=None: GuidedWorld())
    session.open("guided")
    for data in (b"", bytes(24 * 32 * 3 + 1)):
        with pytest.raises(
            DataError, match=r"no whole number of frames .* RGB frames of 32 x 24, 2304 bytes each"
        ):
            session.guide(data, "edges")
    other, _ = make_session()
    with pytest.raises(WorldError, match="follows no video prompt"):
        other.guide(bytes(24 * 32 * 3), "edges")
    (shown,) = drive(session, 1)
    assert shown.control.guide is None
