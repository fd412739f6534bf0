"""Masked tokens in numpy: the sampling of a world of tokens where there is no torch.

One frame of one world at a time; the same choices as :mod:`paracosm.models.masking`, by test. This file does
NOT know networks.

Source: MaskGIT 2202.04200, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from paracosm.models.mask_schedule import count_masked
from paracosm.models.rollout import Renoise

_RUN = 32
"""Codes of a run; about the root of how many there are."""


@dataclass(frozen=True, kw_only=True)
class Masked:
    """One frame on its way from all masked to clean.

    Attributes:
        codes: int64 (s,).
        masked: bool (s,).
        draws: float32 (p, s) in [0, 1), one for each token of each pass still to come.
    """

    codes: np.ndarray
    masked: np.ndarray
    draws: np.ndarray

    @classmethod
    def begin(cls, mask_code: int, draws: np.ndarray) -> Masked:
        """A frame of masks."""
        tokens = draws.shape[1]
        return cls(codes=np.full(tokens, mask_code, np.int64), masked=np.ones(tokens, bool), draws=draws)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a pass made of a masked frame.

    Attributes:
        codes: int64 (s,), no token masked.
        confidence: float64 (s,); infinite for tokens that were not masked.
    """

    codes: np.ndarray
    confidence: np.ndarray


def fill(frame: Masked, logits: np.ndarray, temperature: float) -> Filled:
    """Fill the masked tokens of a frame; see :func:`paracosm.models.masking.fill`.

    Args:
        frame: what the pass was given.
        logits: float32 (s, codes) of the pass.
        temperature: of the sampling; 0 takes the likeliest code.
    """
    where = np.flatnonzero(frame.masked)
    chosen = logits[where]
    chosen = chosen - chosen.max(1, keepdims=True)
    chances = np.exp(chosen)
    if temperature > 0:
        weights = chances if temperature == 1 else np.exp(chosen / np.float32(temperature))
        made = pick(weights, frame.draws[0][where].astype(np.float64))
    else:
        made = chosen.argmax(1)
    codes, confidence = frame.codes.copy(), np.full(len(frame.codes), np.inf)
    codes[where] = made
    rows = np.arange(len(where))
    confidence[where] = chosen[rows, made] - np.log(chances.sum(1, dtype=np.float64))
    return Filled(codes=codes, confidence=confidence)


def pick(weights: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Entry of each row at which the running sum of its weights passes a share of their sum.

    Runs of weights are summed first, and only the run that is met is looked at one by one: a running sum of
    all of them costs as much as a layer of the network.

    Args:
        weights: float32 (n, codes), none negative.
        draws: float64 (n,) in [0, 1).
    """
    rows, codes = np.arange(len(weights)), weights.shape[1]
    starts = np.arange(0, codes, _RUN)
    sums = np.add.reduceat(weights, starts, 1, np.float64).cumsum(1)
    target = draws * sums[:, -1]
    met = np.minimum((sums <= target[:, None]).sum(1), len(starts) - 1)
    rest = target - np.where(met > 0, sums[rows, met - 1], 0.0)
    places = np.minimum(starts[met][:, None] + np.arange(_RUN), codes - 1)
    inside = weights[rows[:, None], places].cumsum(1, dtype=np.float64)
    return np.minimum(starts[met] + (inside <= rest[:, None]).sum(1), codes - 1)


def remask(mask_code: int) -> Renoise:
    """Make the step between two passes; see :func:`paracosm.models.masking.remask`."""

    def step(x: Masked, clean: Filled, level: float, lower: float) -> Masked:
        count = count_masked(lower, len(clean.codes), int(x.masked.sum()))
        least = clean.confidence.argsort(kind="stable")[:count]
        masked, codes = np.zeros_like(x.masked), clean.codes.copy()
        masked[least], codes[least] = True, mask_code
        return replace(x, codes=codes, masked=masked, draws=x.draws[1:])

    return step
