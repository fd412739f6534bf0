"""Marks for one interaction: InterBench's six dimensions, 0-1-3-5, read off the effect of a key.

The trigger is 0 or 1; without it all other marks are 0. What each mark means, its thresholds and what can
fool it stand in docs/interaction.md. This file does NOT play worlds.

Source: the dimensions, the scale and the overall mean are those of arXiv 2511.23429, Appendix D; the formulas
are this project's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .interaction_effect import (
    CELL_GREY_LEVELS,
    Effect,
    Quartet,
    measure_effect,
    placebo_gain,
    strength,
    to_cells,
    widen,
)
from .quality import sharpness

DIMENSIONS = ("alignment", "fluency", "scope", "end_state", "physics")
"""The five that the trigger gates, in InterBench's order."""
TRIGGER_GAIN = 0.25
"""Share of the true effect that must be reached."""
TRIGGER_AGREEMENT = 0.4
"""Cosine over the whole picture that must be reached: changing everywhere is not opening a door."""
WRONG_REACTION = 0.25
"""Size of a reaction, over the true effect's, from which a key does something, if not the right thing."""
AGREEMENT = (0.8, 0.6)
"""Cosines from which the effect is the right one (5) and the right one with deviations (3)."""
ON_TIME = (1, 4)
"""Steps of delay up to which it comes in time (5) and late (3)."""
OVERLAP = (0.8, 0.5)
"""F1 of changed cells from which the extent is right (5) and about right (3)."""
STAYS = (0.5, 0.25)
"""Gain that a lasting effect keeps to the end for 5 and 3."""
GOES = (0.25, 0.5)
"""What is left at the end of a passing effect, over its peak, for 5 and 3."""
LAST_STEPS = 4
"""Steps that are the end."""
JUMP_RATIO, JUMP_FLOOR = 1.5, 4.0
"""Largest change in one step allowed, over the true game's own, and grey levels on top."""
SHARPNESS_SHARES = (0.5, 2.0)
"""Sharpness of the acted dream over that of the true one within which things keep their shape."""
SPILL_SHARE, SPILL_FLOOR = 0.25, 6.0
"""Change outside the region allowed, over that of the true effect inside, or in grey levels."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Marks of one clip.

    Attributes:
        trigger: 1 when the key has the true effect, else 0.
        alignment: the right thing happens, in time: 0, 1, 3 or 5.
        fluency: it does not flicker.
        scope: it changes what it should change and no more.
        end_state: it lasts, or passes, as it truly does.
        physics: nothing jumps, melts or changes elsewhere.
        gain: largest gain over a window, share of the true effect.
        placebo: the gain that noise alone reaches.
        lag: steps that the dream is late.
        unasked: where the idle dream stands, 0 truly idle to 1 truly acted.
        reaction: size of the dream's effect over the true one's, whatever it shows.
    """

    trigger: int
    alignment: int = 0
    fluency: int = 0
    scope: int = 0
    end_state: int = 0
    physics: int = 0
    gain: float = 0.0
    placebo: float = 0.0
    lag: int = 0
    unasked: float = 0.0
    reaction: float = 0.0

    @property
    def overall(self) -> float:
        """(5 trigger + the five marks) / 6, in 0 to 5."""
        return (5 * self.trigger + sum(getattr(self, name) for name in DIMENSIONS)) / 6

    @property
    def wrong(self) -> bool:
        """Whether the key has an effect of WRONG_REACTION of the true one's size that is not the true one."""
        return not self.trigger and self.reaction >= WRONG_REACTION

    def to_json(self) -> dict[str, float | int]:
        """All numbers, with the overall mark."""
        return asdict(self) | {"overall": self.overall, "wrong": int(self.wrong)}


def mark(clips: Quartet, latest: int, other_idle: Sequence[np.ndarray] = ()) -> Marks:
    """Mark a dream's interaction by engine truth.

    Args:
        clips: the true game and the dream, with the key and without.
        latest: largest delay that still counts, in steps.
        other_idle: idle dreams of the same start under other noise seeds, for the placebo.

    Raises:
        DataError: when the true game shows no effect.
    """
    effect = measure_effect(clips, latest)
    gain, window = effect.best_window()
    placebo = placebo_gain(effect, clips.idle, other_idle)
    facts = {
        "gain": gain,
        "placebo": placebo,
        "lag": effect.lag,
        "unasked": effect.unasked(),
        "reaction": _reaction(effect),
    }
    if gain < TRIGGER_GAIN or gain <= placebo or effect.agreement(window, "picture") < TRIGGER_AGREEMENT:
        return Marks(trigger=0, **facts)
    shown = _shown(effect, gain)
    return Marks(
        trigger=1,
        alignment=min(
            _at_least(effect.agreement(window, "region"), AGREEMENT), _at_most(effect.lag, ON_TIME)
        ),
        fluency=_at_most(_returns(shown, effect.active), (0, 1)),
        scope=_at_least(_overlap(effect, gain, shown), OVERLAP),
        end_state=_mark_end(effect),
        physics=_mark_physics(clips, effect),
        **facts,
    )


