"""A world of shapes whose picture tells the control that led to it, and flashes; with perfect readers of it.

Its readers take the place of trained ones, so that a test of a benchmark tests the benchmark alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from paracosm.collect.record import RecordConfig, record
from paracosm.core.controls import Control
from paracosm.core.rng import stream
from paracosm.core.world import Frame, World
from paracosm.data.reader import EpisodeRef
from paracosm.evaluate.facts import Fact
from paracosm.models.inverse_dynamics import Reading
from tests.shapes_world import KEYS, ShapesWorld, light_of, make_player, red_of

CODE, FLASH = (0, 0), (0, 1)
"""Pixels, row and column, that tell the keys and a flash."""


class CodedWorld(ShapesWorld):
    def step(self, control: Control) -> Frame:
        frame = super().step(control)
        assert self._state is not None
        flash = bool(stream(self._state.seed, "flash", frame.index).random() < 0.15)
        image = stamp(frame.image, control.keys, flash)
        return replace(frame, image=image, truth={**frame.truth, "events": ("flash",) if flash else ()})


def stamp(image: np.ndarray, keys: frozenset[str], flash: bool = False) -> np.ndarray:
    made = image.copy()
    made[CODE] = sum(1 << number for number, key in enumerate(KEYS) if key in keys)
    made[FLASH] = 255 * flash
    return made


def record_coded(folder: Path, num_episodes: int, seed: int, max_steps: int = 60) -> tuple[EpisodeRef, ...]:
    def open_coded(name: str, config: Any = None) -> World:
        return CodedWorld()

    config = RecordConfig(
        world="game:shapes",
        out=folder,
        num_episodes=num_episodes,
        max_steps=max_steps,
        policy="sticky",
        workers=1,
        seed=seed,
    )
    return record(config, open_coded, make_player).episodes


class CodeReader:
    """Reads keys off the code; with ``blind`` it reads none."""

    def __init__(self, blind: bool = False) -> None:
        self.config = SimpleNamespace(keys=KEYS, look=())
        self._blind = blind

    def read(self, frames: np.ndarray) -> Reading:
        codes = frames[2:-1, *CODE, 0].astype(int)  # the control of row i led to frame i + 1
        keys = (codes[:, None] >> np.arange(len(KEYS))) & 1
        return Reading(keys=keys.astype(np.float32) * (not self._blind), look=np.zeros((len(codes), 0)))


class ShapeFacts:
    """Reads room, light and flashes; values in ``undefined`` are read too badly to judge."""

    facts: Mapping[str, Fact] = {
        "light": Fact(name="light", values=("day", "night"), kind="state"),
        "room": Fact(name="room", values=("blue", "red"), kind="state"),
        "event_flash": Fact(name="event_flash", values=("no", "yes"), kind="event", rest="no"),
    }

    def __init__(self, undefined: Mapping[str, str] | None = None) -> None:
        self._undefined = undefined or {}

    def read(self, frames: np.ndarray) -> dict[str, Sequence[str]]:
        rows = frames[1:-2]
        return {
            "light": ["day" if one else "night" for one in light_of(rows)],
            "room": ["red" if one else "blue" for one in red_of(rows)],
            "event_flash": ["yes" if one else "no" for one in rows[:, *FLASH, 0] > 128],
        }

    def why_undefined(self, fact: str, value: str) -> str:
        return self._undefined.get(fact, "") if fact in self.facts else f'tell no fact "{fact}"'
