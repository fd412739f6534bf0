"""Video prompts show edges and motion, and nothing where there is none."""

import numpy as np
import pytest

from paracosm.core.errors import ConfigError
from paracosm.curate.guides import draw_guide


def moving_square(across: int) -> np.ndarray:
    frames = np.zeros((3, 16, 24, 3), np.uint8)
    for t in range(3):
        frames[t, 4:8, 4 + across * t : 8 + across * t] = 200
    return frames


def test_edges_stand_around_a_square_and_nowhere_else() -> None:
    drawn = draw_guide("edges", moving_square(0))
    assert drawn.shape == (3, 16, 24, 3)
    assert set(np.unique(drawn)) == {0, 255}
    assert drawn[0, 5:7, 5:7].max() == 0
    assert drawn[0, 4:8, 3].min() == 255
    assert drawn[0, :, 12:].max() == 0


def test_motion_tells_direction_and_rest_is_grey() -> None:
    right, left, still = (draw_guide("motion", moving_square(dx)) for dx in (2, -2, 0))
    rest = np.array([128, 128, 0])
    assert (right[0] == rest).all()
    assert (still == rest).all()
    # of the second frame, the block that holds the square's front
    assert right[1, 5, 8].tolist() == [212, 128, 113]
    assert left[1, 5, 3, 0] == 43
    assert draw_guide("motion", moving_square(0)[:1]).shape == (1, 16, 24, 3)


def test_what_is_no_clip_or_no_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"uint8 \(4, 4, 3\) is no clip"):
        draw_guide("edges", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ConfigError, match='there is no guide "pose"; choose one of edges, motion'):
        draw_guide("pose", moving_square(0))  # pyright: ignore[reportArgumentType]
