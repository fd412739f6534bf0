"""Writes what the Doom engine reads: WAD archives, maps from painted rectangles, MAPINFO text.

A map is a list of :class:`Region`; later regions paint over earlier ones, and a region without a sector is
solid rock. Lines, sides and vertices follow from that, so a level maker never touches them. This file does
NOT know rooms, themes or the engine itself.

Source: the WAD layout and UDMF 1.1 as published with ZDoom (specs/udmf.txt, specs/udmf_zdoom.txt).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

EAST, NORTH, WEST, SOUTH = range(4)
"""Directions in which a player looks at a wall; index into :attr:`Sector.walls`."""

SKY_FLAT = "F_SKY1"
"""The ceiling texture that the engine replaces by the sky."""

TEXTURE_HEIGHT = 128
"""Height in map units of the wall textures that levels use."""

DOOR_RAISE = 12
"""Line special: open the door behind the line, wait, close it again."""


@dataclass(frozen=True, kw_only=True)
class Rect:
    """An axis-aligned rectangle in map units, x to the east and y to the north."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def center(self) -> tuple[float, float]:
        """Its middle."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def contains(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether a point lies inside, at least ``margin`` units from every edge."""
        return self.x0 + margin <= x <= self.x1 - margin and self.y0 + margin <= y <= self.y1 - margin

    def inset(self, margin: int) -> Rect:
        """The rectangle ``margin`` units smaller on each side."""
        return Rect(x0=self.x0 + margin, y0=self.y0 + margin, x1=self.x1 - margin, y1=self.y1 - margin)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A texture and how large it is drawn.

    Attributes:
        texture: its name in the game's pictures.
        size: map units for one texture pixel; 2 draws it twice as large.
    """

    texture: str
    size: float = 1.0

    @property
    def scale(self) -> float:
        """Texture pixels for one map unit, as the engine wants it."""
        return round(1.0 / self.size, 5)


@dataclass(frozen=True, kw_only=True)
class Door:
    """What makes a sector a door.

    Attributes:
        texture: what its two faces show.
        speed: eighths of a unit that it moves each tic.
        wait_tics: how long it stays open.
    """

    texture: str
    speed: int
    wait_tics: int


@dataclass(frozen=True, kw_only=True)
class Sector:
    """Floor, ceiling, light and the four wall textures of a piece of a level.

    Attributes:
        floor: height in map units.
        ceiling: height in map units; a door starts with ceiling equal to floor.
        floor_picture: what the floor shows.
        ceiling_picture: what the ceiling shows; :data:`SKY_FLAT` opens it to the sky.
        walls: what is seen when looking east, north, west and south.
        light: 0 (dark) to 255.
        door: set when this sector is a door.
        tag: number by which scripts address it, 0 for none.
    """

    floor: int
    ceiling: int
    floor_picture: Picture
    ceiling_picture: Picture
    walls: tuple[Picture, Picture, Picture, Picture]
    light: int = 200
    door: Door | None = None
    tag: int = 0


@dataclass(frozen=True, kw_only=True)
class Region:
    """A painted rectangle; ``sector`` None makes it solid."""

    rect: Rect
    sector: Sector | None


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A straight piece where two regions meet.

    Attributes:
        first: one end, the western or southern one.
        second: the other end.
        front: index of the region on the right hand of the way from first to second, None for rock.
        back: the same on the left hand.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    front: int | None
    back: int | None


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something placed in a map: its DoomEdNum, place and facing in degrees counter-clockwise from east."""

    kind: int
    x: int
    y: int
    angle: int = 0


def write_wad(lumps: Iterable[tuple[str, bytes]]) -> bytes:
    """Pack named lumps into a patch WAD.

    Raises:
        ValueError: when a name is longer than 8 characters.
    """
    body, directory = bytearray(), bytearray()
    count = 0
    for name, data in lumps:
        if len(name) > 8:
            raise ValueError(f'lump name "{name}" is longer than 8 characters')
        directory += struct.pack("<ii8s", 12 + len(body), len(data), name.encode("ascii"))
        body += data
        count += 1
    return struct.pack("<4sii", b"PWAD", count, 12 + len(body)) + bytes(body) + bytes(directory)


