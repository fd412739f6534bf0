"""A virtual player for Minetest: it roams, looks about in smooth arcs, jumps what is in its way, and swims.

Keys and turns are drawn at random and held as a person's are; what it knows of the world is only whether it
got ahead. This file does NOT look at pictures: it reads the pose out of ``frame.truth``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from paracosm.collect.policies import StickyConfig, StickyRandom
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.rng import stream, sub_seed
from paracosm.core.world import Frame, World

MOVES = frozenset({"forward", "back", "left", "right"})


@dataclass(frozen=True, kw_only=True)
class MinetestExplorerConfig:
    """How the explorer plays; all times in steps."""

    forward_share: float = 0.6
    """Share of the time that it walks ahead."""
    jump_share: float = 0.06
    """Share of the time with the jump key held on its own account."""
    sneak_share: float = 0.05
    """Share of the time with the sneak key held."""
    blocked_speed: float = 0.4
    """Speed in nodes a second below which a pushing player is blocked; walking is 4."""
    blocked_steps: int = 6
    """Steps of being blocked after which it jumps."""
    free_steps: int = 14
    """Steps that it jumps before it turns away."""
    turn_steps: tuple[int, int] = (10, 25)
    """Shortest and longest turn away from what it cannot jump."""

    def __post_init__(self) -> None:
        """Refuse shares and times that make no sense."""
        shares = (self.forward_share, self.jump_share, self.sneak_share)
        if not all(0 < share < 1 for share in shares):
            raise ConfigError(f"shares {shares} are shares of time; use numbers between 0 and 1")
        if min(self.blocked_steps, self.free_steps, *self.turn_steps) < 1:
            raise ConfigError("blocked_steps, free_steps and turn_steps are numbers of steps; use 1 or more")


class MinetestExplorer:
    """Random keys and smooth random turns, with a cure for standing before a wall."""

    def __init__(self, config: MinetestExplorerConfig = MinetestExplorerConfig()) -> None:
        """Take how it plays."""
        self._config = config
        self._random = StickyRandom(
            StickyConfig(
                weights={
                    "forward": config.forward_share,
                    "back": 0.1,
                    "left": 0.18,
                    "right": 0.18,
                    "jump": config.jump_share,
                    "sneak": config.sneak_share,
                },
                pitch_share=0.5,
            )
        )

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode.

        Raises:
            WorldError: in a world that does not tell how fast the player is.
        """
        if "speed" not in frame.truth or "pose" not in frame.truth:
            raise WorldError(f'{world.info.name} tells no pose and speed; choose the policy "sticky"')
        self._random.reset(world, frame, sub_seed(seed, "minetest keys"))
        self._rng = stream(seed, "minetest explorer")
        self._limit = world.info.controls.look_limit
        self._blocked = self._turning = 0
        self._side = 1.0

    def act(self, frame: Frame) -> Control:
        """Return the next control."""
        control = self._random.act(frame)
        keys, (yaw, pitch) = set(control.keys), control.look
        pushes = bool(keys & MOVES)
        slow = frame.truth["speed"] < self._config.blocked_speed
        self._blocked = self._blocked + 1 if pushes and slow else max(0, self._blocked - 2)
        if self._turning > 0:
            self._turning -= 1
            yaw = 0.8 * self._side * self._limit[0]
        elif self._blocked > self._config.blocked_steps + self._config.free_steps:
            self._blocked = 0
            self._turning = int(self._rng.integers(*self._config.turn_steps, endpoint=True))
            self._side = float(self._rng.choice([-1.0, 1.0]))
        if self._blocked > self._config.blocked_steps or frame.truth["in_water"]:
            keys = (keys | {"jump"}) - {"sneak"}
        return Control(keys, (yaw, self._level(pitch, frame.truth["pose"]["pitch"])))

    def _level(self, pitch: float, now: float) -> float:
        """Draw the eyes back to the horizon, the more the further they have strayed."""
        limit = self._limit[1]
        back = -math.copysign(min(1.0, abs(now) / 60.0), now) * 0.5 * limit
        return max(-limit, min(limit, round(pitch + back, 3)))
