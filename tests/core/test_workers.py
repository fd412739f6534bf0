"""A worker ends with the run that started it, and takes what it started along."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import concurrent.futures, multiprocessing, subprocess, sys, time
from paracosm.core.workers import end_with_parent, ending_workers

def work(file):
    game = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(file, "w") as numbers:
        numbers.write(f"{multiprocessing.current_process().pid} {game.pid}\\n")
    time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, end_with_parent) as pool, ending_workers():
        pool.submit(work, sys.argv[1]).result()
"""


def is_running(number: int) -> bool:
    state = Path(f"/proc/{number}/stat")
    # a killed process that nobody waited for yet is a zombie
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(done: object, seconds: float = 20.0) -> bool:
    assert callable(done)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_or_interrupted_run_leaves_neither_its_worker_nor_the_game_of_its_worker(
    tmp_path: Path, sent: signal.Signals
) -> None:
    script, numbers = tmp_path / "run.py", tmp_path / "numbers"
    script.write_text(RUN)
    run = subprocess.Popen([sys.executable, str(script), str(numbers)])
    assert wait_until(lambda: numbers.exists() and numbers.read_text().endswith("\n"))
    worker, game = map(int, numbers.read_text().split())
    assert is_running(worker)
    assert is_running(game)
    os.kill(run.pid, sent)
    run.wait(20)
    assert wait_until(lambda: not is_running(worker) and not is_running(game))
