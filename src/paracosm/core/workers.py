"""Worker processes that end with the run that started them, the games that they opened included.

A run that is killed cannot tell its workers to stop; they would go on for hours, unseen and without its lock,
and a game that is a process of its own would outlive both.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator


def end_with_parent() -> None:
    """Tie this process to the one that started it; the initializer of a pool, or a part of it.

    The worker becomes a group of its own, which is killed as a whole when the parent is gone.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    threading.Thread(target=_watch_parent, daemon=True, name="parent-watch").start()


@contextlib.contextmanager
def ending_workers() -> Iterator[None]:
    """Kill this process's workers when it is interrupted, or stops taking what they make, under this.

    They are groups of their own, so that Ctrl+C in a terminal reaches this process alone; it would else wait
    for their whole units.
    """
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        for child in multiprocessing.active_children():
            if child.pid is not None:
                end_group(child.pid)
        raise


def end_group(group: int) -> None:
    """Kill what is left of a worker and of what it started; one that ended well left nothing.

    Args:
        group: the worker's process number.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    if hasattr(os, "setpgid"):
        end_group(os.getpid())
    os._exit(1)
