import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from paracosm.cli import main as cli
from paracosm.cli.main import COMMANDS, main, overview
from paracosm.core.errors import WorldError

ROOT = Path(__file__).parents[2]
WORKING = [name for name, command in COMMANDS.items() if command.target]
PLANNED = [name for name, command in COMMANDS.items() if not command.target]


def run_with(monkeypatch, action) -> int:
    monkeypatch.setattr(cli, "load", lambda command: lambda arguments: action())
    return main(["info", "x"])


@pytest.mark.parametrize("name", WORKING)
def test_every_command_of_the_table_loads(name):
    assert callable(cli.load(COMMANDS[name]))


@pytest.mark.parametrize("name", WORKING)
def test_every_command_tells_its_options(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"usage: paracosm {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", PLANNED)
def test_a_planned_command_says_so_and_does_nothing(name, capsys):
    assert main([name]) == 2
    assert f"paracosm {name} is planned, not yet available" in capsys.readouterr().err
    assert f"{COMMANDS[name].summary} (planned)" in overview()


def test_help_loads_nothing_heavy_and_is_there_at_once():
    code = (
        "import sys; from paracosm.cli.main import main; main(['--help']); "
        "print([name for name in ('numpy', 'torch', 'tyro', 'onnxruntime') if name in sys.modules])"
    )
    assert _run(code).endswith("[]\n")
    # processor time beyond an empty interpreter's, since a busy machine slows both on the clock
    assert min(_cpu_time(code) for _ in range(5)) - min(_cpu_time("") for _ in range(5)) < 0.1


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def _cpu_time(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_an_unknown_command_is_refused_with_the_nearest_one(capsys):
    assert main(["recordd"]) == 2
    assert capsys.readouterr().err == 'paracosm: there is no command "recordd"; did you mean record?\n'
    assert main(["zzz"]) == 2
    assert "choose one of play, record" in capsys.readouterr().err


def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(monkeypatch, capsys):
    def refuse() -> None:
        raise WorldError("no such world;\n  name another")

    assert run_with(monkeypatch, refuse) == 2
    assert capsys.readouterr().err == "paracosm: no such world; name another\n"


def test_a_fault_of_ours_is_exit_code_1_and_says_how_to_see_more(monkeypatch, capsys):
    def fail() -> None:
        raise KeyError("depth")

    assert run_with(monkeypatch, fail) == 1
    error = capsys.readouterr().err
    assert "our fault: KeyError: 'depth'" in error
    assert "PARACOSM_TRACEBACK=1" in error
    assert "Traceback" not in error
    monkeypatch.setenv("PARACOSM_TRACEBACK", "1")
    assert run_with(monkeypatch, fail) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch, capsys):
    def import_torch() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    assert run_with(monkeypatch, import_torch) == 2
    said = 'paracosm info needs torch, which is not installed; run: pip install -e ".[video]"'
    assert said in capsys.readouterr().err

    def import_ours() -> None:
        raise ModuleNotFoundError("No module named 'paracosm.x'", name="paracosm.x")

    assert run_with(monkeypatch, import_ours) == 1


def test_every_command_that_loads_more_than_the_base_names_an_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name, command in COMMANDS.items():
        assert command.extra in extras or name == "doctor" or not command.target


def test_an_interrupt_ends_cleanly(monkeypatch, capsys):
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert run_with(monkeypatch, interrupt) == 130
    assert capsys.readouterr().err == "paracosm: stopped\n"


def test_the_version_is_that_of_the_package(capsys):
    from paracosm import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_a_reader_who_leaves_early_causes_no_complaint():
    done = subprocess.run(
        f"{sys.executable} -m paracosm.cli info game:counting | head -0",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
