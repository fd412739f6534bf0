from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from paracosm.core.errors import ConfigError, DataError
from paracosm.models.inverse_dynamics import (
    FRAMES_AFTER,
    FRAMES_BEFORE,
    READ_BATCH,
    WINDOW,
    InverseDynamics,
    InverseDynamicsConfig,
)
from paracosm.models.pixels import to_pixels

TINY = InverseDynamicsConfig(
    height=16, width=24, keys=("left", "right", "up"), look=("yaw",), look_scale=6.0, channels=(8, 8, 16),
    blocks=1, features=8,
)  # fmt: skip


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 24, 3)).astype(np.uint8)


def test_shapes_and_a_gradient_for_every_parameter() -> None:
    model = InverseDynamics(TINY)
    keys, look = model(torch.randn(5, WINDOW, 3, 16, 24))
    assert (tuple(keys.shape), tuple(look.shape)) == ((5, 3), (5, 1))
    (keys.square().sum() + look.square().sum()).backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters()
    )


def test_a_clip_is_read_window_by_window_from_its_second_frame_on() -> None:
    model, clip = InverseDynamics(TINY).eval(), frames(9)
    reading = model.read(clip)
    assert (reading.keys.shape, reading.look.shape) == ((6, 3), (6, 1))
    for row in range(FRAMES_BEFORE, 9 - FRAMES_AFTER):
        window = clip[row - FRAMES_BEFORE : row + FRAMES_AFTER + 1]
        keys, look = model(to_pixels(torch.from_numpy(window[None])))
        assert reading.keys[row - FRAMES_BEFORE] == pytest.approx(
            keys.sigmoid()[0].detach().numpy(), abs=1e-5
        )
        assert reading.look[row - FRAMES_BEFORE] == pytest.approx(6.0 * look[0].detach().numpy(), abs=1e-4)


def test_a_long_clip_reads_the_same_as_its_pieces() -> None:
    model, clip = InverseDynamics(TINY).eval(), frames(READ_BATCH + 10)
    whole, tail = model.read(clip), model.read(clip[-8:])
    assert whole.keys[-5:] == pytest.approx(tail.keys, abs=1e-5)


def test_a_saved_reader_reads_the_same(tmp_path: Path) -> None:
    model = InverseDynamics(TINY).eval()
    model.save(tmp_path / "reader")
    assert np.array_equal(
        InverseDynamics.load(tmp_path / "reader").read(frames(8)).keys, model.read(frames(8)).keys
    )


def test_a_world_without_a_camera_has_no_turn_to_read() -> None:
    reading = InverseDynamics(replace(TINY, look=())).read(frames(6))
    assert (reading.keys.shape, reading.look.shape) == ((3, 3), (3, 0))


def test_clips_too_short_or_of_another_size_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"a clip of shape \(3, 16, 24, 3\) and type uint8 cannot be read; .*t >= 4"
    ):
        InverseDynamics(TINY).read(frames(3))
    with pytest.raises(DataError, match=r"inverse dynamics needs uint8 \(t >= 4, 16, 24, 3\)"):
        InverseDynamics(TINY).read(frames(8)[:, :8])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"width": 20}, "frames of 16 x 20 do not divide by 8; choose another size"),
        ({"channels": (8, 12, 16)}, r"channels \(8, 12, 16\) do not divide by 8; use multiples of 8"),
        ({"keys": (), "look": ()}, "with neither keys nor look has nothing to read; name at least one"),
        ({"look_scale": 0.0}, "look_scale 0 is not above 0; give the largest turn of one step in degrees"),
    ],
)
def test_configs_that_make_no_reader_are_refused(change: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        replace(TINY, **change)
