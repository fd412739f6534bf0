"""Undistilled and distilled x 8, 4, 2, 1 passes: ``python -m benchmarks.few_steps RECIPE RUN STUDENT...``.

Every row is a world folder played by the engine itself, as a player would: short runs against held-out
recordings (closeness, sharpness, motion, control), long runs (control and sharpness at the end), and the time
of a frame. RUN is the recipe's run folder; STUDENT is NAME=MODEL_FOLDER@LEVELS, e.g.
``two=runs/doom/students/forcing/dynamics@1.0,0.5``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.figures import hardware
from paracosm.core.world_spec import PlayDefaults
from paracosm.data.reader import Dataset
from paracosm.evaluate.control import count_keys, key_f1
from paracosm.evaluate.quality import motion, psnr_db, sharpness
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE, InverseDynamics
from paracosm.models.world_model import build_world
from paracosm.play.engine import EngineConfig, NeuralWorld
from paracosm.recipes.street import START_FRAMES, Street, choose_starts

UNDISTILLED: Mapping[str, tuple[float, ...]] = {
    str(count): tuple(1 - i / count for i in range(count)) for count in (8, 4, 2, 1)
}
"""Rows of the model before distillation."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured; the default is for the table that is published."""

    cases: int = 48
    """short runs"""
    steps: int = 24
    """steps of each"""
    runs: int = 3
    """long runs"""
    minutes: float = 5.0
    """minutes of each at the world's own pace"""
    tail_seconds: float = 20.0
    """what is judged at the end of a long run"""
    threads: int = 1
    """threads of the engine"""


@dataclass(frozen=True, kw_only=True)
class Player:
    """A model and how it is played."""

    name: str
    """row of the table"""
    dynamics: Path
    """model folder"""
    play: PlayDefaults = field(default_factory=PlayDefaults)
    """passes, guidance, window, sink"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A true clip: its first frames begin a dream, all its controls are played."""

    frames: np.ndarray
    controls: tuple[Control, ...]
    vectors: np.ndarray


