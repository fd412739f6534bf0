"""Square patches of a grid as tokens, and back."""

import torch
from einops import rearrange
from torch import Tensor


def pad_to_patches(grid: Tensor, side: int) -> Tensor:
    """Repeat the last row and column of (b, t, z, h, w) until patches of ``side`` divide it."""
    rows, columns = -grid.shape[-2] % side, -grid.shape[-1] % side
    if rows:
        grid = torch.cat([grid, grid[..., -1:, :].expand(*grid.shape[:-2], rows, -1)], -2)
    if columns:
        grid = torch.cat([grid, grid[..., -1:].expand(*grid.shape[:-1], columns)], -1)
    return grid


def to_patches(grid: Tensor, side: int) -> Tensor:
    """Turn (b, t, z, h, w) into (b, t, s, z * side * side), tokens row by row."""
    return rearrange(grid, "b t z (h p) (w q) -> b t (h w) (z p q)", p=side, q=side)


def from_patches(tokens: Tensor, side: int, rows: int) -> Tensor:
    """Undo :func:`to_patches`; ``rows`` is the number of token rows."""
    return rearrange(tokens, "b t (h w) (z p q) -> b t z (h p) (w q)", p=side, q=side, h=rows)