def read_wad(data: bytes) -> list[tuple[str, bytes]]:
    """Unpack a WAD into its named lumps, in order.

    Raises:
        ValueError: when the bytes are no WAD or its directory points outside.
    """
    if len(data) < 12 or data[:4] not in (b"PWAD", b"IWAD"):
        raise ValueError("not a WAD: it must begin with PWAD or IWAD")
    count, start = struct.unpack_from("<ii", data, 4)
    if start + 16 * count > len(data):
        raise ValueError(f"WAD directory of {count} lumps at {start} exceeds the {len(data)} bytes present")
    lumps = []
    for index in range(count):
        offset, size, name = struct.unpack_from("<ii8s", data, start + 16 * index)
        if offset + size > len(data):
            raise ValueError(
                f"WAD lump {index} ends at {offset + size}, beyond the {len(data)} bytes present"
            )
        lumps.append((name.rstrip(b"\0").decode("ascii"), data[offset : offset + size]))
    return lumps


def map_lumps(name: str, regions: Sequence[Region], things: Sequence[Thing]) -> list[tuple[str, bytes]]:
    """Write one map as the lumps of a WAD.

    Args:
        name: e.g. "MAP01".
        regions: painted in order.
        things: the first player start (kind 1) among them.

    Raises:
        ValueError: when a thing stands in solid rock or no player start is given.
    """
    return [(name, b""), ("TEXTMAP", write_udmf(regions, things).encode("ascii")), ("ENDMAP", b"")]


def write_udmf(regions: Sequence[Region], things: Sequence[Thing]) -> str:
    """Write painted regions and things as UDMF text.

    Raises:
        ValueError: when a thing stands in solid rock or no player start is given.
    """
    if not any(thing.kind == 1 for thing in things):
        raise ValueError("a map needs a player start: a thing of kind 1")
    for thing in things:
        if region_at(regions, thing.x, thing.y) is None:
            raise ValueError(f"thing {thing.kind} at ({thing.x}, {thing.y}) stands in solid rock")
    writer = _MapWriter(regions)
    for edge in find_edges(regions):
        writer.add_line(edge)
    return writer.text(things)


def region_at(regions: Sequence[Region], x: float, y: float) -> int | None:
    """Index of the region that shows at a point, None where it is solid rock."""
    for index in range(len(regions) - 1, -1, -1):
        if regions[index].rect.contains(x, y):
            return index if regions[index].sector is not None else None
    return None


def sector_number(regions: Sequence[Region], region: int) -> int:
    """The engine's number of a region's sector: solid regions have none, the others count up in order."""
    return sum(earlier.sector is not None for earlier in regions[:region])


def find_edges(regions: Sequence[Region]) -> list[Edge]:
    """Every piece of edge that has different regions on its two sides."""
    spans: dict[tuple[int, int, int, int], None] = {}
    for region in regions:
        rect = region.rect
        for y in (rect.y0, rect.y1):
            spans |= {(x0, y, x1, y): None for x0, x1 in _pieces(regions, rect.x0, rect.x1, y, "x")}
        for x in (rect.x0, rect.x1):
            spans |= {(x, y0, x, y1): None for y0, y1 in _pieces(regions, rect.y0, rect.y1, x, "y")}
    edges = []
    for x0, y0, x1, y1 in spans:
        middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
        right_x, right_y = (0.0, -0.25) if y0 == y1 else (0.25, 0.0)
        front = region_at(regions, middle_x + right_x, middle_y + right_y)
        back = region_at(regions, middle_x - right_x, middle_y - right_y)
        if front != back:
            edges.append(Edge(first=(x0, y0), second=(x1, y1), front=front, back=back))
    return edges


def _pieces(
    regions: Sequence[Region], start: int, stop: int, level: int, axis: Literal["x", "y"]
) -> list[tuple[int, int]]:
    """Cut the span from ``start`` to ``stop`` along an axis where a region that touches it has a corner."""
    cuts = {start, stop}
    for region in regions:
        rect = region.rect
        low, high = (rect.y0, rect.y1) if axis == "x" else (rect.x0, rect.x1)
        if low <= level <= high:
            ends = (rect.x0, rect.x1) if axis == "x" else (rect.y0, rect.y1)
            cuts.update(end for end in ends if start < end < stop)
    return list(itertools.pairwise(sorted(cuts)))


def write_mapinfo(maps: Mapping[str, str], player: str) -> str:
    """Write the MAPINFO lump: each map's sky, jumping and free look allowed, and the player's class.

    Args:
        maps: map name to the texture of its sky.
        player: DECORATE class of the player.
    """
    parts = [f'gameinfo {{\n  playerclasses = "{player}"\n}}\n']
    parts += [
        f'map {name} "{name}" {{\n  sky1 = "{sky}"\n  allowjump\n  allowfreelook\n  noautosequences\n}}\n'
        for name, sky in maps.items()
    ]
    return "".join(parts)