def measure(street: Street, players: Sequence[Player], size: Size, out: Path) -> list[dict[str, float | str]]:
    """Measure every player; rows are written to ``out``/rows.jsonl as they come, and those there are kept."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    held_out = Dataset(street.run / "data" / "held_out")
    reader = InverseDynamics.load(street.run / "inverse_dynamics" / "inverse_dynamics")
    cases, long_cases = choose_cases(held_out, size.cases, size.steps), join_controls(held_out, size)
    done = {row["name"] for row in rows}
    for player in players:
        if player.name in done:
            continue
        folder = build_player(street, player, out / "world")
        world = NeuralWorld(folder, EngineConfig(num_threads=size.threads))
        row: dict[str, float | str] = {"name": player.name}
        row |= measure_short(world, cases, reader) | measure_long(world, long_cases, reader, size, held_out)
        rows.append(row)
        with file.open("a") as log:
            log.write(json.dumps(row) + "\n")
    return rows


def build_player(street: Street, player: Player, out: Path) -> Path:
    """Build the world that a player plays."""
    dataset = Dataset(street.dynamics.data)
    build_world(
        out,
        tokenizer=street.tokenizer.run / "tokenizer",
        dynamics=player.dynamics,
        starts=choose_starts(dataset.select(street.dynamics.split), 4),
        name=street.name,
        description=street.description,
        fps=dataset.info.fps,
        controls=dataset.info.controls,
        play=player.play,
    )
    return out


def choose_cases(data: Dataset, count: int, steps: int) -> list[Case]:
    """Cut clips from held-out episodes, spread over them evenly."""
    length = START_FRAMES + steps + FRAMES_AFTER
    episodes = [episode for episode in data.episodes if episode.num_frames > length]
    cases = []
    for i in range(count):
        episode = episodes[i % len(episodes)]
        turn, turns = i // len(episodes), -(-count // len(episodes))
        first = (episode.num_frames - length) * (2 * turn + 1) // (2 * turns)
        vectors = episode.control_vectors[first : first + length - 1]
        cases.append(
            Case(
                frames=episode.read_frames(first, first + length),
                controls=tuple(data.info.controls.from_vectors(vectors)),
                vectors=vectors,
            )
        )
    return cases


def join_controls(data: Dataset, size: Size) -> list[Case]:
    """Starts for the long runs, each with the controls of many episodes in a row."""
    needed = round(size.minutes * 60 * data.info.fps)
    cases = []
    for i in range(size.runs):
        order = [data.episodes[(i + j * size.runs) % len(data.episodes)] for j in range(len(data.episodes))]
        vectors = np.concatenate([episode.control_vectors for episode in order])
        vectors = np.tile(vectors, (-(-needed // len(vectors)), 1))[:needed]
        cases.append(
            Case(
                frames=order[0].read_frames(0, START_FRAMES),
                controls=tuple(data.info.controls.from_vectors(vectors)),
                vectors=vectors,
            )
        )
    return cases


def dream(world: NeuralWorld, case: Case, seed: int, keep: int = 0) -> tuple[np.ndarray, list[float]]:
    """Play a case from its start; return its last ``keep`` frames (0: all) and the ms of each step."""
    first = START_FRAMES - 1
    frame = world.reset(seed=seed, start=case.frames[:START_FRAMES], controls=case.controls[:first])
    frames, times = [frame.image], []
    for control in case.controls[first:]:
        began = time.perf_counter()
        frames.append(world.step(control).image)
        times.append(1000 * (time.perf_counter() - began))
        frames = frames[-keep:] if keep else frames
    return np.stack(frames), times


def read_f1(clips: Sequence[np.ndarray], asked: Sequence[np.ndarray], reader: InverseDynamics) -> float:
    """Mean over keys of F1; row i of ``asked`` acts between frames i and i + 1 of its clip."""
    readings = [reader.read(clip).keys for clip in clips]
    keys = readings[0].shape[1]
    wanted = [
        rows[FRAMES_BEFORE : FRAMES_BEFORE + len(reading), :keys]
        for rows, reading in zip(asked, readings, strict=True)
    ]
    return float(np.nanmean(key_f1(count_keys(readings, wanted))))


def measure_short(
    world: NeuralWorld, cases: Sequence[Case], reader: InverseDynamics
) -> dict[str, float | str]:
    """Closeness to the true frames, shares of their sharpness and motion, control, the time of a frame."""
    first = START_FRAMES - 1
    dreams, times = [], []
    for seed, case in enumerate(cases):
        made, spent = dream(world, case, seed)
        dreams.append(made)
        times += spent
    real = [case.frames[first:] for case in cases]
    gains = [
        psnr_db(made[1:], true[1:]) - psnr_db(np.broadcast_to(true[:1], true[1:].shape), true[1:])
        for made, true in zip(dreams, real, strict=True)
    ]
    asked = [case.vectors[first:] for case in cases]
    ceiling = read_f1(real, asked, reader)
    control = read_f1(dreams, asked, reader)
    return {
        "gain_db": float(np.mean(gains)),
        "gain_db_error": float(np.std([gain.mean() for gain in gains]) / len(gains) ** 0.5),
        "sharpness_share": float(np.mean(sharpness(np.stack(dreams))) / np.mean(sharpness(np.stack(real)))),
        "motion_share": float(
            np.mean([motion(made) for made in dreams]) / np.mean([motion(true) for true in real])
        ),
        "control_f1": control,
        # a reader that reads nothing from real frames judges no player
        "control_share": control / ceiling if ceiling > 0 else "undefined",
        "frame_ms_p50": float(np.percentile(times, 50)),
        "frame_ms_p99": float(np.percentile(times, 99)),
        "frames_per_second": 1000 / float(np.mean(times)),
    }


def measure_long(
    world: NeuralWorld, cases: Sequence[Case], reader: InverseDynamics, size: Size, real: Dataset
) -> dict[str, float]:
    """Control and sharpness over the last seconds of long runs; no true frames exist there."""
    if not cases:
        return {}
    keep = round(size.tail_seconds * real.info.fps)
    tails = [dream(world, case, seed, keep)[0] for seed, case in enumerate(cases)]
    asked = [case.vectors[-len(tail) + 1 :] for case, tail in zip(cases, tails, strict=True)]
    sharp = np.mean([sharpness(np.asarray(episode.frames[::10])).mean() for episode in real.episodes[:20]])
    return {
        "late_control_f1": read_f1(tails, asked, reader),
        "late_sharpness_share": float(np.mean([sharpness(tail).mean() for tail in tails]) / sharp),
        "late_motion": float(np.mean([motion(tail).mean() for tail in tails])),
    }


def as_markdown(rows: Sequence[Mapping[str, float | str]]) -> str:
    """Lay rows out as a table."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [row.get(key, "") for key in columns]
        lines.append(
            "| "
            + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells)
            + " |"
        )
    return "\n".join(lines) + "\n"


def write_table(rows: Sequence[Mapping[str, float | str]], size: Size, out: Path) -> None:
    """Write table.md and, with the machine and the sizes, table.json."""
    (out / "table.md").write_text(as_markdown(rows))
    document = {"hardware": hardware(), "size": asdict(size), "rows": rows}
    (out / "table.json").write_text(json.dumps(document, indent=1) + "\n")


def describe(recipe: str, run: Path) -> Street:
    """Return the street of a bundled recipe."""
    return importlib.import_module(f"paracosm.recipes.{recipe}").street(run)


def undistilled(street: Street) -> list[Player]:
    """The dynamics as trained, at 8, 4, 2 and 1 passes."""
    folder = street.dynamics.run / "dynamics"
    return [
        Player(name=f"undistilled x {count}", dynamics=folder, play=replace(street.play, levels=levels))
        for count, levels in UNDISTILLED.items()
    ]


def parse_student(text: str) -> Player:
    """Read NAME=FOLDER@LEVELS."""
    name, _, rest = text.partition("=")
    folder, _, levels = rest.partition("@")
    numbers = tuple(float(level) for level in levels.split(","))
    return Player(name=f"{name} x {len(numbers)}", dynamics=Path(folder), play=PlayDefaults(levels=numbers))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("run", type=Path)
    parser.add_argument("students", nargs="*", metavar="NAME=FOLDER@LEVELS")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=Size.cases)
    parser.add_argument("--minutes", type=float, default=Size.minutes)
    parser.add_argument("--runs", type=int, default=Size.runs)
    given = parser.parse_args()
    street = describe(given.recipe, given.run)
    size = Size(cases=given.cases, minutes=given.minutes, runs=given.runs)
    players = [*undistilled(street), *(parse_student(text) for text in given.students)]
    rows = measure(street, players, size, given.out)
    write_table(rows, size, given.out)


if __name__ == "__main__":
    main()
