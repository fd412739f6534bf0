"""Several worlds stepped under the same controls and shown side by side, as one World.

Made for the true game beside the dream of it. The first world leads: it begins by seed, and every other world
that can start from a picture starts from its first frame, so that all stand at the same moment. This file
does NOT know the server.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import WorldError
from paracosm.core.tuning import Dials, Tunable, Tuning
from paracosm.core.world import Frame, Snapshot, World, WorldInfo, check_snapshot, check_start


class Beside:
    """A World made of several; ``frame.image`` holds them left to right."""

    def __init__(self, worlds: Sequence[World]) -> None:
        """Join worlds that have one frame size.

        Raises:
            WorldError: for fewer than two worlds, or worlds of different heights or widths.
        """
        if len(worlds) < 2:
            raise WorldError(f"{len(worlds)} world cannot stand beside itself; give two or more")
        sizes = {f"{world.info.name} {world.info.height} x {world.info.width}" for world in worlds}
        if len({(world.info.height, world.info.width) for world in worlds}) > 1:
            raise WorldError(f"worlds side by side need one frame size; got {', '.join(sorted(sizes))}")
        self.worlds = tuple(worlds)
        infos = [world.info for world in worlds]
        self._info = WorldInfo(
            name=" | ".join(info.name for info in infos),
            fps=infos[0].fps,
            height=infos[0].height,
            width=sum(info.width for info in infos),
            controls=shared_controls([info.controls for info in infos]),
            engine=" | ".join(info.engine for info in infos),
            description="Side by side under the same controls: "
            + ", ".join(info.name for info in infos)
            + ".",
            details={f"pane_{number}": info.name for number, info in enumerate(infos, 1)},
        )

    @property
    def info(self) -> WorldInfo:
        """The joined world: widths added up, controls that all worlds share."""
        return self._info

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin all worlds at one moment.

        Args:
            seed: for every world.
            start: must be None.
            controls: must be empty.
            prompt: must be None.

        Raises:
            WorldError: when anything but a seed is given.
        """
        check_start(self._info, start, controls, prompt)
        lead = self.worlds[0].reset(seed)
        others = [
            world.reset(seed, lead.image if "image" in world.info.starts else None)
            for world in self.worlds[1:]
        ]
        return self._join([lead, *others])

    def step(self, control: Control) -> Frame:
        """Apply one control to all worlds."""
        return self._join([world.step(control) for world in self.worlds])

    def snapshot(self) -> Snapshot:
        """Return the complete state of all worlds."""
        parts = tuple(world.snapshot() for world in self.worlds)
        return Snapshot(
            world=self._info.name, frame=self._join([part.frame for part in parts]), payload=parts
        )

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back in all worlds."""
        check_snapshot(self._info, snapshot)
        return self._join([w.restore(part) for w, part in zip(self.worlds, snapshot.payload, strict=True)])

    def close(self) -> None:
        """Close all worlds."""
        for world in self.worlds:
            world.close()

    @property
    def dials(self) -> Dials:
        """Those of the one world that can be tuned; none where several could be, since each has its own."""
        tunable = self._tunable()
        return tunable[0].dials if len(tunable) == 1 else Dials()

    def tune(self, tuning: Tuning) -> None:
        """Change what the next step of the one world that can be tuned is made with."""
        tunable = self._tunable()
        if len(tunable) != 1:
            raise WorldError(f"{len(tunable)} of these worlds can be tuned; open the one alone to tune it")
        tunable[0].tune(tuning)

    def _tunable(self) -> list[Tunable]:
        return [world for world in self.worlds if isinstance(world, Tunable) and world.dials != Dials()]

    def _join(self, frames: Sequence[Frame]) -> Frame:
        truth = dict(frames[0].truth)
        if any(frame.truth.get("ended") for frame in frames):
            truth["ended"] = True
        return Frame(image=np.hstack([frame.image for frame in frames]), index=frames[0].index, truth=truth)


def shared_controls(spaces: Sequence[ControlSpace]) -> ControlSpace:
    """Return what all worlds offer: keys in the order of the first, the smallest turn limits."""
    first, rest = spaces[0], spaces[1:]
    keys = tuple(key for key in first.keys if all(key in space.keys for space in rest))
    yaw, pitch = (min(space.look_limit[axis] for space in spaces) for axis in (0, 1))
    return ControlSpace(
        keys=keys,
        bindings={code: key for code, key in first.bindings.items() if key in keys},
        look_limit=(yaw, pitch),
        num_latents=min(space.num_latents for space in spaces),
        text=all(space.text for space in spaces),
    )
