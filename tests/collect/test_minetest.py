"""Minetest captured from its window: the number in the picture, mods, log, player, and one real capture."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.explorers.minetest import MinetestExplorer, MinetestExplorerConfig
from paracosm.collect.games import minetest_files, minetest_process
from paracosm.collect.games.minetest import KEYS, MinetestWorld
from paracosm.collect.games.minetest_config import MinetestConfig, shrink
from paracosm.collect.games.minetest_files import MODS, WEATHERS, find_programs, mouse_gain, write_files
from paracosm.collect.games.minetest_number import (
    BLOCK,
    MODULUS,
    STRIP_HEIGHT,
    STRIP_WIDTH,
    draw_number,
    read_number,
)
from paracosm.collect.games.minetest_record import parse_record, parse_seen
from paracosm.collect.games.minetest_sky import Sky
from paracosm.collect.games.minetest_x11 import KEYSYMS
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, MissingPackageError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame

LINE = (
    "2023-11-14 22:13:35: ACTION[Main]: PARACOSM frame=91 order=3 clock=1700000012.050000 "
    "dtime=0.050000 eye_x=200.000000 eye_y=8.625000 eye_z=-300.000000 "
    "feet_x=200.040000 feet_y=7.000000 feet_z=-300.000000 "
    "speed_x=0.800000 speed_y=0.000000 speed_z=0.000000 yaw=-2.500000 pitch=-0.500000 fov_x=102.080299 "
    "fov_y=72.000000 time=0.500000 missing=0 ground=1 liquid=0 mode=0 keys=up+jump weather=rain light=dusk "
    "biome=grassland person=first place=stands"
)


def test_a_number_drawn_in_a_picture_is_read_back() -> None:
    for number in (0, 1, 255, 256, 12345, MODULUS - 1):
        picture = stream(number, "test").integers(0, 256, (40, 160, 3)).astype(np.uint8)
        picture[:STRIP_HEIGHT, :STRIP_WIDTH] = draw_number(number)
        assert read_number(picture) == number


def test_a_strip_that_is_half_drawn_or_covered_is_not_read() -> None:
    one, two = draw_number(4711), draw_number(4712)
    half = np.concatenate([one[:, : STRIP_WIDTH - 7 * BLOCK], two[:, STRIP_WIDTH - 7 * BLOCK :]], axis=1)
    assert not np.array_equal(half, one)
    assert read_number(half) is None
    assert read_number(np.full_like(one, 120)) is None
    assert read_number(np.zeros_like(one)) is None
    assert read_number(np.full_like(one, 255)) is None
    grey = one.copy()
    grey[:, 5 * BLOCK : 6 * BLOCK] = 128
    assert read_number(grey) is None


def test_one_wrong_block_is_always_noticed() -> None:
    whole = draw_number(40000)
    for block in range(STRIP_WIDTH // BLOCK):
        wrong = whole.copy()
        wrong[:, block * BLOCK : (block + 1) * BLOCK] ^= 255
        assert read_number(wrong) is None


def test_a_line_of_the_log_becomes_a_record() -> None:
    record = parse_record(LINE)
    assert record is not None
    assert (record.frame, record.order, record.missing) == (91, 3, 0)
    assert record.keys == {"forward", "jump"}
    assert record.numbers["feet_x"] == 200.04
    assert record.words["weather"] == "rain"
    assert record.words["place"] == "stands"
    assert record.ground
    assert not record.liquid
    assert parse_record("2023-11-14 22:13:35: ACTION[Server]: singleplayer joins game.") is None


def test_what_input_has_arrived_is_told_apart_from_a_frame() -> None:
    line = "22:13:35: ACTION[Main]: PARACOSM_SEEN keys=left+sneak yaw=12.500000 pitch=-3.000000"
    seen = parse_seen(line)
    assert seen is not None
    assert (seen.keys, seen.yaw, seen.pitch) == ({"left", "sneak"}, 12.5, -3.0)
    assert parse_record(line) is None
    assert parse_seen(LINE) is None


def test_a_record_of_another_version_is_refused() -> None:
    with pytest.raises(WorldError, match=r"minetest's mod told a line that cannot be read \('yaw'\)"):
        parse_record(LINE.replace("yaw=", "heading="))


def test_the_mods_are_written_whole_and_nothing_outside_the_folder(tmp_path: Path) -> None:
    write_files(tmp_path, window=(160, 98), sensitivity=0.125, map_seed=7, viewing_range=48, hand=False)
    client = tmp_path / "home/.minetest/clientmods/paracosm_client/init.lua"
    server = tmp_path / "world/worldmods/paracosm_server/init.lua"
    for file in (client, server):
        assert "@" not in file.read_text().replace("@ signs", "")
    assert f"local BLOCK, NUM_BITS, MODULUS, REACH = {BLOCK}, 16, {MODULUS}, 48" in client.read_text()
    assert {path.name for path in MODS.iterdir()} == {"paracosm_client", "paracosm_server"}
    settings = dict(
        line.split(" = ") for line in (tmp_path / "home/.minetest/minetest.conf").read_text().splitlines()
    )
    assert settings["bind_address"] == "127.0.0.1"
    assert settings["fixed_map_seed"] == "7"
    assert (settings["screen_w"], settings["screen_h"]) == ("160", "98")
    for weather in WEATHERS:
        assert f"    {weather} = {{" in server.read_text()


def test_a_missing_game_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *given, **more: None)
    with pytest.raises(MissingPackageError) as caught:
        MinetestWorld()
    assert "game:minetest needs minetest, Xvfb" in str(caught.value)
    assert "apt-get install minetest xvfb faketime libgl1-mesa-dri" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"width": 64}, "frame size 90 x 64 drawn at 90 x 64 does not fit; draw 48 x 96 up to 1080 x 1920"),
        ({"width": 64, "height": 30, "supersampling": 9}, "supersampling 9 is out of range; use 1 to 8"),
        ({"height": 91}, "frame size 91 x 160 is odd; use even sides"),
        ({"max_turn": 30.0}, "max_turn 30 or max_pitch 4 is out of range"),
        ({"steps_per_second": 5}, "steps_per_second 5 is out of range; use 10 to 60"),
        ({"viewing_range": 8}, "viewing_range 8 or span 3000 is out of range"),
        ({"centre": (0, 30000)}, r"centre \(0, 30000\) is out of range; use -20000 to 20000 nodes"),
        ({"lights": ()}, r"lights \(\) cannot be drawn from; use one or more of dawn, noon, dusk, night"),
        ({"weathers": ("hail",)}, r"weathers \('hail',\) cannot be drawn from; use one or more of clear"),
        ({"change_seconds": (9.0, 5.0)}, r"change_seconds \(9.0, 5.0\) is no range"),
    ],
)
def test_a_config_that_cannot_be_played_is_refused(given: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        MinetestConfig(**given)


def test_the_mouse_turns_as_far_in_narrow_windows() -> None:
    assert mouse_gain((160, 98)) == 1
    assert mouse_gain((128, 104)) == pytest.approx(0.18725 / 0.15625, abs=2e-3)  # seen in the game


def test_a_sky_changes_only_to_what_there_may_be() -> None:
    sky = Sky(5, (1.0, 1.0), 10, weathers=("rain",), lights=("dawn", "noon"))
    assert sky.weather == "rain"
    changes = [change for index in range(1, 400) for change in sky.changes(index)]
    assert len(changes) == 39
    assert set(changes) == {("light", "dawn"), ("light", "noon")}
    still = Sky(5, (1.0, 1.0), 10, weathers=("rain",), lights=("noon",))
    assert not [change for index in range(1, 400) for change in still.changes(index)]


def test_pixels_of_a_frame_are_means_of_those_that_were_drawn() -> None:
    config = MinetestConfig(height=48, width=64, supersampling=2)
    assert config.window == (128, 104)
    assert config.degrees_per_pixel == MinetestConfig(height=96, width=128).degrees_per_pixel
    drawn = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    kept = shrink(drawn, 2)
    assert kept.shape == (48, 64, 3)
    assert kept.dtype == np.uint8
    assert kept[5, 7, 1] == np.floor(drawn[10:12, 14:16, 1].mean() + 0.5)
    assert shrink(drawn, 1) is drawn


def test_every_key_of_the_world_is_on_the_keyboard() -> None:
    assert set(KEYS.values()) <= set(KEYSYMS)


def test_the_sky_of_a_seed_is_the_same_and_changes_every_five_to_ten_seconds() -> None:
    config = MinetestConfig()
    skies = [Sky(5, config.change_seconds, config.steps_per_second) for _ in range(2)]
    changes = [[(i, *change) for i in range(1, 2000) for change in sky.changes(i)] for sky in skies]
    assert changes[0] == changes[1]
    gaps = np.diff([index for index, _, _ in changes[0]])
    assert gaps.min() >= 5 * config.steps_per_second
    assert gaps.max() <= 10 * config.steps_per_second
    still = Sky(5, (0.0, 0.0), 20)
    assert not any(still.changes(index) for index in range(1000))


class _Told:
    """A world that is only asked what it offers."""

    def __init__(self) -> None:
        self.info = minetest_info()


def minetest_info():
    from paracosm.collect.games.minetest import _describe

    paths = {name: Path(name) for name in ("game", "screen", "clock")}
    return _describe(MinetestConfig(), minetest_files.Programs(**paths, version="minetest 5.6.1"))


def _frame(speed: float, pitch: float = 0.0) -> Frame:
    truth = {"speed": speed, "in_water": False, "pose": {"pitch": pitch}}
    return Frame(image=np.zeros((2, 2, 3), np.uint8), index=0, truth=truth)


def test_a_player_before_a_wall_jumps_and_then_turns_away() -> None:
    config = MinetestExplorerConfig(forward_share=0.98)
    player, world = MinetestExplorer(config), _Told()
    player.reset(world, _frame(0.0), 3)  # pyright: ignore[reportArgumentType]
    controls = [player.act(_frame(0.0)) for _ in range(200)]
    for control in controls:
        world.info.controls.check(control)
    assert sum("jump" in control.keys for control in controls) > 60
    assert sum(abs(control.look[0]) > 6 for control in controls) >= config.turn_steps[0]


def test_a_player_is_the_same_for_one_seed() -> None:
    played = []
    for _ in range(2):
        player = MinetestExplorer()
        player.reset(_Told(), _frame(4.0), 9)  # pyright: ignore[reportArgumentType]
        played.append([player.act(_frame(4.0, pitch=10.0)) for _ in range(100)])
    assert played[0] == played[1]


@pytest.fixture
def installed() -> None:
    try:
        find_programs()
    except MissingPackageError as error:
        pytest.skip(str(error))


CONTROLS = [
    Control({"forward"}, (6.0, 0.0)),
    Control({"forward"}, (-6.0, 0.0)),
    Control({"forward", "jump"}, (0.0, 2.0)),
    Control(),
    Control({"left", "sneak"}, (3.0, -2.0)),
    Control({"back"}, (0.0, 0.0)),
]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("installed")
def test_each_captured_frame_answers_its_own_control() -> None:
    world = MinetestWorld(MinetestConfig(height=60, width=112, viewing_range=32))
    try:
        frame = world.reset(1)
        assert (frame.image.shape, frame.index) == ((60, 112, 3), 0)
        for control in CONTROLS * 4:
            after = world.step(control)
            turned = (after.truth["pose"]["yaw"] - frame.truth["pose"]["yaw"] + 180) % 360 - 180
            assert abs(turned - control.look[0]) <= world.config.degrees_per_pixel
            assert after.truth["game_frame"] == frame.truth["game_frame"] + 1
            if abs(control.look[0]) > 4:
                assert not np.array_equal(after.image, frame.image)
            frame = after
        with pytest.raises(WorldError, match="game:minetest cannot keep its state: the game has no way back"):
            world.snapshot()
    finally:
        world.close()
    with pytest.raises(WorldError, match="game:minetest is closed; open it again"):
        world.reset(0)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("installed")
def test_a_game_that_finds_its_port_taken_draws_another(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0, 0, 3600]  # the second world's first game starts at the first one's time: the same port
    monkeypatch.setattr(minetest_process.secrets, "randbelow", lambda _: times.pop(0))
    worlds = [MinetestWorld(MinetestConfig(height=60, width=112, viewing_range=32)) for _ in range(2)]
    try:
        frames = [world.reset(seed) for seed, world in enumerate(worlds)]
    finally:
        for world in worlds:
            world.close()
    assert not times
    assert [frame.index for frame in frames] == [0, 0]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("installed")
def test_a_game_that_ends_by_itself_is_noticed_at_once() -> None:
    folder = minetest_process.private_folder()
    write_files(folder, window=(112, 68), sensitivity=0.1, map_seed=1, viewing_range=32, hand=False)
    game = minetest_process.MinetestProcess(find_programs(), folder, (112, 68))
    try:
        until, victims = time.monotonic() + 30, []
        while not victims and time.monotonic() < until:
            victims = [
                int(path.parent.name)
                for path in _processes_of(folder)
                if _read(path).split("\0")[0].endswith("minetest")
            ]
        (victim,) = victims
        os.kill(victim, signal.SIGKILL)
        before = time.monotonic()
        with pytest.raises(WorldError, match="minetest ended by itself"):
            game.run_until_drawing(0.05)
        assert time.monotonic() - before < 30
    finally:
        game.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("installed")
def test_a_killed_owner_leaves_no_game_and_no_folder_behind(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = [p for p in sys.argv[1].split(':')]\n"
        "from paracosm.collect.games import minetest_process as p\n"
        "from paracosm.collect.games.minetest_files import find_programs, write_files\n"
        "folder = p.private_folder()\n"
        "write_files(folder, window=(112, 68), sensitivity=0.1, map_seed=1, viewing_range=32, hand=False)\n"
        "game = p.MinetestProcess(find_programs(), folder, (112, 68))\n"
        "print(folder, flush=True)\n"
        "import time; time.sleep(300)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, ":".join(sys.path)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    assert folder.is_dir()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    until = time.monotonic() + 60
    while (folder.exists() or _processes_of(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not folder.exists()
    assert not _processes_of(folder)


def _processes_of(folder: Path) -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in _read(path)]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
