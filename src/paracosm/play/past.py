"""Keeping a world's past and going back to it: hashes, snapshots, and the way from one to a moment after it.

This file does NOT know players, states or clocks; ``timeline`` keeps what is found here.
"""

from __future__ import annotations

import threading

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

    def keep(self, world: World, frame: Frame) -> None:
        """Note the hash of the frame shown, compare it with a known one, take a snapshot if one is due."""
        value = hash_image(frame.image)
        self._comparison.add(self.timeline.index, self.timeline.note_hash(value), value)
        if self.timeline.wants_snapshot():
            self.timeline.keep_snapshot(world.snapshot())

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
        while timeline.index < index and not self._interrupted.is_set():
            frame = world.step(timeline.current.control(timeline.index))
            timeline.advance()
            self.keep(world, frame)
        return frame
