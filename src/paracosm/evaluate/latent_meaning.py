"""What learnt actions mean: how purely each stands for one true control, and which.

True controls judge and map; they never train. Plain counts over pairs of a learnt action and the true control
of the same step. This file does NOT know networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """How learnt actions and true controls go together.

    Attributes:
        counts: int64 (actions, controls), steps of each pair.
        purity: share of steps whose control is the commonest of their action.
        most_common: share of steps of the commonest control: the purity of actions that mean nothing.
        information_bits: mutual information of action and control.
        control_bits: entropy of the controls, the most that the information can be.
    """

    counts: np.ndarray
    purity: float
    most_common: float
    information_bits: float
    control_bits: float

    @property
    def best(self) -> np.ndarray:
        """Commonest control of each action, int64 (actions,)."""
        return self.counts.argmax(1)


def measure_meaning(actions: np.ndarray, controls: np.ndarray, num_actions: int) -> Meaning:
    """Compare learnt actions with true controls.

    Args:
        actions: int (n,), the learnt action of each step.
        controls: int (n,), the true control of each step as a class, from 0.
        num_actions: learnt actions there are.

    Raises:
        DataError: when there is no step, or the lengths differ.
    """
    if not len(actions) or len(actions) != len(controls):
        raise DataError(
            f"{len(actions)} learnt actions and {len(controls)} controls cannot be compared; "
            "give one of each for every step, and at least one"
        )
    num_controls = int(controls.max()) + 1
    counts = np.bincount(actions * num_controls + controls, minlength=num_actions * num_controls)
    counts = counts.reshape(num_actions, num_controls)
    total = counts.sum()
    control_bits = _entropy_bits(counts.sum(0) / total)
    pair_bits = _entropy_bits(counts.reshape(-1) / total)
    return Meaning(
        counts=counts,
        purity=float(counts.max(1).sum() / total),
        most_common=float(counts.sum(0).max() / total),
        information_bits=_entropy_bits(counts.sum(1) / total) + control_bits - pair_bits,
        control_bits=control_bits,
    )


def map_keys(actions: np.ndarray, keys: np.ndarray, names: Sequence[str], num_actions: int) -> dict[str, int]:
    """Choose for each real key the learnt action that goes with it most, from labelled steps.

    It is the action whose share of steps with the key exceeds its share of steps without by most, so that a
    common action does not take every key.

    Args:
        actions: int (n,), the learnt action of each labelled step.
        keys: bool (n, k), keys held at each of them.
        names: the k keys.
        num_actions: learnt actions there are.

    Raises:
        DataError: when a key was never held, or always.
    """
    chosen = {}
    for column, name in enumerate(names):
        held = keys[:, column].astype(bool)
        if not held.any() or held.all():
            raise DataError(
                f'key "{name}" is held in {int(held.sum())} of {len(held)} labelled steps; '
                "label some steps with it and some without"
            )
        with_key, without = (
            np.bincount(actions[part], minlength=num_actions) / part.sum() for part in (held, ~held)
        )
        chosen[name] = int((with_key - without).argmax())
    return chosen


def _entropy_bits(share: np.ndarray) -> float:
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())
