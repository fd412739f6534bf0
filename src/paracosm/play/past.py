"""Keeping a world's past and going back to it: hashes, snapshots, and the way from one to a moment after it.

This file does NOT know players, states or clocks; ``timeline`` keeps what is found here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from paracosm.core.controls import Control
from paracosm.core.errors import WorldError
from paracosm.core.tuning import Tunable, Tuning
from paracosm.core.world import Frame, World
from paracosm.play.replay import Comparison, Verdict
from paracosm.play.timeline import Branch, Timeline, TimelineConfig, hash_image


class Past:
    """The timeline of one world since its reset, and what brings the world back to any moment of it.

    Attributes:
        timeline: the branches and the moment at which the world stands.
    """

    def __init__(self, config: TimelineConfig) -> None:
        """Begin with nothing but the first frame to come."""
        self.timeline = Timeline(config)
        self._comparison = Comparison()
        self._interrupted = threading.Event()
        self._tuned: tuple[int, int, int] = (0, 0, 0)  # branch, frame, and how much of its tunings is done

    def keep(self, world: World, frame: Frame) -> None:
        """Note the hash of the frame shown, compare it with a known one, take a snapshot if one is due."""
        value = hash_image(frame.image)
        self._comparison.add(self.timeline.index, self.timeline.note_hash(value), value)
        if self.timeline.wants_snapshot():
            self.timeline.keep_snapshot(world.snapshot())

    def tune(self, world: World, tuning: Tuning, *, done: bool = False) -> None:
        """Change how the next step is made, and note it with that step.

        Args:
            world: whose past this is.
            tuning: the change.
            done: the world is so already; it is noted only.
        """
        self.prepare(world)
        if not done:
            _need_tunable(world).tune(tuning)
        timeline = self.timeline
        timeline.tune(tuning)
        self._tuned = (timeline.current.id, timeline.index, len(timeline.current.tunings_at(timeline.index)))

    def prepare(self, world: World) -> None:
        """Make the changes that belong to the step ahead and are not made yet; called before every step."""
        timeline = self.timeline
        tunings = timeline.current.tunings_at(timeline.index)
        here = (timeline.current.id, timeline.index)
        done = self._tuned[2] if self._tuned[:2] == here else 0
        for tuning in tunings[done:]:
            _need_tunable(world).tune(tuning)
        self._tuned = (*here, len(tunings))

    def load(self, controls: list[Control], hashes: list[str], tunings: Sequence[tuple[int, Tuning]]) -> None:
        """Take over a record for the world as it stands at its first frame; see :meth:`Timeline.load`."""
        self.timeline.load(controls, hashes, tunings)
        self._tuned = (0, 0, 0)

    def compare_anew(self) -> None:
        """Forget the comparisons made so far."""
        self._comparison = Comparison()

    def compare_first(self, value: str) -> None:
        """Compare the hash of the first frame, which was shown before its record was loaded."""
        self._comparison.add(0, self.timeline.first_hash, value)

    def verdict(self) -> Verdict:
        """Return how the frames kept since :meth:`compare_anew` compared with what was recorded."""
        return self._comparison.verdict()

    def interrupt(self) -> None:
        """Stop :meth:`travel` at the moment it has reached; may be called from any thread."""
        self._interrupted.set()

    def travel(self, world: World, branch: Branch, index: int, now: Frame | None) -> Frame:
        """Restore the nearest snapshot and step along what was recorded.

        Args:
            world: the world whose past this is.
            branch: where to go.
            index: frame on the way along it.
            now: the frame at which the world stands, None when it must be restored in any case.

        Returns:
            The frame of that moment, or of the one at which the journey was interrupted.
        """
        self._interrupted.clear()
        self.compare_anew()
        timeline = self.timeline
        at, snapshot = timeline.nearest_snapshot(branch, index)
        if now is not None and timeline.current is branch and at <= timeline.index <= index:
            frame = now  # nearer than any snapshot
        else:
            frame = world.restore(snapshot)
            timeline.current, timeline.index = branch, at
            self._tuned = (branch.id, at, 0)
        while timeline.index < index and not self._interrupted.is_set():
            self.prepare(world)
            frame = world.step(timeline.current.control(timeline.index))
            timeline.advance()
            self.keep(world, frame)
        return frame


def _need_tunable(world: World) -> Tunable:
    if not isinstance(world, Tunable):
        raise WorldError(f"{world.info.name} has nothing to tune; it was asked for by what is replayed")
    return world
