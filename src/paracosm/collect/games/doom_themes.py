"""What Doom's rooms and passages look like: which Freedoom pictures go together.

The pictures were chosen by eye and by measure: strong colours, large features, little change between
neighbouring pixels at 64 x 48, no picture that moves by itself. This file does NOT know geometry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .doom_wad import Picture


@dataclass(frozen=True, kw_only=True)
class Theme:
    """What a room looks like.

    Attributes:
        name: colour word, used by evaluators and captions.
        walls: textures to the east, north, west and south.
        floor: flat of the floor.
        ceiling: flat of the ceiling where the room is not open to the sky.
        furniture: DoomEdNums of decorations that fit.
    """

    name: str
    walls: tuple[str, str, str, str]
    floor: str
    ceiling: str
    furniture: tuple[int, ...]


LAMP, FLOOR_LAMP, TALL_LAMP = 2028, 86, 85
GREEN_COLUMN, RED_COLUMN, TECH_COLUMN = 30, 32, 48
RED_TORCH, GREEN_TORCH, BLUE_TORCH = 46, 45, 44
CANDELABRA, TREE, BIG_TREE, STUMP = 35, 43, 54, 47

MONSTERS = (3001, 3002, 9)
"""DoomEdNums of the imp, the demon and the shotgun guy."""

THEMES: tuple[Theme, ...] = (
    Theme(
        name="red",
        walls=("REDWALL1", "SP_HOT1", "AQLITE13", "CRACKLE2"),
        floor="FLOOR6_1",
        ceiling="FLAT5_3",
        furniture=(RED_TORCH, RED_COLUMN),
    ),
    Theme(
        name="blue",
        walls=("ZZWOLF9", "AQLITE07", "SW1BLUE", "PBLUE"),
        floor="FLAT14",
        ceiling="FLOOR1_1",
        furniture=(BLUE_TORCH, TALL_LAMP),
    ),
    Theme(
        name="green",
        walls=("DOKGRIR", "A-CAMO1", "AQLITE09", "DOGRMSC"),
        floor="AQF022",
        ceiling="AQF037",
        furniture=(GREEN_COLUMN, GREEN_TORCH),
    ),
    Theme(
        name="yellow",
        walls=("LITEYEL3", "YELMETAL", "AQLITE15", "AQPANL09"),
        floor="AQF043",
        ceiling="CEIL3_3",
        furniture=(TECH_COLUMN, FLOOR_LAMP),
    ),
    Theme(
        name="orange",
        walls=("STWALL", "MURAL1", "AQLITE11", "DOGLDIR"),
        floor="FLAT8",
        ceiling="FLAT5",
        furniture=(RED_TORCH, CANDELABRA),
    ),
    Theme(
        name="white",
        walls=("AQLITE22", "AQLITE21", "STONEW5", "SHAWN01"),
        floor="AQF064",
        ceiling="AQF062",
        furniture=(RED_COLUMN, BLUE_TORCH),
    ),
    Theme(
        name="steel",
        walls=("BTNTSLVR", "COMPSTA1", "DOC1", "ZDOORF1"),
        floor="FLAT23",
        ceiling="FLAT17",
        furniture=(TALL_LAMP, LAMP),
    ),
    Theme(
        name="pink",
        walls=("SKIN2", "SW2SKIN", "SKSPINE1", "SKINFACE"),
        floor="FLAT5_3",
        ceiling="SFLR6_4",
        furniture=(RED_COLUMN, CANDELABRA),
    ),
    Theme(
        name="wood",
        walls=("PANBOOK", "PANCASE1", "PANBLUE", "PANRED"),
        floor="FLOOR0_2",
        ceiling="CEIL3_1",
        furniture=(CANDELABRA, LAMP),
    ),
    Theme(
        name="stone",
        walls=("ZZWOLF2", "STONE4", "ZZWOLF4", "GRAYDANG"),
        floor="MFLR8_3",
        ceiling="FLAT23",
        furniture=(BLUE_TORCH, GREEN_COLUMN),
    ),
    Theme(
        name="hazard",
        walls=("GRAYPOIS", "AQPANL06", "CEMPOIS", "GRAYWARN"),
        floor="AQF068",
        ceiling="AQF019",
        furniture=(TECH_COLUMN, FLOOR_LAMP),
    ),
    Theme(
        name="tan",
        walls=("CARLRT1", "TANROCK8", "STARTAN1", "STARTAN3"),
        floor="RROCK11",
        ceiling="FLOOR4_1",
        furniture=(BIG_TREE, STUMP),
    ),
    Theme(
        name="brick",
        walls=("ZZWOLF12", "ZZWOLF11", "ZZWOLF13", "BRICK11"),
        floor="FLAT1_1",
        ceiling="CEIL1_1",
        furniture=(GREEN_TORCH, LAMP),
    ),
    Theme(
        name="olive",
        walls=("STARG1", "ESPIG3", "STARG3", "ZIMMER8"),
        floor="RROCK20",
        ceiling="GRNLITE1",
        furniture=(GREEN_COLUMN, TREE),
    ),
    Theme(
        name="crates",
        walls=("CRATE1", "CR64LB", "CRLWDL6", "CRATWIDE"),
        floor="CRATOP2",
        ceiling="CEIL3_2",
        furniture=(LAMP, TECH_COLUMN),
    ),
)
"""The looks a level draws its rooms from; each has a colour or pattern of its own."""

ENLARGED: Mapping[str, float] = {
    "AQLITE07": 2.0, "AQLITE09": 2.0, "AQLITE11": 2.0, "AQLITE13": 2.0, "AQLITE15": 2.0,
    "AQLITE21": 2.0, "AQLITE22": 2.0, "AQPANL09": 2.0, "GRAYWARN": 2.0,
    "AQF019": 2.0, "AQF037": 2.0, "AQF043": 2.0, "AQF062": 2.0,
}  # fmt: skip
"""Fine patterns are drawn this much larger: at 64 x 48 pixels they would only flicker."""

PASSAGES: tuple[tuple[str, str], ...] = (
    ("METAL2", "FLAT23"),
    ("BRICK1", "FLAT8"),
    ("WOOD1", "FLAT5_1"),
    ("STONE2", "FLAT5_5"),
    ("TEKGREN2", "FLAT5_4"),
    ("BROWN96", "FLOOR7_1"),
    ("CEMENT1", "FLAT19"),
    ("MARBLE1", "FLOOR7_2"),
)
"""Wall texture and floor of corridors: duller than any room, so that rooms stand out."""

DOORS = ("BIGDOOR2", "BIGDOOR3", "BIGDOOR4", "BIGDOOR5", "BIGDOOR7")

SKIES = ("SKY1", "SKY2", "SKY3")


def enlarge(texture: str, size: float) -> Picture:
    """A texture drawn ``size`` map units a pixel, or larger where its pattern is fine."""
    return Picture(texture=texture, size=size * ENLARGED.get(texture, 1.0))
