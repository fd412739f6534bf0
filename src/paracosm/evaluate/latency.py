"""What a player sees of a world, measured by the player's own benchmark in a process of its own.

This file does NOT know sockets or browsers.
"""

from __future__ import annotations

import contextlib
import time

from paracosm.core.errors import ParacosmError
from paracosm.core.figures import Figure, not_computed
from paracosm.play.bench import bench_world

from .rollouts import Subject, fresh_process


def bench_subject(subject: Subject, seconds: float, started: float) -> dict[str, Figure]:
    """Open a world and play it through the server; called in a fresh process."""
    with contextlib.closing(subject.open()) as world:
        return bench_world(world, seconds, started_s=started, browser=True)


def measure_play(subject: Subject, seconds: float) -> dict[str, Figure]:
    """Frames a second, latency and time to the first frame through server, socket and page.

    Args:
        subject: the world.
        seconds: length of each run of the benchmark.
    """
    try:
        with fresh_process() as pool:
            return pool.submit(bench_subject, subject, seconds, time.time()).result()
    except ParacosmError as error:
        # A machine without a browser or a free port can still measure everything else.
        return {"play.frames_per_second": not_computed("failed", str(error), "frames/s")}
