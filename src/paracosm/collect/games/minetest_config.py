"""How Minetest is played and seen: sizes, pace, place and sky, with what is allowed of each.

This file does NOT know how the game is started or stepped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from paracosm.core.errors import ConfigError

from .minetest_files import LIGHTS, WEATHERS
from .minetest_number import STRIP_HEIGHT, STRIP_WIDTH

MOUSE_SHARE = 0.4
"""Share of the window's width that the mouse moves for the largest turn of one step."""


@dataclass(frozen=True, kw_only=True)
class MinetestConfig:
    """How the game is played and seen."""

    height: int = 90
    """Rows of a frame in pixels; the window has 8 more, which carry the frame's number and are cut off."""
    width: int = 160
    """Columns of a frame in pixels, 96 or more once multiplied by ``supersampling``."""
    supersampling: int = 1
    """Pixels that the game draws for each pixel of a frame along each side, 1 to 8; their mean is kept."""
    steps_per_second: int = 20
    """Steps in one second of the game's clock, 10 to 60."""
    max_turn: float = 8.0
    """Largest turn in one step in degrees, above 0, at most 15."""
    max_pitch: float = 4.0
    """Largest look up or down in one step in degrees, 0 to 15; 0 leaves pitch out."""
    person: Literal["first", "third", "mixed"] = "first"
    """Seen through the player's eyes, from behind, or either, as the reset seed says."""
    map_seed: int = 83
    """The seed from which the game makes its map."""
    centre: tuple[int, int] = (0, 0)
    """Node x, z (east, north) around which starts are drawn."""
    span: int = 3000
    """Starts are drawn from a square of so many nodes around the centre."""
    viewing_range: int = 48
    """How far the game draws, in nodes, 32 to 160; what is nearer has been loaded before the first frame."""
    change_seconds: tuple[float, float] = (5.0, 10.0)
    """Shortest and longest time between two changes of weather or light; (0, 0) leaves them as they are."""
    weathers: tuple[str, ...] = WEATHERS
    """Weathers that there may be."""
    lights: tuple[str, ...] = tuple(LIGHTS)
    """Times of day that there may be."""
    hand: Literal["shown", "hidden"] = "hidden"
    """Whether the player's hand is drawn."""

    def __post_init__(self) -> None:
        if not 1 <= self.supersampling <= 8:
            raise ConfigError(f"supersampling {self.supersampling} is out of range; use 1 to 8")
        width, height = self.drawn
        if not (48 <= height <= 1080 and STRIP_WIDTH + 8 <= width <= 1920 and self.height >= 16):
            raise ConfigError(
                f"frame size {self.height} x {self.width} drawn at {height} x {width} does not fit; draw "
                f"48 x {STRIP_WIDTH + 8} up to 1080 x 1920, with supersampling for smaller frames"
            )
        if height % 2 or width % 2:
            raise ConfigError(f"frame size {height} x {width} is odd; use even sides")
        if not 10 <= self.steps_per_second <= 60:
            raise ConfigError(f"steps_per_second {self.steps_per_second} is out of range; use 10 to 60")
        if not 0 < self.max_turn <= 15 or not 0 <= self.max_pitch <= 15:
            raise ConfigError(
                f"max_turn {self.max_turn:g} or max_pitch {self.max_pitch:g} is out of range; "
                "use above 0 up to 15, and 0 to 15 degrees"
            )
        if not 32 <= self.viewing_range <= 160 or not 100 <= self.span <= 20000:
            raise ConfigError(
                f"viewing_range {self.viewing_range} or span {self.span} is out of range; "
                "use 32 to 160, and 100 to 20000 nodes"
            )
        if max(map(abs, self.centre)) > 20000:
            raise ConfigError(f"centre {self.centre} is out of range; use -20000 to 20000 nodes")
        for name, given, known in (("weathers", self.weathers, WEATHERS), ("lights", self.lights, LIGHTS)):
            if not given or not set(given) <= set(known):
                raise ConfigError(
                    f"{name} {given} cannot be drawn from; use one or more of {', '.join(known)}"
                )
        shortest, longest = self.change_seconds
        if not (0 < shortest <= longest or shortest == longest == 0):
            raise ConfigError(
                f"change_seconds {self.change_seconds} is no range; use e.g. (5, 10), or (0, 0) for none"
            )

    @property
    def drawn(self) -> tuple[int, int]:
        """Columns and rows of the game's own pixels that are kept of a frame."""
        return self.width * self.supersampling, self.height * self.supersampling

    @property
    def window(self) -> tuple[int, int]:
        """Columns and rows of the game's window.

        As much is cut off below as above, so that the middle of a frame is the middle of the view.
        """
        width, height = self.drawn
        return width, height + 2 * STRIP_HEIGHT

    @property
    def degrees_per_pixel(self) -> float:
        """Turn for each pixel that the mouse moves."""
        return self.max_turn / (MOUSE_SHARE * self.drawn[0])


def shrink(picture: np.ndarray, times: int) -> np.ndarray:
    """Make uint8 (h, w, 3) of (h times, w times, 3): each pixel is the rounded mean of its part."""
    height, width = picture.shape[0] // times, picture.shape[1] // times
    parts = picture.reshape(height, times, width, times, 3)
    return (parts.mean((1, 3)) + 0.5).astype(np.uint8) if times > 1 else picture
