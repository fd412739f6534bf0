"""What the client mod tells of one frame, as a line of the game's log and as a value.

This file does NOT know where lines come from or what is done with a record.
"""

from __future__ import annotations

from dataclasses import dataclass

from paracosm.core.errors import WorldError

MARK, SEEN_MARK = "PARACOSM ", "PARACOSM_SEEN "
"""What stands before the words of a record; the game's own time stamp comes before it."""

KEY_NAMES = {
    "up": "forward",
    "down": "back",
    "left": "left",
    "right": "right",
    "jump": "jump",
    "sneak": "sneak",
}
"""The game's names of its keys, and ours."""

_NUMBERS = (
    "clock",
    "dtime",
    "eye_x",
    "eye_y",
    "eye_z",
    "feet_x",
    "feet_y",
    "feet_z",
    "speed_x",
    "speed_y",
    "speed_z",
    "yaw",
    "pitch",
    "fov_x",
    "fov_y",
    "time",
)


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """One frame as the game itself knew it when it drew it.

    Attributes:
        frame: its number, from 1.
        order: the last order that the server mod had done.
        keys: the keys that the game held down in the step that led here, by our names.
        numbers: "clock" and "dtime" (seconds: the game's time, and how long this frame is), "feet_x" and so
            on (nodes), "speed_x" and so on (nodes a second), "yaw" (degrees counter-clockwise from +x),
            "pitch" (degrees, up positive), "fov_x", "fov_y" (degrees, of the window), "time" (of day, 0 to
            1); "eye_x" and so on: the camera's place one frame before.
        words: "weather", "light", "biome", "person", "place" ("stands" or "no_ground", of the last order).
        missing: places nearby that the game has not been sent yet.
        ground: whether the player stands on something.
        liquid: whether the player is in water or lava.
    """

    frame: int
    order: int
    keys: frozenset[str]
    numbers: dict[str, float]
    words: dict[str, str]
    missing: int
    ground: bool
    liquid: bool


@dataclass(frozen=True, kw_only=True)
class InputSeen:
    """What the game held for true between two frames.

    Attributes:
        keys: the keys that it holds down, by our names.
        yaw: degrees counter-clockwise from +x.
        pitch: degrees, up positive.
    """

    keys: frozenset[str]
    yaw: float
    pitch: float


def parse_seen(line: str) -> InputSeen | None:
    """Read a line that tells what input has arrived; None for another line."""
    _, mark, rest = line.partition(SEEN_MARK)
    if not mark:
        return None
    words = _read_words(rest)
    return InputSeen(keys=_read_keys(words["keys"]), yaw=float(words["yaw"]), pitch=float(words["pitch"]))


def _read_words(text: str) -> dict[str, str]:
    """Read "NAME=VALUE NAME=VALUE"."""
    parts = (word.partition("=") for word in text.split(" "))
    return {name: value for name, _, value in parts}


def _read_keys(text: str) -> frozenset[str]:
    return frozenset(KEY_NAMES[key] for key in text.split("+") if key)


def parse_record(line: str) -> FrameRecord | None:
    """Read a line of the game's log; None for a line that is no record.

    Raises:
        WorldError: when a record lacks a word: then the mod and this file are of different versions.
    """
    _, mark, rest = line.partition(MARK)
    if not mark:
        return None
    words = _read_words(rest)
    try:
        return FrameRecord(
            frame=int(words.pop("frame")),
            order=int(words.pop("order")),
            keys=_read_keys(words.pop("keys")),
            numbers={name: float(words.pop(name)) for name in _NUMBERS},
            missing=int(words.pop("missing")),
            ground=words.pop("ground") == "1",
            liquid=words.pop("liquid") == "1",
            words=words,
        )
    except (KeyError, ValueError) as error:
        raise WorldError(f"minetest's mod told a line that cannot be read ({error}): {line[:200]}") from error
