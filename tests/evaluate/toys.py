"""A toy game whose state can be read off its pictures, dreams of it that err, and a reader.

The game is a window of 48 x 64 pixels over a wrapped random texture; "up" and "down" move it by 3 rows, a
turn moves it by one column a degree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe
from paracosm.core.errors import WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.data.writer import EpisodeWriter, prepare_dataset
from paracosm.evaluate.bench import Bench, BenchConfig
from paracosm.evaluate.rollouts import Subject
from paracosm.evaluate.sources import RecordedCases
from paracosm.models.inverse_dynamics import Reading

HEIGHT, WIDTH, ROWS, COLUMNS, STRIDE = 48, 64, 144, 192, 3
SPACE = ControlSpace(keys=("up", "down"), bindings={"KeyW": "up", "KeyS": "down"}, look_limit=(6.0, 0.0))


def make_texture() -> np.ndarray:
    """Colourful smooth noise, each third of it of another tint, so that views differ."""
    generator = stream(0, "texture")
    coarse = generator.integers(0, 256, (ROWS // 4, COLUMNS // 4, 3)).astype(np.float32)
    fine = coarse.repeat(4, 0).repeat(4, 1)
    smooth = sum(np.roll(fine, (y, x), (0, 1)) for y in range(3) for x in range(3)) / 9
    tint = np.stack([np.linspace(0.4, 1, COLUMNS), np.linspace(1, 0.4, COLUMNS), np.full(COLUMNS, 0.7)], -1)
    return (smooth * tint).astype(np.uint8)


TEXTURE = make_texture()
WRAPPED = np.tile(TEXTURE, (2, 2, 1))


def view(y: int, x: int) -> np.ndarray:
    return WRAPPED[y % ROWS : y % ROWS + HEIGHT, x % COLUMNS : x % COLUMNS + WIDTH].copy()


def find(image: np.ndarray) -> tuple[int, int]:
    """Read the state off a picture."""
    for y in range(ROWS):
        hits = np.flatnonzero((TEXTURE[y] == image[0, 0]).all(-1))
        for x in hits.tolist():
            if np.array_equal(view(y, x), image):
                return y, x
    raise WorldError("the start is no picture of the toy game")


class ToyWorld:
    """The game itself, or a dream of it.

    Args:
        kind: "true" (a game, starts from a seed only), or a dream that starts from a clip: "oracle",
            "frozen", "noise", "blind" (to controls), "swapped" (controls negated), "late" (answers one step
            late), "grey" (fades), "leaky" (a restored state differs).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        starts = ("seed",) if kind == "true" else ("seed", "clip")
        name = "game:toy" if kind == "true" else f"model:{kind}"
        self.info = WorldInfo(
            name=name, fps=4.0, height=HEIGHT, width=WIDTH, controls=SPACE, starts=starts, engine="toy 1",
            details={"denoise_steps": 2, "tokens_per_frame": 12},
        )  # fmt: skip
        self.state: tuple[int, int, int] = (0, 0, 0)
        self.last, self.seed, self.leaks = Control(), 0, 0

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        check_start(self.info, start, controls, prompt)
        generator = stream(seed, "toy start")
        y, x = (
            (int(generator.integers(ROWS)), int(generator.integers(COLUMNS)))
            if start is None
            else find(start[-1])
        )
        self.state, self.last, self.seed = (y, x, 0), Control(), seed
        return self.draw()

    def step(self, control: Control) -> Frame:
        SPACE.check(control)
        acting = self.last if self.kind == "late" else control
        self.last = control
        sign = {"frozen": 0, "blind": 0, "swapped": -1}.get(self.kind, 1)
        y, x, index = self.state
        dy = STRIDE * (("down" in acting.keys) - ("up" in acting.keys)) * sign
        dx = round(acting.look[0]) * sign + (2 if self.kind == "blind" else 0)
        self.state = (y + dy, x + dx, index + 1)
        return self.draw()

    def draw(self) -> Frame:
        y, x, index = self.state
        image = view(y, x)
        if self.kind == "noise":
            image = stream(self.seed, "noise", index).integers(0, 256, image.shape).astype(np.uint8)
        if self.kind == "grey":
            image = (image + (image.mean() - image) * min(1.0, index / 100)).astype(np.uint8)
        if self.kind == "leaky":
            image[0, 0] = self.leaks
        return Frame(
            image=image, index=index, truth={"pose": {"x": x, "y": y}} if self.kind == "true" else {}
        )

    def snapshot(self) -> Snapshot:
        return Snapshot(world=self.info.name, frame=self.draw(), payload=(self.state, self.last, self.seed))

    def restore(self, snapshot: Snapshot) -> Frame:
        check_snapshot(self.info, snapshot)
        self.state, self.last, self.seed = snapshot.payload
        self.leaks += 1
        return self.draw()

    def close(self) -> None:
        pass


