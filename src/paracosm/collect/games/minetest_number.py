"""The number of a frame inside its own picture: a strip of black and white blocks that a mod draws.

A captured picture says by itself which step of the game it shows, so that no clock has to be trusted. The
strip lies in the top left corner of the window, in rows that are cut off before anybody sees the frame. This
file does NOT know who draws or captures.
"""

from __future__ import annotations

import numpy as np

BLOCK = 4
"""Side of one block in pixels."""
NUM_BITS = 16
"""Bits of the number, highest first; behind them stand the four bits of its check."""
MODULUS = 1 << NUM_BITS
"""Numbers begin again at 0 after so many frames."""
NUM_BLOCKS = 2 + NUM_BITS + 4
"""One white block, one black, the number, the check."""
STRIP_HEIGHT = BLOCK
"""Rows of the window that the strip takes."""
STRIP_WIDTH = NUM_BLOCKS * BLOCK
"""Columns of the window that the strip takes."""

_DARK, _BRIGHT = 64, 192


def check_of(number: int) -> int:
    """The check of a number: the sum of its hexadecimal digits, to 16."""
    return sum(int(digit, 16) for digit in f"{number:x}") % 16


def draw_number(number: int) -> np.ndarray:
    """Draw the strip of a number as the mod does.

    Args:
        number: 0 to MODULUS - 1.

    Returns:
        uint8 (STRIP_HEIGHT, STRIP_WIDTH, 3).
    """
    bits = f"10{number:0{NUM_BITS}b}{check_of(number):04b}"
    row = np.repeat(np.array([255 * int(bit) for bit in bits], np.uint8), BLOCK)
    return np.repeat(np.broadcast_to(row, (BLOCK, len(row)))[..., None], 3, axis=2)


def read_number(picture: np.ndarray) -> int | None:
    """Read the number in a picture's top left corner.

    Args:
        picture: uint8 (h, w, 3), at least STRIP_HEIGHT high and STRIP_WIDTH wide.

    Returns:
        The number; None when the strip is not there, not clearly black and white, or fails its check: then
        the picture was half drawn, or something lies over the strip.
    """
    strip = picture[:BLOCK, :STRIP_WIDTH].reshape(BLOCK, NUM_BLOCKS, BLOCK, 3)[1:-1, :, 1:-1]
    low, high = strip.min(axis=(0, 2, 3)), strip.max(axis=(0, 2, 3))
    white = low >= _BRIGHT
    if not (white | (high <= _DARK)).all() or not white[0] or white[1]:
        return None
    bits = "".join("1" if bit else "0" for bit in white[2:])
    number, check = int(bits[:NUM_BITS], 2), int(bits[NUM_BITS:], 2)
    return number if check == check_of(number) else None
