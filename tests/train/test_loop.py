"""The loop: schedule, averages, locks, config checks, refusals."""

import math
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paracosm.core.errors import BusyError, ConfigError, DataError, MissingPackageError
from paracosm.core.run_dir import RunDir
from paracosm.train.loop import LoopConfig, train
from paracosm.train.optim import OptimConfig, learning_rate, make_optimizer, update_average
from paracosm.train.stages import tokenizer

from .datasets import record_counting
from .stages import tokenizer_config


class Line:
    """A stage that fits a line; its loss can be told to fail."""

    def __init__(self, broken_at: int = -1) -> None:
        self.networks: dict[str, nn.Module] = {"line": nn.Linear(1, 1)}
        self.blocks: Sequence[nn.Module] = ()
        self.broken_at = broken_at

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        x = torch.randn(8, 1, generator=generator)
        loss = (self.networks["line"](x) - 3 * x).square().mean()
        return loss * (math.nan if step == self.broken_at else 1.0), {"x": x.mean()}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        return np.zeros((4, 4, 3), np.uint8)


def loop(num_steps: int, **others: object) -> LoopConfig:
    optim = OptimConfig(learning_rate=0.05, warmup_steps=1)
    return replace(LoopConfig(num_steps=num_steps, optim=optim, precision="fp32", log_every=1), **others)  # pyright: ignore[reportArgumentType]


def test_the_loop_learns_logs_previews_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        averages = train(Line(), loop(200, preview_every=100), run)
        assert float(averages["line"].weight.detach()) == pytest.approx(3.0, abs=0.3)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue, reportCallIssue]
        rows = run.read_log()
        assert [row["step"] for row in rows] == list(range(1, 201))
        assert rows[-1]["loss"] < rows[0]["loss"]
        assert len(list(run.previews.glob("*.png"))) == 2
        assert run.checkpoint_steps() == [200]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run, pytest.raises(FloatingPointError, match="gradient of step 3 is not finite"):
        train(Line(broken_at=3), loop(10), run)


class Interrupted(Line):
    """Somebody asks the process to stop while step 3 is taken."""

    def __init__(self, number: int, times: int = 1) -> None:
        super().__init__()
        self.number, self.times, self.after = number, times, 0

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        if step == 3:
            for _ in range(self.times):
                signal.raise_signal(self.number)
                self.after += 1
        return super().loss(step, part, generator)


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGTERM, 2)])
def test_a_request_to_stop_is_obeyed_after_the_step_and_a_checkpoint(
    tmp_path: Path, number: int, times: int
) -> None:
    class EndedError(Exception):
        pass

    def end(*_: object) -> None:
        raise EndedError

    before = signal.signal(number, end)
    try:
        with RunDir(tmp_path) as run, pytest.raises(EndedError):
            train(Interrupted(number, times), loop(10), run)
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    with RunDir(tmp_path) as run:
        assert run.checkpoint_steps() == [4]
        train(Line(), loop(10), run)
        assert [row["step"] for row in run.read_log()] == list(range(1, 11))


def test_a_second_interruption_acts_at_once(tmp_path: Path) -> None:
    stage = Interrupted(signal.SIGINT, times=2)
    with RunDir(tmp_path) as run, pytest.raises(KeyboardInterrupt):
        train(stage, loop(10), run)
    assert stage.after == 1
    assert RunDir(tmp_path).checkpoint_steps() == []


def test_accumulating_two_batches_averages_their_losses(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        train(Line(), loop(2, accumulate=2), run)
        assert run.read_log()[-1]["step"] == 2


def test_the_learning_rate_warms_up_stays_and_falls_to_zero() -> None:
    config = OptimConfig(learning_rate=1.0, warmup_steps=10, decay_steps=20)
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[50] == 1.0
    assert rates[-1] == pytest.approx(0.05)
    assert rates[80:] == sorted(rates[80:], reverse=True)


def test_only_matrices_decay() -> None:
    optimizer = make_optimizer([nn.Linear(3, 2)], OptimConfig(weight_decay=0.1))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]


def test_the_average_moves_by_one_minus_decay() -> None:
    average, current = torch.zeros(3), torch.ones(3)
    update_average([average], [current], 0.9)
    assert torch.allclose(average, torch.full((3,), 0.1))


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 0.0), ("clip_norm", -1.0), ("ema_decay", 1.0)])
def test_impossible_optimiser_settings_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        OptimConfig(**{name: value})  # pyright: ignore[reportArgumentType]


def test_impossible_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_steps 0"):
        LoopConfig(num_steps=0)


def test_two_trainers_on_one_run_folder_are_refused(tmp_path: Path) -> None:
    record_counting(tmp_path / "data")
    config = tokenizer_config(tmp_path / "run", tmp_path / "data")
    with RunDir(config.run), pytest.raises(BusyError, match="is in use by process"):
        tokenizer.main(config)


def test_a_changed_config_is_refused_with_both_values(tmp_path: Path) -> None:
    record_counting(tmp_path / "data")
    config = tokenizer_config(tmp_path / "run", tmp_path / "data", num_steps=1)
    tokenizer.main(config)
    with pytest.raises(ConfigError, match=r"batch_size is 8 but the run in .* was begun with 4"):
        tokenizer.main(replace(config, batch_size=8))


def test_a_corrupt_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    record_counting(tmp_path / "data")
    config = tokenizer_config(tmp_path / "run", tmp_path / "data", num_steps=1)
    tokenizer.main(config)
    folder = RunDir(config.run).latest_checkpoint()
    assert folder is not None
    file = folder / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cannot be resumed .*; delete it to resume from the one before"):
        tokenizer.main(replace(config, loop=replace(config.loop, num_steps=2)))


def test_a_full_disk_keeps_the_older_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_counting(tmp_path / "data")
    config = tokenizer_config(tmp_path / "run", tmp_path / "data", num_steps=1)
    tokenizer.main(config)

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("paracosm.train.state.save_file", refuse)
    with pytest.raises(DataError, match=r"No space left on device.*free some space"):
        tokenizer.main(replace(config, loop=replace(config.loop, num_steps=2)))
    assert RunDir(config.run).checkpoint_steps() == [1]


def test_logging_to_tensorboard_without_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with RunDir(tmp_path) as run, pytest.raises(MissingPackageError, match=r"\[tensorboard\]"):
        train(Line(), loop(1, log_to="jsonl+tensorboard"), run)
