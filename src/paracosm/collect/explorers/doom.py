"""A scripted player that walks a Doom level by its graph and uses every key and every turn rate evenly.

It alternates two activities. *Roaming* stays inside a room's free rectangle and draws keys and turn rates
independently of each other, each held for a while: that teaches what the controls do. *Travelling* walks
along the graph to a room seen least, forwards, backwards or sideways, and opens doors: that teaches the
place. This file does NOT look at pictures: it reads the pose out of ``frame.truth``.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from paracosm.collect.games.doom_levels import Level, Link
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, World

MOVES: tuple[frozenset[str], ...] = (
    frozenset({"forward"}),
    frozenset({"forward", "right"}),
    frozenset({"right"}),
    frozenset({"back", "right"}),
    frozenset({"back"}),
    frozenset({"back", "left"}),
    frozenset({"left"}),
    frozenset({"forward", "left"}),
)
"""The eight ways to move; entry i moves i * 45 degrees clockwise of where the player looks."""

SLIDE_STEPS = 4.5
"""How many steps of its present speed a player slides on without keys (Doom's friction, 2 tics a step)."""

STUCK_STEPS = 18
"""After so many steps of pushing without getting ahead the player frees itself."""


@dataclass(frozen=True, kw_only=True)
class DoomExplorerConfig:
    """How the explorer plays; all times in steps."""

    roam_steps: tuple[int, int] = (30, 90)
    """Shortest and longest stay in a room."""
    hold_steps: tuple[int, int] = (6, 30)
    """Shortest and longest time that a movement key or a turn rate is held while roaming."""
    slowest_turn: float = 0.3
    """Smallest turn rate in degrees a step; the largest is what the world allows."""
    straight_share: float = 0.2
    """Share of the roaming time without any turn, 0 to 1."""
    still_share: float = 0.12
    """Share of the roaming time without any movement key, 0 to 1."""
    attack_share: float = 0.12
    """Share of all steps with the attack key held, 0 to 1."""
    jump_share: float = 0.06
    """Share of all steps with the jump key held, 0 to 1."""
    use_share: float = 0.04
    """Share of all steps with the use key held where there is no door, 0 to 1."""
    forward_share: float = 0.55
    """Share of the travels made forwards; the rest goes backwards and sideways."""

    def __post_init__(self) -> None:
        for name in ("roam_steps", "hold_steps"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                raise ConfigError(
                    f"{name} {(low, high)} is no range of steps; use two numbers, 1 <= first <= second"
                )
        for name in (
            "straight_share",
            "still_share",
            "attack_share",
            "jump_share",
            "use_share",
            "forward_share",
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} {getattr(self, name)} is no share; use 0 to 1")
        if self.slowest_turn <= 0:
            raise ConfigError(f"slowest_turn {self.slowest_turn:g} must be above 0 degrees a step")


@runtime_checkable
class HasLevel(Protocol):
    """A world that knows the graph of the level being played."""

    @property
    def level(self) -> Level | None:
        """The level, None where it has no graph."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Waypoint:
    x: float
    y: float
    link: Link | None = None
    """Set on the middle of a link."""


class DoomExplorer:
    """Plays Doom levels for recordings; implements ``core.world.Policy``.

    Args:
        config: how it plays.
    """

    def __init__(self, config: DoomExplorerConfig | None = None) -> None:
        self.config = config or DoomExplorerConfig()

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode.

        Args:
            world: a Doom world on a made level.
            frame: its first frame.
            seed: all draws come from it.

        Raises:
            WorldError: when the world has no level graph.
        """
        level = world.level if isinstance(world, HasLevel) else None
        if level is None:
            raise WorldError(
                f"{world.info.name} has no level graph here; explore made levels, or use a random player"
            )
        self._rng = stream(seed, "doom explorer")
        self._level = level
        self._limits = world.info.controls.look_limit
        self._visits = [0] * len(level.rooms)
        self._path: deque[_Waypoint] = deque()
        self._room = self._nearest_room(*_place(frame))
        self._visits[self._room] += 1
        self._last = _place(frame)
        self._extras: dict[str, int] = {"attack": 0, "jump": 0, "use": 0}
        self._move_hold = self._turn_hold = self._pitch_hold = 0
        self._move: frozenset[str] = frozenset()
        self._turn = self._pitch_turn = self._pitch_goal = 0.0
        self._progress = deque([self._last], maxlen=STUCK_STEPS)
        self._free_steps = 0
        self._waits = 0
        self._begin_roaming()

    def act(self, frame: Frame) -> Control:
        """Choose the next control."""
        x, y = _place(frame)
        yaw = float(frame.truth["pose"]["yaw"])
        speed = (x - self._last[0], y - self._last[1])
        self._last = (x, y)
        self._progress.append((x, y))
        room = self._level.room_at(x, y)
        if room >= 0 and room != self._room:
            self._room = room
            self._visits[room] += 1
        if self._path and self._free_steps == 0:
            move, turn, use = self._travel(frame, yaw, speed)
        else:
            move, turn, use = self._roam(x, y, yaw, speed)
        if use:
            self._extras["use"] = max(self._extras["use"], 7)
        keys = set(move) | self._draw_extras(at_door=use or self._door_ahead())
        return Control(keys, (turn, self._draw_pitch(frame)))

    # Roaming: keys and turns drawn apart from each other, inside the free rectangle.

    def _begin_roaming(self) -> None:
        low, high = self.config.roam_steps
        self._roam_left = int(self._rng.integers(low, high + 1))

    def _roam(
        self, x: float, y: float, yaw: float, speed: tuple[float, float]
    ) -> tuple[frozenset[str], float, bool]:
        self._draw_turn()
        free = self._level.rooms[self._room].free
        ahead_x, ahead_y = x + SLIDE_STEPS * speed[0], y + SLIDE_STEPS * speed[1]
        self._move_hold -= 1
        if not free.contains(ahead_x, ahead_y):
            if self._move_hold <= 0 or self._leads_out(x, y, yaw):
                self._head_for(*self._point_near_middle(), x, y, yaw)
        elif self._move_hold <= 0:
            self._draw_move()
        if self._free_steps:
            self._free_steps -= 1
        else:
            self._roam_left -= 1
            if self._roam_left <= 0:
                self._plan(x, y)
        return self._move, self._turn, False

    def _leads_out(self, x: float, y: float, yaw: float) -> bool:
        """Whether the keys now held push away from the room's middle."""
        if not self._move:
            return False
        middle_x, middle_y = self._level.rooms[self._room].free.center
        wanted = math.degrees(math.atan2(middle_x - x, middle_y - y))
        return abs(self._off_course(wanted, yaw)) > 80.0

    def _point_near_middle(self) -> tuple[float, float]:
        free = self._level.rooms[self._room].free
        x, y = free.center
        wide, high = (free.x1 - free.x0) / 4, (free.y1 - free.y0) / 4
        return x + self._rng.uniform(-wide, wide), y + self._rng.uniform(-high, high)

    def _head_for(self, goal_x: float, goal_y: float, x: float, y: float, yaw: float) -> None:
        wanted = math.degrees(math.atan2(goal_x - x, goal_y - y)) - yaw
        self._move = MOVES[round(wanted / 45.0) % 8]
        self._move_hold = int(self._rng.integers(6, 13))

    def _draw_move(self) -> None:
        low, high = self.config.hold_steps
        self._move_hold = int(self._rng.integers(low, high + 1))
        if self._rng.random() < self.config.still_share:
            self._move = frozenset()
        else:
            self._move = MOVES[self._rng.integers(8)]

    def _draw_turn(self) -> None:
        self._turn_hold -= 1
        if self._turn_hold > 0:
            return
        low, high = self.config.hold_steps
        self._turn_hold = int(self._rng.integers(low, high + 1))
        if self._rng.random() < self.config.straight_share:
            self._turn = 0.0
        else:
            self._turn = self._draw_rate() * (1 if self._rng.random() < 0.5 else -1)

    def _draw_rate(self, slowest: float | None = None) -> float:
        limit = self._limits[0]
        return float(self._rng.uniform(min(slowest or self.config.slowest_turn, limit), limit))

    # Travelling: along the graph, looking ahead, back or aside.

    def _plan(self, x: float, y: float) -> None:
        """Plan the way to a room seen least often."""
        self._room = self._nearest_room(x, y)
        distance, via = self._search(self._room)
        least = min(
            visits for room, visits in enumerate(self._visits) if room != self._room or len(self._visits) == 1
        )
        goals = [room for room, visits in enumerate(self._visits) if visits == least and room != self._room]
        if not goals or self._rng.random() < 0.1:
            goals = [room for room in distance if room != self._room] or [self._room]
        goal = min(goals, key=lambda room: (distance[room], self._rng.random()))
        self._path.clear()
        links: list[tuple[Link, int]] = []
        while goal != self._room and goal in via:
            links.append((via[goal], goal))
            goal = next(room for room in via[goal].rooms if room != goal)
        for link, room in reversed(links):
            side = link.rooms.index(room)
            self._path.append(_Waypoint(x=link.entries[1 - side][0], y=link.entries[1 - side][1]))
            self._path.append(_Waypoint(x=link.middle[0], y=link.middle[1], link=link))
            self._path.append(_Waypoint(x=link.entries[side][0], y=link.entries[side][1]))
        if self._path:
            last = links[0][1]
            free = self._level.rooms[last].free
            self._path.append(_Waypoint(x=free.center[0], y=free.center[1]))
        else:
            self._begin_roaming()
        self._begin_leg()

    def _begin_leg(self) -> None:
        """Draw how to walk the next leg: which way to look while walking, and how fast to turn."""
        self._progress.clear()
        if self._door_ahead() or self._rng.random() < self.config.forward_share:
            self._leg_move = 0
        else:
            self._leg_move = int(self._rng.integers(1, 8))
        self._leg_rate = self._draw_rate(slowest=1.5)

    def _door_ahead(self) -> bool:
        return any(point.link is not None and point.link.kind == "door" for point in list(self._path)[:2])

    def _travel(
        self, frame: Frame, yaw: float, speed: tuple[float, float]
    ) -> tuple[frozenset[str], float, bool]:
        x, y = _place(frame)
        if self._arrived(x, y):
            passed = self._path.popleft()
            if not self._path:
                self._begin_roaming()
                self._move_hold = self._turn_hold = 0
                return self._roam(x, y, yaw, speed)
            # Inside a passage the way goes straight on: keep looking where one looks.
            if passed.link is None and self._path[0].link is None:
                self._begin_leg()
            self._move_hold = 0
        point = self._path[0]
        wanted = math.degrees(math.atan2(point.x - x - 2 * speed[0], point.y - y - 2 * speed[1]))
        error = _wrap(wanted - 45.0 * self._leg_move - yaw)
        turn = math.copysign(min(abs(error) * 0.4, self._leg_rate), error) if abs(error) > 0.8 else 0.0
        self._move_hold -= 1
        if self._move_hold <= 0 or not self._move or abs(self._off_course(wanted, yaw)) > 60.0:
            self._move = MOVES[round((wanted - yaw) / 45.0) % 8]
            self._move_hold = 6
        use = self._press_at_door(frame, point, abs(error))
        if self._is_stuck():
            self._free_steps = 14
            self._move_hold = 0
            self._progress.clear()
            self._path.clear()
            self._roam_left = 0
        return self._move, turn, use

    def _off_course(self, wanted: float, yaw: float) -> float:
        """Degrees between where the held keys lead and where to go."""
        return _wrap(wanted - yaw - 45.0 * MOVES.index(self._move))

    def _arrived(self, x: float, y: float) -> bool:
        point = self._path[0]
        # A shut door stops the player 24 units before its middle: only who is through has arrived.
        reach = 28.0 if point.link is None else (12.0 if point.link.kind == "door" else 36.0)
        return math.hypot(point.x - x, point.y - y) < reach

    def _press_at_door(self, frame: Frame, point: _Waypoint, error: float) -> bool:
        """Press use while a shut door is near and ahead: a press on a moving door would turn it back."""
        if point.link is None or point.link.kind != "door":
            self._waits = 0
            return False
        near = math.dist(_place(frame), (point.x, point.y)) < 72.0
        shut = frame.truth["doors"][self._level.links.index(point.link)] == 0
        self._waits = self._waits + 1 if near else 0
        # Only a fresh press counts for the engine, so let go now and then.
        return near and shut and error < 30.0 and self._waits % 16 < 6

    def _is_stuck(self) -> bool:
        if len(self._progress) < STUCK_STEPS or 0 < self._waits < 60:
            return False
        (x0, y0), (x1, y1) = self._progress[0], self._progress[-1]
        return math.hypot(x1 - x0, y1 - y0) < 10.0

    # Keys beside movement, pitch, and the graph.

    def _draw_extras(self, at_door: bool) -> set[str]:
        """Attack, jump and use: each pressed now and then and held a while, apart from everything else."""
        keys = set()
        for key, share, longest in (
            ("attack", self.config.attack_share, 25),
            ("jump", self.config.jump_share, 14),
            ("use", 0.0 if at_door else self.config.use_share, 10),
        ):
            if self._extras[key] > 0:
                self._extras[key] -= 1
            elif self._rng.random() < share / max(1e-9, 1.0 - share) / ((5 + longest) / 2):
                self._extras[key] = int(self._rng.integers(5, longest + 1))
            if self._extras[key] > 0:
                keys.add(key)
        return keys

    def _draw_pitch(self, frame: Frame) -> float:
        """Look up or down towards a drawn angle now and then; always 0 where the world has no pitch."""
        limit = self._limits[1]
        if limit == 0:
            return 0.0
        self._pitch_hold -= 1
        if self._pitch_hold <= 0:
            self._pitch_hold = int(self._rng.integers(20, 80))
            self._pitch_goal = float(self._rng.uniform(-20.0, 20.0)) if self._rng.random() < 0.5 else 0.0
            self._pitch_turn = float(self._rng.uniform(0.2, 1.0)) * limit
        error = self._pitch_goal - float(frame.truth["pose"]["pitch"])
        return math.copysign(min(abs(error), self._pitch_turn), error) if abs(error) > 0.05 else 0.0

    def _nearest_room(self, x: float, y: float) -> int:
        room = self._level.room_at(x, y)
        if room >= 0:
            return room
        return min(self._level.rooms, key=lambda r: math.dist(r.rect.center, (x, y))).index

    def _search(self, start: int) -> tuple[dict[int, int], dict[int, Link]]:
        """Breadth first over the graph: links to each room and the last link on the way there."""
        distance, via = {start: 0}, {}
        queue = deque([start])
        while queue:
            room = queue.popleft()
            links = self._level.links_of(room)
            for i in self._rng.permutation(len(links)):
                other = next(r for r in links[i].rooms if r != room)
                if other not in distance:
                    distance[other] = distance[room] + 1
                    via[other] = links[i]
                    queue.append(other)
        return distance, via


def _place(frame: Frame) -> tuple[float, float]:
    pose = frame.truth["pose"]
    return float(pose["x"]), float(pose["y"])


def _wrap(degrees: float) -> float:
    """The same angle in [-180, 180)."""
    return (degrees + 180.0) % 360.0 - 180.0
