"""Which parts each suite has, and how much of each: one visible table.

Sizes are for two cores. A step of the bundled worlds costs 38 ms (Doom) to 55 ms (CoinRun) of one core, so
that "core" plays 12,600 long steps, 5,200 short ones, 1,500 of opposite controls and 9,600 of answers to
each control in about ten minutes on both, and times the engine alone for one more; all but the long ones are
half as many again where a set has unseen levels. The rest of its twenty minutes is for the true game, reading
and reports. This file does NOT run anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from paracosm.core.errors import ConfigError

from .long_runs import LONG_SECONDS
from .part import Part
from .parts.camera import Camera
from .parts.control import Control, LateControl
from .parts.distances import Distances
from .parts.drift import Drift
from .parts.fidelity import Fidelity
from .parts.gameworld import GameWorld
from .parts.interaction import Interaction
from .parts.judged import JudgedInteraction
from .parts.long import Long
from .parts.machine import Determinism, Play, Speed
from .parts.memory import Memory
from .parts.opposites import Opposites
from .parts.phenomena import Phenomena
from .parts.responses import Responses
from .parts.short import Short
from .parts.stability import Stability
from .parts.structure import Structure
from .parts.tokenizer import Tokenizer
from .speed import HALF_SPAN, LATE_STEP, SPEED_STEPS, WARM_UP_STEPS

SuiteName = Literal[
    "first", "core", "control", "stability", "memory", "interaction", "gameworld", "speed", "full"
]
"""Names of the suites."""
SizeName = Literal["full", "quick"]
"""How much is measured: full is the real thing, quick is for a look and for tests."""
LATE_STEPS = LATE_STEP + HALF_SPAN
"""Steps that the cost of a late frame needs."""


def first(size: SizeName) -> list[Part]:
    """What a bundled world must show before it ships; its targets stand in ``targets.py``."""
    if size == "quick":
        return [
            *_short(cases=8, steps=18, opposites=6, horizons=FIRST_HORIZONS),
            *_long(runs=2, steps=160),
            *_machine(speed_steps=120, play_seconds=2.0, traces=1),
        ]
    return [
        *_short(cases=64, steps=34, opposites=16, horizons=FIRST_HORIZONS),
        *_long(runs=6, steps=0),
        *_machine(speed_steps=LATE_STEPS, play_seconds=15.0, traces=2),
    ]


def core(size: SizeName) -> list[Part]:
    """Fidelity to 16 steps, control, two minutes of stability, speed: twenty minutes on two cores."""
    if size == "quick":
        return first("quick")
    return [
        *_short(cases=64, steps=18, opposites=16, horizons=CORE_HORIZONS),
        Structure(num_cases=64, steps=18, horizons=CORE_HORIZONS),
        Responses(num_cases=8),
        Camera(num_cases=16),
        *_long(runs=6, steps=0),
        Drift(num_runs=6),
        *_machine(speed_steps=WARM_UP_STEPS + SPEED_STEPS, play_seconds=10.0, traces=1),
    ]


def control(size: SizeName) -> list[Part]:
    """Whether the world does what it is told, at once and after minutes."""
    few = size == "quick"
    parts = _short(
        cases=8 if few else 64, steps=18, opposites=6 if few else 32, horizons=CORE_HORIZONS
    ) + _long(runs=2 if few else 6, steps=160 if few else 0)
    kept = [part for part in parts if part.name not in ("tokenizer", "stability")]
    return [*kept, Responses(num_cases=2 if few else 32), Camera(num_cases=2 if few else 32)]


def stability(size: SizeName) -> list[Part]:
    """What minutes of free play drift into."""
    runs, steps = (2, 160) if size == "quick" else (8, 0)
    return [*_long(runs=runs, steps=steps), Drift(num_runs=runs)]


def memory(size: SizeName) -> list[Part]:
    """What is still there when the player comes back."""
    return [Memory(num_cases=2 if size == "quick" else 16)]


def interaction(size: SizeName) -> list[Part]:
    """What happens when the player acts on the world, judged by the engine."""
    if size == "quick":
        return [
            Interaction(num_cases=1, num_seeds=2),
            Phenomena(num_cases=1),
            JudgedInteraction(num_calibration=1),
        ]
    return [Interaction(), Phenomena(), JudgedInteraction()]


def gameworld(size: SizeName) -> list[Part]:
    """The eight dimensions of the GameWorld score, each with its offline substitute."""
    cases, walks = (8, 1) if size == "quick" else (64, 4)
    return [Short(num_cases=cases, steps=18), GameWorld(num_cases=cases, steps=18, num_walks=walks)]


def speed(size: SizeName) -> list[Part]:
    """What the world costs, early and late, and what a player sees of it."""
    if size == "quick":
        return _machine(speed_steps=120, play_seconds=2.0, traces=1)
    return _machine(speed_steps=LATE_STEPS, play_seconds=15.0, traces=2)


def full(size: SizeName) -> list[Part]:
    """Everything, overnight; it may be stopped at any moment and goes on."""
    few = size == "quick"
    own = (
        first("quick")
        if few
        else [
            *_short(cases=128, steps=66, opposites=32, horizons=ALL_HORIZONS),
            Structure(num_cases=128, steps=66, horizons=ALL_HORIZONS),
            Responses(num_cases=32),
            Camera(num_cases=32),
            Distances(),
            GameWorld(num_cases=128, steps=66),
            *_long(runs=8, steps=FIVE_MINUTES, seconds=300),
            Drift(num_runs=8),
            *speed("full"),
        ]
    )
    known = {part.name for part in own}
    for suite in (memory, interaction, gameworld):
        own += [part for part in suite(size) if part.name not in known]
        known = {part.name for part in own}
    return own


FIVE_MINUTES = 5250
"""Steps of a long run of "full": five minutes of Doom, nearly six of CoinRun."""
CORE_HORIZONS = (1, 4, 8, 16)
"""Horizons of "core"."""
FIRST_HORIZONS = (*CORE_HORIZONS, 32)
"""Horizons of "first"."""
ALL_HORIZONS = (*FIRST_HORIZONS, 64)
"""Horizons of "full"."""

SUITES: Mapping[SuiteName, Callable[[SizeName], list[Part]]] = {
    "first": first,
    "core": core,
    "control": control,
    "stability": stability,
    "memory": memory,
    "interaction": interaction,
    "gameworld": gameworld,
    "speed": speed,
    "full": full,
}
"""Suites by name."""


def parts_of(suite: SuiteName, size: SizeName, only: Sequence[str] = ()) -> list[Part]:
    """List the parts of a suite.

    Args:
        suite: its name.
        size: how much of each.
        only: names of parts; those that they need come too. None named takes all.

    Raises:
        ConfigError: for a suite or part that there is not.
    """
    if suite not in SUITES:
        raise ConfigError(f'there is no suite "{suite}"; choose from {", ".join(get_args(SuiteName))}')
    parts = SUITES[suite](size)
    by_name = {part.name: part for part in parts}
    unknown = sorted(set(only) - set(by_name))
    if unknown:
        raise ConfigError(f"parts {unknown} are unknown; choose from {', '.join(by_name)}")
    wanted, fresh = set(only), set(only)
    while fresh:
        fresh = {need for name in fresh for need in by_name[name].needs} - wanted
        wanted |= fresh
    return [part for part in parts if not only or part.name in wanted]


def _short(*, cases: int, steps: int, opposites: int, horizons: tuple[int, ...]) -> list[Part]:
    return [
        Tokenizer(num_cases=cases, steps=steps),
        Short(num_cases=cases, steps=steps),
        Fidelity(num_cases=cases, steps=steps, horizons=horizons),
        Control(num_cases=cases, steps=steps),
        Opposites(num_cases=opposites),
    ]


def _long(*, runs: int, steps: int, seconds: int = LONG_SECONDS) -> list[Part]:
    return [
        Long(num_runs=runs, steps=steps),
        Stability(num_runs=runs, seconds=seconds),
        LateControl(num_runs=runs, steps=steps, moments=tuple(sorted({60, LONG_SECONDS, seconds}))),
    ]


def _machine(*, speed_steps: int, play_seconds: float, traces: int) -> list[Part]:
    return [Speed(steps=speed_steps), Play(seconds=play_seconds), Determinism(num_traces=traces)]
