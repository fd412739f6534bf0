"""Resume equals straight run, bit for bit, also after a kill at any moment."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from paracosm.core.config import save_config
from paracosm.core.run_dir import RunDir
from paracosm.train.stages import tokenizer
from paracosm.train.stages.tokenizer import TokenizerStageConfig
from tests.train.datasets import record_counting
from tests.train.stages import tokenizer_config

SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from paracosm.core.config import load_config
from paracosm.train.stages import tokenizer
tokenizer.main(load_config(tokenizer.TokenizerStageConfig, Path(sys.argv[1])))
"""


def last_state(config: TokenizerStageConfig) -> dict[str, torch.Tensor]:
    folder = RunDir(config.run).latest_checkpoint()
    assert folder is not None
    return load_file(folder / "state.safetensors")


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_a_run_that_stopped_and_went_on_equals_one_that_did_not(tmp_path: Path) -> None:
    record_counting(tmp_path / "data")
    straight = tokenizer_config(tmp_path / "straight", tmp_path / "data", num_steps=6)
    # the decay counts from the end, so a first part that is shorter would begin it earlier
    straight = replace(
        straight, loop=replace(straight.loop, optim=replace(straight.loop.optim, decay_steps=0))
    )
    tokenizer.main(straight)
    stopped = replace(straight, run=tmp_path / "stopped")
    tokenizer.main(replace(stopped, loop=replace(stopped.loop, num_steps=3)))
    tokenizer.main(stopped)
    assert_equal(last_state(straight), last_state(stopped))


@pytest.mark.timeout(120)
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    record_counting(tmp_path / "data")
    config = tokenizer_config(tmp_path / "straight", tmp_path / "data", num_steps=12)
    config = replace(config, loop=replace(config.loop, checkpoint_minutes=0.0, keep=1))
    tokenizer.main(config)
    killed = replace(config, run=tmp_path / "killed")
    file = tmp_path / "killed.json"
    save_config(killed, file)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(file)], env=os.environ)
    while RunDir(killed.run).latest_checkpoint() is None and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    tokenizer.main(killed)
    assert_equal(last_state(config), last_state(killed))
    steps = [row["step"] for row in RunDir(killed.run).read_log()]
    assert steps == list(range(1, 13))
