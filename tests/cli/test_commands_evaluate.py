from pathlib import Path

import pytest

from paracosm.cli import commands_evaluate
from paracosm.cli.commands_evaluate import EvaluateCommand, suite_config
from paracosm.cli.main import main
from paracosm.core.errors import DataError
from paracosm.core.figures import Figure, make_report, read_report


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part in ("data/held_out", "data/train", "inverse_dynamics/inverse_dynamics", "world"):
        (tmp_path / "runs" / "mine" / part).mkdir(parents=True)
    return (tmp_path / "runs" / "mine").relative_to(tmp_path)


@pytest.mark.parametrize(
    "words", [{"world": "mine"}, {"world": "runs/mine/world"}, {"world": "game:counting", "run": "runs/mine"}]
)
def test_what_belongs_to_the_run_is_found(run, words):
    if "run" in words:
        words = words | {"run": run}
    config = suite_config(EvaluateCommand(**words))
    assert config.data == run / "data" / "held_out"
    assert config.reference == run / "data" / "train"
    assert config.reader == run / "inverse_dynamics" / "inverse_dynamics"
    assert config.tokenizer is None
    assert config.unseen is None


def test_what_is_named_comes_first(run, tmp_path):
    config = suite_config(EvaluateCommand(world="mine", data=tmp_path, tokenizer=tmp_path, parts=("speed",)))
    assert config.data == config.tokenizer == tmp_path
    assert config.parts == {"speed"}


def test_missing_recordings_of_a_named_run_are_named_with_the_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match="runs/mine/data/held_out holds no held-out recordings; record some, or"
    ):
        suite_config(EvaluateCommand(world="mine", run=Path("runs/mine")))


@pytest.mark.parametrize("suite", ["first", "core"])
@pytest.mark.parametrize("world", ["doom", "model:doom", "elsewhere/world"])
def test_the_case_set_serves_where_no_recordings_of_ones_own_do(tmp_path, monkeypatch, world, suite):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "doom" / "data" / "held_out").mkdir(parents=True)
    config = suite_config(EvaluateCommand(world=world, suite=suite, limit=3, against="coinrun"))
    assert (config.data, config.reference, config.case_set) == (None, None, None)
    assert (config.limit, config.against) == (3, "model:coinrun")


def test_a_results_folder_to_compare_with_stays_a_path(tmp_path):
    (tmp_path / "setup.json").write_text("{}")
    command = EvaluateCommand(world="model:doom", suite="core", against=str(tmp_path))
    assert suite_config(command).against == str(tmp_path)


def test_too_little_coverage_fails_the_command_after_the_report(run, tmp_path, monkeypatch, capsys):
    def measure(config, out, *, progress, command):
        return make_report(command, {"coverage": Figure(value=0.5, unit="share", n=8)})

    monkeypatch.setattr(commands_evaluate, "run_suite", measure)
    assert main(["evaluate", "mine", "--json", str(tmp_path / "figures.json")]) == 1
    assert read_report(tmp_path / "figures.json").figures["coverage"].value == 0.5
    text = "only 50.0% of 8 units ended well, 95% are needed; name --out for reasons"
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name one world to measure, or a folder of clips with --videos"),
        (["mine", "--videos", "clips"], "name one world to measure, or a folder of clips with --videos"),
        (["doom", "--make-cases", "2"], "--make-cases needs held-out recordings in --data and training"),
        (["mine", "--limit", "0"], "limit 0 measures nothing; give 1 or more, or leave it out"),
        (["mine", "--parts", "sound"], "parts ['sound'] are unknown; choose from tokenizer, short, fidelity"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(run, capsys, words, text):
    assert main(["evaluate", *words]) == 2
    assert text in capsys.readouterr().err


def test_figures_are_shown_and_written(run, tmp_path, monkeypatch, capsys):
    def measure(config, out, *, progress, command):
        return make_report(command, {"fidelity.psnr_db@4": Figure(value=20.5, unit="dB")})

    monkeypatch.setattr(commands_evaluate, "run_suite", measure)
    assert main(["evaluate", "mine", "--suite", "first", "--json", str(tmp_path / "figures.json")]) == 0
    assert "fidelity.psnr_db@4" in capsys.readouterr().out
    report = read_report(tmp_path / "figures.json")
    assert report.command.startswith("paracosm evaluate mine --suite first")
