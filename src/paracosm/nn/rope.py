"""Rotary positions on three axes: frame, row, column.

Each head's width is split into parts, one an axis, and each part rotates by its own position. Only
differences of positions matter, so a cache may count frames from the oldest entry of its window
(window-relative positions).

Source: Su et al. 2104.09864, section 3.4; axial split as common for video transformers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

THETA = 100.0
"""Base of the frequencies: windows have tens of positions, not thousands; slow rotations would be wasted."""


def rotary_table(positions: Sequence[Tensor], widths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position.

    Args:
        positions: one float tensor (s,) an axis, all of one length.
        widths: numbers of the head rotated by each axis; even, and together the head width.

    Returns:
        Two float32 tensors (s, head width / 2).
    """
    angles = []
    for position, width in zip(positions, widths, strict=True):
        angles.append(position.float()[:, None] * axis_frequencies(width, position.device))
    angle = torch.cat(angles, -1)
    return angle.cos(), angle.sin()


def axis_frequencies(width: int, device: torch.device | str = "cpu") -> Tensor:
    """Radians that one step along an axis turns each pair of its ``width`` numbers, float32 (width / 2,)."""
    exponents = torch.arange(0, width, 2, device=device, dtype=torch.float32) / max(1, width)
    return THETA**-exponents


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate pairs (i, i + k / 2) of the last axis of x (..., s, k) by the table's angles."""
    cos, sin = (part.to(x.dtype) for part in table)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def axis_widths(head_width: int) -> tuple[int, int, int]:
    """Split a head over (frame, row, column): half to the frame axis, a quarter to each side of the picture.

    Raises:
        ValueError: when the head width is no multiple of 8.
    """
    if head_width % 8:
        raise ValueError(f"head width {head_width} is no multiple of 8; use e.g. 32 or 64")
    return head_width // 2, head_width // 4, head_width // 4
