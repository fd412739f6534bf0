"""How a world answers its controls: whether, how soon, how long, and whether two keys act together.

Pure functions on frames and errors of runs that begin alike (same start, same noise) and differ only in their
controls. This file does NOT play worlds.
"""

from __future__ import annotations

import numpy as np

from paracosm.core.errors import DataError

EFFECT_GREY_LEVELS = 12.0
"""A pixel answers when one of its channels differs by more than this between two runs: above codec ripple."""
EFFECT_SHARE = 0.01
"""Share of answering pixels at which an effect shows: 31 of 64 x 48 pixels, a small creature."""
CALM_STEPS = 3
"""Steps in a row that must be calm before a picture counts as having stopped."""


def delta_psnr_db(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Genie's Delta_t PSNR: PSNR under the true controls minus PSNR under others, same start, same step t.

    Args:
        right: (cases,) dB, world under the case's controls against the true frames.
        wrong: (cases,) dB, world under other controls against the same true frames.

    Returns:
        float64 (cases,), dB; above 0 when controls matter, 0 for a world blind to them.

    Source: Bruce et al., "Genie: generative interactive environments", 2024, section 3.
    """
    return np.asarray(right, np.float64) - np.asarray(wrong, np.float64)


def action_margin(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Smallest error under a wrong control minus the error under the true one.

    Args:
        right: (cases,) mean squared errors under the true control.
        wrong: (cases, controls) the same under each wrong one.

    Returns:
        float64 (cases,), squared grey levels; above 0 when the true control explains the truth best.

    Raises:
        DataError: when there is no wrong control.
    """
    if wrong.ndim != 2 or wrong.shape[1] == 0:
        raise DataError(
            f"errors under wrong controls have shape {wrong.shape}; "
            "give (cases, controls), one control or more"
        )
    return wrong.min(axis=1).astype(np.float64) - right


def spread_of_responses(frames: np.ndarray) -> float:
    """Counterfactual spread: mean squared difference of the pictures that different controls lead to.

    Args:
        frames: uint8 (controls, h, w, 3), one start, one noise, one step count; two controls or more.

    Returns:
        Squared grey levels, 0 for a world blind to controls. Neither high nor low is good: compare with the
        true game's.

    Raises:
        DataError: for fewer than two controls.
    """
    if len(frames) < 2:
        raise DataError("a spread needs the pictures of at least two controls; one was given")
    flat = frames.reshape(len(frames), -1).astype(np.float64)
    # mean over pairs of |a - b|² is twice the unbiased variance
    return float(2 * flat.var(axis=0, ddof=1).mean())


def changed_share(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Share of pixels that differ clearly between two runs.

    Args:
        one: uint8 (t, h, w, 3).
        other: uint8 of the same shape.

    Returns:
        float64 (t,), 0 to 1.
    """
    difference = np.abs(one.astype(np.int16) - other.astype(np.int16)).max(axis=-1)
    return (difference > EFFECT_GREY_LEVELS).mean(axis=(-2, -1), dtype=np.float64)


def effect_delay(held: np.ndarray, idle: np.ndarray) -> int | None:
    """Frames until a key's effect shows: first frame in which the run with the key differs from that without.

    Args:
        held: uint8 (t, h, w, 3), frames after each step with the key held from the first step on.
        idle: the same start and noise without it.

    Returns:
        1 for the first frame after the key, as the control law allows at best; None when no frame shows it.
    """
    shows = np.flatnonzero(changed_share(held, idle) >= EFFECT_SHARE)
    return int(shows[0]) + 1 if len(shows) else None


def stop_time(motion: np.ndarray, calm: float) -> int | None:
    """Steps after the release until the picture is calm for CALM_STEPS steps in a row.

    Args:
        motion: (steps,) mean change of brightness from frame to frame, beginning with the first step after
            the release.
        calm: motion at or below which a step is calm.

    Returns:
        0 when it stops at once; None when it does not within the steps given.
    """
    still = np.asarray(motion) <= calm
    for first in range(len(still) - CALM_STEPS + 1):
        if still[first : first + CALM_STEPS].all():
            return first
    return None


def together_margin_db(both: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """How much two keys held together matter beyond each alone: PSNR with both minus the better part's.

    All against the true frames under both keys. A world that drops one of two keys shows the same with both
    as with the other alone: 0 or below.

    Args:
        both: (cases,) dB, world with both keys.
        parts: (cases, 2) dB, world with one of them only, against the same true frames.

    Returns:
        float64 (cases,), dB, higher is better.
    """
    return np.asarray(both, np.float64) - np.max(parts, axis=1)
