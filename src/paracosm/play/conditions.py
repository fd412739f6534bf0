"""The vectors by which noise levels and a control steer the passes of a frame, kept while a control is held.

Making them reads a third as many weights as a pass, and players hold the same few controls for seconds. What
turns with the frame's number is made here, so that vectors kept and vectors made give the same bytes. This
file does NOT know worlds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from .backends import Backend

MOST_KEPT = 64
"""Controls whose vectors are kept: 8 MB for the bundled worlds."""


class Conditions:
    """Asks a backend for the vectors of a frame once for each set of passes and control.

    Args:
        num_pairs: rotary pairs of the frame axis.
        width: numbers in a control's vector.
    """

    def __init__(self, num_pairs: int, width: int) -> None:
        self._pairs, self._width = num_pairs, width
        self._kept: OrderedDict[tuple[tuple[tuple[float, bool], ...], bytes], np.ndarray] = OrderedDict()
        self._picture: tuple[np.ndarray, np.ndarray] | None = None

    def ask(
        self,
        backend: Backend,
        passes: Sequence[tuple[float, bool]],
        vector: np.ndarray | None,
        angle: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Make or look up what :meth:`.backends.Backend.condition` gives.

        Args:
            backend: whose networks; always the same.
            passes: of each, its noise level and whether it sees the control.
            vector: float32 (a,); None where the control is not known.
            angle: float32 (k / 4,), turn of each rotary pair of the frame axis at this frame.

        Returns:
            float32 (p, rows, d), one row of vectors a pass, never written to; cosines and sines (s, k / 2).
        """
        control = np.zeros(self._width, np.float32) if vector is None else vector
        key = (tuple(passes), control.tobytes())
        if key not in self._kept:
            levels = np.array([level for level, _ in passes], np.float32)
            known = np.array([known for _, known in passes])
            made, cos, sin = backend.condition(levels, known, np.ascontiguousarray(control[None]), angle)
            self._picture = cos[:, self._pairs :], sin[:, self._pairs :]
            self._kept[key] = made
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        assert self._picture is not None, "set when the first vectors were made"
        cos, sin = self._picture
        turns = np.broadcast_to(angle, (len(cos), len(angle)))
        return (
            self._kept[key],
            np.concatenate([np.cos(turns), cos], 1),
            np.concatenate([np.sin(turns), sin], 1),
        )
