import re
import signal
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest

from paracosm.cli import commands_play
from paracosm.cli.commands_play import PlayCommand, WorldChooser, process_started_s
from paracosm.cli.keep_takes import TakeKeeper
from paracosm.cli.main import main
from paracosm.core.controls import Control
from paracosm.core.errors import WorldError
from paracosm.core.figures import read_report
from paracosm.data.reader import Dataset
from paracosm.play.engine import EngineConfig
from paracosm.play.takes import Take
from paracosm.worlds import open_world


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_address_is_printed_and_serves_the_page_until_interrupted(sent, code):
    command = [sys.executable, "-m", "paracosm.cli", "play", "game:counting", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = re.search(r"game:counting is played at (http://127\.0\.0\.1:\d+/)#token=\S{16,}", first)
        assert address, first
        assert process.stdout.readline() == "Ctrl+C stops it\n"
        with urllib.request.urlopen(address[1], timeout=20) as page:
            assert b"<html" in page.read()
        process.send_signal(sent)
        if sent == signal.SIGTERM:
            process.send_signal(sent)  # as timeout(1) does
        _, error = process.communicate(timeout=20)
    assert process.returncode == code
    assert error.splitlines()[-1] == "paracosm: stopped"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["no-such-world"], '"no-such-world" is neither a bundled world'),
        (["game:counting", "--beside"], "game:counting does not say which game it dreams of"),
        (["--json", "x.json"], "--json belongs to --bench and --steady; give --bench SECONDS as well"),
        (["--chromium", "--steady", "1"], "--chromium belongs to --bench; give --bench SECONDS as well"),
        (["--bench", "2", "--steady", "1"], "--bench and --steady both measure; give one of them"),
        (["--steps", "2", "--levels", "1", "0.5"], "--steps and --levels both choose the denoising passes"),
        (["--bench", "-1"], "--bench -1, --steady 0 and --steps 0 must not be negative"),
        (["game:counting", "--port", "99999"], "port 99999 does not exist; use 1 to 65535"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_line(words, text, capsys):
    assert main(["play", *words]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_play_is_measured_and_the_figures_written(tmp_path, capsys):
    assert main(["play", "game:counting", "--bench", "2", "--json", str(tmp_path / "speed.json")]) == 0
    assert "play.key_to_screen_ms.p95" in capsys.readouterr().out
    figures = read_report(tmp_path / "speed.json").figures
    assert (figures["play.frames_per_second"].value or 0) > 1
    assert (figures["play.first_frame_s"].value or 0) > 0


def test_the_process_began_before_now_and_not_long_ago():
    assert 0 < time.time() - process_started_s() < 3600


def test_steps_become_noise_levels_falling_from_one():
    assert WorldChooser(PlayCommand(world="game:counting", steps=4)).engine.levels == (1.0, 0.75, 0.5, 0.25)
    assert WorldChooser(PlayCommand(world="game:counting")).engine.levels == ()


def test_the_chosen_world_is_offered_first():
    offers = WorldChooser(PlayCommand(world="game:counting")).offers()
    assert offers[0].name == "game:counting"
    with pytest.raises(WorldError, match="does not say which game it dreams of"):
        WorldChooser(PlayCommand(world="game:counting", beside=True)).offers()


def test_a_recording_made_in_the_page_is_a_dataset(tmp_path):
    world = open_world("game:counting")
    frames = [world.reset(5)]
    controls = [Control({"forward"}), Control({"left"}, (3.0, 0.0)), Control({"jump"})]
    frames += [world.step(control) for control in controls]
    take = Take(
        info=world.info,
        seed=5,
        start=None,
        prompt=None,
        before=(controls[0],),
        frames=tuple(frames[1:]),
        controls=tuple(controls[1:]),
    )
    keep = TakeKeeper(tmp_path)
    assert keep(take).startswith("2 steps are in ")
    keep(take)
    dataset = Dataset(tmp_path / "game-counting")
    assert len(dataset) == 2
    episode = dataset.episode(0)
    assert episode.recipe.policy == "person"
    assert np.array_equal(episode.frames, np.stack([frame.image for frame in frames[1:]]))
    assert list(episode.controls) == controls[1:]
    assert '"before"' in (episode.path / "inputs.jsonl").read_text()


@pytest.mark.parametrize("name", ["doom", "game:counting"])
def test_place_and_numbers_are_refused_for_worlds_that_are_not_streamed(name, capsys):
    assert main(["play", name, "--dtype", "bfloat16", "--device", "cpu", "--no-browser", "--port", "0"]) == 2
    kind = name if ":" in name else f"model:{name}"
    assert capsys.readouterr().err == (
        f"paracosm: device cpu and dtype bfloat16 can be chosen for streamed worlds only, and {kind} is "
        "none: other neural worlds compute on the processor in the numbers of their files; "
        "leave both at auto\n"
    )


def test_a_world_of_another_kind_opens_beside_a_streamed_one_of_chosen_numbers(monkeypatch):
    asked = {}
    monkeypatch.setattr(commands_play, "open_model_world", asked.__setitem__)
    chooser = WorldChooser(PlayCommand(world="none/streamed", engine=EngineConfig(dtype="bfloat16")))
    for name in ("model:none/streamed", "model:doom"):
        chooser(name)
    assert [engine.dtype for engine in asked.values()] == ["bfloat16", "auto"]


@pytest.mark.parametrize(("compiled", "expected"), [("default", ["reset", "step"]), ("off", [])])
def test_a_world_that_torch_compiles_has_made_a_frame_before_it_is_asked_for_one(
    monkeypatch, compiled, expected
):
    done = []
    world = SimpleNamespace(reset=lambda seed: done.append("reset"), step=lambda control: done.append("step"))
    monkeypatch.setattr(commands_play, "open_model_world", lambda name, engine: world)
    engine = EngineConfig(backend="torch", compile=compiled)
    chooser = WorldChooser(PlayCommand(world="coinrun", engine=engine))
    assert chooser("model:coinrun") is world
    assert done == expected
