"""Makes Doom levels from a seed: rooms on a grid that all look different, and ways between them.

Every room has one dominant colour, four different walls, its own floor and furniture, so that a small network
can learn the level by heart and an evaluator can tell the places apart. The level graph (rooms, links, free
rectangles) is part of the result: any two points of one free rectangle, and the straight line from a link's
entry to its middle, are clear of obstacles by construction. This file does NOT know the engine; it yields
regions, things and a graph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from paracosm.core.errors import ConfigError
from paracosm.core.rng import stream

from .doom_themes import DOORS, MONSTERS, PASSAGES, SKIES, THEMES, Theme, enlarge
from .doom_wad import SKY_FLAT, TEXTURE_HEIGHT, Door, Picture, Rect, Region, Sector, Thing

CELL = 512
"""Distance between the middles of neighbouring rooms, in map units."""

WALL_MARGIN = 80
"""Free rectangles keep this distance from the walls: furniture stands in the strip between."""

PILLAR_MARGIN = 120
"""The same where pillars stand in the corners."""

LinkKind = Literal["opening", "corridor", "stairs", "door"]
"""How two rooms are joined; only a door needs the use key."""


DOOR_HEIGHT = 128
"""Height of the passage at a door, the height of the door pictures."""

DOOR_REST = 4
"""An open door stops this far below the ceiling, as the engine has it."""

LEVEL_SHARE = 0.6
"""Share of rooms that keep the floor height of a neighbour, so that openings and doors come beside stairs."""


@dataclass(frozen=True, kw_only=True)
class LevelConfig:
    """How levels are made."""

    rows: int = 3
    """Rooms from south to north, 1 to 6."""
    columns: int = 3
    """Rooms from west to east, 1 to 6."""
    extra_links: float = 0.6
    """Share of the neighbours joined beyond the spanning tree, 0 to 1: loops in the level."""
    door_share: float = 0.3
    """Share of the level links that are doors, 0 to 1."""
    sky_share: float = 0.25
    """Share of rooms open to the sky, 0 to 1."""
    pillar_share: float = 0.3
    """Share of rooms with four pillars, 0 to 1."""
    platform_share: float = 0.4
    """Share of rooms with a raised platform in the middle, 0 to 1."""
    max_floor: int = 48
    """Largest floor height in map units, 0 (flat level) to 96."""
    furniture: int = 3
    """Decorations in a room without pillars, 0 to 4."""
    monsters: int = 0
    """Monsters in the level, 0 to 20; the player cannot be hurt, but they can be shot."""
    texture_scale: float = 1.0
    """How much larger walls, floors and ceilings are painted, 0.5 to 4; fine patterns flicker in small
    frames."""

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            if not 1 <= getattr(self, name) <= 6:
                raise ConfigError(f"{name} {getattr(self, name)} is out of range; use 1 to 6")
        for name in ("extra_links", "door_share", "sky_share", "pillar_share", "platform_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} {getattr(self, name)} is no share; use 0 to 1")
        if not 0 <= self.max_floor <= 96:
            raise ConfigError(f"max_floor {self.max_floor} is out of range; use 0 to 96")
        if not 0 <= self.monsters <= 20:
            raise ConfigError(f"monsters {self.monsters} is out of range; use 0 to 20")
        if not 0 <= self.furniture <= 4:
            raise ConfigError(f"furniture {self.furniture} is out of range; use 0 to 4")
        if not 0.5 <= self.texture_scale <= 4.0:
            raise ConfigError(f"texture_scale {self.texture_scale} is out of range; use 0.5 to 4")


@dataclass(frozen=True, kw_only=True)
class Room:
    """A room of the level graph.

    Attributes:
        index: place in ``Level.rooms``, row by row from the south-west.
        rect: its walls.
        free: part of it where a player meets no obstacle.
        floor: height in map units.
        ceiling: height in map units.
        theme: name of its look.
        sky: whether it is open to the sky.
    """

    index: int
    rect: Rect
    free: Rect
    floor: int
    ceiling: int
    theme: str
    sky: bool


@dataclass(frozen=True, kw_only=True)
class Link:
    """A way between two rooms, straight along one axis.

    Attributes:
        rooms: indices of the rooms it joins, west or south one first.
        kind: opening, corridor, stairs or door.
        middle: the point half-way; for a door, the middle of its leaf.
        entries: for each of the two rooms the point of its free rectangle from which ``middle`` is straight
            ahead.
        rect: the passage between the two rooms' walls.
    """

    rooms: tuple[int, int]
    kind: LinkKind
    middle: tuple[float, float]
    entries: tuple[tuple[float, float], tuple[float, float]]
    rect: Rect


@dataclass(frozen=True, kw_only=True)
class Level:
    """A level: what the engine loads and the graph that explorers and evaluators read."""

    seed: int
    rooms: tuple[Room, ...]
    links: tuple[Link, ...]
    regions: tuple[Region, ...]
    things: tuple[Thing, ...]
    sky: str

    def room_at(self, x: float, y: float) -> int:
        """Index of the room at a point, -1 in a passage or outside."""
        return next((room.index for room in self.rooms if room.rect.contains(x, y)), -1)

    def links_of(self, room: int) -> list[Link]:
        """The ways out of a room."""
        return [link for link in self.links if room in link.rooms]


def make_level(seed: int, config: LevelConfig | None = None) -> Level:
    """Make the level of a seed.

    Args:
        seed: level seed, >= 0; the same seed and config give the same level on every machine.
        config: how levels are made.
    """
    config = config or LevelConfig()
    rng = stream(seed, "doom level")
    rooms, themes, pillars = _make_rooms(config, rng)
    links = [_make_link(rooms[a], rooms[b], config, rng) for a, b in _choose_pairs(config, rng)]
    regions: list[Region] = []
    things: list[Thing] = []
    for room, theme, pillared in zip(rooms, themes, pillars, strict=True):
        _furnish(room, theme, pillared, config, rng, regions, things)
    for link in links:
        regions += _paint_link(link, rooms, config, rng)
    things += _place_monsters(rooms, config, stream(seed, "doom monsters"))
    start_x, start_y = rooms[0].rect.center
    things.insert(0, Thing(kind=1, x=round(start_x), y=round(start_y)))
    return Level(
        seed=seed,
        rooms=tuple(rooms),
        links=tuple(links),
        regions=tuple(regions),
        things=tuple(things),
        sky=SKIES[rng.integers(len(SKIES))],
    )


def draw_start(level: Level, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw a start pose: a free point of a random room.

    Returns:
        x and y in map units, yaw in degrees counter-clockwise from east.
    """
    free = level.rooms[rng.integers(len(level.rooms))].free
    x, y = rng.integers(free.x0, free.x1 + 1), rng.integers(free.y0, free.y1 + 1)
    return float(x), float(y), float(rng.integers(0, 360))


