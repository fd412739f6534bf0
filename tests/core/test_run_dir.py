import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from paracosm.core.errors import BusyError, ConfigError, DataError
from paracosm.core.run_dir import RunDir


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    width: int
    num_steps: int = 10


def test_a_second_trainer_is_refused_by_folder_and_process(tmp_path):
    with (
        RunDir(tmp_path / "run"),
        pytest.raises(BusyError, match=rf"run is in use by process {os.getpid()}; wait for it"),
    ):
        RunDir(tmp_path / "run").open()
    RunDir(tmp_path / "run").open().close()


def test_a_second_trainer_in_another_process_is_refused(tmp_path):
    code = f"from paracosm.core.run_dir import RunDir; RunDir({str(tmp_path)!r}).open()"
    with RunDir(tmp_path):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"is in use by process {os.getpid()}" in done.stderr
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_looking_needs_no_lock(tmp_path):
    with RunDir(tmp_path) as run:
        run.log(1, {"loss": 0.5})
        assert RunDir(tmp_path).open(exclusive=False).read_log()[0]["loss"] == 0.5


def test_a_changed_config_is_refused_with_both_values(tmp_path):
    with RunDir(tmp_path) as run:
        run.keep_config(TinyConfig(width=8))
        run.keep_config(TinyConfig(width=8))
        with pytest.raises(
            ConfigError, match=r"^width is 16 but the run in .* was begun with 8; keep the old"
        ):
            run.keep_config(TinyConfig(width=16, num_steps=20), may_change={"num_steps"})
        assert json.loads(run.config_path.read_text()) == {"width": 8, "num_steps": 10}


def test_what_may_change_is_saved_anew(tmp_path):
    with RunDir(tmp_path) as run:
        run.keep_config(TinyConfig(width=8))
        run.keep_config(TinyConfig(width=8, num_steps=20), may_change={"num_steps"})
        assert json.loads(run.config_path.read_text())["num_steps"] == 20


def test_a_torn_last_line_is_cut_off_and_said(tmp_path, caplog):
    with RunDir(tmp_path) as run:
        run.log(1, {"loss": 2.0})
        run.log(2, {"loss": 1.0})
    with run.log_path.open("a") as file:
        file.write('{"step": 3, "lo')
    with RunDir(tmp_path) as run:
        assert "cut a torn last line of 15 bytes" in caplog.text
        run.log(3, {"loss": 0.5})
        assert [row["step"] for row in run.read_log()] == [1, 2, 3]


def test_a_broken_line_in_the_middle_is_not_passed_over(tmp_path):
    with RunDir(tmp_path) as run:
        run.log_path.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
        with pytest.raises(DataError, match=r"log\.jsonl line 2 is not JSON"):
            run.read_log()


def test_steps_that_will_be_run_again_leave_the_log(tmp_path):
    with RunDir(tmp_path) as run:
        for step in range(1, 6):
            run.log(step, {})
        run.cut_log_after(3)
        run.log(4, {})
        assert [row["step"] for row in run.read_log()] == [1, 2, 3, 4]


def test_a_checkpoint_is_whole_or_absent(tmp_path):
    with RunDir(tmp_path) as run:
        with run.checkpoint(10) as folder:
            (folder / "model.safetensors").write_bytes(b"1")
        with contextlib.suppress(RuntimeError), run.checkpoint(20) as folder:
            (folder / "model.safetensors").write_bytes(b"2")
            raise RuntimeError("killed")
        assert run.latest_checkpoint() == run.checkpoint_path(10)
        assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000010"]


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    (tmp_path / "checkpoints" / ".partial-1-step-00000030").mkdir(parents=True)
    with RunDir(tmp_path) as run:
        assert run.latest_checkpoint() is None
        assert list(run.checkpoints.iterdir()) == []


def test_pruning_keeps_the_newest_and_the_milestones(tmp_path):
    with RunDir(tmp_path) as run:
        for step in range(10, 70, 10):
            with run.checkpoint(step):
                pass
        run.prune(keep=2, milestone_every=30)
        assert run.checkpoint_steps() == [30, 50, 60]
        with pytest.raises(ConfigError, match="keep 0 would delete every checkpoint; use 1 or more"):
            run.prune(keep=0)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"run folder .*file/run cannot be made .* choose another folder"):
        RunDir(tmp_path / "file" / "run").open()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_said_in_plain_words(tmp_path):
    with RunDir(tmp_path) as run:
        run.log_path.symlink_to("/dev/full")
        with pytest.raises(
            DataError, match=r"log\.jsonl could not be written .*No space left.* free some space"
        ):
            run.log(1, {"loss": 1.0})
