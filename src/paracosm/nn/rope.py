"""Rotary positions on three axes: frame, row, column.

Each head's width is split into parts, one an axis, and each part rotates by its own position. Only
differences of positions matter, so a cache may count frames from the oldest entry of its window
(window-relative positions).

Two layouts are in use: our own networks rotate number i with number i + k / 2 (``rotate``), published video
transformers rotate neighbours (``rotate_pairs``), each with its own base of frequencies.

Source: Su et al. 2104.09864, section 3.4; axial split as common for video transformers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .fused import can_fuse, fused_rotation

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
    if can_fuse(x):
        return fused_rotation(x, cos, sin)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def pair_table(positions: Sequence[Tensor], num_pairs: Sequence[int], theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines for :func:`rotate_pairs`; angles are formed in float64.

    Args:
        positions: one tensor (s,) an axis, all of one length.
        num_pairs: pairs of neighbours that each axis turns; an axis with n pairs turns pair i by
            ``theta ** (-i / n)`` radians a position.
        theta: base of the frequencies.

    Returns:
        Two float64 tensors (s, pairs).
    """
    angles = []
    for position, count in zip(positions, num_pairs, strict=True):
        exponents = torch.arange(count, device=position.device, dtype=torch.float64) / max(1, count)
        angles.append(position.double()[:, None] * theta**-exponents)
    angle = torch.cat(angles, -1)
    return angle.cos(), angle.sin()


def rotate_pairs(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate neighbours (2 i, 2 i + 1) of the last axis of x by the table's angles.

    Computed in float32 at least: in half precision the turn itself would be lost at far positions.

    Args:
        x: (..., k).
        table: cosines and sines that broadcast against (..., pairs); pairs beyond the table's stay as they
            are.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    cos, sin = (part.to(wide.dtype) for part in table)
    turned, rest = wide[..., : 2 * cos.shape[-1]], wide[..., 2 * cos.shape[-1] :]
    first, second = turned[..., 0::2], turned[..., 1::2]
    turned = torch.stack([first * cos - second * sin, first * sin + second * cos], -1).flatten(-2)
    return torch.cat([turned, rest], -1).to(x.dtype)


def axial_pairs(head_width: int) -> tuple[int, int, int]:
    """Split a head's pairs over (frame, row, column): a third each, what does not divide goes to the frame.

    Source: Wan 2503.20314; 128 numbers give (22, 21, 21).

    Raises:
        ValueError: when the head width is odd or below 6.
    """
    if head_width % 2 or head_width < 6:
        raise ValueError(f"head width {head_width} is no even number from 6 up; use e.g. 64 or 128")
    pairs = head_width // 2
    return pairs - 2 * (pairs // 3), pairs // 3, pairs // 3


def axis_widths(head_width: int) -> tuple[int, int, int]:
    """Split a head over (frame, row, column): half to the frame axis, a quarter to each side of the picture.

    Raises:
        ValueError: when the head width is no multiple of 8.
    """
    if head_width % 8:
        raise ValueError(f"head width {head_width} is no multiple of 8; use e.g. 32 or 64")
    return head_width // 2, head_width // 4, head_width // 4
