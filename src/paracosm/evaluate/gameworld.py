"""The GameWorld score's eight dimensions, each by an offline substitute that bears a name of its own.

The originals need downloaded networks (see ``gameworld_originals.py``); what stands here needs none, or uses
the world's own judges. Each is gated by motion or beside the true game's own value, since still pictures are
consistent. Pure functions. This file does NOT play worlds.

Source: the dimensions are those of arXiv 2506.18701, section 5; the formulas are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from paracosm.core.controls import Control, ControlSpace

from .drift import Band, in_band
from .quality import frame_statistics, luma, motion

TURN_CLASS_DEG = 0.5
"""Turn from which a direction counts. The original takes 0.01 degrees, which its reader quantises; one that
reads continuously would never say "none"."""
OPPOSITE_KEYS = (("forward", "back"), ("left", "right"), ("up", "down"))
"""Keys that form one group, as in the original: one, the other, or none (both count as none)."""
REACH_PX = 4
"""Shift, in pixels along each axis, by which mirrored frames may differ."""


def band_share(clip: np.ndarray, band: Band) -> float:
    """Share of the frames whose six statistics all lie in the real game's band.

    Args:
        clip: uint8 (t, h, w, 3), t >= 2; its first frame is only what motion is measured from.
        band: of real frames.
    """
    return float(in_band(frame_statistics(clip), band).mean())


def feature_consistency(features: np.ndarray) -> float:
    """Mean of the cosine to the frame before and to the first frame, as the original's code has it.

    Args:
        features: (t, d) of any encoder, t >= 2.
    """
    size = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(size, 1e-9)
    before = (unit[1:] * unit[:-1]).sum(axis=1)
    first = (unit[1:] * unit[:1]).sum(axis=1)
    return float((before + first).mean() / 2)


def motion_gate(clip: np.ndarray, truth: np.ndarray) -> float:
    """Mean motion over that of the true game, at most 1: what a consistency is worth.

    Args:
        clip: uint8 (t, h, w, 3).
        truth: uint8 (t, h, w, 3), the true game under the same controls.
    """
    real = float(motion(truth).mean())
    return min(1.0, float(motion(clip).mean()) / real) if real > 0 else 1.0


def interpolation_error(clip: np.ndarray) -> float:
    """Mean absolute error of every second frame against the mean of its neighbours, in grey levels.

    Args:
        clip: uint8 (t, h, w, 3), t >= 3.
    """
    grey = luma(clip)
    odd = np.arange(1, len(clip) - 1, 2)
    return float(np.abs(grey[odd] - (grey[odd - 1] + grey[odd + 1]) / 2).mean())


def key_groups(keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Group keys as the original does: opposite ones together, each other one on its own."""
    groups = [pair for pair in OPPOSITE_KEYS if set(pair) <= set(keys)]
    taken = {key for pair in groups for key in pair}
    return [*groups, *((key,) for key in keys if key not in taken)]


def key_accuracy(read: np.ndarray, asked: np.ndarray, keys: Sequence[str]) -> float:
    """Share of the steps whose class is read rightly, averaged over the groups of keys.

    Args:
        read: (t, keys), probabilities.
        asked: (t, keys), 0 or 1.
        keys: their names.
    """
    shares = []
    for group in key_groups(keys):
        columns = [list(keys).index(key) for key in group]
        shares.append(float((_classes(read[:, columns] > 0.5) == _classes(asked[:, columns] > 0.5)).mean()))
    return float(np.mean(shares))


def turn_accuracy(read: np.ndarray, asked: np.ndarray) -> float:
    """Share of the steps whose direction of turn is read rightly: eight directions and none.

    Args:
        read: (t, axes) degrees, one or two axes.
        asked: (t, axes) degrees.
    """
    one, other = (
        np.where(np.abs(part) >= TURN_CLASS_DEG, np.sign(part), 0).astype(int) for part in (read, asked)
    )
    return float((one == other).all(axis=1).mean())


def mirrored_walks(space: ControlSpace, steps: int) -> Mapping[str, tuple[Control, ...]]:
    """Eight symmetric ways out and back: each control held, then its opposite as long.

    Args:
        space: the controls; those that it does not offer are left out.
        steps: one way.

    Returns:
        Scripts of 2 x steps controls by name; empty where nothing undoes anything.
    """
    moves: dict[str, Control] = {}
    for one, other in OPPOSITE_KEYS:
        if one in space.keys and other in space.keys:
            moves |= {one: Control({one}), other: Control({other})}
    yaw = min(space.look_limit[0], 4.0)
    if yaw:
        moves |= {"turn_right": Control(look=(yaw, 0.0)), "turn_left": Control(look=(-yaw, 0.0))}
    if yaw and "forward" in moves:
        moves |= {
            "forward_turn_right": Control({"forward"}, (yaw, 0.0)),
            "forward_turn_left": Control({"forward"}, (-yaw, 0.0)),
        }
    return {name: (control,) * steps + (_undo(control),) * steps for name, control in list(moves.items())[:8]}


def mirror_error(clip: np.ndarray) -> float:
    """Mean squared error of frames mirrored about the farthest point, after the best shift of a few pixels.

    Args:
        clip: uint8 (2 n + 1, h, w, 3): the start, n frames out, n frames back.
    """
    grey = luma(clip)
    half = (len(clip) - 1) // 2
    return float(np.mean([_shifted_error(grey[half - i], grey[half + i]) for i in range(1, half + 1)]))


def away_error(clip: np.ndarray) -> float:
    """Mean squared difference between the first frame and the farthest: how far there is to come back."""
    grey = luma(clip)
    return float(((grey[0] - grey[(len(clip) - 1) // 2]) ** 2).mean())


def mirror_score(rows: np.ndarray) -> float:
    """1 - mirrored error / true way out, at least 0, times the motion gate; sums over cases first.

    Args:
        rows: (cases, 3): mirrored error of the clip, how far it went, how far the true game went.
    """
    mirrored, away, true_away = rows.sum(axis=0, dtype=np.float64).tolist()
    if true_away <= 0:
        return float("nan")
    return max(0.0, 1 - mirrored / true_away) * min(1.0, away / true_away)


def _classes(held: np.ndarray) -> np.ndarray:
    """Class of each step of a group: 0 none or both, else 1 + which."""
    alone = held.sum(axis=1) == 1
    return np.where(alone, 1 + held.argmax(axis=1), 0)


def _undo(control: Control) -> Control:
    opposite = {one: other for pair in OPPOSITE_KEYS for one, other in (pair, pair[::-1])}
    return Control({opposite[key] for key in control.keys}, (-control.look[0], -control.look[1]))


def _shifted_error(one: np.ndarray, other: np.ndarray) -> float:
    """Least mean squared error over all shifts of at most REACH_PX, inside the common part."""
    inner = one[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    height, width = inner.shape
    side = range(2 * REACH_PX + 1)
    return min(
        float(((inner - other[y : y + height, x : x + width]) ** 2).mean()) for y in side for x in side
    )
