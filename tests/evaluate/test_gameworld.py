"""The GameWorld-style card on hand-computed values; a still picture is never rewarded."""

from pathlib import Path

import numpy as np
import pytest

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.evaluate.drift import Band
from paracosm.evaluate.gameworld import (
    away_error,
    band_share,
    feature_consistency,
    interpolation_error,
    key_accuracy,
    key_groups,
    mirror_error,
    mirror_score,
    mirrored_walks,
    motion_gate,
    turn_accuracy,
)
from paracosm.evaluate.gameworld_originals import (
    CLIP_MEAN,
    CLIP_STD,
    CROP,
    Network,
    aesthetic,
    clip_input,
    image_quality,
    resize,
    smoothness,
    temporal_consistency,
)

PICTURE = stream(0, "picture").integers(0, 256, (48, 128, 3)).astype(np.uint8)
PAN = np.stack([PICTURE[:, 2 * i : 2 * i + 64] for i in range(9)])
STILL = np.repeat(PAN[:1], 9, axis=0)


def test_consistency_is_the_mean_of_the_cosines_to_the_frame_before_and_to_the_first() -> None:
    features = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    assert feature_consistency(features) == pytest.approx((0 + 0 + 1 + 0) / 4)
    assert feature_consistency(np.ones((4, 3))) == pytest.approx(1.0)


def test_the_motion_gate_closes_for_a_still_picture_and_never_exceeds_one() -> None:
    assert motion_gate(STILL, PAN) == 0.0
    assert motion_gate(PAN, PAN) == 1.0
    assert motion_gate(PAN[::2].repeat(2, axis=0)[:9], PAN) <= 1.0
    assert motion_gate(PAN, STILL) == 1.0


def test_interpolation_error_is_zero_for_a_straight_fade_and_large_for_flicker() -> None:
    fade = np.arange(0, 90, 10, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2).repeat(3, 3)
    flicker = fade.copy()
    flicker[1::2] += 60
    assert interpolation_error(fade) == pytest.approx(0.0, abs=1e-4)
    assert interpolation_error(flicker) == pytest.approx(60.0, abs=1e-3)


def test_the_band_share_counts_frames_whose_every_statistic_is_real() -> None:
    band = Band(low=np.full(6, -1e9), high=np.full(6, 1e9))
    assert band_share(PAN, band) == 1.0
    assert band_share(PAN, Band(low=np.full(6, 1e9), high=np.full(6, 2e9))) == 0.0


def test_keys_are_grouped_with_their_opposites() -> None:
    keys = ("forward", "back", "left", "right", "attack", "jump")
    assert key_groups(keys) == [("forward", "back"), ("left", "right"), ("attack",), ("jump",)]
    asked = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    read = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.1], [0.2, 0.3]])
    assert key_accuracy(read, asked, ("forward", "back")) == pytest.approx(3 / 4)


def test_turns_are_classed_by_direction_alone() -> None:
    asked = np.array([[4.0, 0.0], [-4.0, 0.0], [0.0, 0.0], [2.0, 2.0]])
    read = np.array([[0.6, 0.1], [4.0, 0.0], [0.3, -0.2], [9.0, 1.0]])
    assert turn_accuracy(read, asked) == pytest.approx(3 / 4)


def test_walks_are_symmetric_and_no_more_than_eight() -> None:
    space = ControlSpace(keys=("forward", "back", "left", "right", "use"), look_limit=(6.0, 0.0))
    walks = mirrored_walks(space, 3)
    assert len(walks) == 8
    assert walks["forward"] == (Control({"forward"}),) * 3 + (Control({"back"}),) * 3
    assert walks["forward_turn_left"][3:] == (Control({"back"}, (4.0, 0.0)),) * 3
    assert mirrored_walks(ControlSpace(keys=("use",)), 3) == {}


def test_a_walk_that_comes_back_has_no_mirror_error_within_four_pixels() -> None:
    there_and_back = np.concatenate([PAN[:5], PAN[3::-1]])
    assert mirror_error(there_and_back) == 0.0
    shifted = np.concatenate([PAN[:5], np.roll(PAN[3::-1], 3, axis=2)])
    assert mirror_error(shifted) == 0.0
    assert mirror_error(PAN) > 1000.0


def test_a_still_picture_comes_back_without_going_and_scores_nothing() -> None:
    true = np.concatenate([PAN[:5], PAN[3::-1]])
    rows = [[mirror_error(clip), away_error(clip), away_error(true)] for clip in (true, STILL, PAN)]
    assert mirror_score(np.array(rows[:1])) == 1.0
    assert mirror_score(np.array(rows[1:2])) == 0.0
    assert mirror_score(np.array(rows[2:])) < 0.5
    assert np.isnan(mirror_score(np.zeros((1, 3))))


def write_network(file: Path, num_inputs: int) -> Path:
    """A network that answers with the mean of its inputs, as picture (two inputs) or as one number."""
    onnx = pytest.importorskip("onnx")
    shape = [1, 3, "h", "w"]
    inputs = [onnx.helper.make_tensor_value_info(f"i{n}", 1, shape) for n in range(num_inputs)]
    if num_inputs == 2:
        nodes = [onnx.helper.make_node("Mean", ["i0", "i1"], ["out"])]
        out = onnx.helper.make_tensor_value_info("out", 1, shape)
    else:
        nodes = [onnx.helper.make_node("GlobalAveragePool", ["i0"], ["pool"]),
                 onnx.helper.make_node("Flatten", ["pool"], ["flat"]),
                 onnx.helper.make_node("ReduceMean", ["flat"], ["out"])]  # fmt: skip
        out = onnx.helper.make_tensor_value_info("out", 1, None)
    graph = onnx.helper.make_graph(nodes, "g", inputs, [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, file)
    return file


def test_originals_run_the_users_networks_at_their_own_scales(tmp_path: Path) -> None:
    one = Network(write_network(tmp_path / "one.onnx", 1), 1)
    two = Network(write_network(tmp_path / "two.onnx", 2), 2)
    grey = np.full((5, 48, 64, 3), 51, np.uint8)
    assert image_quality(one, grey) == pytest.approx(0.2 / 100, rel=1e-4)
    assert aesthetic(one, grey) == pytest.approx(float(((0.2 - CLIP_MEAN) / CLIP_STD).mean()) / 10, abs=1e-5)
    assert temporal_consistency(one, np.concatenate([grey])) == pytest.approx(1.0)
    assert smoothness(two, grey) == pytest.approx(1.0)


def test_frames_are_brought_to_the_networks_size() -> None:
    assert clip_input(PAN[0]).shape == (3, CROP, CROP)
    ramp = np.array([[0, 255]], np.uint8)[..., None].repeat(3, -1)
    assert resize(ramp, 1, 4)[0, :, 0] == pytest.approx([0, 0.25, 0.75, 1.0])


def test_networks_that_are_missing_broken_or_of_other_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"is missing; give the ONNX file of the network, or leave the option"
    ):
        Network(tmp_path / "none.onnx", 1)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(DataError, match="is no ONNX network"):
        Network(broken, 1)
    with pytest.raises(DataError, match="takes 2 inputs, 1 are needed"):
        Network(write_network(tmp_path / "two.onnx", 2), 1)
