"""What playing a world feels like, in figures, measured by a viewer on a real socket.

Unpaced for capacity, paced for latency. The server runs in this process and the viewer in another, as with a
player's browser; where Chromium is installed the page itself can be a viewer too. The arithmetic is in pure
functions, tested on made-up arrivals. This file does NOT know any world.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paracosm.core.errors import MissingPackageError, WorldError
from paracosm.core.figures import Figure, not_computed
from paracosm.core.memory import peak_mb, resident_mb
from paracosm.core.rng import stream
from paracosm.core.world import World
from paracosm.play.chromium import Chromium
from paracosm.play.server import ServeConfig, serving
from paracosm.play.watch import Arrival, Watched

WARM_UP_FRAMES = 10
"""Left out at the beginning: caches fill and connections settle."""
SLACK = 0.5
"""A frame keeps its deadline when it comes at most this share of a period late: less is not seen."""
PERCENTILES = (50, 95, 99)
MIN_SECONDS = 2.0


def bench_world(
    world: World, seconds: float, *, seed: int = 0, started_s: float | None = None, browser: bool = False
) -> dict[str, Figure]:
    """Measure play of one world.

    Args:
        world: open; it is left open.
        seconds: length of each run: unpaced, paced, and in a browser.
        seed: of the world and of the moments at which keys are pressed.
        started_s: ``time.time()`` when the command was begun, so that the time to the first frame counts what
            came before; None counts from the viewer's knock.
        browser: whether to measure through a real Chromium as well.

    Returns:
        Figures by name, all beginning with "play.".

    Raises:
        WorldError: when ``seconds`` is too short to measure anything, or the viewer failed.
    """
    if seconds < MIN_SECONDS:
        raise WorldError(f"{seconds:g} s are too short to measure play; give {MIN_SECONDS:g} or more")
    name, memory_mb = world.info.name, resident_mb()
    with serving(ServeConfig(port=0), _Lent(world), [name]) as address:
        waited_s = 0.0 if started_s is None else time.time() - started_s
        unpaced = _view(address.url, world=name, seconds=seconds, pace=0, seed=seed)
        paced = _view(address.url, world=name, seconds=seconds, pace=1, seed=seed)
        seen = _browser_figures(address.url, seconds, seed) if browser else {}
    first_frame_s = waited_s + unpaced.arrivals[0].at_s - unpaced.opened_s
    return {
        **capacity_figures(unpaced),
        **latency_figures(paced),
        **pacing_figures(paced.arrivals, 1 / world.info.fps),
        **seen,
        "play.first_frame_s": _cost(first_frame_s, "s"),
        "play.peak_memory_mb": _cost(peak_mb(), "MB"),
        "play.memory_growth_mb": _cost(resident_mb() - memory_mb, "MB"),
        **_facts(world),
    }


def capacity_figures(watched: Watched) -> dict[str, Figure]:
    """Say how many frames a second a viewer gets when nothing is paced, each unpacked to a picture."""
    arrivals = watched.arrivals[WARM_UP_FRAMES:]
    if len(arrivals) < 2:
        reason = f"only {len(watched.arrivals)} frames came, {WARM_UP_FRAMES + 2} are needed"
        return {"play.frames_per_second": not_computed("failed", reason, "frames/s")}
    seconds = sum(_intervals_s(arrivals))
    step_ms = float(np.median([arrival.step_ms for arrival in arrivals]))
    return {
        "play.frames_per_second": Figure(
            value=len(_intervals_s(arrivals)) / seconds, unit="frames/s", n=len(arrivals)
        ),
        "play.step_ms.p50": _cost(step_ms, "ms", n=len(arrivals)),
        "play.dropped_share": _cost(watched.dropped / (len(watched.arrivals) + watched.dropped), "share"),
    }


def latency_figures(watched: Watched) -> dict[str, Figure]:
    """Say how long a key takes from its press to the unpacked picture of the first frame with it."""
    latencies = latencies_ms(watched)
    return _percentiles("play.key_to_screen_ms", latencies, "keys were answered")


def latencies_ms(watched: Watched) -> list[float]:
    """Return, for each key message that was answered, the time to the first frame with its number in ms."""
    arrivals = iter(watched.arrivals)
    arrival = next(arrivals, None)
    latencies: list[float] = []
    for seq, pressed_s in sorted(watched.pressed_s.items()):
        while arrival is not None and (arrival.seq < seq or arrival.at_s < pressed_s):
            arrival = next(arrivals, None)
        if arrival is None:
            break
        latencies.append((arrival.at_s - pressed_s) * 1000)
    return latencies


def pacing_figures(arrivals: Sequence[Arrival], period_s: float) -> dict[str, Figure]:
    """Say how evenly frames come: intervals, deadlines kept, and time that the picture stood still.

    The viewer shows a frame each period; one that comes later than its deadline and the slack makes the
    picture stall, and the deadlines after it are counted from there.

    Args:
        arrivals: of a paced run.
        period_s: seconds between two frames at the world's own pace.
    """
    intervals = _intervals_s(arrivals[WARM_UP_FRAMES:])
    if not intervals:
        reason = f"only {len(arrivals)} frames came, {WARM_UP_FRAMES + 2} are needed"
        return {"play.deadline_share": not_computed("failed", reason, "share")}
    lead_s, kept, stalled_s = 0.0, 0, 0.0
    for interval in intervals:
        lead_s += period_s - interval  # how early the frame is, counted from the last stall
        if lead_s >= -SLACK * period_s:
            kept += 1
        else:
            stalled_s -= lead_s
            lead_s = 0.0
    return {
        "play.deadline_share": Figure(value=kept / len(intervals), unit="share", n=len(intervals)),
        "play.stall_share": _cost(stalled_s / sum(intervals), "share", n=len(intervals)),
        "play.paced_frames_per_second": Figure(
            value=len(intervals) / sum(intervals), unit="frames/s", n=len(intervals)
        ),
        **_percentiles("play.frame_interval_ms", [s * 1000 for s in intervals], "frames came"),
    }


class _Lent:
    """Opens one world again and again, for one session at a time, and does not let them close it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._free = threading.Semaphore()

    def __call__(self, name: str) -> World:
        self._free.acquire()
        return _Borrowed(self._world, self._free)


