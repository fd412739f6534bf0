"""The binding, the state and the worlds of Procgen's sixteen games."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from paracosm.collect.games import procgen
from paracosm.collect.games.procgen import ProcgenConfig, ProcgenGame, ProcgenName, action_number
from paracosm.collect.games.procgen_install import binary_version, need_game
from paracosm.collect.games.procgen_player import player_reader, read_player
from paracosm.collect.games.procgen_state import GameState
from paracosm.collect.games.procgen_world import ProcgenWorld
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, MissingPackageError
from paracosm.core.rng import stream

pytestmark = pytest.mark.games("coinrun")


@pytest.fixture(scope="module")
def folder() -> Path:
    return need_game()


@pytest.mark.parametrize("name", get_args(ProcgenName))
def test_every_game_plays_and_replays_from_its_state(folder: Path, name: ProcgenName) -> None:
    game = ProcgenGame(folder, ProcgenConfig(game=name))
    draw = stream(1, "actions")
    actions = [int(draw.integers(15)) for _ in range(20)]
    state = game.get_state()
    for action in actions:
        game.act(action)
    image, after = game.image, game.get_state()
    game.set_state(state)
    for action in actions:
        game.act(action)
    assert np.array_equal(game.image, image)
    assert game.get_state() == after
    assert image.std() > 0
    game.close()
    game.close()


@pytest.mark.parametrize("name", ["coinrun", "jumper", "starpilot"])
def test_the_fast_player_reader_equals_the_saved_state(folder: Path, name: ProcgenName) -> None:
    game = ProcgenGame(folder, ProcgenConfig(game=name))
    read = player_reader(game, binary_version(folder))
    draw = stream(2, "actions")
    for _ in range(60):
        game.act(int(draw.integers(9)))
        assert read() == read_player(game.get_state())
    game.close()


def test_an_unknown_binary_is_read_from_its_saved_state(folder: Path) -> None:
    game = ProcgenGame(folder, ProcgenConfig())
    assert player_reader(game, "another build")() == read_player(game.get_state())
    game.close()


def test_a_state_edit_changes_what_it_names_and_nothing_else(folder: Path) -> None:
    game = ProcgenGame(folder, ProcgenConfig())
    state = GameState(game.get_state())
    edited = state.replace(background_index=7)
    assert edited["background_index"] == 7
    assert edited.replace(background_index=state["background_index"]).data == state.data
    assert state.with_tiles(state.tiles).data == state.data
    assert state.with_entities(state.entities).data == state.data
    assert len(state.with_entities(state.entities[:1]).entities) == 1
    game.close()


def test_held_keys_become_the_action_that_the_game_itself_chooses() -> None:
    combinations = ["left down", "left", "left up", "down", "", "up", "right down", "right", "right up"]
    assert [action_number(frozenset(keys.split())) for keys in combinations] == list(range(9))
    assert action_number(frozenset({"left", "right"})) == action_number(frozenset({"left"}))
    assert action_number(frozenset({"up", "down"})) == action_number(frozenset({"down"}))
    assert action_number(frozenset({"d"})) == 9
    assert action_number(frozenset({"d", "up"})) == action_number(frozenset({"up"}))


def test_a_world_of_another_game_repeats_its_bytes_and_ends_with_the_frame_before() -> None:
    world = ProcgenWorld(ProcgenConfig(game="bossfight"))
    histories = []
    for _ in range(2):
        frames = [world.reset(seed=5)]
        while not frames[-1].truth["ended"] and len(frames) < 1200:
            frames.append(world.step(Control({"left"})))
        histories.append(frames)
    first, second = histories
    assert [f.image.tobytes() for f in first] == [f.image.tobytes() for f in second]
    assert first[-1].truth["ended"]
    assert np.array_equal(first[-1].image, first[-2].image)
    world.close()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"game": "pong"}, r'game "pong" is not in Procgen; choose one of \[.*coinrun.*\]'),
        ({"difficulty": "mild"}, r'difficulty "mild" is unknown; choose one of \[.easy., .hard.'),
        ({"difficulty": "memory"}, r'"memory" is only for \[.caveflyer.*use easy or hard'),
        ({"start_level": -1}, r"start_level -1 with num_levels 0 .*keep both >= 0"),
        ({"num_levels": 2**31}, r"num_levels 2147483648 .*sum <= 2147483647"),
    ],
)
def test_a_wrong_config_is_refused_by_name(changes: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ProcgenConfig(**changes)


def test_a_missing_system_library_names_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: str) -> None:
        raise OSError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(procgen.ctypes, "CDLL", refuse)
    with pytest.raises(MissingPackageError, match=r"apt-get install libgl1 libglib2.0-0"):
        ProcgenGame(tmp_path, ProcgenConfig())


def test_a_damaged_binary_names_the_install_command(tmp_path: Path) -> None:
    (tmp_path / "prebuilt").mkdir()
    (tmp_path / "prebuilt" / "libenv.so").write_bytes(b"no library")
    with pytest.raises(MissingPackageError, match=r"cannot be loaded .*paracosm doctor --install coinrun"):
        ProcgenGame(tmp_path, ProcgenConfig())
