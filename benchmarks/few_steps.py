"""Undistilled and distilled x 8, 4, 2, 1 passes: ``python -m benchmarks.few_steps OUT PLAYER...``.

    python -m benchmarks.few_steps runs/few_steps/coinrun undistilled=runs/coinrun/undistilled@8,4,2,1 \
        student=coinrun@2,1 --against "student x 2" --json benchmarks/few_steps_coinrun.json

PLAYER is NAME=WORLD@PASSES: a world's folder, or the name of a bundled one, played at each number of passes.
All are measured by the evaluation's own parts on the cases that ship: short runs of the suite "core", five
minutes of free play, the time of a frame. What is measured stays measured; with ``--against`` every figure
stands beside its paired difference to that row. ``--only short`` leaves minutes and times out, ``--only
every`` plays all long runs that the cases hold in place of three; ``--kernel``
names rows whose distances of 1,024 clips are measured too, which takes as long as all the rest of a row.
``--data`` measures on recordings of your own in place of those cases: that is where to choose among settings,
so that the cases that ship judge one of them only.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from paracosm.core.config import to_json
from paracosm.core.figures import Figure, commit, hardware
from paracosm.core.files import write_json
from paracosm.core.progress import LineProgress
from paracosm.core.world_spec import PlayDefaults, load_spec
from paracosm.evaluate.rollouts import ConfiguredOpener
from paracosm.evaluate.suite import SuiteConfig, run_suite
from paracosm.evaluate.suites import SuiteName
from paracosm.worlds import open_world
from paracosm.zoo import bundled_worlds

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class Player:
    """A world and how it is played."""

    name: str
    """row of the table"""
    world: Path
    """its folder"""
    play: PlayDefaults
    """passes, guidance, window, sink"""


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Parts of a suite that every player is measured by, in one call of the evaluation."""

    name: str
    """folder of its results"""
    suite: SuiteName
    """whose sizes they have"""
    parts: frozenset[str]
    """their names"""
    limit: int | None = None
    """at most so many units of each"""


SHORT = Portion(name="short", suite="core", parts=frozenset({"fidelity", "control", "opposites"}))
"""64 short cases, and the ceiling beside each figure of control."""
FAST = Portion(name="speed", suite="core", parts=frozenset({"speed"}))
"""Time of a frame over 1,000 steps; nothing may run beside it."""
FIVE_MINUTES = Portion(
    name="five_minutes", suite="full", parts=frozenset({"stability", "late_control", "drift"}), limit=3
)
"""Three runs of five minutes."""
EVERY_RUN = replace(FIVE_MINUTES, name="every_run", limit=None)
"""All runs of five minutes that the cases hold, for the few players that they decide between."""
TWO_MINUTES = Portion(
    name="two_minutes", suite="core", parts=frozenset({"stability", "late_control"}), limit=3
)
"""Three runs of two minutes, where many rows are compared."""
KERNEL = Portion(name="kernel", suite="full", parts=frozenset({"distances"}))
"""Distances of distributions of clips, for the few players that they decide between."""
COLUMNS: Mapping[str, str] = {
    "fidelity.gain_over_copy_db@4": "gain @4",
    "fidelity.gain_over_copy_db@16": "gain @16",
    "fidelity.sharpness_share@16": "sharpness @16",
    "control.keys_share_of_ceiling": "keys",
    "control.turn_share_of_ceiling": "turn",
    "control.keys_share_of_ceiling@120s": "keys @120 s",
    "control.keys_share_of_ceiling@300s": "keys @300 s",
    "stability.in_band_share_of_ceiling@120s": "in band, 120 s",
    "stability.in_band_share_of_ceiling@300s": "in band, 300 s",
    "stability.distance_to_real@300s": "distance @300 s",
    "distance.kernel@8": "kernel @8",
    "distance.kernel@16": "kernel @16",
    "engine.frames_per_second": "frames/s",
    "engine.step_ms.p50": "ms p50",
    "engine.step_ms.p99": "ms p99",
}
"""Figures shown in the table, with their headings; the JSON has all."""

PORTIONS: Mapping[str, Portion] = {"short": SHORT, "long": FIVE_MINUTES, "speed": FAST, "every": EVERY_RUN}
"""Portions that can be asked for."""
Row = dict[str, Figure]
"""Figures of a player, by name."""


def evenly(passes: int) -> tuple[float, ...]:
    """Noise levels of so many passes, falling evenly from 1."""
    return tuple(1 - index / passes for index in range(passes))


def parse_players(text: str) -> list[Player]:
    """Read NAME=WORLD@PASSES, passes divided by commas; all else is as in the world.

    Raises:
        ValueError: for another form.
        DataError: when there is no such world.
    """
    found = re.fullmatch(r"([^=]+)=(.+)@(\d+(?:,\d+)*)", text)
    if not found:
        raise ValueError(f"{text} is no player; write NAME=WORLD@PASSES, e.g. student=coinrun@2,1")
    name, world, passes = found.groups()
    folder = bundled_worlds().get(world, Path(world))
    play = load_spec(folder).play
    return [
        Player(name=f"{name} x {count}", world=folder, play=replace(play, levels=evenly(int(count))))
        for count in passes.split(",")
    ]