def _at_least(value: float, bounds: tuple[float, float]) -> int:
    return 5 if value >= bounds[0] else 3 if value >= bounds[1] else 1


def _at_most(value: float, bounds: tuple[float, float]) -> int:
    return 5 if value <= bounds[0] else 3 if value <= bounds[1] else 1


def _reaction(effect: Effect) -> float:
    """Root of the energy of the dream's effect over that of the true one, whole picture."""
    steps = slice(int(np.flatnonzero(effect.active)[0]), None)
    own, true = (float((part[steps] ** 2).sum(dtype=np.float64)) for part in (effect.own, effect.true))
    return float(np.sqrt(own / true))


def _shown(effect: Effect, gain: float) -> np.ndarray:
    """Steps at which the dream shows its effect: on from half of its best gain, off from a quarter: (t,)."""
    shown = np.zeros(len(effect.active), bool)
    on = False
    for step, value in enumerate(effect.gains()):
        if np.isfinite(value):
            on = value > gain / 4 if on else value >= gain / 2
        shown[step] = on and np.isfinite(value)
    return shown


def _returns(shown: np.ndarray, active: np.ndarray) -> int:
    """How often the effect comes back after it was gone while the true one still showed."""
    states = shown[active].astype(np.int8)
    return max(0, int((np.diff(states, prepend=0) == 1).sum()) - 1)


def _overlap(effect: Effect, gain: float, shown: np.ndarray) -> float:
    """F1 of the cells that change, with one cell of slack, at the steps that show the effect."""
    # A faint effect is judged by its extent all the same: the bound shrinks with its gain.
    own = strength(effect.own[shown]) > CELL_GREY_LEVELS * float(np.clip(gain, TRIGGER_GAIN, 1.0))
    true = effect.region[shown]
    precision = (own & widen(true)).sum() / max(1, own.sum())
    recall = (true & widen(own)).sum() / max(1, true.sum())
    return float(2 * precision * recall / (precision + recall)) if precision + recall > 0 else 0.0


def _mark_end(effect: Effect) -> int:
    """A lasting effect must be there at the end, a passing one must be gone."""
    last = slice(-LAST_STEPS, None)
    gains = effect.gains()[last]
    lasting = np.isfinite(gains)
    if lasting.any():
        values = gains[lasting]
        return 5 if values.min() >= STAYS[0] else 3 if values.mean() >= STAYS[1] else 1
    peak = np.sqrt((effect.true**2).mean(axis=(1, 2, 3))).max()
    left = np.sqrt((effect.own[last] ** 2).mean(axis=(1, 2, 3))).mean()
    return _at_most(float(left / peak), GOES)


def _mark_physics(clips: Quartet, effect: Effect) -> int:
    """5 without a broken rule, 3 with one, 1 with more: no jumps, things keep their shape, the rest stays."""
    steps = [np.sqrt((np.diff(to_cells(part), axis=0) ** 2).mean(axis=(1, 2, 3))) for part in
             (clips.acted, clips.true_acted)]  # fmt: skip
    jumps = steps[0].max() > JUMP_RATIO * steps[1].max() + JUMP_FLOOR
    active = effect.active
    share = sharpness(clips.acted[active]).mean() / max(1e-6, sharpness(clips.true_acted[active]).mean())
    melts = not SHARPNESS_SHARES[0] <= share <= SHARPNESS_SHARES[1]
    inside = effect.region[active]
    outside = ~widen(inside)
    size = np.sqrt((effect.true[active][inside] ** 2).mean())
    spilt = np.sqrt((effect.own[active][outside] ** 2).mean()) if outside.any() else 0.0
    spills = spilt > max(SPILL_SHARE * size, SPILL_FLOOR)
    broken = int(jumps) + int(melts) + int(spills)
    return 5 if broken == 0 else 3 if broken == 1 else 1
