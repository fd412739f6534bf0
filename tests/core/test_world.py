import re

import numpy as np
import pytest

from paracosm.core.controls import IDLE, ControlSpace
from paracosm.core.errors import WorldError
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start

INFO = WorldInfo(
    name="game:x", fps=15, height=4, width=6, controls=ControlSpace(), starts=("seed", "image", "clip")
)
SEED_ONLY = WorldInfo(name="game:y", fps=15, height=4, width=6, controls=ControlSpace())


def picture(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def test_what_a_world_offers_is_accepted():
    check_start(INFO, None, (), None)
    check_start(INFO, picture(4, 6, 3), (), None)
    check_start(INFO, picture(3, 4, 6, 3), (IDLE, IDLE), None)


@pytest.mark.parametrize(
    ("info", "start", "controls", "prompt", "text"),
    [
        (INFO, None, (), "a forest", "game:x takes no prompt; it starts from seed, image, clip"),
        (INFO, None, (IDLE,), None, "1 start controls were given without a start clip; pass start as well"),
        (INFO, np.zeros((4, 6, 3)), (), None, "start of shape (4, 6, 3) and type float64 is no picture"),
        (INFO, picture(4, 6), (), None, "start of shape (4, 6) and type uint8 is no picture"),
        (SEED_ONLY, picture(4, 6, 3), (), None, "game:y cannot start from an image; it starts from seed"),
        (INFO, picture(8, 6, 3), (), None, "start is 8 high and 6 wide; game:x needs 4 x 6"),
        (INFO, picture(3, 4, 6, 3), (IDLE,), None, "a start of 3 frames needs 2 controls between them, 1"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(info, start, controls, prompt, text):
    with pytest.raises(WorldError, match="^" + re.escape(text)):
        check_start(info, start, controls, prompt)


def test_a_snapshot_of_another_world_is_refused():
    snapshot = Snapshot(world="game:y", frame=Frame(image=picture(4, 6, 3), index=0), payload=None)
    check_snapshot(SEED_ONLY, snapshot)
    with pytest.raises(WorldError, match="the snapshot was taken in game:y, not in game:x; restore it there"):
        check_snapshot(INFO, snapshot)
