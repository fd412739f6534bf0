"""Rotary tables of a video transformer, made once for the same positions and kept on their device.

In play positions count from the oldest latent frame held, so with a full window every pass asks for the same
few tables; making them anew would have each pass wait for a copy from the processor. This file does NOT know
which positions are asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from paracosm.nn.attention import Table
from paracosm.nn.rope import axial_pairs, pair_table

THETA = 10_000.0
"""Base of the rotary frequencies of self attention."""
MOST_TABLES = 16
"""Tables of either kind that are kept, the latest used; one of a published block is 1.4 MB."""


@dataclass(frozen=True, kw_only=True)
class PassTables:
    """Rotations of one pass: of the new tokens, of the cached ones, and of both by frame for the actions."""

    own: Table
    past: Table
    actions: tuple[Table, Table]


def pass_tables(
    frames: Sequence[int],
    past: Sequence[int],
    grid: tuple[int, int],
    *,
    head_width: int,
    turned: tuple[int, float],
    like: torch.Tensor,
) -> PassTables:
    """Put together the rotations of one pass.

    Args:
        frames: position of each new latent frame.
        past: position of each cached one.
        grid: rows and columns of tokens in a frame.
        head_width: numbers a head of self attention.
        turned: for the attention over controls, pairs that are turned and the base of their frequencies.
        like: a weight of the network, for its number type and device.
    """
    kind, device = like.dtype, like.device
    own, held = (token_table(places, grid, head_width, kind, device) for places in (frames, past))
    of_own, of_held = (frame_table(places, *turned, kind, device) for places in (frames, past))
    return PassTables(own=own, past=held, actions=(of_own, of_held))


def token_table(
    frames: Sequence[int], grid: tuple[int, int], head_width: int, dtype: torch.dtype, device: torch.device
) -> Table:
    """Cosines and sines of the tokens of latent frames, for self attention.

    Args:
        frames: position of each latent frame.
        grid: rows and columns of tokens in a frame.
        head_width: numbers a head.
        dtype: of the network; tables are float32 at least.
        device: where they lie.

    Returns:
        Two tensors (t s, head_width / 2); shared, never to be written to.
    """
    make = _make_token_table if torch.compiler.is_compiling() else _kept_token_table
    return make(tuple(frames), grid, head_width, dtype, device)


def frame_table(
    frames: Sequence[int], num_pairs: int, theta: float, dtype: torch.dtype, device: torch.device
) -> Table:
    """Cosines and sines of latent frames alone, for the attention over controls.

    Args:
        frames: position of each latent frame.
        num_pairs: pairs of numbers that are turned.
        theta: base of the frequencies.
        dtype: of the network; tables are float32 at least.
        device: where they lie.

    Returns:
        Two tensors (t, num_pairs); shared, never to be written to.
    """
    make = _make_frame_table if torch.compiler.is_compiling() else _kept_frame_table
    return make(tuple(frames), num_pairs, theta, dtype, device)


@torch.inference_mode(False)  # a table that was first asked for in play may be needed for a gradient later
def _make_token_table(
    frames: tuple[int, ...],
    grid: tuple[int, int],
    head_width: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Table:
    axes = [_numbers(frames), *(_numbers(range(side)) for side in grid)]
    mesh = torch.meshgrid(*axes, indexing="ij")
    table = pair_table([axis.reshape(-1) for axis in mesh], axial_pairs(head_width), THETA)
    return _to(table, dtype, device)


@torch.inference_mode(False)
def _make_frame_table(
    frames: tuple[int, ...], num_pairs: int, theta: float, dtype: torch.dtype, device: torch.device
) -> Table:
    return _to(pair_table([_numbers(frames)], [num_pairs], theta), dtype, device)


_kept_token_table = functools.lru_cache(MOST_TABLES)(_make_token_table)
_kept_frame_table = functools.lru_cache(MOST_TABLES)(_make_frame_table)


def _numbers(positions: Sequence[int]) -> torch.Tensor:
    return torch.tensor(positions, dtype=torch.float64, device="cpu")


def _to(table: Table, dtype: torch.dtype, device: torch.device) -> Table:
    wide = torch.promote_types(dtype, torch.float32)
    return table[0].to(device, wide), table[1].to(device, wide)
