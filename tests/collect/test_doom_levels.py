"""Doom levels by seed: reachable, clear of obstacles, alike on every machine."""

import hashlib
import importlib.util
import itertools
import math
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from paracosm.collect.games.doom_levels import Level, LevelConfig, Link, draw_start, make_level
from paracosm.collect.games.doom_themes import DOORS, PASSAGES, SKIES, THEMES
from paracosm.collect.games.doom_wad import map_lumps, region_at, write_wad
from paracosm.core.errors import ConfigError
from paracosm.core.rng import stream

SEEDS = range(30)
PLAYER_RADIUS = 16
THING_RADIUS = 20
"""The widest decoration; Doom's things are square."""
HIGHEST_STEP = 24
"""What a player climbs without jumping."""

BUNDLED_LEVEL = "71c8579a59fc"
"""Digest of level 83, which the bundled world was trained on: a change here makes that world wrong."""


def floor_at(level: Level, x: float, y: float) -> int | None:
    region = region_at(level.regions, x, y)
    if region is None:
        return None
    sector = level.regions[region].sector
    assert sector is not None
    return sector.floor


def way_through(level: Level, link: Link) -> list[tuple[float, float]]:
    """From the middle of one free rectangle through the link to the other, a point every 16 units."""
    first, second = (level.rooms[room].free.center for room in link.rooms)
    corners = [first, link.entries[0], link.middle, link.entries[1], second]
    points = []
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        count = max(1, int(math.hypot(x1 - x0, y1 - y0) // 16))
        points += [(x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count) for i in range(count + 1)]
    return points


def assert_clear(level: Level, x: float, y: float) -> None:
    for dx in (-PLAYER_RADIUS, PLAYER_RADIUS):
        for dy in (-PLAYER_RADIUS, PLAYER_RADIUS):
            assert floor_at(level, x + dx, y + dy) is not None, (level.seed, x, y)
    for thing in level.things:
        gap = max(abs(thing.x - x), abs(thing.y - y))
        assert thing.kind == 1 or gap >= PLAYER_RADIUS + THING_RADIUS, (level.seed, thing, x, y)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_room_is_reached_by_ways_without_obstacle(seed: int) -> None:
    level = make_level(seed)
    reached, queue = {0}, [0]
    while queue:
        for link in level.links_of(queue.pop()):
            queue += set(link.rooms) - reached
            reached |= set(link.rooms)
    assert reached == set(range(9))
    for link in level.links:
        points = way_through(level, link)
        for x, y in points:
            assert_clear(level, x, y)
        floors = [floor_at(level, x, y) for x, y in points]
        for before, after in itertools.pairwise(floors):
            assert before is not None
            assert after is not None
            assert abs(after - before) <= HIGHEST_STEP


@pytest.mark.parametrize("seed", SEEDS)
def test_free_rectangles_are_free_and_starts_lie_in_them(seed: int) -> None:
    level = make_level(seed)
    for room in level.rooms:
        free = room.free
        for x in range(free.x0, free.x1 + 1, 40):
            for y in range(free.y0, free.y1 + 1, 40):
                assert_clear(level, x, y)
    draw = stream(seed, "test")
    for _ in range(20):
        x, y, yaw = draw_start(level, draw)
        assert any(room.free.contains(x, y) for room in level.rooms)
        assert 0 <= yaw < 360


@pytest.mark.parametrize("seed", SEEDS)
def test_decorations_stand_clear_of_walls(seed: int) -> None:
    level = make_level(seed)
    for thing in level.things[1:]:
        for dx in (-THING_RADIUS, THING_RADIUS):
            assert floor_at(level, thing.x + dx, thing.y) is not None
            assert floor_at(level, thing.x, thing.y + dx) is not None


def test_no_two_rooms_of_a_level_share_a_look() -> None:
    for seed in SEEDS:
        assert len({room.theme for room in make_level(seed).rooms}) == 9
    assert all(len(set(theme.walls)) == 4 for theme in THEMES)
    pictures = {name for theme in THEMES for name in (*theme.walls, theme.floor, theme.ceiling)}
    assert len(pictures) >= 60


def test_levels_hold_doors_stairs_openings_corridors_and_sky() -> None:
    levels = [make_level(seed) for seed in SEEDS]
    assert {link.kind for level in levels for link in level.links} == {
        "door",
        "stairs",
        "opening",
        "corridor",
    }
    assert any(room.sky for level in levels for room in level.rooms)


def test_the_level_of_the_bundled_world_never_changes() -> None:
    level = make_level(83)
    data = write_wad(map_lumps("MAP01", level.regions, level.things))
    assert hashlib.sha256(data).hexdigest()[:12] == BUNDLED_LEVEL


def test_monsters_leave_the_level_as_it_is() -> None:
    without, populated = make_level(4), make_level(4, LevelConfig(monsters=5))
    assert populated.regions == without.regions
    assert len(populated.things) == len(without.things) + 5


def test_room_at_tells_rooms_from_passages() -> None:
    level = make_level(0)
    assert [level.room_at(*room.rect.center) for room in level.rooms] == list(range(9))
    assert {level.room_at(*link.middle) for link in level.links} == {-1}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"rows": 0}, "rows 0 is out of range; use 1 to 6"),
        ({"columns": 7}, "columns 7 is out of range; use 1 to 6"),
        ({"door_share": 1.5}, "door_share 1.5 is no share; use 0 to 1"),
        ({"max_floor": 200}, "max_floor 200 is out of range; use 0 to 96"),
        ({"furniture": 5}, "furniture 5 is out of range; use 0 to 4"),
        ({"monsters": 50}, "monsters 50 is out of range; use 0 to 20"),
        ({"texture_scale": 0.0}, "texture_scale 0.0 is out of range; use 0.5 to 4"),
    ],
)
def test_a_level_config_out_of_range_is_refused(change: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(LevelConfig(), **change)
    assert str(caught.value) == text


def test_small_and_large_grids_are_made() -> None:
    assert len(make_level(0, LevelConfig(rows=1, columns=1)).rooms) == 1
    assert len(make_level(0, LevelConfig(rows=4, columns=6)).rooms) == 24


@pytest.mark.games("doom")
def test_every_picture_that_themes_name_is_in_freedoom() -> None:
    spec = importlib.util.find_spec("vizdoom")
    assert spec is not None
    assert spec.origin is not None
    data = (Path(spec.origin).parent / "freedoom2.wad").read_bytes()
    known = _picture_names(data)
    walls = {name for theme in THEMES for name in theme.walls} | {wall for wall, _ in PASSAGES} | set(DOORS)
    flats = {name for theme in THEMES for name in (theme.floor, theme.ceiling)} | {
        floor for _, floor in PASSAGES
    }
    assert walls | flats | set(SKIES) | {"DOORTRAK", "CEIL5_2", "FLAT23"} <= known


def _picture_names(data: bytes) -> set[str]:
    count, start = struct.unpack_from("<ii", data, 4)
    names = set()
    for index in range(count):
        offset, _, raw = struct.unpack_from("<ii8s", data, start + 16 * index)
        name = raw.rstrip(b"\0").decode("ascii")
        names.add(name)
        if name in ("TEXTURE1", "TEXTURE2"):
            (textures,) = struct.unpack_from("<i", data, offset)
            for place in struct.unpack_from(f"<{textures}i", data, offset + 4):
                names.add(data[offset + place : offset + place + 8].split(b"\0")[0].decode("ascii"))
    return names


def test_a_larger_texture_scale_repaints_the_same_level() -> None:
    plain, large = make_level(94), make_level(94, LevelConfig(texture_scale=2.0))
    assert [region.rect for region in large.regions] == [region.rect for region in plain.regions]
    assert large.things == plain.things
    sizes = {
        after.sector.walls[0].size / before.sector.walls[0].size
        for before, after in zip(plain.regions, large.regions, strict=True)
        if before.sector and after.sector and not after.sector.door
    }
    assert sizes == {2.0}
