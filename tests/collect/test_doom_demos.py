"""Demos of Doom become recordings: the engine plays them again, and its turns are those of the rows."""

import struct
from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.foreign_logs import doom_replay
from paracosm.collect.foreign_logs.doom_demos import DEGREES, Demo, open_logs, read_log
from paracosm.collect.foreign_logs.doom_replay import Replay
from paracosm.core.errors import DataError, MissingPackageError
from paracosm.data.video import iterate_video

ALONE = (1, 0, 0, 0)
TOGETHER = (1, 1, 0, 0)


def demo_bytes(rows: list[tuple[int, int, int, int]], players=ALONE, version: int = 109) -> bytes:
    """Skill 3, episode 1, map 1; no deathmatch, respawn, fast or quiet monsters; seen by the first player."""
    header = bytes([version, 2, 1, 1, 0, 0, 0, 0, 0, *players])
    return header + b"".join(struct.pack("bbbB", *row) for row in rows) + b"\x80"


def write_wad(file: Path, lumps: dict[str, bytes], kind: bytes = b"IWAD") -> None:
    body, entries = b"", b""
    for name, data in lumps.items():
        entries += struct.pack("<ii8s", 12 + len(body), len(data), name.encode())
        body += data
    file.write_bytes(struct.pack("<4sii", kind, len(lumps), 12 + len(body)) + body + entries)


def played(demo: Demo, dead_from: int | None = None) -> Replay:
    """What an engine tells that obeys every row until the player dies and watches its killer."""
    turns = DEGREES * demo.rows[:, 2].astype(float)
    if dead_from is not None:
        turns[dead_from:] = 5.0
    poses = np.zeros((len(turns) - 1, 4))
    poses[:, 0] = np.arange(len(poses))
    poses[:, 3] = (90 + np.cumsum(turns)[:-1]) % 360
    return Replay(video=Path("replay.mkv"), poses=poses, engine="engine 1")


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    rows = [(25 * (step % 2), 0, 3 if step % 4 else -7, 1 if step == 5 else 0) for step in range(60)]
    file = tmp_path / "game.wad"
    write_wad(file, {"DEMO1": demo_bytes(rows)})
    return Demo(name="game-demo1", wad=file, data=demo_bytes(rows))


def test_the_row_after_a_frame_is_its_control(demo):
    log = read_log(demo, played(demo))
    assert (log.first_frame, log.num_frames, len(log.rows)) == (2, 58, 57)
    for place, row in enumerate(log.rows):
        forward, _, left, buttons = demo.rows[place + 3]
        assert row.turn == (-DEGREES * left, 0.0)
        assert ("forward" in row.keys, "attack" in row.keys) == (forward > 0, bool(buttons & 1))
        assert row.truth["pose"]["x"] == place + 2
    assert log.notes == ("in 0 of 29 walking rows the player stood still",)
    assert log.provenance["map"] == 1


def test_rows_after_the_players_death_are_left_out(demo):
    log = read_log(demo, played(demo, dead_from=40))
    assert log.first_frame + (log.num_frames or 0) == 40
    assert log.notes[0] == "the player answers nothing more from row 40 of 60 on; left out"


@pytest.mark.parametrize(
    ("row", "held"),
    [
        ((50, 0, 0, 0), {"forward", "run"}),
        ((-25, 24, 0, 0), {"back", "right"}),
        ((0, -40, 0, 3), {"left", "run", "attack", "use"}),
        ((0, 0, 0, 4 | 2 << 3), {"weapon3"}),
        ((0, 0, 0, 129), set()),
    ],
)
def test_buttons_and_steps_become_keys(tmp_path, row, held):
    write_wad(tmp_path / "game.wad", {})
    demo = Demo(name="one", wad=tmp_path / "game.wad", data=demo_bytes([row] * 8))
    assert read_log(demo, played(demo)).rows[0].keys == held


def test_a_demo_that_goes_another_way_is_refused(demo):
    astray = played(demo)
    astray.poses[:, 3] = (astray.poses[:, 3] + np.arange(len(astray.poses))) % 360
    astray.poses[-1, 3] = astray.poses[-2, 3] + DEGREES * int(demo.rows[-2, 2])
    with pytest.raises(
        DataError, match="game-demo1 turns otherwise than its rows say in 57 of 58 turning rows"
    ):
        read_log(demo, astray)


def test_another_number_of_frames_is_refused(demo):
    short = played(demo)
    with pytest.raises(DataError, match="has 60 rows, engine 1 drew 50 frames"):
        read_log(demo, Replay(video=short.video, poses=short.poses[:49], engine="engine 1"))


