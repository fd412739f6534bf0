"""What a key does to the picture: acting against not acting, in the true game and in a dream of it.

Four clips of one moment: the true game with the key and without (the no-op counterfactual), and the dream
with and without it under the same noise. Differences of differences: what the dream does anyway cancels, and
what is left is laid beside what the key truly does, where and when it does it. Pure functions on frames. This
file does NOT play worlds and gives no marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from paracosm.core.errors import DataError

GRID_ROWS = 24
"""Frames are averaged to about this many rows of cells before they are compared: one cell of slack in place,
no reward for sharpness, and little noise."""
CELL_GREY_LEVELS = 12.0
"""A cell changes when one of its channels does so by more than this: above dithering, below
a muzzle flash."""
ACTIVE_SHARE = 0.01
"""Share of changed cells from which a step counts as showing the effect."""
WINDOW_STEPS = 4
"""Steps over which an effect must be seen: long enough that one flickering frame does not count."""


@dataclass(frozen=True, kw_only=True)
class Quartet:
    """The four clips, uint8 (t, h, w, 3): frame i is the one after control i.

    Attributes:
        acted: the dream under the script.
        idle: the dream without its key, from the same noise.
        true_acted: the true game under the script.
        true_idle: the true game without its key.
    """

    acted: np.ndarray
    idle: np.ndarray
    true_acted: np.ndarray
    true_idle: np.ndarray

    def __post_init__(self) -> None:
        shapes = {self.acted.shape, self.idle.shape, self.true_acted.shape, self.true_idle.shape}
        if len(shapes) != 1 or self.acted.ndim != 4:
            raise DataError(
                f"the four clips have shapes {sorted(shapes)}; give four of one shape (t, h, w, 3)"
            )


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A dream's effect laid beside the true one, delayed by as much as the dream is late.

    Attributes:
        lag: steps by which the dream's effect is best explained, >= 0.
        own: float32 (t, r, c, 3), dream acted minus dream idle, in cells.
        true: float32 (t, r, c, 3), true acted minus true idle, ``lag`` steps later than it was.
        idle_gap: float32 (t, r, c, 3), dream idle minus true idle.
    """

    lag: int
    own: np.ndarray
    true: np.ndarray
    idle_gap: np.ndarray

    @cached_property
    def region(self) -> np.ndarray:
        """Where and when the true effect shows: bool (t, r, c)."""
        return strength(self.true) > CELL_GREY_LEVELS

    @cached_property
    def active(self) -> np.ndarray:
        """Steps that show the true effect: bool (t,)."""
        return self.region.mean(axis=(1, 2)) >= ACTIVE_SHARE

    def gains(self, change: np.ndarray | None = None) -> np.ndarray:
        """How far a change goes along the true effect at each step: 1 as far as the truth, 0 not at all.

        Args:
            change: float32 (t, r, c, 3); the dream's own effect without it.

        Returns:
            float64 (t,); nan at steps that do not show the true effect.
        """
        along, length = self._along(self.own if change is None else change)
        return np.where(self.active, along / np.maximum(length, 1e-9), np.nan)

    def best_window(self, change: np.ndarray | None = None) -> tuple[float, slice]:
        """The largest gain over WINDOW_STEPS steps that show the effect, and which steps they are."""
        along, length = self._along(self.own if change is None else change)
        steps = np.flatnonzero(self.active)
        span = min(WINDOW_STEPS, len(steps))
        found = [
            (float(along[part].sum() / length[part].sum()), slice(int(part[0]), int(part[-1]) + 1))
            for part in (steps[first : first + span] for first in range(len(steps) - span + 1))
        ]
        return max(found, key=lambda one: one[0])

    def agreement(self, steps: slice, where: Literal["region", "picture"]) -> float:
        """Cosine between own and true effect over some steps, in [-1, 1]; 0 for a dream without effect.

        Args:
            steps: steps compared.
            where: only where the true effect shows, or everywhere, so that other changes lower it.
        """
        inside = self.region[steps][..., None] if where == "region" else np.float32(1)
        own, true = (part[steps] * inside for part in (self.own, self.true))
        size = float(np.sqrt((own**2).sum(dtype=np.float64) * (true**2).sum(dtype=np.float64)))
        return float((own * true).sum(dtype=np.float64)) / size if size > 1e-6 else 0.0

    def unasked(self) -> float:
        """Where the idle dream stands between the true idle clip (0) and the true acted one (1).

        Above one half it is nearer to the frames with the effect, though nobody asked for it.
        """
        along, length = self._along(self.idle_gap)
        return float(along[self.active].sum() / length[self.active].sum())

    def _along(self, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        true = self.true * self.region[..., None]
        axes = (1, 2, 3)
        return (change * true).sum(axes, dtype=np.float64), (true**2).sum(axes, dtype=np.float64)


def to_cells(frames: np.ndarray) -> np.ndarray:
    """Average frames over square cells, about GRID_ROWS rows of them; a rest at the edge is left out.

    Args:
        frames: uint8 (t, h, w, 3).

    Returns:
        float32 (t, r, c, 3), grey levels.
    """
    side = max(1, frames.shape[1] // GRID_ROWS)
    rows, columns = frames.shape[1] // side, frames.shape[2] // side
    cut = frames[:, : rows * side, : columns * side].astype(np.float32)
    return cut.reshape(len(frames), rows, side, columns, side, 3).mean(axis=(2, 4))


def strength(change: np.ndarray) -> np.ndarray:
    """Largest change of a channel in each cell: (..., r, c, 3) to (..., r, c), grey levels."""
    return np.abs(change).max(axis=-1)


def measure_effect(clips: Quartet, latest: int) -> Effect:
    """Lay the dream's effect beside the true one, at the delay that explains it best.

    The delay is the one of 0 .. ``latest`` with the largest explained share, 1 - |own - true|^2 / |true|^2
    over all cells and steps, the true effect being that many steps later; the smallest among equals. A
    larger gain alone would not do: an effect that grows looks larger when it is compared too late.

    Args:
        clips: the four clips.
        latest: largest delay tried, in steps.

    Raises:
        DataError: when the true effect does not show: such a case cannot be judged.
    """
    true_idle, idle = to_cells(clips.true_idle), to_cells(clips.idle)
    true = to_cells(clips.true_acted) - true_idle
    own = to_cells(clips.acted) - idle
    shares = [_explained(own, delay(true, lag)) for lag in range(min(latest, len(true) - 1) + 1)]
    lag = int(np.argmax(np.array(shares) - 1e-9 * np.arange(len(shares))))
    effect = Effect(lag=lag, own=own, true=delay(true, lag), idle_gap=idle - true_idle)
    if not effect.active.any():
        raise DataError("the true game shows no effect of the key here; choose another moment")
    return effect


def delay(change: np.ndarray, lag: int) -> np.ndarray:
    """Let an effect begin ``lag`` steps later; nothing happens before."""
    return change if lag == 0 else np.concatenate([np.zeros_like(change[:lag]), change[:-lag]])


def placebo_gain(effect: Effect, idle: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """The gain that noise alone reaches: another noise seed's idle dream in place of the acted one.

    Args:
        effect: of the dream under one noise seed.
        idle: its idle clip, uint8 (t, h, w, 3).
        others: idle clips under other noise seeds; 0 comes back when there are none.
    """
    own = to_cells(idle)
    gains = [0.0]
    for other in others:
        change = to_cells(other) - own
        gains += [effect.best_window(change)[0], effect.best_window(-change)[0]]
    return max(gains)


def widen(cells: np.ndarray) -> np.ndarray:
    """Add to marked cells (t, r, c) their eight neighbours."""
    padded = np.pad(cells, ((0, 0), (1, 1), (1, 1)))
    rows, columns = cells.shape[1:]
    return np.any([padded[:, y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0)


def _explained(own: np.ndarray, true: np.ndarray) -> float:
    total = float((true**2).sum(dtype=np.float64))
    return 1 - float(((own - true) ** 2).sum(dtype=np.float64)) / total if total > 0 else -np.inf
