"""Rotary positions: only differences count, lengths stay."""

import pytest
import torch

from paracosm.nn.rope import axis_frequencies, axis_widths, rotary_table, rotate

ROUNDING = 1e-5
"""float32 products of unit-size numbers, a few dozen of them added."""


def table(frame: float, row: float = 0.0, column: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    return rotary_table([torch.tensor([place]) for place in (frame, row, column)], axis_widths(16))


def test_scores_depend_on_differences_of_positions_only() -> None:
    q, k = torch.randn(1, 16), torch.randn(1, 16)
    near = rotate(q, table(5, 1, 2)) @ rotate(k, table(3, 0, 1)).T
    far = rotate(q, table(25, 4, 7)) @ rotate(k, table(23, 3, 6)).T
    torch.testing.assert_close(near, far, atol=ROUNDING, rtol=0)


def test_rotation_keeps_length_and_position_zero_changes_nothing() -> None:
    x = torch.randn(1, 16)
    torch.testing.assert_close(rotate(x, table(7, 3, 1)).norm(), x.norm())
    assert torch.equal(rotate(x, table(0)), x)


def test_each_axis_turns_numbers_of_its_own() -> None:
    x = torch.ones(1, 16)
    turned = [rotate(x, table(*places)) != x for places in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert (sum(part.int() for part in turned) <= 1).all()
    assert [int(part.sum()) for part in turned] == [8, 4, 4]


def test_frequencies_begin_at_one_radian_and_fall() -> None:
    frequencies = axis_frequencies(8)
    assert frequencies[0] == 1.0
    assert (frequencies.diff() < 0).all()


def test_a_head_width_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"head width 12 is no multiple of 8; use e\.g\. 32 or 64"):
        axis_widths(12)
