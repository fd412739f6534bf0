"""Draws which learnt action goes with which effect: a row for each action, a column for each effect.

A cell is the share of the effect among the steps of the action, darker the more; at the ends of rows and
columns stand the entropies that are left, 0 where an action means one thing and an effect has one action.
This file does NOT measure anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from paracosm.evaluate.latent_meaning import Meaning

CELL = (84, 34)
"""Pixels of a cell, across and down."""
INK, PAPER, FULL = (20, 24, 32), (255, 255, 255), (33, 86, 160)
"""Colours of text, of an empty cell and of a full one."""


def draw_map(meaning: Meaning, names: Sequence[str]) -> np.ndarray:
    """Draw the map of what actions mean.

    Args:
        meaning: as measured.
        names: of the effects, in the order of its columns.

    Returns:
        uint8 (h, w, 3).
    """
    across, down = CELL
    rows, columns = meaning.counts.shape
    picture = Image.new("RGB", (across * (columns + 2), down * (rows + 2)), PAPER)
    draw = ImageDraw.Draw(picture)
    shares, totals = meaning.shares, meaning.counts.sum(1)
    for j, name in enumerate([*names, "bits left"]):
        _write(draw, 0, j + 1, name)
    for i in range(rows):
        _write(draw, i + 1, 0, f"{i + 1}  (n {totals[i]})")
        for j in range(columns):
            share = float(np.nan_to_num(shares[i, j]))
            _fill(draw, i + 1, j + 1, share)
            text = f"{share:.0%}" if totals[i] else "-"
            _write(draw, i + 1, j + 1, text, PAPER if share > 0.5 else INK)
        _write(draw, i + 1, columns + 1, _bits(meaning.control_bits_of_actions[i]))
    _write(draw, rows + 1, 0, "bits left")
    for j in range(columns):
        _write(draw, rows + 1, j + 1, _bits(meaning.action_bits_of_controls[j]))
    return np.asarray(picture)


def _bits(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _fill(draw: ImageDraw.ImageDraw, row: int, column: int, share: float) -> None:
    colour = tuple(round(p + share * (f - p)) for p, f in zip(PAPER, FULL, strict=True))
    left, top = column * CELL[0], row * CELL[1]
    draw.rectangle((left, top, left + CELL[0] - 2, top + CELL[1] - 2), fill=colour)


def _write(
    draw: ImageDraw.ImageDraw, row: int, column: int, text: str, ink: tuple[int, int, int] = INK
) -> None:
    draw.text((column * CELL[0] + 6, row * CELL[1] + CELL[1] // 3), text, fill=ink)
