"""Watches an episode go by and says whether its turns and pictures lie on one clock.

The same measure as the stage ``alignment``, but frame by frame, so that an import can refuse an episode
before it is written, and for recordings that were never curated. This file does NOT shift anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.data.reader import Dataset, EpisodeRef

from .alignment import AlignmentConfig, best_lag
from .footage import small_size
from .motion_field import flow_between


@dataclass(frozen=True, kw_only=True)
class ClockConfig:
    """When pictures count as off."""

    align: AlignmentConfig = field(default_factory=AlignmentConfig)
    """How lags are sought."""
    small_width: int = 160
    """Columns of the picture whose motion is measured."""
    least: float = 0.5
    """Least correlation that speaks for a lag."""
    least_gain: float = 0.1
    """How much better than no lag it must be, for the turns or for their changes."""
    off: Literal["refuse", "note"] = "refuse"
    """What becomes of an episode that is off: it is refused, or only noted."""


class EpisodeClock:
    """Compares the turns of one episode with the motion of its pictures."""

    def __init__(self, config: ClockConfig = ClockConfig()) -> None:
        """Begin before the first frame."""
        self._config = config
        self._before: np.ndarray | None = None
        self._motion: list[float] = []

    def look(self, image: np.ndarray) -> None:
        """Take the next frame, uint8 (h, w, 3) RGB."""
        cv2 = need("cv2", "curate")
        rows, columns = small_size(image.shape[0], image.shape[1], self._config.small_width)
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        if grey.shape != (rows, columns):
            grey = cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA)
        if self._before is not None:
            # A turn to the right moves the picture to the left.
            self._motion.append(-flow_between(self._before, grey).x)
        self._before = grey

    def judge(self, turns: np.ndarray, name: str) -> dict[str, Any]:
        """Say how turns and motion agree.

        Args:
            turns: (t - 1,) degrees to the right between the frames that were looked at.
            name: the episode, for messages.

        Returns:
            "align", "align_lag", "align_at_0", "align_turns" as far as they are known.

        Raises:
            DataError: when they are off by frames or mirrored, and the config says refuse.
        """
        turned, moved = np.asarray(turns, np.float64), np.array(self._motion)
        found = best_lag(turned, moved, self._config.align)
        # smooth turns agree almost as well a frame late; their changes do not
        changes = best_lag(np.diff(turned), np.diff(moved), self._config.align)
        problem = self._find_fault(found, changes)
        if problem and self._config.off == "refuse":
            raise DataError(f"{name}: {problem}")
        return found

    def _find_fault(self, found: dict[str, Any], changes: dict[str, Any]) -> str:
        """Say in words what is wrong; "" when nothing is, or when it cannot be told."""
        if found.get("align_lag") is None:
            return ""
        at_0 = found["align_at_0"] if found["align_at_0"] is not None else 0.0
        lag, best = found["align_lag"], found["align"]
        gain = best - at_0
        if changes.get("align_lag") == lag:
            gain = max(gain, changes["align"] - (changes["align_at_0"] or 0.0))
        if best >= self._config.least and lag and gain >= self._config.least_gain:
            side = "after" if lag > 0 else "before"
            return (
                f"its pictures turn {abs(lag)} frame(s) {side} its controls (correlation {best:.2f}, "
                f"without a shift {at_0:.2f}); import again with --shift-controls {lag} more than now, or "
                "--off-clock note to keep it"
            )
        if best < self._config.least and at_0 <= -self._config.least:
            return (
                f"its pictures turn against its controls (correlation {at_0:.2f}); the log's turns have the "
                "other sign, or pass --off-clock note to keep it"
            )
        return ""


@dataclass(frozen=True, kw_only=True)
class AlignmentReport:
    """What the clocks of a recording's episodes said.

    Attributes:
        episodes: name of each episode looked at to its figures; {} where too little turns.
    """

    episodes: dict[str, dict[str, Any]]

    @property
    def told(self) -> list[dict[str, Any]]:
        """Figures of the episodes that could be told."""
        return [found for found in self.episodes.values() if found.get("align_lag") is not None]

    @property
    def lag(self) -> int | None:
        """The lag of most episodes; None when none could be told."""
        lags = Counter(found["align_lag"] for found in self.told)
        return lags.most_common(1)[0][0] if lags else None

    @property
    def correlation(self) -> float | None:
        """Median correlation of turn and motion without a lag; None when none could be told."""
        known = [found["align_at_0"] for found in self.told if found["align_at_0"] is not None]
        return float(np.median(known)) if known else None

    def show(self) -> str:
        """Write it as one line for people."""
        if not self.told:
            return f"not told ({len(self.episodes)} episodes looked at, too little turns in them)"
        best = float(np.median([found["align"] for found in self.told]))
        at_0 = "not told" if self.correlation is None else f"{self.correlation:.2f}"
        same = sum(found["align_lag"] == self.lag for found in self.told)
        return (
            f"best lag {self.lag} in {same} of {len(self.told)} episodes with turns; correlation of turn and "
            f"motion {best:.2f} there, {at_0} without a lag (medians)"
        )


def report_alignment(
    dataset: Path | str, config: ClockConfig = ClockConfig(off="note"), most: int = 8, frames: int = 400
) -> AlignmentReport:
    """Measure the alignment of a recording on some of its episodes.

    Args:
        dataset: the recording's folder.
        config: how.
        most: episodes looked at, evenly spread.
        frames: frames looked at in each, from its start.

    Raises:
        DataError: when an episode is not whole, or off while the config refuses that.
    """
    episodes = [episode for episode in Dataset(dataset).episodes if episode.has_controls]
    places = np.unique(np.linspace(0, len(episodes) - 1, min(most, len(episodes))).round().astype(int))
    chosen: Sequence[EpisodeRef] = [episodes[place] for place in places] if episodes else []
    return AlignmentReport(
        episodes={episode.name: align_episode(episode, config, frames) for episode in chosen}
    )


def align_episode(episode: EpisodeRef, config: ClockConfig, frames: int) -> dict[str, Any]:
    """Measure the alignment of the first frames of one episode.

    Raises:
        DataError: when it is not whole, or off while the config refuses that.
    """
    clock = EpisodeClock(config)
    stop = min(frames, episode.num_frames)
    turns = episode.control_vectors[: stop - 1, -2]
    if np.count_nonzero(turns) < config.align.least_turns:
        return {}
    for image in episode.read_frames(0, stop):
        clock.look(image)
    return clock.judge(turns, episode.name)
