import json
import shlex

import pytest

from paracosm.cli.main import main

SIZES = shlex.split("""--model.height 32 --model.width 64 --model.stem 4 --model.latent-channels 4
--model.fine-channels 8 --model.coarse-channels 8 --model.encoder-blocks 1 1
--model.decoder-blocks 1 1 --model.time-kernel 1 --loop.log-every 1 --batch-size 2""")


@pytest.fixture
def data(tmp_path):
    words = ["--num-episodes", "2", "--policy", "sticky", "--max-steps", "6", "--workers", "1"]
    assert main(["record", "game:counting", "--out", str(tmp_path / "data"), *words]) == 0
    return tmp_path / "data"


def test_a_stage_trains_goes_on_and_keeps_to_its_config(data, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["--run", str(run), "--data", str(data), *SIZES]
    assert main(["train", "tokenizer", *words, "--loop.num-steps", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(run / "tokenizer")
    saved = str(run / "config.json")
    assert main(["train", "tokenizer", "--from", saved, "--loop.num-steps", "3"]) == 0
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    assert main(["train", "tokenizer", "--from", saved, "--batch-size", "3"]) == 2
    assert "batch_size is 3 but the run in" in capsys.readouterr().err


def test_the_stages_are_told(capsys):
    assert main(["train"]) == 0
    assert "stages: tokenizer, encode, dynamics" in capsys.readouterr().out
    assert main(["train", "dynamics", "--help"]) == 0
    assert "--model.window" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["dynamiks"], 'there is no stage "dynamiks"; choose one of tokenizer, encode, dynamics'),
        (["tokenizer", "--from"], "--from names no file; give the config.json of a run"),
        (["tokenizer", "--from", "no.json"], "no.json is missing"),
        (["encode", "--dta", "x"], "see paracosm train encode --help"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(words, text, capsys):
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