def open_toy(name: str, config: Any = None) -> ToyWorld:
    return ToyWorld("true" if name == "game:toy" else name.partition(":")[2])


class ToyEncoder:
    """The frames themselves as features."""

    def encode(self, frames: np.ndarray) -> np.ndarray:
        return frames.reshape(len(frames), -1).astype(np.float32)

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        return frames


class ToyReader:
    """Reads the toy's controls by trying every motion they can cause."""

    keys = SPACE.keys
    look = ("yaw",)

    @property
    def config(self) -> ToyReader:
        return self

    def read(self, frames: np.ndarray) -> Reading:
        grey = frames[1:-1, ..., 1].astype(np.int16)
        inner = grey[:-1, STRIDE:-STRIDE, 6:-6]
        moves = [(dy, dx) for dy in (0, STRIDE, -STRIDE) for dx in sorted(range(-6, 7), key=abs)]
        errors = [
            np.abs(grey[1:, STRIDE - dy : HEIGHT - STRIDE - dy, 6 - dx : WIDTH - 6 - dx] - inner).mean((1, 2))
            for dy, dx in moves
        ]
        best = np.array(moves)[np.argmin(errors, axis=0)]
        keys = np.stack([best[:, 0] < 0, best[:, 0] > 0], axis=1)
        return Reading(keys=keys.astype(np.float32), look=best[:, 1:].astype(np.float32))


def play_toy(steps: int, seed: int) -> list[Control]:
    """Hold a key and a turn for a few steps, then others."""
    generator = stream(seed, "toy player")
    controls: list[Control] = []
    while len(controls) < steps:
        keys = [(), ("up",), ("down",)][generator.integers(3)]
        yaw = float(generator.integers(-6, 7))
        controls += [Control(keys, (yaw, 0.0))] * int(generator.integers(2, 7))
    return controls[:steps]


def record_toy(path: Path, seeds: Sequence[int], steps: int, split: Any, level: int | None = None) -> Dataset:
    world = ToyWorld("true")
    prepare_dataset(path, world.info)
    for seed in seeds:
        recipe = Recipe(
            world="game:toy",
            engine="toy 1",
            seed=seed,
            level_seed=seed if level is None else level,
            policy="toy",
            split=split,
        )
        with EpisodeWriter(path, f"episode-{seed:06d}", world.info, recipe) as writer:
            writer.begin(world.reset(seed))
            for control in play_toy(steps, seed):
                writer.step(control, world.step(control))
    return Dataset(path)


def toy_config(kind: str, episodes: Sequence[EpisodeRef], **changes: Any) -> BenchConfig:
    """Set up a bench for a toy world; put the judges in with :func:`use_toy_judges`."""
    name = "game:toy" if kind == "true" else f"model:{kind}"
    fps = changes.pop("fps", 4.0)
    return BenchConfig(
        subject=Subject(name=name, opener=open_toy),
        game=Subject(name="game:toy", opener=open_toy),
        info=dataclasses.replace(ToyWorld(kind).info, fps=fps),
        source=RecordedCases(main=tuple(episodes)),
        **changes,
    )


def use_toy_judges(patch: pytest.MonkeyPatch) -> None:
    """Let every bench read controls with the toy's reader and features with the toy's encoder."""
    patch.setattr(Bench, "reader", property(lambda _: ToyReader()))
    patch.setattr(Bench, "encoder", property(lambda _: ToyEncoder()))
