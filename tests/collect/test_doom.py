"""Doom as a world: seeds, control law, restore, events, truth, camera, errors."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.games import doom_view
from paracosm.collect.games.doom import BINDINGS, KEYS, DoomConfig, DoomWorld
from paracosm.collect.games.doom_engine import check_wad
from paracosm.collect.games.doom_levels import Link
from paracosm.collect.games.doom_view import camera_rays, project
from paracosm.collect.games.doom_wad import write_wad
from paracosm.core.controls import IDLE, Control
from paracosm.core.errors import ConfigError, ControlError, MissingPackageError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, World

pytestmark = pytest.mark.games("doom")

FORWARD, ATTACK, USE, JUMP = (Control({key}) for key in ("forward", "attack", "use", "jump"))

DIGEST_SCRIPT = """
import sys
from tests.collect.test_doom import digest_of_play
sys.stdout.write(digest_of_play())
"""


@pytest.fixture(scope="module")
def world() -> Iterator[DoomWorld]:
    world = DoomWorld(DoomConfig(level_seeds=(83, 36)))
    yield world
    world.close()


@pytest.fixture(scope="module")
def measured() -> Iterator[DoomWorld]:
    """A world for geometry: pitch, depth, no weapon, drawn larger."""
    world = DoomWorld(DoomConfig(weapon="hidden", depth="on", max_pitch=5.0, render_width=320))
    yield world
    world.close()


def random_controls(count: int, seed: int = 0) -> list[Control]:
    draw = stream(seed, "controls")
    controls = []
    while len(controls) < count:
        keys = {key for key in KEYS if draw.random() < 0.3}
        controls += [Control(keys, (draw.uniform(-6, 6), 0.0))] * int(draw.integers(1, 12))
    return controls[:count]


def play(world: World, controls: list[Control]) -> list[Frame]:
    return [world.step(control) for control in controls]


def digest(frames: list[Frame]) -> str:
    value = hashlib.sha256()
    for frame in frames:
        value.update(frame.image.tobytes() + repr(frame.truth).encode())
    return value.hexdigest()


def digest_of_play() -> str:
    world = DoomWorld(DoomConfig(level_seeds=(83, 36)))
    frames = [world.reset(3), *play(world, random_controls(150))]
    world.close()
    return digest(frames)


def walk_to(world: DoomWorld, frame: Frame, goal: tuple[float, float], within: float) -> Frame:
    """Turn and walk straight to a point."""
    for _ in range(200):
        pose = frame.truth["pose"]
        east, north = goal[0] - pose["x"], goal[1] - pose["y"]
        if np.hypot(east, north) < within:
            return frame
        error = (np.degrees(np.arctan2(east, north)) - pose["yaw"] + 180) % 360 - 180
        keys = {"forward"} if abs(error) < 10 else set()
        frame = world.step(Control(keys, (float(np.clip(error, -6, 6)), 0.0)))
    raise AssertionError(f"never came within {within} of {goal}")


def test_same_seed_and_controls_give_the_same_bytes_in_two_processes() -> None:
    command = [sys.executable, "-c", DIGEST_SCRIPT]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert other == digest_of_play()


def test_an_episode_is_the_same_whatever_was_played_before(world: DoomWorld) -> None:
    controls = random_controls(80, seed=1)
    first = digest([world.reset(5), *play(world, controls)])
    for length in (3, 17, 40):
        world.reset(9)
        play(world, [Control({"forward", "left"}, (2.0, 0.0))] * length)
        assert digest([world.reset(5), *play(world, controls)]) == first


def test_a_shot_while_walking_looks_alike_whatever_was_played_before(world: DoomWorld) -> None:
    walk, shoot = Control({"forward", "right"}), Control({"forward", "right", "attack"})
    controls = [walk, *[shoot] * 8]
    first = digest([world.reset(5), *play(world, controls)])
    for length in (4, 7, 20, 33):
        world.reset(9)
        play(world, [Control({"forward"})] * length)
        assert digest([world.reset(5), *play(world, controls)]) == first


def test_a_restored_snapshot_replays_the_same_bytes(world: DoomWorld) -> None:
    world.reset(2)
    before = play(world, random_controls(40, seed=2))
    snapshot = world.snapshot()
    after = play(world, random_controls(40, seed=3))
    world.reset(7)
    frame = world.restore(snapshot)
    assert frame.index == 40
    assert digest([frame]) == digest(before[-1:])
    assert digest(play(world, random_controls(40, seed=3))) == digest(after)


def test_a_fork_differs_only_by_its_controls(world: DoomWorld) -> None:
    world.reset(2)
    play(world, random_controls(20, seed=2))
    snapshot = world.snapshot()
    left = play(world, [Control(look=(-6.0, 0.0))] * 5)
    world.restore(snapshot)
    right = play(world, [Control(look=(6.0, 0.0))] * 5)
    assert not np.array_equal(left[-1].image, right[-1].image)


def test_seeds_choose_level_and_start(world: DoomWorld) -> None:
    frames = [world.reset(seed) for seed in range(12)]
    assert {frame.truth["level_seed"] for frame in frames} == {83, 36}
    starts = {(frame.truth["pose"]["x"], frame.truth["pose"]["y"]) for frame in frames}
    assert len(starts) == 12
    assert all(frame.truth["room"] >= 0 for frame in frames)
    assert world.level is not None


@pytest.mark.parametrize("angle", [6.0, -6.0, 0.5])
def test_a_turn_at_step_t_acts_between_frames_t_and_t_plus_one(world: DoomWorld, angle: float) -> None:
    yaw = world.reset(1).truth["pose"]["yaw"]
    for _ in range(4):
        turned = world.step(Control(look=(angle, 0.0))).truth["pose"]["yaw"]
        assert (turned - yaw + 180) % 360 - 180 == pytest.approx(angle, abs=0.02)
        yaw = turned
    assert world.step(IDLE).truth["pose"]["yaw"] == yaw


def test_pitch_is_up_positive_and_refused_where_it_is_not_offered(
    world: DoomWorld, measured: DoomWorld
) -> None:
    measured.reset(0)
    assert measured.step(Control(look=(0.0, 4.0))).truth["pose"]["pitch"] == pytest.approx(4.0, abs=0.05)
    world.reset(0)
    with pytest.raises(ControlError, match="look pitch 4 degrees is too much; this world allows none"):
        world.step(Control(look=(0.0, 4.0)))


@pytest.mark.parametrize(
    ("key", "forward", "right"), [("forward", 1, 0), ("back", -1, 0), ("left", 0, -1), ("right", 0, 1)]
)
def test_movement_keys_move_where_they_say(world: DoomWorld, key: str, forward: int, right: int) -> None:
    before = world.reset(0).truth["pose"]
    after = play(world, [Control({key})] * 6)[-1].truth["pose"]
    yaw = np.radians(before["yaw"])
    east, north = after["x"] - before["x"], after["y"] - before["y"]
    ahead, aside = east * np.sin(yaw) + north * np.cos(yaw), east * np.cos(yaw) - north * np.sin(yaw)
    assert ahead * forward + aside * right > 20
    assert abs(ahead * right) + abs(aside * forward) < 5


def test_jump_lifts_the_eye(world: DoomWorld) -> None:
    rest = world.reset(0).truth["pose"]["z"]
    assert max(frame.truth["pose"]["z"] for frame in play(world, [JUMP] * 8)) > rest + 20


def test_a_shot_is_an_event_and_shows_in_the_picture(world: DoomWorld) -> None:
    world.reset(0)
    frames = play(world, [ATTACK] * 12)
    assert any("shot" in frame.truth["events"] for frame in frames)
    world.reset(0)
    idle = play(world, [IDLE] * 12)
    assert not any(frame.truth["events"] for frame in idle)
    assert any(
        np.abs(shot.image.astype(int) - still.image).max() > 60
        for shot, still in zip(frames, idle, strict=True)
    )


def door_of(world: DoomWorld, room: int) -> tuple[int, Link]:
    assert world.level is not None
    links = enumerate(world.level.links)
    return next((index, link) for index, link in links if link.kind == "door" and room in link.rooms)


def seed_beside_a_door(world: DoomWorld) -> int:
    for seed in range(60):
        frame = world.reset(seed)
        assert world.level is not None
        if any(link.kind == "door" for link in world.level.links_of(frame.truth["room"])):
            return seed
    raise AssertionError("no start beside a door")


def test_use_opens_a_door_which_lets_through_and_closes_again(world: DoomWorld) -> None:
    frame = world.reset(seed_beside_a_door(world))
    room = frame.truth["room"]
    index, link = door_of(world, room)
    assert frame.truth["doors"][index] == 0
    side = link.rooms.index(room)
    frame = walk_to(world, frame, link.entries[side], within=24)
    frame = walk_to(world, frame, link.middle, within=56)
    play(world, [IDLE] * 8)
    frames = play(world, [USE, *[IDLE] * 14])
    assert sum("door_opened" in frame.truth["events"] for frame in frames) == 1
    assert frames[-1].truth["doors"][index] == 1.0
    walk_to(world, frames[-1], link.entries[1 - side], within=40)
    later = play(world, [IDLE] * 100)
    assert sum("door_closed" in frame.truth["events"] for frame in later) == 1
    assert later[-1].truth["doors"][index] == 0


def test_monsters_can_be_hit_and_never_end_the_episode() -> None:
    config = DoomConfig(level_seeds=(4,))
    world = DoomWorld(replace(config, level=replace(config.level, rows=1, columns=1, monsters=6)))
    world.reset(0)
    events = [
        event
        for frame in play(world, [Control({"attack"}, (4.0, 0.0))] * 400)
        for event in frame.truth["events"]
    ]
    world.close()
    assert "hit" in events
    assert "damage" not in events


def test_depth_is_that_of_the_floor_under_the_lowest_row(measured: DoomWorld) -> None:
    frame = measured.reset(3)
    depth = frame.truth["depth"]
    assert depth.shape == (48, 64)
    assert depth.dtype == np.float32
    eye_height = frame.truth["pose"]["view_height"]
    assert depth[47].max() == pytest.approx(eye_height * 0.8 * 48 / (47.5 - 24), rel=0.02)


def warp_error(old: Frame, new: Frame) -> float:
    """How far the new picture is from the old one carried over by camera model, pose and depth; 0 to 255."""
    pose = new.truth["pose"]
    eye, directions = camera_rays(pose, 48, 64)
    yaw = np.radians(pose["yaw"])
    ahead = directions @ np.array([np.sin(yaw), np.cos(yaw), 0.0])
    points = eye + directions * (new.truth["depth"] / ahead)[..., None]
    errors = []
    for row in range(48):
        for column in range(64):
            x, y, z = points[row, column].tolist()
            old_column, old_row, distance = project(old.truth["pose"], (x, y, z), 48, 64)
            i, j = int(np.floor(old_row)), int(np.floor(old_column))
            if distance > 1 and 0 <= i < 48 and 0 <= j < 64:
                errors.append(np.abs(old.image[i, j].astype(int) - new.image[row, column]).mean())
    assert len(errors) > 48 * 64 / 2
    return float(np.mean(errors))


@pytest.mark.parametrize(
    "control",
    [
        Control(look=(6.0, 0.0)),
        Control(look=(-6.0, 0.0)),
        Control(look=(0.0, 5.0)),
        Control({"forward"}),
        Control({"left"}),
    ],
    ids=["turn right", "turn left", "look up", "walk", "step aside"],
)
def test_camera_pose_and_depth_explain_how_the_picture_moves(measured: DoomWorld, control: Control) -> None:
    old = measured.reset(6)
    new = play(measured, [control] * (8 if control.keys else 2))[-1]
    copied = np.abs(old.image.astype(int) - new.image).mean()
    assert warp_error(old, new) < 0.6 * copied


def test_the_camera_model_is_the_best_of_its_neighbours(
    measured: DoomWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = measured.reset(6)
    new = play(measured, [Control(look=(6.0, 2.5))] * 4)[-1]
    best = warp_error(old, new)
    for aspect in (1.0, 1.4):
        monkeypatch.setattr(doom_view, "PIXEL_ASPECT", aspect)
        assert warp_error(old, new) > best
    monkeypatch.undo()
    for fov in (80.0, 100.0):
        frames = [replace(f, truth=f.truth | {"pose": f.truth["pose"] | {"fov": fov}}) for f in (old, new)]
        assert warp_error(*frames) > best


def test_stock_maps_play_without_a_level_graph() -> None:
    world = DoomWorld(DoomConfig(map="freedoom2:map02"))
    frame = world.reset(0)
    assert world.level is None
    assert "room" not in frame.truth
    assert play(world, [FORWARD] * 10)[-1].index == 10
    world.close()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"height": 200},
            "frame size 200 x 64 does not fit; use 8 x 8 up to 120 x 160, or a larger render_width",
        ),
        ({"tics_per_step": 0}, "tics_per_step 0 is out of range; use 1 to 8"),
        (
            {"max_turn": 0.0},
            "max_turn 0 or max_pitch 0 is out of range; use above 0 up to 90, and 0 to 45 degrees",
        ),
        (
            {"map": "doom1"},
            'map "doom1" is unknown; use "levels", "freedoom2:map02" or "freedoom1:e1m3"',
        ),
        ({"level_seeds": ()}, "level_seeds has 0 entries; give 1 to 99 different seeds"),
        ({"level_seeds": (1, 1)}, "level_seeds has 2 entries; give 1 to 99 different seeds"),
    ],
)
def test_a_config_out_of_range_is_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DoomConfig(**change)  # type: ignore[arg-type]
    assert str(caught.value) == text


def test_a_stock_map_that_does_not_exist_is_refused() -> None:
    with pytest.raises(WorldError, match='map "map77" is not in freedoom2; it has map01 to map32'):
        DoomWorld(DoomConfig(map="freedoom2:map77"))


def test_a_bad_archive_is_refused_and_does_not_crash_us(tmp_path: Path) -> None:
    import vizdoom

    bad = tmp_path / "bad.wad"
    bad.write_bytes(write_wad([("DECORATE", b"actor Broken : Nonsense {\n")]))
    with pytest.raises(WorldError, match=r"Doom refused map01 \(exit .*\); change the level settings"):
        check_wad(vizdoom, bad, ["map01"])


def test_without_the_engine_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(
        MissingPackageError, match=r'vizdoom is not installed.*run: pip install -e "\.\[games\]"'
    ):
        DoomWorld()


def test_misuse_is_refused_by_name(world: DoomWorld) -> None:
    fresh = DoomWorld(DoomConfig(level_seeds=(83, 36)))
    with pytest.raises(WorldError, match="game:doom is not started; call reset first"):
        fresh.step(IDLE)
    with pytest.raises(WorldError, match="game:doom is not started; call reset first"):
        fresh.snapshot()
    with pytest.raises(WorldError, match="game:doom cannot start from an image; it starts from seed"):
        fresh.reset(start=np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(WorldError, match="game:doom takes no prompt"):
        fresh.reset(prompt="a red room")
    fresh.reset(0)
    with pytest.raises(ControlError, match=r"keys \['fly'\] are not offered"):
        fresh.step(Control({"fly"}))
    with pytest.raises(ControlError, match="look yaw 7 degrees is too much; this world allows at most 6"):
        fresh.step(Control(look=(7.0, 0.0)))
    snapshot = fresh.snapshot()
    other = replace(snapshot, payload=(replace(fresh.config, max_turn=3.0), *snapshot.payload[1:]))
    with pytest.raises(WorldError, match="taken in game:doom with another DoomConfig"):
        world.restore(other)
    with pytest.raises(WorldError, match="the snapshot was taken in game:coinrun, not in game:doom"):
        world.restore(replace(snapshot, world="game:coinrun"))
    fresh.close()
    fresh.close()
    with pytest.raises(WorldError, match="game:doom is closed; open it again"):
        fresh.reset(0)


def test_the_world_says_what_it_is(world: DoomWorld) -> None:
    info = world.info
    assert (info.name, info.fps, info.height, info.width) == ("game:doom", 17.5, 48, 64)
    assert info.controls.keys == ("forward", "back", "left", "right", "attack", "use", "jump")
    assert info.controls.bindings == BINDINGS
    assert info.controls.look_limit == (6.0, 0.0)
    assert info.engine.startswith("vizdoom ")
    assert isinstance(world, World)
    frame = world.reset(0)
    assert frame.image.shape == (48, 64, 3)
    assert frame.image.dtype == np.uint8


def test_nothing_is_left_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    world = DoomWorld()
    world.reset(0)
    world.close()
    assert list(tmp_path.iterdir()) == []