def _make_rooms(config: LevelConfig, rng: np.random.Generator) -> tuple[list[Room], list[Theme], list[bool]]:
    count = config.rows * config.columns
    order = np.concatenate([rng.permutation(len(THEMES)) for _ in range(-(-count // len(THEMES)))])
    themes = [_turn(THEMES[i], int(rng.integers(4))) for i in order[:count]]
    heights = _make_heights(config, rng)
    rooms, pillars = [], []
    for index in range(count):
        row, column = divmod(index, config.columns)
        pillared = bool(rng.random() < config.pillar_share)
        half_x, half_y = (200, 200) if pillared else (8 * rng.integers(20, 26, size=2)).tolist()
        rect = Rect(
            x0=column * CELL - half_x,
            y0=row * CELL - half_y,
            x1=column * CELL + half_x,
            y1=row * CELL + half_y,
        )
        sky = bool(rng.random() < config.sky_share)
        height = 192 if sky else int(rng.choice([128, 160, 192]))
        free = rect.inset(PILLAR_MARGIN if pillared else WALL_MARGIN)
        floor = heights[index]
        rooms.append(
            Room(
                index=index,
                rect=rect,
                free=free,
                floor=floor,
                ceiling=floor + height,
                theme=themes[index].name,
                sky=sky,
            )
        )
        pillars.append(pillared)
    return rooms, themes, pillars


def _turn(theme: Theme, quarter: int) -> Theme:
    """The theme with its walls turned by quarters, so that one colour does not always face one way."""
    east, north, west, south = theme.walls[quarter:] + theme.walls[:quarter]
    return replace(theme, walls=(east, north, west, south))


def _make_heights(config: LevelConfig, rng: np.random.Generator) -> list[int]:
    """Floor heights in steps of 24; neighbours differ by 48 at most, which a flight of stairs can climb."""
    heights: list[int] = []
    for index in range(config.rows * config.columns):
        row, column = divmod(index, config.columns)
        near = [heights[index - 1]] if column else []
        near += [heights[index - config.columns]] if row else []
        allowed = [
            h for h in range(0, config.max_floor + 1, 24) if all(abs(h - other) <= 48 for other in near)
        ]
        level = [h for h in near if h in allowed]
        heights.append(int(rng.choice(level if level and rng.random() < LEVEL_SHARE else allowed)))
    return heights


def _choose_pairs(config: LevelConfig, rng: np.random.Generator) -> list[tuple[int, int]]:
    """A random spanning tree of the grid plus a share of the other neighbours."""
    pairs = []
    for index in range(config.rows * config.columns):
        row, column = divmod(index, config.columns)
        if column + 1 < config.columns:
            pairs.append((index, index + 1))
        if row + 1 < config.rows:
            pairs.append((index, index + config.columns))
    root = list(range(config.rows * config.columns))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    chosen = []
    for i in rng.permutation(len(pairs)):
        a, b = pairs[i]
        if find(a) != find(b):
            root[find(a)] = find(b)
            chosen.append(pairs[i])
        elif rng.random() < config.extra_links:
            chosen.append(pairs[i])
    return sorted(chosen)


def _make_link(first: Room, second: Room, config: LevelConfig, rng: np.random.Generator) -> Link:
    along_x = (
        second.index == first.index + 1 and first.rect.y0 < second.rect.y1 and first.rect.x1 < second.rect.x0
    )
    if first.floor != second.floor:
        kind: LinkKind = "stairs"
        half = int(rng.choice([48, 56, 64]))
    elif rng.random() < config.door_share:
        kind, half = "door", 64
    else:
        kind = "opening" if rng.random() < 0.5 else "corridor"
        half = int(rng.choice([80, 88])) if kind == "opening" else int(rng.choice([48, 56]))
    sides = [
        (r.free.y0, r.free.y1, r.rect.y0, r.rect.y1)
        if along_x
        else (r.free.x0, r.free.x1, r.rect.x0, r.rect.x1)
        for r in (first, second)
    ]
    low = max(max(free_low + 8, wall_low + half + 16) for free_low, _, wall_low, _ in sides)
    high = min(min(free_high - 8, wall_high - half - 16) for _, free_high, _, wall_high in sides)
    across = 8 * int(rng.integers(-(-low // 8), high // 8 + 1))
    if along_x:
        rect = Rect(x0=first.rect.x1, y0=across - half, x1=second.rect.x0, y1=across + half)
        entries = ((first.free.x1, across), (second.free.x0, across))
    else:
        rect = Rect(x0=across - half, y0=first.rect.y1, x1=across + half, y1=second.rect.y0)
        entries = ((across, first.free.y1), (across, second.free.y0))
    return Link(rooms=(first.index, second.index), kind=kind, middle=rect.center, entries=entries, rect=rect)


def _furnish(
    room: Room,
    theme: Theme,
    pillared: bool,
    config: LevelConfig,
    rng: np.random.Generator,
    regions: list[Region],
    things: list[Thing],
) -> None:
    """Paint a room and put its furniture into the strip between the walls and the free rectangle."""
    tall = config.texture_scale * (room.ceiling - room.floor) / TEXTURE_HEIGHT
    flat = 2.0 * config.texture_scale
    east, north, west, south = theme.walls
    sector = Sector(
        floor=room.floor,
        ceiling=room.ceiling,
        floor_picture=enlarge(theme.floor, flat),
        ceiling_picture=Picture(texture=SKY_FLAT) if room.sky else enlarge(theme.ceiling, flat),
        walls=(enlarge(east, tall), enlarge(north, tall), enlarge(west, tall), enlarge(south, tall)),
        light=255 if room.sky else int(rng.choice([208, 224, 240, 255])),
    )
    regions.append(Region(rect=room.rect, sector=sector))
    corners = [(x, y) for x in (-1, 1) for y in (-1, 1)]
    if pillared:
        for x, y in corners:
            edge_x = room.rect.x1 - 72 if x > 0 else room.rect.x0 + 72
            edge_y = room.rect.y1 - 72 if y > 0 else room.rect.y0 + 72
            regions.append(
                Region(rect=Rect(x0=edge_x - 24, y0=edge_y - 24, x1=edge_x + 24, y1=edge_y + 24), sector=None)
            )
    else:
        for corner in rng.permutation(4)[: config.furniture]:
            x, y = corners[corner]
            kind = int(rng.choice(theme.furniture))
            things.append(
                Thing(
                    kind=kind,
                    x=room.rect.x1 - 32 if x > 0 else room.rect.x0 + 32,
                    y=room.rect.y1 - 32 if y > 0 else room.rect.y0 + 32,
                )
            )
    if rng.random() < config.platform_share:
        _raise_platform(room, sector, theme, flat, rng, regions)


def _place_monsters(rooms: list[Room], config: LevelConfig, rng: np.random.Generator) -> list[Thing]:
    """Monsters in free rectangles, from a stream of their own: the level is the same without them."""
    things = []
    for _ in range(config.monsters):
        free = rooms[rng.integers(len(rooms))].free
        x, y = int(rng.integers(free.x0, free.x1 + 1)), int(rng.integers(free.y0, free.y1 + 1))
        things.append(Thing(kind=int(rng.choice(MONSTERS)), x=x, y=y, angle=int(rng.integers(8)) * 45))
    return things


def _raise_platform(
    room: Room,
    sector: Sector,
    theme: Theme,
    flat: float,
    rng: np.random.Generator,
    regions: list[Region],
) -> None:
    middle_x, middle_y = (round(value) for value in room.free.center)
    half, rise = int(rng.choice([40, 48, 56])), int(rng.choice([8, 16, 24]))
    rect = Rect(x0=middle_x - half, y0=middle_y - half, x1=middle_x + half, y1=middle_y + half)
    raised = replace(sector, floor=room.floor + rise, floor_picture=enlarge(theme.ceiling, flat))
    regions.append(Region(rect=rect, sector=raised))


def _paint_link(link: Link, rooms: list[Room], config: LevelConfig, rng: np.random.Generator) -> list[Region]:
    """The passage as one piece, as a flight of steps, or as a passage with a door leaf in its middle."""
    first, second = (rooms[i] for i in link.rooms)
    wall, floor_picture = (
        Picture(texture=name, size=config.texture_scale) for name in PASSAGES[rng.integers(len(PASSAGES))]
    )
    track = Picture(texture="DOORTRAK")
    door_texture = DOORS[rng.integers(len(DOORS))]
    steps = max(1, abs(first.floor - second.floor) // 12)
    along_x = link.rect.x0 == first.rect.x1
    base = Sector(
        floor=first.floor,
        ceiling=max(first.floor, second.floor) + DOOR_HEIGHT,
        floor_picture=floor_picture,
        ceiling_picture=Picture(texture="CEIL5_2"),
        walls=(wall, wall, wall, wall),
        light=192,
    )
    rect = link.rect
    cuts = (
        np.linspace(rect.x0 if along_x else rect.y0, rect.x1 if along_x else rect.y1, steps + 1)
        .round()
        .astype(int)
    )
    regions = []
    for i, (low, high) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
        floor = round(first.floor + (second.floor - first.floor) * (i + 0.5) / steps)
        piece = (
            Rect(x0=low, y0=rect.y0, x1=high, y1=rect.y1)
            if along_x
            else Rect(x0=rect.x0, y0=low, x1=rect.x1, y1=high)
        )
        regions.append(Region(rect=piece, sector=replace(base, floor=floor)))
    if link.kind == "door":
        x, y = (round(value) for value in link.middle)
        leaf = (
            Rect(x0=x - 8, y0=rect.y0, x1=x + 8, y1=rect.y1)
            if along_x
            else Rect(x0=rect.x0, y0=y - 8, x1=rect.x1, y1=y + 8)
        )
        door = replace(
            base,
            ceiling=base.floor,
            ceiling_picture=Picture(texture="FLAT23"),
            walls=(track, track, track, track),
            door=Door(texture=door_texture, speed=48, wait_tics=120),
        )
        regions.append(Region(rect=leaf, sector=door))
    return regions