def measure(
    players: Sequence[Player],
    portions: Sequence[Portion],
    out: Path,
    *,
    base: SuiteConfig | None = None,
    against: str = "",
    kernel: Sequence[str] = (),
    opener: ConfiguredOpener = open_world,
) -> dict[str, Row]:
    """Measure every player by every portion; what was measured before is read from ``out``.

    Args:
        players: in the order of the table.
        portions: what each is measured by.
        out: a folder for each player, with its world and its results.
        base: cases, reader and processes; the cases that ship without it.
        against: name of the player to whom the others' paired differences are taken, or "".
        kernel: names of those whose distances are measured too.
        opener: opens worlds.

    Raises:
        ValueError: when ``against`` or ``kernel`` names no player.
    """
    base = base or SuiteConfig(world="")
    names = [player.name for player in players]
    for name in (*([against] if against else []), *kernel):
        if name not in names:
            raise ValueError(f"{name} is no player; the players are {', '.join(names)}")
    first = [player for player in players if player.name == against]
    rows: dict[str, Row] = {}
    for player in [*first, *(player for player in players if player.name != against)]:
        folder = make_world(player, out / slug(player.name) / "world")
        row: Row = {}
        for portion in (*portions, *([KERNEL] if player.name in kernel else [])):
            config = replace(
                base,
                world=f"model:{folder}",
                suite=portion.suite,
                parts=portion.parts,
                limit=portion.limit,
                against=str(out / slug(against) / portion.name)
                if against and player.name != against and (portion is not KERNEL or against in kernel)
                else None,
            )
            results = out / slug(player.name) / portion.name
            row |= run_suite(config, results, opener=opener, progress=PROGRESS).figures
        rows[player.name] = row
    return {name: rows[name] for name in names}


def make_world(player: Player, out: Path) -> Path:
    """Copy the player's world with its way of being played written into world.json.

    A copy that is there already is kept when it is the same; results would not be its own otherwise.
    """
    spec = replace(load_spec(player.world), play=player.play)
    if out.is_dir() and load_spec(out) == spec:
        return out
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(player.world, out)
    write_json(out / "world.json", to_json(spec))
    return out


def slug(name: str) -> str:
    """A player's name as that of a folder."""
    return re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("_")


def as_markdown(rows: Mapping[str, Row]) -> str:
    """Lay rows out as a table: values with half their interval's width, and (paired difference)."""
    shown = [name for name in COLUMNS if any(_has(row, name) for row in rows.values())]
    lines = [
        "| | " + " | ".join(COLUMNS[name] for name in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    lines += [
        f"| {player} | " + " | ".join(_cell(row, name) for name in shown) + " |"
        for player, row in rows.items()
    ]
    return "\n".join(lines) + "\n"


def _has(row: Row, name: str) -> bool:
    return name in row and row[name].value is not None


def _cell(row: Row, name: str) -> str:
    if not _has(row, name):
        return row[name].status if name in row else ""
    figure, difference = row[name], row.get(f"difference.{name}")
    text = f"{figure.value:.3g}"
    if figure.ci95:
        text += f" ± {(figure.ci95[1] - figure.ci95[0]) / 2:.2g}"
    if difference is not None and difference.value is not None and difference.ci95:
        text += f" ({difference.value:+.2g}: {difference.ci95[0]:+.2g} to {difference.ci95[1]:+.2g})"
    return text


def write_table(rows: Mapping[str, Row], file: Path, command: str) -> None:
    """Write every figure of every row as JSON, and the table beside it as Markdown."""
    document = {
        "command": command,
        "commit": commit(),
        "hardware": hardware(),
        "rows": {name: {key: to_json(figure) for key, figure in row.items()} for name, row in rows.items()},
    }
    write_json(file, document)
    file.with_suffix(".md").write_text(
        f"`{command}` at commit {document['commit']}, on {document['hardware']['cores']} cores of "
        f"{document['hardware']['cpu']}.\nValues with half the width of their 95 % interval, in brackets the "
        f"paired difference with its interval.\n\n{as_markdown(rows)}"
    )


def add_case_options(parser: argparse.ArgumentParser) -> None:
    """Let a command measure on recordings in place of the cases that ship."""
    parser.add_argument("--workers", type=int, default=2, help="processes that play")
    parser.add_argument("--data", type=Path, help="recordings to play by; the cases that ship without it")
    parser.add_argument("--reference", type=Path, help="recordings of the game's band; needed with --data")
    parser.add_argument("--reader", type=Path, help="inverse dynamics; that of the cases without it")


def read_cases(given: argparse.Namespace) -> SuiteConfig:
    """Return what :func:`add_case_options` was given, for :func:`measure`."""
    return SuiteConfig(
        world="",
        workers=given.workers,
        data=given.data,
        reference=given.reference,
        reader=given.reader,
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("players", nargs="+", metavar="NAME=WORLD@PASSES")
    parser.add_argument("--against", default="")
    parser.add_argument("--only", choices=list(PORTIONS), nargs="*", default=["short", "long", "speed"])
    parser.add_argument("--kernel", nargs="*", default=[], metavar="ROW", help='e.g. "student x 1"')
    add_case_options(parser)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = measure(
        [player for text in given.players for player in parse_players(text)],
        [portion for name, portion in PORTIONS.items() if name in given.only],
        given.out,
        base=read_cases(given),
        against=given.against,
        kernel=given.kernel,
    )
    command = "python -m benchmarks.few_steps " + " ".join(
        json.dumps(a) if " " in a else a for a in sys.argv[1:]
    )
    write_table(rows, given.json or given.out / "table.json", command)
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
