"""What curating costs: each stage's throughput on one core, and the bill for a set of videos.

Throughput comes from a benchmark's result or from a curated folder's own log; everything else about the set
is an assumption that stands among the options. This file does NOT measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from paracosm.cli.arguments import File, command_line, parse, show
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.figures import Figure, make_report, read_report

SPEEDS = Path(__file__).parents[3] / "benchmarks" / "curate_speed.json"
"""Result of ``python -m benchmarks.curate speed``, at 640 x 360."""

PREFIX = "curate.speed."


@dataclass(frozen=True, kw_only=True)
class PlanCurateCommand:
    """Say what curating a set of videos would cost: paracosm plan curate.

    The defaults are OGameData's 32,000 raw videos (GameGen-X, arXiv 2411.00769, B.2). Their length was
    published as "minutes to hours" only, so --minutes is an assumption, and so is the price of a core.
    """

    videos: int = 32_000
    """Videos of the set."""
    minutes: float = 30.0
    """Minutes of a video on average: an assumption."""
    fps: float = 24.0
    """Frames a second of the videos."""
    cores: int = 64
    """Cores that work at the same time."""
    core_hour_price: float = 0.04
    """Price of one core for an hour, in any currency: an assumption."""
    speeds: Path = SPEEDS
    """Report of a benchmark that tells frames a processor second of each stage."""
    out: Path | None = None
    """A curated folder whose own log tells the speeds instead."""
    json: File = None
    """Also write the figures to this file."""

    def __post_init__(self) -> None:
        """Refuse sets of nothing, and what is no number."""
        numbers = (self.minutes, self.fps, self.core_hour_price)
        if not all(math.isfinite(number) for number in numbers):
            raise ConfigError(
                f"minutes {self.minutes:g}, fps {self.fps:g} and core_hour_price {self.core_hour_price:g} "
                "must be finite numbers; give e.g. --fps 24"
            )
        if min(self.videos, self.cores) < 1 or min(self.minutes, self.fps) <= 0 or self.core_hour_price < 0:
            raise ConfigError("videos, cores, minutes and fps must be above 0 and the price 0 or more")


def plan_curate(arguments: list[str]) -> None:
    """Run ``paracosm plan curate``."""
    command = parse(PlanCurateCommand, arguments, "paracosm plan curate")
    speeds, source = read_speeds(command)
    print(
        f"{command.videos:,} videos of {command.minutes:g} minutes at {command.fps:g} frames/s on "
        f"{command.cores} cores\nspeeds: {source}\n"
    )
    show(make_report(command_line("plan curate", arguments), bill(command, speeds)), command.json)


def read_speeds(command: PlanCurateCommand) -> tuple[dict[str, float], str]:
    """Return frames a processor second of each stage, and where they were measured.

    Raises:
        DataError: when nothing was measured there.
    """
    if command.out is not None:
        from paracosm.curate.pipeline import stage_speeds_of

        found = stage_speeds_of(command.out)
        source = f"measured in {command.out}"
    else:
        if not command.speeds.exists():
            raise DataError(
                f"{command.speeds} is missing; run python -m benchmarks.curate speed, or give --speeds or "
                "--out"
            )
        report = read_report(command.speeds)
        found = {
            name.removeprefix(PREFIX): float(figure.value)
            for name, figure in report.figures.items()
            if name.startswith(PREFIX) and figure.value and name != f"{PREFIX}all"
        }
        source = f"{report.command} on {report.hardware.get('cpu')}, videos of 640 x 360"
    if not found:
        raise DataError(f"{command.out or command.speeds} tells no speed; curate something there first")
    return found, source


def bill(command: PlanCurateCommand, speeds: dict[str, float]) -> dict[str, Figure]:
    """Return throughput, processor time and price; stages run one after the other on each frame."""
    frames = command.videos * command.minutes * 60 * command.fps
    seconds = {name: frames / speed for name, speed in speeds.items()}
    core_hours = sum(seconds.values()) / 3600
    plain = {
        **{f"plan.curate.{name}": (speed, "frames/s a core") for name, speed in speeds.items()},
        "plan.curate.all": (1 / sum(1 / speed for speed in speeds.values()), "frames/s a core"),
        "plan.curate.video_hours": (command.videos * command.minutes / 60, "hours"),
        "plan.curate.frames": (frames, "frames"),
        "plan.curate.core_hours": (core_hours, "core hours"),
        "plan.curate.days": (core_hours / command.cores / 24, "days"),
        "plan.curate.price": (core_hours * command.core_hour_price, "at the assumed price"),
    }
    return {
        name: Figure(value=value, unit=unit, higher_is_better=None) for name, (value, unit) in plain.items()
    }
