import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paracosm.core.controls import IDLE, Control, ControlSpace
from paracosm.core.errors import ControlError

SPACE = ControlSpace(
    keys=("forward", "left", "use"), bindings={"KeyW": "forward"}, look_limit=(6.0, 0.0), num_latents=4
)

controls = st.builds(
    Control,
    keys=st.sets(st.sampled_from(SPACE.keys)),
    look=st.tuples(st.floats(-6, 6, width=32), st.just(0.0)),
)


@given(st.lists(controls))
def test_controls_survive_the_way_to_vectors_and_back(given_controls):
    vectors = SPACE.to_vectors(given_controls)
    assert vectors.shape == (len(given_controls), SPACE.width)
    assert SPACE.from_vectors(vectors) == given_controls


def test_doing_nothing_is_all_zeros():
    assert Control() == IDLE
    assert np.array_equal(SPACE.to_vectors([IDLE]), np.zeros((1, 5), np.float32))


@pytest.mark.parametrize(
    ("control", "text"),
    [
        (Control({"fly"}), "keys ['fly'] are not offered; this world has ['forward', 'left', 'use']"),
        (Control(look=(7, 0)), "look yaw 7 degrees is too much; this world allows at most 6 degrees a step"),
        (Control(look=(0, 1)), "look pitch 1 degrees is too much; this world allows none"),
        (Control(latent=4), "latent 4 is not offered; this world has 4 latent actions"),
        (Control(text="run"), "text is not offered: this world takes no instructions; leave text at None"),
        (
            Control(guide=np.zeros((1, 2, 2, 3), np.uint8)),
            "guide is not offered: this world follows no guide clip; leave guide at None",
        ),
    ],
)
def test_what_is_not_offered_is_refused_by_name(control, text):
    with pytest.raises(ControlError, match="^" + re.escape(text) + "$"):
        SPACE.check(control)


def test_a_control_that_makes_no_sense_is_refused():
    with pytest.raises(ControlError, match='keys "use" is one string; pass a set of names'):
        Control("use")
    with pytest.raises(ControlError, match=r"look \(nan, 0\.0\) is not two finite angles"):
        Control(look=(float("nan"), 0.0))
    with pytest.raises(ControlError, match=r"look \(1\.0,\) is not two finite angles"):
        Control(look=(1.0,))


def test_a_space_that_makes_no_sense_is_refused():
    with pytest.raises(ControlError, match="name one key twice"):
        ControlSpace(keys=("a", "a"))
    with pytest.raises(ControlError, match='binding KeyX leads to "jump", which is not one of'):
        ControlSpace(keys=("a",), bindings={"KeyX": "jump"})
    with pytest.raises(ControlError, match=r"look_limit .* is negative"):
        ControlSpace(look_limit=(-1.0, 0.0))
    with pytest.raises(
        ControlError, match=r"control vectors of shape \(2, 4\) do not fit; .* needs \(t, 5\)"
    ):
        SPACE.from_vectors(np.zeros((2, 4)))


def test_a_device_that_turns_too_fast_is_limited_on_request_only():
    fast = Control({"use"}, look=(100.0, 5.0))
    assert SPACE.clamp(fast) == Control({"use"}, look=(6.0, 0.0))
    with pytest.raises(ControlError):
        SPACE.to_vectors([fast])
