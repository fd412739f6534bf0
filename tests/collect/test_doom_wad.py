"""Writing what the Doom engine reads: archives, edges, maps. No engine needed."""

import pytest

from paracosm.collect.games.doom_wad import (
    Door,
    Picture,
    Rect,
    Region,
    Sector,
    Thing,
    find_edges,
    map_lumps,
    read_wad,
    region_at,
    sector_number,
    write_mapinfo,
    write_udmf,
    write_wad,
)

PLAIN = Picture(texture="STWALL")
START = Thing(kind=1, x=32, y=32)


def sector(floor: int = 0, ceiling: int = 128, door: Door | None = None) -> Sector:
    return Sector(
        floor=floor,
        ceiling=ceiling,
        floor_picture=PLAIN,
        ceiling_picture=PLAIN,
        walls=(PLAIN, PLAIN, PLAIN, PLAIN),
        door=door,
    )


def room(x0: int, y0: int, x1: int, y1: int, inside: Sector | None) -> Region:
    return Region(rect=Rect(x0=x0, y0=y0, x1=x1, y1=y1), sector=inside)


def test_an_archive_reads_back_as_it_was_written() -> None:
    lumps = [("MAP01", b""), ("TEXTMAP", b"some text"), ("ENDMAP", b"")]
    assert read_wad(write_wad(lumps)) == lumps


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"JUNKJUNKJUNK", "must begin with PWAD or IWAD"),
        (b"PWAD\x05\0\0\0\x0c\0\0\0", "directory of 5 lumps"),
        (write_wad([("A", b"1234")])[:-16] + b"\x0c\0\0\0\xff\0\0\0" + b"A" * 8, "beyond the"),
    ],
)
def test_a_broken_archive_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_wad(data)


def test_a_lump_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match='lump name "NINECHARS" is longer than 8'):
        write_wad([("NINECHARS", b"")])


def test_one_room_has_four_edges_to_the_rock() -> None:
    edges = find_edges([room(0, 0, 64, 64, sector())])
    assert len(edges) == 4
    assert all((edge.front is None) != (edge.back is None) for edge in edges)


def test_neighbours_share_one_edge_and_longer_walls_are_cut_where_it_ends() -> None:
    regions = [room(0, 0, 64, 64, sector()), room(64, 16, 128, 48, sector())]
    between = [edge for edge in find_edges(regions) if None not in (edge.front, edge.back)]
    assert [(edge.first, edge.second) for edge in between] == [((64, 16), (64, 48))]
    assert len(find_edges(regions)) == 9


def test_later_regions_paint_over_earlier_ones_and_rock_is_solid() -> None:
    regions = [
        room(0, 0, 64, 64, sector()),
        room(16, 16, 32, 32, None),
        room(40, 40, 48, 48, sector(floor=8)),
    ]
    assert region_at(regions, 8, 8) == 0
    assert region_at(regions, 24, 24) is None
    assert region_at(regions, 44, 44) == 2
    assert [sector_number(regions, index) for index in (0, 2)] == [0, 1]


def test_a_door_opens_from_the_front_of_its_lines() -> None:
    door = Door(texture="BIGDOOR2", speed=48, wait_tics=100)
    regions = [room(0, 0, 128, 64, sector()), room(56, 0, 72, 64, sector(ceiling=0, door=door))]
    text = write_udmf(regions, [START])
    lines = [line for line in text.splitlines() if line.startswith("linedef") and "special=12" in line]
    assert len(lines) == 2
    assert all("playeruse=true" in line and "arg1=48" in line for line in lines)
    assert text.count('texturetop="BIGDOOR2"') == 2


def test_a_map_without_a_start_or_with_a_thing_in_rock_is_refused() -> None:
    regions = [room(0, 0, 64, 64, sector())]
    with pytest.raises(ValueError, match="needs a player start"):
        map_lumps("MAP01", regions, [])
    with pytest.raises(ValueError, match=r"thing 48 at \(100, 100\) stands in solid rock"):
        map_lumps("MAP01", regions, [START, Thing(kind=48, x=100, y=100)])


def test_mapinfo_names_the_player_and_every_sky() -> None:
    text = write_mapinfo({"MAP01": "SKY1", "MAP02": "SKY3"}, "Explorer")
    assert 'playerclasses = "Explorer"' in text
    assert text.count("allowjump") == 2
    assert 'sky1 = "SKY3"' in text
