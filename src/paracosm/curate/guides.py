"""Video prompts drawn from frames: edges, and how the picture moves, as pictures that a world can follow.

A prompt is a clip like any other, so whatever draws one (a pose tracker, a person with a brush) may stand in
for these. This file does NOT know networks.

Source: the kinds of prompt: GameGen-X 2411.00769, section 3.3.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from paracosm.core.errors import ConfigError

GuideKind = Literal["edges", "motion"]
GUIDE_KINDS: tuple[GuideKind, ...] = ("edges", "motion")
BLOCK, REACH = 4, 3
"""Side of the blocks whose motion is told, and how far they are looked for, in pixels."""
EDGE = 0.25
"""Share of the strongest possible slope from which a pixel is an edge."""


def draw_guide(kind: GuideKind, frames: np.ndarray) -> np.ndarray:
    """Draw the video prompt of a clip.

    Args:
        kind: which.
        frames: uint8 (t, h, w, 3).

    Returns:
        uint8 (t, h, w, 3); the first picture of motion is at rest.

    Raises:
        ConfigError: for a kind that is not known, or no clip.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ConfigError(f"{frames.dtype} {frames.shape} is no clip; give uint8 (t, h, w, 3)")
    if kind not in GUIDE_KINDS:
        raise ConfigError(f'there is no guide "{kind}"; choose one of {", ".join(GUIDE_KINDS)}')
    gray = frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return _edges(gray) if kind == "edges" else _motion(gray)


def _edges(gray: np.ndarray) -> np.ndarray:
    """White where brightness rises or falls steeply (Sobel), black elsewhere."""
    p = np.pad(gray, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = p[:, :-2, 2:] + 2 * p[:, 1:-1, 2:] + p[:, 2:, 2:] - p[:, :-2, :-2] - 2 * p[:, 1:-1, :-2]
    across -= p[:, 2:, :-2]
    down = p[:, 2:, :-2] + 2 * p[:, 2:, 1:-1] + p[:, 2:, 2:] - p[:, :-2, :-2] - 2 * p[:, :-2, 1:-1]
    down -= p[:, :-2, 2:]
    strong = np.hypot(across, down) > EDGE * 4 * 255
    return np.repeat((strong * 255).astype(np.uint8)[..., None], 3, -1)


def _motion(gray: np.ndarray) -> np.ndarray:
    """Red and green tell how far each block came from, across and down; grey is rest; blue, how far."""
    t, h, w = gray.shape
    rows, columns = h // BLOCK, w // BLOCK
    shifts = [(dy, dx) for dy in range(-REACH, REACH + 1) for dx in range(-REACH, REACH + 1)]
    shifts.sort(key=lambda shift: (abs(shift[0]) + abs(shift[1]), shift))  # of equals the nearest wins
    padded = np.pad(gray[:-1], ((0, 0), (REACH, REACH), (REACH, REACH)), mode="edge")
    errors = []
    for dy, dx in shifts:
        before = padded[:, REACH - dy : REACH - dy + h, REACH - dx : REACH - dx + w]
        error = np.abs(gray[1:] - before)[:, : rows * BLOCK, : columns * BLOCK]
        errors.append(error.reshape(t - 1, rows, BLOCK, columns, BLOCK).sum((2, 4)))
    best = np.array(shifts)[np.argmin(np.stack(errors), 0)] if t > 1 else np.zeros((0, rows, columns, 2), int)
    picture = np.full((t, h, w, 3), (128, 128, 0), np.uint8)
    told = np.stack([128 + best[..., 1] * 127 // REACH, 128 + best[..., 0] * 127 // REACH], -1)
    length = np.clip(np.hypot(best[..., 0], best[..., 1]) * 255 / (REACH * 1.5), 0, 255)
    blocks = np.concatenate([told, length[..., None]], -1).astype(np.uint8)
    picture[1:, : rows * BLOCK, : columns * BLOCK] = blocks.repeat(BLOCK, 1).repeat(BLOCK, 2)
    return picture
