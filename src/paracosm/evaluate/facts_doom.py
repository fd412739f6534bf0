"""What Doom's truth tells of a picture beyond its columns: a room's look, its roof, and a door ahead.

Derived from the pose and from the graph of the made level. Stock maps tell nothing here. This file does NOT
look at pictures.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping

import numpy as np

from paracosm.collect.games.doom_levels import Level, LevelConfig, make_level
from paracosm.core.config import from_json
from paracosm.data.reader import EpisodeRef

DOOR_RANGE = 256.0
"""Distance in map units, half of that between rooms, within which a door is ahead."""
DOOR_ANGLE_DEG = 30.0
"""Angle to the view's axis within which it is ahead; the picture shows about 45 degrees to each side."""
OPEN, SHUT = 0.7, 0.1
"""Share of its height above which a door counts as open, and below which as shut; between them neither."""


def tell_doom(episode: EpisodeRef) -> dict[str, list[str | None]]:
    """Tell "theme", "roof" and "door" of each frame of an episode on made levels; {} on other maps.

    The theme and the roof are those of the room that the player stands in; "passage" and nothing between
    rooms. A door is "none", "shut" or "open", and nothing while it moves.
    """
    config = episode.recipe.config or {}
    if "truth_room" not in episode.columns:
        return {}
    level = _level(int(episode.truth("truth_level_seed")[0]), json.dumps(config.get("level") or {}))
    rooms = episode.truth("truth_room").astype(int)
    doors = _doors(level, episode)
    poses = np.stack([episode.truth(f"pose_{name}") for name in ("x", "y", "yaw")], 1)
    return {
        "theme": [level.rooms[room].theme if room >= 0 else "passage" for room in rooms],
        "roof": [("sky" if level.rooms[room].sky else "ceiling") if room >= 0 else None for room in rooms],
        "door": [
            _door_ahead(level, room, pose, {link: float(shares[row]) for link, shares in doors.items()})
            for row, (room, pose) in enumerate(zip(rooms, poses, strict=True))
        ],
    }


@functools.lru_cache(maxsize=128)
def _level(seed: int, config: str) -> Level:
    return make_level(seed, from_json(LevelConfig, json.loads(config)))


def _doors(level: Level, episode: EpisodeRef) -> dict[int, np.ndarray]:
    numbers = [number for number, link in enumerate(level.links) if link.kind == "door"]
    return {number: episode.truth(f"truth_doors.{number}") for number in numbers}


def _door_ahead(level: Level, room: int, pose: np.ndarray, open_shares: Mapping[int, float]) -> str | None:
    """The nearest door of the player's room that lies ahead; nothing is told in a passage."""
    if room < 0:
        return None
    x, y, yaw = pose
    ahead = []
    for number, share in open_shares.items():
        link = level.links[number]
        across, along = link.middle[0] - x, link.middle[1] - y
        bearing = math.degrees(math.atan2(across, along))  # as a compass: clockwise from north
        off = abs((bearing - yaw + 180.0) % 360.0 - 180.0)
        distance = math.hypot(across, along)
        if room in link.rooms and distance <= DOOR_RANGE and off <= DOOR_ANGLE_DEG:
            ahead.append((distance, share))
    if not ahead:
        return "none"
    share = min(ahead)[1]
    return "open" if share > OPEN else "shut" if share < SHUT else None
