"""A toy game with a door and a jump, and dreams of it whose interactions err in known ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.rng import stream
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start
from paracosm.evaluate.interaction_cases import Kind

HEIGHT, WIDTH, OPENING = 48, 64, 4
HOP = (0, 3, 5, 6, 6, 5, 3)
SPACE = ControlSpace(keys=("use", "hop"), bindings={"KeyE": "use", "Space": "hop"})
NAME = "game:chamber"
CONFIG = {"monsters": 0}
KINDS = (
    Kind(name="door", group="actor", keys=frozenset({"use"}), hold_steps=2, event="door_opened",
         begin="before_event"),
    Kind(name="jump", group="actor", keys=frozenset({"hop"}), hold_steps=2, rise=4.0),
    Kind(name="hit", group="actor", keys=frozenset({"use"}), hold_steps=2, event="hit", needs="monsters"),
)  # fmt: skip


def wall(seed: int) -> np.ndarray:
    coarse = stream(seed, "wall").integers(30, 130, (HEIGHT // 6, WIDTH // 4, 3))
    return coarse.repeat(6, 0).repeat(4, 1).astype(np.uint8)


def with_door(picture: np.ndarray, share: float) -> np.ndarray:
    out = picture.copy()
    out[8 : 8 + round(32 * share), 20:44] = (40, 220, 60)
    return out


class Chamber:
    """The game ("true"), or a dream that starts from a clip.

    Args:
        kind: "true", "oracle", "frozen" (nothing ever happens), "swapped" (keys mixed up), "late" (two
            steps), "unasked" (the door opens by itself), "fades" (the open door vanishes), "wild" (each step
            another tint, by noise and keys).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        starts = ("seed",) if kind == "true" else ("seed", "clip")
        self.info = WorldInfo(
            name=NAME if kind == "true" else f"model:{kind}", fps=16.0, height=HEIGHT, width=WIDTH,
            controls=SPACE, starts=starts, engine="chamber 1",
        )  # fmt: skip
        self.base = wall(0)
        self.state: tuple[int, int, int] = (0, 0, 0)
        self.keys: list[frozenset[str]] = []
        self.seed = 0

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        check_start(self.info, start, controls, prompt)
        self.base = wall(seed) if start is None else start[-1]
        self.state, self.keys, self.seed = (0, 0, 0), [], seed
        return self.draw(())

    def step(self, control: Control) -> Frame:
        SPACE.check(control)
        keys = control.keys
        if self.kind == "swapped":
            keys = frozenset({"use": "hop", "hop": "use"}[key] for key in keys)
        self.keys.append(keys)
        if self.kind == "late":
            keys = self.keys[-3] if len(self.keys) > 2 else frozenset()
        opened, hop, index = self.state
        events = ()
        if opened or "use" in keys or self.kind == "unasked":
            events = ("door_opened",) if not opened else ()
            opened = min(OPENING, opened + 1)
        if self.kind == "fades" and index > 9:
            opened = 0
        hop = (hop + 1) % len(HOP) if hop or "hop" in keys else 0
        self.state = (opened, hop, index + 1)
        return self.draw(events)

    def draw(self, events: tuple[str, ...]) -> Frame:
        opened, hop, index = self.state
        image = self.base
        if self.kind == "wild":
            held = sum(len(keys) for keys in self.keys)
            tint = stream(self.seed, "wild", index, held).normal(0, 50, 3)
            image = np.clip(image + tint, 0, 255).astype(np.uint8)
        elif self.kind != "frozen":
            image = np.roll(with_door(image, opened / OPENING) if opened else image, HOP[hop], axis=0)
        truth: dict[str, Any] = {}
        if self.kind == "true":
            truth = {"events": events, "pose": {"x": 0.0, "y": 0.0, "z": float(HOP[hop])}}
        return Frame(image=image, index=index, truth=truth)

    def snapshot(self) -> Snapshot:
        return Snapshot(world=self.info.name, frame=self.draw(()), payload=(self.base, self.state, self.keys))

    def restore(self, snapshot: Snapshot) -> Frame:
        check_snapshot(self.info, snapshot)
        self.base, self.state, self.keys = snapshot.payload
        return self.draw(())

    def close(self) -> None:
        pass


def open_chamber(name: str, config: Any = None) -> Chamber:
    return Chamber("true" if name == NAME else name.partition(":")[2])
