"""How well a player covers a game: collisions, how fast new places come, how even its hands are, its looks.

All are counted from what a recording holds: poses, controls and pictures. What the world does not tell is
None, never 0. This file does NOT judge and does not know any game.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from paracosm.core.controls import ControlSpace
from paracosm.data.reader import Dataset, EpisodeRef

WALKING = {
    "forward": (1, 1),
    "back": (1, -1),
    "right": (0, 1),
    "left": (0, -1),
    "up": (2, 1),
    "down": (2, -1),
}
"""Keys that push the player: axis and side; two sides of an axis held together push nowhere."""
BLOCKED = 0.2
"""A pushed step that covers less than this share of a free step is blocked."""
FREE_PERCENTILE = 75
"""Of the lengths of pushed steps: a free one, since most pushes meet nothing."""
LOOK_ROWS, LOOK_COLUMNS, LOOK_LEVELS = 3, 4, 4
"""A look is a picture as so many cells of grey in so many levels: two of one look are hard to tell apart."""
LOOKS_PER_EPISODE = 32
"""Pictures looked at in each episode, evenly spread."""


def describe_collisions(dataset: Dataset) -> dict[str, Any] | None:
    """Count the steps in which the player pushes and does not come on.

    Returns:
        "pushed" (steps), "blocked_share" (of those), "collisions" (times at which a free push became
        a blocked one) and "per_minute"; None where the world tells no pose or no control, or nothing pushes.
    """
    axes = [
        episode
        for episode in dataset.episodes
        if episode.has_controls and episode.num_frames > 2 and {"pose_x", "pose_y"} <= set(episode.columns)
    ]
    paths = [(_pushes(episode, dataset.info.controls), _lengths(episode)) for episode in axes]
    pushed = np.concatenate([lengths[push] for push, lengths in paths] or [np.zeros(0)])
    if not len(pushed):
        return None
    limit = BLOCKED * float(np.percentile(pushed, FREE_PERCENTILE))
    collisions = sum(
        int((push[1:] & push[:-1] & (lengths[1:] <= limit) & (lengths[:-1] > limit)).sum())
        for push, lengths in paths
    )
    minutes = sum(len(push) for push, _ in paths) / dataset.info.fps / 60
    return {
        "pushed": len(pushed),
        "blocked_share": float((pushed <= limit).mean()),
        "collisions": collisions,
        "per_minute": collisions / minutes,
    }


def describe_exploration(visits: list[tuple[Any, ...]]) -> dict[str, float]:
    """Say how the number of places grows with the frames, in their order.

    Args:
        visits: the place of each frame.

    Returns:
        Share of all places that were seen after a quarter, half and three quarters of the frames; a player
        that still finds new ones late has shares well below 1.
    """
    first = {place: index for index, place in reversed(list(enumerate(visits)))}
    found = np.sort(np.array(list(first.values())))
    return {
        f"found@{share:g}": float(np.searchsorted(found, share * len(visits)) / len(found))
        for share in (0.25, 0.5, 0.75)
    }


def describe_balance(held: np.ndarray, look: np.ndarray) -> dict[str, float | None]:
    """Say how evenly keys and the two directions of turning are used.

    Args:
        held: bool (steps, keys).
        look: degrees (steps, 2).

    Returns:
        "keys": evenness of the keys' shares, 1 when all are held equally long (their entropy over its largest
        value), None with fewer than two keys or none held; "yaw": the rarer direction over the commoner one,
        by steps, None when nothing turned.
    """
    shares = held.mean(axis=0)
    even = None
    if len(shares) > 1 and shares.sum() > 0:
        parts = shares[shares > 0] / shares.sum()
        even = float(-(parts * np.log(parts)).sum() / np.log(len(shares)))
    sides = int((look[:, 0] < 0).sum()), int((look[:, 0] > 0).sum())
    return {"keys": even, "yaw": min(sides) / max(sides) if max(sides) else None}


def describe_looks(dataset: Dataset) -> dict[str, float]:
    """Say how many pictures look different at a glance.

    Returns:
        "pictures" (looked at), "distinct" (looks), "distinct_share", and "effective": how many equally common
        looks would be as varied (the exponential of the entropy).
    """
    looks: list[bytes] = []
    for episode in dataset.episodes:
        count = min(LOOKS_PER_EPISODE, episode.num_frames)
        places = np.linspace(0, episode.num_frames - 1, count).astype(int)
        frames = episode.frames
        looks += [look_of(frames[place]) for place in places]
    _, counts = np.unique(np.array(looks), return_counts=True)
    shares = counts / counts.sum()
    return {
        "pictures": len(looks),
        "distinct": len(counts),
        "distinct_share": len(counts) / len(looks),
        "effective": float(np.exp(-(shares * np.log(shares)).sum())),
    }


def look_of(image: np.ndarray) -> bytes:
    """Return what uint8 (h, w, 3) looks like at a glance: cells of grey in a few levels."""
    grey = image.mean(axis=2)
    rows, columns = (
        np.linspace(0, size, min(size, cells) + 1).astype(int)
        for size, cells in zip(grey.shape, (LOOK_ROWS, LOOK_COLUMNS), strict=True)
    )
    sums = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=0), columns[:-1], axis=1)
    cells = sums / (np.diff(rows)[:, None] * np.diff(columns)[None])
    return (cells * LOOK_LEVELS / 256).astype(np.uint8).tobytes()


def _pushes(episode: EpisodeRef, space: ControlSpace) -> np.ndarray:
    """Whether the keys of each step push somewhere, bool (steps,)."""
    held = episode.control_vectors[:, : len(space.keys)] > 0.5
    ways = np.zeros((len(held), 3), int)
    for index, key in enumerate(space.keys):
        if key in WALKING:
            axis, side = WALKING[key]
            ways[:, axis] += side * held[:, index]
    return np.asarray(ways.any(axis=1))


def _lengths(episode: EpisodeRef) -> np.ndarray:
    """How far the pose moves in each step, float (steps,)."""
    path = np.stack([episode.truth("pose_x"), episode.truth("pose_y")], 1).astype(np.float64)
    return np.linalg.norm(np.diff(path, axis=0), axis=1)
