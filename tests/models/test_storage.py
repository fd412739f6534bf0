"""Stored weights: exact as they are, nearly so in half precision and as bytes."""

import pytest
import torch

from paracosm.models.storage import Storage, from_disk, to_disk
from tests import tiny

LARGEST_ERROR = {"float32": 0.0, "float16": 2.0**-11, "int8": 0.5 / 127}
"""As a share of the largest weight of a row: half a step of each number type."""


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_weights_come_back_within_half_a_step(storage: Storage) -> None:
    before = tiny.dynamics().state_dict()
    after = from_disk(to_disk(before, storage))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        largest = tensor.abs().flatten(1).amax(1) if tensor.ndim > 1 else tensor.abs().max()
        error = (after[name].float() - tensor).abs()
        error = error.flatten(1).amax(1) if tensor.ndim > 1 else error.max()
        assert bool((error <= LARGEST_ERROR[storage] * largest * 1.001).all()), name


def test_bytes_take_a_quarter_of_the_room() -> None:
    weights = {"a": torch.randn(64, 64), "b": torch.randn(64)}
    sizes = {
        kind: sum(part.numel() * part.element_size() for part in to_disk(weights, kind).values())
        for kind in ("float32", "float16", "int8")
    }
    assert sizes["float16"] == sizes["float32"] / 2
    assert sizes["int8"] < 0.28 * sizes["float32"]


def test_a_row_of_zeros_and_integers_survive() -> None:
    weights = {"zero": torch.zeros(2, 3), "count": torch.tensor([3, 4])}
    after = from_disk(to_disk(weights, "int8"))
    assert torch.equal(after["zero"], weights["zero"])
    assert torch.equal(after["count"], weights["count"])
