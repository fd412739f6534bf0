"""What learnt actions mean: how purely each stands for one true control, and which.

True controls judge and map; they never train. Plain counts over pairs of a learnt action and the true control
of the same step. This file does NOT know networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.core.stats import BOOTSTRAP_DRAWS
from paracosm.core.token_spec import CHORD

from .intervals import percentile_interval


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

    @property
    def shares(self) -> np.ndarray:
        """Share of each control among the steps of an action, float64 (actions, controls); nan if unused."""
        return _rows(self.counts)

    @property
    def control_bits_of_actions(self) -> np.ndarray:
        """Entropy of the controls given each action, bits (actions,): 0 where it means one; nan if unused."""
        return np.array([_entropy_bits(row) for row in self.shares])

    @property
    def action_bits_of_controls(self) -> np.ndarray:
        """Entropy of the actions given each control, bits (controls,): 0 where one action takes it all."""
        return np.array([_entropy_bits(row) for row in _rows(self.counts.T)])


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
    counts = count_pairs(actions, controls, num_actions, int(controls.max()) + 1)
    total = counts.sum()
    control_bits = _entropy_bits(counts.sum(0) / total)
    pair_bits = _entropy_bits(counts.reshape(-1) / total)
    return Meaning(
        counts=counts,
        purity=purity_of(counts),
        most_common=float(counts.sum(0).max() / total),
        information_bits=_entropy_bits(counts.sum(1) / total) + control_bits - pair_bits,
        control_bits=control_bits,
    )


def count_pairs(actions: np.ndarray, controls: np.ndarray, num_actions: int, num_controls: int) -> np.ndarray:
    """Count how often each action goes with each control, int64 (actions, controls).

    Args:
        actions: int (n,), from 0.
        controls: int (n,), of the same steps, from 0.
        num_actions: rows.
        num_controls: columns.
    """
    counts = np.bincount(actions * num_controls + controls, minlength=num_actions * num_controls)
    return counts.reshape(num_actions, num_controls)


def purity_of(counts: np.ndarray) -> float:
    """Share of steps whose control is the commonest of their action; nan without a step.

    Args:
        counts: (actions, controls), steps of each pair.
    """
    return float(counts.max(1).sum() / counts.sum()) if counts.sum() else float("nan")


@dataclass(frozen=True, kw_only=True)
class PurityShare:
    """Purity of learnt actions held against a supervised reader's on the same steps, with 95 % intervals.

    Attributes:
        purity: of the learnt actions.
        ceiling: of what the reader read, as if its readings were actions.
        share: purity over ceiling.
        purity_ci95: bootstrap over units, None when it cannot be told; likewise the others.
    """

    purity: float
    ceiling: float
    share: float
    purity_ci95: tuple[float, float] | None
    ceiling_ci95: tuple[float, float] | None
    share_ci95: tuple[float, float] | None


def compare_purity(counts: np.ndarray, ceiling: np.ndarray, seed: int = 0) -> PurityShare:
    """Hold the purity of learnt actions against a reader's.

    Args:
        counts: (units, actions, controls), steps of each pair in each unit (an episode).
        ceiling: (units, readings, controls), the same steps as the reader read them.
        seed: of the resampling.

    Raises:
        DataError: when there is no step, or the steps of the two are not the same.
    """
    if counts.shape[::2] != ceiling.shape[::2] or not np.array_equal(counts.sum(1), ceiling.sum(1)):
        raise DataError(
            f"steps of learnt actions {counts.shape} and of the reader {ceiling.shape} are not the same; "
            "count both on the same steps and the same controls"
        )
    if not counts.sum():
        raise DataError("no step is left to judge; bring recordings in which keys do something visible")
    draws = stream(seed, "purity")
    rows = []
    for _ in range(BOOTSTRAP_DRAWS):
        units = draws.integers(0, len(counts), len(counts))
        one, two = purity_of(counts[units].sum(0)), purity_of(ceiling[units].sum(0))
        rows.append((one, two, one / two))
    ends = [percentile_interval(column) for column in np.array(rows).T] if len(counts) > 1 else [None] * 3
    one, two = purity_of(counts.sum(0)), purity_of(ceiling.sum(0))
    return PurityShare(
        purity=one,
        ceiling=two,
        share=one / two,
        purity_ci95=ends[0],
        ceiling_ci95=ends[1],
        share_ci95=ends[2],
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
        chosen[name] = _goes_with(actions, held, num_actions)
    return chosen


def map_chords(
    actions: np.ndarray, keys: np.ndarray, names: Sequence[str], num_actions: int, least: int = 5
) -> dict[str, int]:
    """Choose for keys held together, or none, the learnt action that goes with exactly those most.

    The choice is that of :func:`map_keys`.

    Args:
        actions: int (n,), the learnt action of each labelled step.
        keys: bool (n, k), keys held at each of them.
        names: the k keys.
        num_actions: learnt actions there are.
        least: labelled steps that a chord needs.

    Returns:
        Names joined by "+", in their order, to the action, "" standing for no key; chords seen too seldom are
        left out.
    """
    chosen = {}
    for chord in np.unique(keys.astype(bool), axis=0):
        held = (keys.astype(bool) == chord).all(1)
        if chord.sum() != 1 and held.sum() >= least and not held.all():
            told = [name for name, down in zip(names, chord, strict=True) if down]
            chosen[CHORD.join(told)] = _goes_with(actions, held, num_actions)
    return chosen


def _goes_with(actions: np.ndarray, held: np.ndarray, num_actions: int) -> int:
    """The action whose share where ``held`` exceeds its share elsewhere by most."""
    inside, outside = (
        np.bincount(actions[part], minlength=num_actions) / part.sum() for part in (held, ~held)
    )
    return int((inside - outside).argmax())


def _rows(counts: np.ndarray) -> np.ndarray:
    total = counts.sum(1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def _entropy_bits(share: np.ndarray) -> float:
    if np.isnan(share).any():
        return float("nan")
    share = share[share > 0]
    return float(0.0 - (share * np.log2(share)).sum())
