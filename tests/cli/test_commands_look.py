import pytest

from paracosm.cli import commands_look
from paracosm.cli.main import main
from paracosm.core.errors import MissingPackageError
from paracosm.core.figures import read_report

DTYPES = ("float32", "bfloat16", "float16")


def test_the_doctor_looks_at_everything_and_writes_figures(tmp_path, capsys):
    assert main(["doctor", "--json", str(tmp_path / "doctor.json")]) == 0
    said = capsys.readouterr().out
    for name in commands_look.CHECKS:
        assert f"\n{name}" in f"\n{said}"
    figures = read_report(tmp_path / "doctor.json").figures
    assert figures["doctor.cores"].value >= 1
    assert figures["doctor.disk_free_gb"].value > 0
    for name in ("universal", "gta_drive", "templerun", "small"):
        ways = {key: figures[f"doctor.streamed.{name}.{key}.take"].value for key in DTYPES}
        taken = [key for key, take in ways.items() if take]
        advice = f"{name}: take --dtype {taken[0]}: " if taken else f"{name}: does not fit into "
        assert advice in said
        memory_gb = [figures[f"doctor.streamed.{name}.{key}.memory_gb"].value for key in DTYPES]
        assert memory_gb[0] == pytest.approx(2 * memory_gb[1], rel=1e-3)
    assert "decoder: take the full one of Wan 2.1; there is no other" in said
    assert "36% of universal" in said


def test_the_doctor_says_that_streamed_worlds_were_not_judged(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands_look, "EXTRA_MODULES", {"play": (), "train": ("no_such_torch",)})
    assert main(["doctor", "--json", str(tmp_path / "doctor.json")]) == 0
    reason = 'torch is not installed; run: pip install -e ".[weights]"'
    assert f"not judged: {reason}" in capsys.readouterr().out
    figure = read_report(tmp_path / "doctor.json").figures["doctor.streamed"]
    assert (figure.status, figure.reason) == ("skipped", reason)


def test_the_doctor_names_the_command_for_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(commands_look.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(commands_look.shutil, "which", lambda name: None)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert 'without torch, einops, jaxtyping, pyarrow, av; run: pip install -e ".[train]"' in said
    assert 'doom: not installed; run: pip install -e ".[games]"' in said
    assert "none found here; the page also opens from another machine's browser" in said


def test_the_doctor_installs_a_game_or_says_why_not(monkeypatch, tmp_path, capsys):
    from paracosm.collect.games import procgen_install

    monkeypatch.setattr(procgen_install, "install_game", lambda: tmp_path)
    assert main(["doctor", "--install", "coinrun"]) == 0
    assert f"coinrun is ready in {tmp_path}" in capsys.readouterr().out

    def refuse() -> None:
        raise MissingPackageError("no network; try again")

    monkeypatch.setattr(procgen_install, "install_game", refuse)
    assert main(["doctor", "--install", "coinrun"]) == 2
    assert capsys.readouterr().err == "paracosm: no network; try again\n"


def test_a_world_is_described_with_its_keys(capsys):
    assert main(["info", "game:counting"]) == 0
    said = capsys.readouterr().out
    assert "keys: forward (KeyW)" in said
    assert "world.frames_per_second" in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no/such/folder", "no/such/folder is no folder; give a world's name or its folder"),
        ("game:quake", 'there is no game "quake"'),
        (".", "holds no dataset.json, no world.json and no config.json with model.safetensors"),
    ],
)
def test_what_is_nothing_is_refused(name, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["info", name]) == 2
    assert text in capsys.readouterr().err


def test_a_model_folder_is_described_without_torch(tmp_path, capsys):
    import numpy as np
    from safetensors.numpy import save_file

    (tmp_path / "config.json").write_text('{"kind": "tokenizer_vae", "width": 8}')
    save_file(
        {"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32)}, tmp_path / "model.safetensors"
    )
    assert main(["info", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "model of kind tokenizer_vae" in said
    assert "model.parameters  10" in said
