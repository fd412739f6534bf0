"""Whether controls and pictures lie on one clock: the picture must turn in the very step that turned it.

The control of row i acts between frame i and frame i + 1, so its turn must show in the motion measured at
row i + 1. A recording that is off by a frame teaches a world to answer late. This file does NOT shift
anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .footage import Source
from .probe import control_vectors_of

VERSION = 1

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("align", pa.float64()),
        ("align_lag", pa.int32()),
        ("align_at_0", pa.float64()),
        ("align_turns", pa.int32()),
    ]
)
"""align: correlation of turn and motion at the best lag; align_lag: that lag in frames, above 0 when pictures
come late; align_at_0: correlation without a lag; align_turns: steps that turned. Null where it cannot be
told."""


@dataclass(frozen=True, kw_only=True)
class AlignmentConfig:
    """How lags are sought."""

    most_lag: int = 5
    """Frames of lag tried each way."""
    least_turns: int = 20
    """Fewest steps with a turn that can tell."""


def align(source: Source, measured: pa.Table, config: AlignmentConfig) -> pa.Table:
    """Compare the turns of a source's controls with the motion of its pictures; the columns are SCHEMA."""
    row: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    row["source"] = source.name
    controls = control_vectors_of(source, 0, len(measured))
    if controls is not None and len(controls):
        # A turn to the right moves the picture to the left.
        motion = -np.asarray(measured["flow_x"].cast(pa.float64()).to_numpy(zero_copy_only=False))[1:]
        row |= best_lag(controls[:, -2], motion, config)
    return pa.Table.from_pylist([row], schema=SCHEMA)


def best_lag(turns: np.ndarray, motion: np.ndarray, config: AlignmentConfig) -> dict[str, Any]:
    """Find the lag at which motion follows turns best.

    Args:
        turns: (t,) degrees to the right in each step.
        motion: (t,) how far the camera's picture moved in the same step, any unit, nan where not known.
        config: how lags are sought.

    Returns:
        The columns of SCHEMA but the source; {} when too little turns.
    """
    turned = int((turns != 0).sum())
    if turned < config.least_turns:
        return {"align_turns": turned}
    found = {lag: _correlate(turns, motion, lag) for lag in range(-config.most_lag, config.most_lag + 1)}
    known = {lag: value for lag, value in found.items() if value is not None}
    if not known:
        return {"align_turns": turned}
    lag = max(known, key=lambda key: (known[key], -abs(key)))
    return {"align": known[lag], "align_lag": lag, "align_at_0": found[0], "align_turns": turned}


def _correlate(turns: np.ndarray, motion: np.ndarray, lag: int) -> float | None:
    one = turns[max(0, -lag) : len(turns) - max(0, lag)]
    two = motion[max(0, lag) : len(motion) - max(0, -lag)]
    both = np.isfinite(one) & np.isfinite(two)
    if both.sum() < 10 or one[both].std() < 1e-9 or two[both].std() < 1e-9:
        return None
    return float(np.corrcoef(one[both], two[both])[0, 1])
