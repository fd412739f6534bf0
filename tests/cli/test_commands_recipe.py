import json
from pathlib import Path

import pytest

from paracosm.cli import commands_recipe
from paracosm.cli.commands_recipe import find_street
from paracosm.cli.main import main
from paracosm.core.progress import no_progress
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.recipes.street import begin_with_world
from paracosm.train.first_weights import begin_with
from paracosm.train.stages.teacher import ANEW, OTHER_WORLD
from paracosm.zoo import bundled_worlds
from tests.recipes.streets import shorten
from tests.train.datasets import record_counting


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["quake"], 'there is no recipe "quake"; choose one of doom, coinrun, minetest, own'),
        (["own"], "own needs a game: --from gym:ID, or --from a folder of recordings or videos"),
        (["own", "--from", "no/such"], '"no/such" is neither gym:ID nor a folder'),
        (["doom", "--from", "gym:x"], 'doom records its own game, --from "gym:x" is not taken'),
        (["doom", "--evaluate", "all"], "invalid choice 'all'"),
        (["doom", "--begin-with", "quake"], '--begin-with "quake" is neither a bundled world (coinrun'),
        (["doom", "--begin-with", "doom", "--tiny"], "networks of toy sizes cannot begin with doom"),
        (
            ["doom", "--tokenizer", "x"],
            "doom does not take --tokenizer x; it takes --from, --begin-with, --t",
        ),
        (
            ["gamegen_o.tiny", "--begin-with", "doom"],
            "does not take --begin-with doom; it takes --from, --to",
        ),
        (["gamegen_o.tiny", "--tiny"], "gamegen_o.tiny does not take --tiny; it takes"),
        (["gamegen_o.none", "--evaluate", "none"], 'no recipe "gamegen_o.none"'),
        (["genie.tiny", "--parts", "x"], "genie.tiny does not take --parts x"),
        (
            ["matrix_game2.tiny", "--evaluate", "quick"],
            "does not take --evaluate quick; it takes --from, --p",
        ),
    ],
)
def test_what_is_no_recipe_is_said_in_one_line(words, text, capsys):
    assert main(["recipe", *words]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["doom", "coinrun"])
def test_a_tiny_street_has_every_stretch_in_a_run_folder_of_its_own(name):
    full = find_street(name, "", None, tiny=False, progress=no_progress)
    tiny = find_street(name, "", None, tiny=True, progress=no_progress)
    assert tiny.run != full.run
    assert set(tiny.recordings) == set(full.recordings)
    assert tiny.dynamics.loop.num_steps < full.dynamics.loop.num_steps / 10


def test_a_recipe_goes_from_the_street_to_the_report(tmp_path, monkeypatch, capsys):
    walked = []
    monkeypatch.setattr(
        commands_recipe, "run_street", lambda street, progress: walked.append(street) or street.world
    )
    words = ["recipe", "doom", "--tiny", "--run", str(tmp_path), "--evaluate", "none"]
    assert main(words) == 0
    assert walked[0].run == tmp_path
    assert f"plays: paracosm play {tmp_path / 'world'}" in capsys.readouterr().out


def test_a_recipe_can_begin_with_the_networks_of_a_bundled_world(tmp_path, monkeypatch):
    walked = []
    monkeypatch.setattr(
        commands_recipe, "run_street", lambda street, progress: walked.append(street) or street.world
    )
    words = ["recipe", "coinrun", "--begin-with", "doom", "--run", str(tmp_path), "--evaluate", "none"]
    assert main(words) == 0
    whole = find("coinrun", run=tmp_path).tokenizer
    doom = bundled_worlds()["doom"]
    assert walked[0].tokenizer.initial == doom / "tokenizer"
    assert walked[0].dynamics.initial == doom / "dynamics"
    assert walked[0].tokenizer.loop.num_steps == whole.loop.num_steps // 3


@pytest.mark.parametrize(("name", "other"), [("minetest", "doom"), ("coinrun", "doom"), ("doom", "coinrun")])
def test_what_a_street_begins_with_fits_its_networks(name, other, tmp_path):
    street = begin_with_world(find(name, run=tmp_path), bundled_worlds()[other])
    begin_with(FlowDynamics(street.dynamics.model), street.dynamics.initial, OTHER_WORLD, ANEW)
    begin_with(TokenizerVAE(street.tokenizer.model), street.tokenizer.initial, ("height", "width"))


def test_a_tiny_street_begins_with_no_other_world(tmp_path):
    tiny = find("minetest", run=tmp_path, tiny=True)
    assert (tiny.tokenizer.initial, tiny.dynamics.initial) == (None, None)


def test_export_refuses_in_one_line_too(capsys):
    assert main(["export", "own"]) == 2
    error = capsys.readouterr().err
    assert "own needs a game" in error
    assert error.count("\n") == 1


def find(name: str, source: str = "", run: Path | None = None, *, tiny: bool = False):
    return find_street(name, source, run, tiny=tiny, progress=no_progress)


def test_runs_lie_in_folders_of_their_name_and_toy_runs_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_counting(tmp_path / "steps", num_episodes=1, max_steps=4)
    monkeypatch.chdir(tmp_path)
    assert find("doom").run == Path("runs/doom")
    assert find("doom", tiny=True).run == Path("runs/doom-tiny")
    assert find("own", "steps").run == Path("runs/steps")
    assert find("own", "steps/", tiny=True).run == Path("runs/steps-tiny")
    assert find("own", "steps", Path("here"), tiny=True).run == Path("here")


def test_recipe_walks_the_street_and_export_builds_its_world_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    record_counting(tmp_path / "steps", num_episodes=3, max_steps=20)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands_recipe, "shorten", shorten)
    played: list[list[str]] = []
    monkeypatch.setattr(commands_recipe, "play", played.append)
    words = ["own", "--from", "steps", "--tiny"]
    assert main(["recipe", *words]) == 0
    world = Path("runs/steps-tiny/world")
    assert f"{world} plays: paracosm play {world}" in capsys.readouterr().out
    assert "nothing is measured: runs/steps-tiny/data/held_out holds no held-out recordings" in caplog.text
    assert played == [[str(world)]]
    assert main(["export", *words, "--out", "again", "--checkpoint"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "again"
    assert Path("again/world.json").read_bytes() == (world / "world.json").read_bytes()
    student = ["--dynamics", "runs/steps-tiny/dynamics/dynamics"]
    way = ["--levels", "1.0", "--window", "3", "--sink", "1"]
    assert main(["export", *words, "--out", "student", *student, *way]) == 0
    played_so = json.loads(Path("student/world.json").read_text())["play"]
    assert [played_so[name] for name in ("levels", "window", "sink")] == [[1.0], 3, 1]
    assert main(["export", *words, *student, "--window", "999"]) == 2
    assert "window 999" in capsys.readouterr().err
    assert main(["export", *words, "--checkpoint", *student]) == 2
    assert "each name a dynamics; give one of them" in capsys.readouterr().err
