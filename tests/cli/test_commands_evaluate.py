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


def test_missing_recordings_are_named_with_the_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match="runs/mine/data/held_out holds no held-out recordings; record some, or"
    ):
        suite_config(EvaluateCommand(world="mine"))


def test_recordings_of_a_bundled_world_are_made_when_they_are_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setattr(
        commands_evaluate,
        "record",
        lambda config, *_, **__: made.append(config.out) or config.out.mkdir(parents=True),
    )
    config = suite_config(EvaluateCommand(world="doom"))
    assert [path.name for path in made] == ["train", "held_out", "unseen"]
    assert config.unseen is not None
    suite_config(EvaluateCommand(world="doom"))
    assert len(made) == 3


def test_figures_are_shown_and_written(run, tmp_path, monkeypatch, capsys):
    def measure(config, out, *, progress, command):
        return make_report(command, {"fidelity.psnr_db@4": Figure(value=20.5, unit="dB")})

    monkeypatch.setattr(commands_evaluate, "run_suite", measure)
    assert main(["evaluate", "mine", "--suite", "first", "--json", str(tmp_path / "figures.json")]) == 0
    assert "fidelity.psnr_db@4" in capsys.readouterr().out
    report = read_report(tmp_path / "figures.json")
    assert report.command.startswith("paracosm evaluate mine --suite first")