def test_demos_are_found_in_games_and_beside_one_a_log_for_each_player(tmp_path, monkeypatch):
    monkeypatch.setattr("paracosm.collect.foreign_logs.doom_demos.find_programs", lambda: None)
    rows = [(0, 0, 0, 0)] * 4
    lumps = {
        "DEMO1": demo_bytes(rows),
        "DEMO2": demo_bytes(rows, TOGETHER),
        "DEMOX": b"",
        "DEMO3": demo_bytes(rows, version=203),
    }
    write_wad(tmp_path / "game.wad", lumps)
    write_wad(tmp_path / "patch.wad", {"DEMO1": demo_bytes(rows)}, kind=b"PWAD")
    names = ["game-demo1", "game-demo2-player1", "game-demo2-player2"]
    assert list(open_logs(tmp_path).logs) == names
    (tmp_path / "mine.lmp").write_bytes(demo_bytes(rows))
    assert list(open_logs(tmp_path).logs) == [*names, "mine"]
    write_wad(tmp_path / "other.wad", {})
    with pytest.raises(DataError, match=r"holds mine.lmp and 2 games \(IWAD archives\) to play it with"):
        open_logs(tmp_path)


def test_a_folder_without_demos_and_broken_archives_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("paracosm.collect.foreign_logs.doom_demos.find_programs", lambda: None)
    write_wad(tmp_path / "game.wad", {"DEMO1": demo_bytes([(0, 0, 0, 0)], version=203)})
    with pytest.raises(DataError, match=r"no demo of Doom 1.4 to 1.9 \(1 of others\)"):
        open_logs(tmp_path)
    (tmp_path / "game.wad").write_bytes(struct.pack("<4sii", b"IWAD", 7, 12))
    with pytest.raises(DataError, match=r"game\.wad has no whole directory"):
        open_logs(tmp_path)
    (tmp_path / "game.wad").write_bytes(b"IWAD")
    with pytest.raises(DataError, match=r"game\.wad ends inside its header"):
        open_logs(tmp_path)


def test_players_of_one_demo_have_rows_and_eyes_of_their_own(tmp_path):
    rows = [(place, player, 0, 0) for place in range(5) for player in range(2)]
    players = (0, 1, 0, 1)
    demos = [Demo(name="two", wad=tmp_path, data=demo_bytes(rows, players), player=who) for who in (0, 1)]
    for who, demo in enumerate(demos):
        assert demo.rows.tolist() == [[place, who, 0, 0] for place in range(5)]
        assert demo.seen[8] == demo.players[who] == (1, 3)[who]
        assert demo.seen[9:] == demo.data[9:]


def test_a_missing_engine_names_its_packages(monkeypatch):
    monkeypatch.setattr(doom_replay.shutil, "which", lambda *_, **__: None)
    with pytest.raises(MissingPackageError, match=r"dsda-doom, Xvfb .*apt-get install dsda-doom xvfb"):
        doom_replay.find_programs()


@pytest.fixture
def game() -> Path:
    vizdoom = pytest.importorskip("vizdoom")
    try:
        doom_replay.find_programs()
    except MissingPackageError as error:
        pytest.skip(str(error))
    return Path(vizdoom.__file__).parent / "freedoom2.wad"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("together", [False, True])
def test_the_engine_draws_each_row_once_and_turns_as_it_says(tmp_path, game, together):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "freedoom2.wad").symlink_to(game)
    still, right, left = (0, 0, 0, 0), (0, 0, -6, 0), (0, 0, 6, 0)
    rows = [still] * 10 + [left] * 10 + [still] * 10 + [right] * 10 + [still] * 10
    of_both = [one for row in rows for one in (still, row)]
    data = demo_bytes(of_both, TOGETHER) if together else demo_bytes(rows)
    (tmp_path / "in" / "mine.lmp").write_bytes(data)
    logs = open_logs(tmp_path / "in")
    log = logs.logs["mine-player2" if together else "mine"]()
    assert len(log.rows) == len(rows) - 1 - log.first_frame
    assert not any("otherwise" in note for note in log.notes)
    images = np.stack(list(iterate_video(log.video)))[log.first_frame :].astype(float)
    assert len(images) == len(log.rows) + 1
    changes = np.abs(np.diff(images, axis=0)).mean((1, 2, 3))
    turning = np.array([row.turn[0] != 0 for row in log.rows])
    assert changes[turning].min() > 5 * changes[~turning].max()
    yaw = [row.truth["pose"]["yaw"] for row in log.rows]
    assert (yaw[0] - yaw[25 - log.first_frame]) % 360 == 60 * DEGREES
    assert yaw[-1] == yaw[0]
    del logs
    assert not log.video.exists()
