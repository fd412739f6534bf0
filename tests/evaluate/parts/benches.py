"""Benches on the toy game: any stand-in world, the toy as the true game, and a camera for its window."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from paracosm.core.figures import Figure
from paracosm.core.world import Frame
from paracosm.data.reader import Dataset
from paracosm.evaluate.bench import BenchConfig
from paracosm.evaluate.long_runs import learn_game
from paracosm.evaluate.part import Part
from paracosm.evaluate.rollouts import Subject
from paracosm.evaluate.runner import Outcome, run_parts
from paracosm.evaluate.sources import RecordedCases
from tests.evaluate.toys import SPACE, WIDTH, ToyWorld


class CameraToy(ToyWorld):
    """The toy, whose true game tells its camera: one unit is one pixel, y counts upwards."""

    def draw(self) -> Frame:
        frame = super().draw()
        if self.kind != "true":
            return frame
        y, x, _ = self.state
        camera = {"x": float(x), "y": float(-y), "tiles_across": float(WIDTH)}
        return replace(frame, truth={**frame.truth, "camera": camera})


def open_camera_toy(name: str, config: Any = None) -> CameraToy:
    return CameraToy("true" if name == "game:toy" else name.partition(":")[2])


def bench_of(kind: str, held_out: Dataset, reference: Dataset) -> BenchConfig:
    name = "game:toy" if kind == "true" else f"model:{kind}"
    return BenchConfig(
        subject=Subject(name=name, opener=open_camera_toy),
        game=Subject(name="game:toy", opener=open_camera_toy),
        info=ToyWorld(kind).info,
        source=RecordedCases(main=held_out.episodes),
        real=learn_game(reference.episodes, SPACE, seed=0),
    )


def run_toy(kind: str, parts: Sequence[Part], held_out: Dataset, reference: Dataset) -> Outcome:
    return run_parts(parts, bench_of(kind, held_out, reference))


def measure_toy(kind: str, parts: Sequence[Part], held_out: Dataset, reference: Dataset) -> dict[str, Figure]:
    outcome = run_toy(kind, parts, held_out, reference)
    failed = [one.reason for results in outcome.results.values() for one in results if one.status == "failed"]
    assert not failed, failed
    return dict(outcome.figures)


def value(figures: dict[str, Figure], name: str) -> float:
    found = figures[name].value
    assert found is not None, (name, figures[name].reason)
    return float(found)
