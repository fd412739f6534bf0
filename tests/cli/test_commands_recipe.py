import pytest

from paracosm.cli import commands_recipe
from paracosm.cli.commands_recipe import find_street
from paracosm.cli.main import main
from paracosm.core.progress import no_progress


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["quake"], 'there is no recipe "quake"; choose one of doom, coinrun, own'),
        (["own"], "own needs a game: --from gym:ID, or --from a folder of recordings or videos"),
        (["own", "--from", "no/such"], '"no/such" is neither gym:ID nor a folder'),
        (["doom", "--from", "gym:x"], 'doom records its own game, --from "gym:x" is not taken'),
        (["doom", "--evaluate", "all"], "invalid choice 'all'"),
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
