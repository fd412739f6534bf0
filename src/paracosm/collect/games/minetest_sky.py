"""When weather and light change in an episode of Minetest, and to what: all of it from the seed.

This file does NOT know how the game is told, or what a weather looks like.
"""

from __future__ import annotations

from collections.abc import Sequence

from paracosm.core.rng import stream

from .minetest_files import LIGHTS, WEATHERS


class Sky:
    """Weather and light of one episode: how they begin, and what changes at which step.

    Args:
        seed: the reset seed; the same seed gives the same sky.
        change_seconds: shortest and longest time between two changes; (0, 0) for none.
        steps_per_second: steps in a second.
        weathers: those that there may be.
        lights: those that there may be.
    """

    def __init__(
        self,
        seed: int,
        change_seconds: tuple[float, float],
        steps_per_second: int,
        weathers: Sequence[str] = WEATHERS,
        lights: Sequence[str] = tuple(LIGHTS),
    ) -> None:
        self._rng = stream(seed, "minetest sky")
        self._change_seconds, self._rate = change_seconds, steps_per_second
        self._weathers, self._lights = weathers, lights
        self.weather = str(self._rng.choice(list(weathers)))
        self.light = str(self._rng.choice(list(lights)))
        self._next = self._draw_next(0)

    def changes(self, index: int) -> list[tuple[str, str]]:
        """What changes at step ``index``: pairs of "weather" or "light" and its new name."""
        if index != self._next:
            return []
        self._next = self._draw_next(index)
        weathers = [name for name in self._weathers if name != self.weather]
        lights = [name for name in self._lights if name != self.light]
        turn = self._rng.random() < 0.5
        if weathers and (turn or not lights):
            self.weather = str(self._rng.choice(weathers))
            return [("weather", self.weather)]
        if lights:
            self.light = str(self._rng.choice(lights))
            return [("light", self.light)]
        return []

    def _draw_next(self, index: int) -> int:
        shortest, longest = self._change_seconds
        if longest == 0:
            return -1
        return index + round(self._rng.uniform(shortest, longest) * self._rate)