class _Borrowed:
    def __init__(self, world: World, free: threading.Semaphore) -> None:
        self._free: threading.Semaphore | None = free
        self.info, self.reset, self.step = world.info, world.reset, world.step
        self.snapshot, self.restore = world.snapshot, world.restore

    def close(self) -> None:
        if self._free is not None:
            self._free.release()
            self._free = None


def _view(url: str, **plan: object) -> Watched:
    """Run the simulated viewer in a process of its own, so that it takes no time from the server's."""
    with tempfile.TemporaryDirectory() as folder:
        plan_path, result_path = Path(folder) / "plan.json", Path(folder) / "result.json"
        plan_path.write_text(json.dumps({"url": url, **plan}))
        command = [sys.executable, "-m", "paracosm.play.watch", str(plan_path), str(result_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not result_path.exists():
            raise WorldError(f"the viewer failed: {done.stderr.strip().splitlines()[-1:]}")
        result = json.loads(result_path.read_text())
    if "error" in result:
        raise WorldError(f"the viewer saw no play: {result['error']}")
    return Watched(
        opened_s=result["opened_s"],
        pressed_s={int(seq): at for seq, at in result["pressed_s"].items()},
        arrivals=[Arrival(**arrival) for arrival in result["arrivals"]],
        dropped=result["dropped"],
    )


def _browser_figures(url: str, seconds: float, seed: int) -> dict[str, Figure]:
    name = "play.chromium.key_to_screen_ms"
    try:
        with Chromium() as browser:
            stats = _play_in_browser(browser, url, seconds, seed)
    except MissingPackageError as error:
        return {f"{name}.p{percent}": not_computed("skipped", str(error), "ms") for percent in PERCENTILES}
    except (RuntimeError, TimeoutError) as error:
        return {f"{name}.p{percent}": not_computed("failed", str(error), "ms") for percent in PERCENTILES}
    intervals = stats["intervals"][WARM_UP_FRAMES:]
    figures = _percentiles(name, stats["latencies"], "keys were answered")
    if intervals:
        rate = 1000 * len(intervals) / sum(intervals)
        figures["play.chromium.frames_per_second"] = Figure(value=rate, unit="frames/s", n=len(intervals))
    return figures


def _play_in_browser(browser: Chromium, url: str, seconds: float, seed: int) -> dict[str, list[float]]:
    """Press keys of the world at moments that have nothing to do with its frames."""
    rng = stream(seed, "browser viewer")
    browser.open(url)
    browser.wait("window.__paracosm?.state.state === 'paused'", timeout_s=60)
    codes = browser.evaluate("Object.keys(window.__paracosm.state.world.controls.bindings)")
    keys = [code for code in codes if not code.startswith("Mouse")]
    browser.click("#veil-button")
    browser.wait("window.__paracosm.state.state === 'playing'")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.1, 0.3))
        if keys:
            code = keys[rng.integers(len(keys))]
            browser.key_down(code)
            time.sleep(rng.uniform(0.05, 0.15))
            browser.key_up(code)
        if browser.evaluate("window.__paracosm.state.state") == "ended":
            browser.click("#veil-again")
            browser.wait("window.__paracosm.state.state === 'paused'")
            browser.click("#veil-button")
    time.sleep(0.3)
    return browser.evaluate("window.__paracosm.stats")


def _percentiles(name: str, values: Sequence[float], what: str) -> dict[str, Figure]:
    if len(values) < 2:
        reason = f"only {len(values)} {what}"
        return {f"{name}.p{percent}": not_computed("failed", reason, "ms") for percent in PERCENTILES}
    return {
        f"{name}.p{percent}": _cost(float(np.percentile(values, percent)), "ms", n=len(values))
        for percent in PERCENTILES
    }


def _intervals_s(arrivals: Sequence[Arrival]) -> list[float]:
    """Seconds between frames that follow each other in one episode."""
    return [
        later.at_s - earlier.at_s
        for earlier, later in itertools.pairwise(arrivals)
        if later.episode == earlier.episode
    ]


def _facts(world: World) -> dict[str, Figure]:
    """What stands beside a speed: without size, steps and tokens it says nothing."""
    info = world.info
    found = {"world_fps": info.fps, "height": info.height, "width": info.width, **info.details}
    named = ("world_fps", "height", "width", "denoise_steps", "tokens_per_frame")
    return {
        f"play.{name}": Figure(value=float(value), higher_is_better=None)
        for name in named
        if isinstance(value := found.get(name), int | float)
    }


def _cost(value: float, unit: str, *, n: int = 1) -> Figure:
    return Figure(value=value, unit=unit, n=n, higher_is_better=False)
