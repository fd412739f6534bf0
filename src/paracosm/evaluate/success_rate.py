"""Success rates of control and of events, by what the world knew: shares of clips and frames that obeyed.

SR-C asks whether the character did what was told, SR-E whether the event came about. Each instruction is a
fact that readers of pictures report before and after; nothing here is judged by eye. This file does NOT know
worlds or how facts are read.

Source: the two rates: GameGen-X 2411.00769, D.2, there by raters and a captioner on 50 and 60 samples; here
by truth, at clip and at frame level, with intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from paracosm.core.errors import ConfigError
from paracosm.core.figures import Figure, figure_of, not_computed
from paracosm.core.stats import estimate

Rate = Literal["control", "event"]
RATE_NAMES: Mapping[Rate, str] = {"control": "instruct.sr_c", "event": "instruct.sr_e"}


@dataclass(frozen=True, kw_only=True)
class Obeyed:
    """What came of one instruction.

    Attributes:
        rate: control for the character's actions, event for weather, light, doors and objects.
        wanted: what each new frame should show, e.g. a state or a direction; None where either is right, as
            before an event can have come about.
        shown: what a reader found in each new frame.
    """

    rate: Rate
    wanted: tuple[str | None, ...]
    shown: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse frames that do not pair, or of which none is asked."""
        if len(self.wanted) != len(self.shown) or all(one is None for one in self.wanted):
            raise ConfigError(
                f"{len(self.wanted)} wanted and {len(self.shown)} shown frames, of which "
                f"{sum(one is not None for one in self.wanted)} are asked; give both for every frame"
            )

    @property
    def frame_share(self) -> float:
        """Share of the asked frames that show what was wanted."""
        asked = [
            wanted == shown
            for wanted, shown in zip(self.wanted, self.shown, strict=True)
            if wanted is not None
        ]
        return sum(asked) / len(asked)

    @property
    def is_success(self) -> bool:
        """Whether the clip obeyed: an event by its last asked frame, a control in most of its frames."""
        if self.rate == "control":
            return self.frame_share > 0.5
        last = max(i for i, one in enumerate(self.wanted) if one is not None)
        return self.shown[last] == self.wanted[last]


def success_rates(clips: Sequence[Obeyed], seed: int = 0) -> dict[str, Figure]:
    """Figures of both rates at clip and at frame level; a rate that no clip asks about is left undefined.

    Intervals resample clips, at frame level too, since the frames of one clip are not independent.

    Args:
        clips: what came of each instruction.
        seed: of the bootstrap.

    Returns:
        instruct.sr_c.clip, instruct.sr_c.frame, instruct.sr_e.clip and instruct.sr_e.frame.
    """
    figures = {}
    for rate, name in RATE_NAMES.items():
        chosen = [clip for clip in clips if clip.rate == rate]
        levels = {
            "clip": [float(clip.is_success) for clip in chosen],
            "frame": [clip.frame_share for clip in chosen],
        }
        for level, values in levels.items():
            figures[f"{name}.{level}"] = _figure(values, seed)
    return figures


def margin(with_branch: Sequence[Obeyed], without: Sequence[Obeyed], seed: int = 0) -> dict[str, Figure]:
    """Paired differences of both rates at clip level: with InstructNet less without, on the same cases.

    Raises:
        ConfigError: when the cases are not the same.
    """
    if [(one.rate, one.wanted) for one in with_branch] != [(one.rate, one.wanted) for one in without]:
        raise ConfigError("the two lists hold other cases; run both worlds on the same ones, in one order")
    figures = {}
    for rate, name in RATE_NAMES.items():
        pairs = [(a, b) for a, b in zip(with_branch, without, strict=True) if a.rate == rate]
        gains = [float(a.is_success) - float(b.is_success) for a, b in pairs]
        figures[f"{name}.gain"] = _figure(gains, seed)
    return figures


def _figure(values: Sequence[float], seed: int) -> Figure:
    if not values:
        return not_computed("undefined", "no case asks for it", "share")
    return figure_of(estimate(values, seed), "share")