def _block(kind: str, fields: Mapping[str, int | float | str | bool]) -> str:
    lines = []
    for key, value in fields.items():
        if isinstance(value, bool):
            lines.append(f"{key}={'true' if value else 'false'};")
        elif isinstance(value, str):
            lines.append(f'{key}="{value}";')
        else:
            lines.append(f"{key}={value};")
    return f"{kind}{{{' '.join(lines)}}}\n"


@dataclass(kw_only=False)
class _MapWriter:
    """Turns regions into vertices, sides and lines."""

    regions: Sequence[Region]
    vertices: dict[tuple[int, int], int] = field(default_factory=dict)
    sides: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add_line(self, edge: Edge) -> None:
        """Write an edge as a line: its front is on the right hand, and never a door."""
        first, second, front, back = edge.first, edge.second, edge.front, edge.back
        look = NORTH if first[1] == second[1] else WEST  # how the front side looks at the line
        if front is None or (back is not None and self._sector(front).door is not None):
            first, second, front, back = second, first, back, front
            look = (look + 2) % 4
        assert front is not None, edge
        fields: dict[str, int | float | str | bool] = {"v1": self._vertex(first), "v2": self._vertex(second)}
        fields["sidefront"] = self._add_side(front, back, look, first)
        if back is None:
            fields["blocking"] = True
            if self._sector(front).door is not None:
                fields["dontpegbottom"] = True
        else:
            fields["sideback"] = self._add_side(back, front, (look + 2) % 4, second)
            fields["twosided"] = True
            door = self._sector(back).door
            if door is None:
                fields["dontpegtop"] = True
            else:
                fields |= {"special": DOOR_RAISE, "arg0": 0, "arg1": door.speed, "arg2": door.wait_tics}
                fields |= {"playeruse": True, "repeatspecial": True}
        self.lines.append(_block("linedef", fields))

    def _sector(self, region: int) -> Sector:
        sector = self.regions[region].sector
        assert sector is not None
        return sector

    def _vertex(self, point: tuple[int, int]) -> int:
        return self.vertices.setdefault(point, len(self.vertices))

    def _add_side(self, region: int, other: int | None, look: int, start: tuple[int, int]) -> int:
        sector, rect = self._sector(region), self.regions[region].rect
        picture = sector.walls[look]
        # Distance from the left end of this wall, so that split pieces show one unbroken picture.
        offset = {
            EAST: rect.y1 - start[1],
            NORTH: start[0] - rect.x0,
            WEST: start[1] - rect.y0,
            SOUTH: rect.x1 - start[0],
        }[look]
        fields: dict[str, int | float | str | bool] = {"sector": sector_number(self.regions, region)}
        if other is None:
            fields |= {
                "texturemiddle": picture.texture,
                "scalex_mid": picture.scale,
                "scaley_mid": picture.scale,
            }
        elif (door := self._sector(other).door) is not None:
            fields |= {"texturetop": door.texture, "texturebottom": door.texture}
            offset = 0
        else:
            fields |= {
                "texturetop": picture.texture,
                "scalex_top": picture.scale,
                "scaley_top": picture.scale,
            }
            fields |= {
                "texturebottom": picture.texture,
                "scalex_bottom": picture.scale,
                "scaley_bottom": picture.scale,
            }
        fields["offsetx"] = round(offset * picture.scale)
        self.sides.append(_block("sidedef", fields))
        return len(self.sides) - 1

    def text(self, things: Sequence[Thing]) -> str:
        """The whole map."""
        parts = ['namespace="zdoom";\n']
        parts += [_block("vertex", {"x": float(x), "y": float(y)}) for x, y in self.vertices]
        parts += self.lines + self.sides
        for sector in (region.sector for region in self.regions if region.sector is not None):
            parts.append(
                _block(
                    "sector",
                    {
                        "heightfloor": sector.floor,
                        "heightceiling": sector.ceiling,
                        "texturefloor": sector.floor_picture.texture,
                        "textureceiling": sector.ceiling_picture.texture,
                        "lightlevel": sector.light,
                        "xscalefloor": sector.floor_picture.scale,
                        "yscalefloor": sector.floor_picture.scale,
                        "xscaleceiling": sector.ceiling_picture.scale,
                        "yscaleceiling": sector.ceiling_picture.scale,
                        "id": sector.tag,
                    },
                )
            )
        for thing in things:
            place = {"x": float(thing.x), "y": float(thing.y), "angle": thing.angle, "type": thing.kind}
            skills = {f"skill{n}": True for n in range(1, 6)} | {"single": True, "coop": True, "dm": True}
            parts.append(_block("thing", place | skills))
        return "".join(parts)
