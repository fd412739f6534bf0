"""The number type of matrix products follows the machine, and a run may say its own."""

import pytest
import torch

from paracosm.train import precision
from paracosm.train.precision import autocast, choose_precision, has_bf16


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch, has: bool, chosen: str) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda device: has)
    assert choose_precision("auto", "cpu") == chosen


@pytest.mark.parametrize("asked", ["bf16", "fp32"])
def test_what_a_run_asks_for_is_taken(asked: precision.Precision) -> None:
    assert choose_precision(asked, "cpu") == asked
    left, right = torch.ones(8, 8), torch.ones(8, 8)
    with autocast(asked, "cpu"):
        assert (left @ right).dtype == (torch.bfloat16 if asked == "bf16" else torch.float32)


def test_a_device_nobody_tried_counts_as_without() -> None:
    assert not has_bf16("meta")
