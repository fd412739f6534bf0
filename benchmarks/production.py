"""The production line for data, measured: ``python -m benchmarks.production --json FILE``.

Doom is recorded by the explorer, as its recipe does, several times into folders that are thrown away: frames
a second of ``paracosm record`` with all that it writes. Then episodes are drawn again from their own controls
and compared to the byte, and what the recording covers is counted. Nothing may run beside it.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.collect.record import record
from paracosm.collect.replay_check import check_replay, replay_figures
from paracosm.collect.report import describe_dataset
from paracosm.core.figures import Figure, make_report, write_report
from paracosm.core.progress import LineProgress
from paracosm.core.stats import estimate
from paracosm.data.reader import Dataset
from paracosm.recipes import doom
from paracosm.worlds import make_policy, open_world

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)


def rates(place: Path, runs: int, episodes: int, workers: int) -> tuple[Figure, Dataset]:
    """Record so often; frames a second, the start of games and processes included, and the last recording."""
    config, game = doom.recordings(place)["train"], doom.games()["train"]
    seconds, recordings = [], []
    for run in range(runs):
        out = place / f"run{run}"
        began = time.perf_counter()
        made = record(
            replace(config, out=out, num_episodes=episodes, workers=workers, seed=run),
            open_world,
            make_policy,
            world_config=game,
            progress=PROGRESS,
        )
        seconds.append(time.perf_counter() - began)
        recordings.append(made)
    values = np.array([made.num_frames for made in recordings]) / np.array(seconds)
    figure = Figure(value=float(values.mean()), unit="frames/s", n=runs, ci95=estimate(values).ci95)
    return figure, recordings[-1]


def coverage(described: dict[str, Any]) -> dict[str, Figure]:
    """What a description tells of exploration, collisions, diversity and balance, as figures."""
    parts = {name: described[name] or {} for name in ("places", "collisions", "looks", "balance")}
    return {
        f"recording.{part}.{name}": Figure(value=float(value), n=described["frames"])
        for part, values in parts.items()
        for name, value in values.items()
        if isinstance(value, int | float)
    }


def main() -> None:
    """Record, draw again, count and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paracosm-production-") as place:
        speed, made = rates(Path(place), given.runs, given.episodes, given.workers)
        figures = {
            "recording.frames_per_second": speed,
            **replay_figures(check_replay(made, 20, open_world, progress=PROGRESS)),
            **coverage(describe_dataset(made.path)),
        }
    for name, figure in figures.items():
        print(f"{name:44} {figure.value:10.4g} {figure.unit}")
    if given.json:
        numbers = f"--runs {given.runs} --episodes {given.episodes} --workers {given.workers}"
        command = f"python -m benchmarks.production {numbers}"
        write_report(make_report(command, figures, list(range(given.runs))), given.json)


if __name__ == "__main__":
    main()
