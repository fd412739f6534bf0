"""What every world made by networks shares: beginning and end, guards, snapshots, and its description.

A world adds three things: how it begins, how the next picture is made, and how its settings change. Its whole
state is a :class:`Moment`, a value, so a snapshot is a handful of references. This file does NOT know any
network, backend or browser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.figures import count_cores
from paracosm.core.instruct_spec import InstructPlay
from paracosm.core.tuning import CacheAction, Dials, Tuning
from paracosm.core.video_spec import VideoPlay
from paracosm.core.world import (
    Frame,
    Snapshot,
    Start,
    WorldInfo,
    check_begun,
    check_open,
    check_snapshot,
    check_start,
)
from paracosm.core.world_spec import PlayDefaults
from paracosm.models.rollout import check_levels

from .backends.threads import Threads

PASSES = (1, 2, 3, 4, 8)
"""Passes on offer beside a world's own."""
GUIDANCE = (1.0, 1.5, 2.0, 3.0, 4.0)
"""Guidance on offer beside a world's own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """Everything that makes the next frames; never changed. A world's own kind adds what its networks keep.

    Attributes:
        weights: hash of the networks that made it.
        seed: of all draws.
        settings: how frames are made from here on.
    """

    weights: str
    seed: int
    settings: Any


Overlap = Literal["none", "behind"]
"""Whether what a frame on show does not need runs before it is shown, or behind it."""
Networks = TypeVar("Networks")
Kept = TypeVar("Kept", bound=Moment)


class NeuralBase(ABC, Generic[Networks, Kept]):
    """A world made by networks; see :class:`paracosm.core.world.World`.

    Args:
        about: what it is, but for the number of passes.
        weights: hash of its networks.
        networks: what computes frames; let go of by :meth:`close`.
        settings: how frames are made until told otherwise.
    """

    def __init__(self, about: WorldInfo, weights: str, networks: Networks, settings: Any) -> None:
        self._about, self._weights = about, weights
        self._networks: Networks | None = networks
        self._settings = settings
        self._moment: Kept | None = None
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        return replace(self._about, details={"denoise_steps": self._count_passes(), **self._about.details})

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin again; without a start the seed picks one of the world's own.

        The first frame is the last frame of the start as the decoder shows it.

        Raises:
            WorldError: for a negative seed, a start of another size or kind, or a prompt.
            ControlError: for a start control that the world does not offer.
        """
        check_start(self._about, start, controls, prompt)
        if seed < 0:
            raise WorldError(f"seed {seed} is negative; use a whole number from 0 up")
        self._need_networks()
        self._settle()
        image, self._moment = self._begin(seed, start, controls, prompt)
        self._frame = _show(image, 0)
        return self._frame

    def step(self, control: Control) -> Frame:
        """Make the next frame under a control.

        Raises:
            ControlError: when the control is not offered.
            WorldError: before reset or after close.
        """
        self._need_networks()
        shown, moment = check_begun(self._about, self._frame), self._moment
        assert moment is not None, "a world that shows a frame has a state"
        image, self._moment = self._next(moment, control, shown.index + 1)
        # a player who leaves may close the world while it dreams: the frame before is asked for no more
        self._frame = _show(image, shown.index + 1)
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the complete state."""
        self._settle()
        frame, moment = check_begun(self._about, self._frame), self._moment
        assert moment is not None, "a world that shows a frame has a state"
        return Snapshot(world=self._about.name, frame=frame, payload=replace(moment, settings=self._settings))

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go to a snapshot of this world, also one that another copy of it took; settings included.

        Raises:
            WorldError: when it belongs to another world or to other weights.
        """
        check_snapshot(self._about, snapshot)
        self._need_networks()
        moment = snapshot.payload
        if not isinstance(moment, Moment) or moment.weights != self._weights:
            raise WorldError(
                f"the snapshot was taken with other weights of {self._about.name}; it cannot go on with these"
            )
        self._settle()
        self._go_to(moment)
        self._frame = snapshot.frame
        return snapshot.frame

    @property
    def dials(self) -> Dials:
        """What may be tuned, and how it stands."""
        return self._offer()

    def tune(self, tuning: Tuning) -> None:
        """Change what the next step is made with.

        Raises:
            ConfigError: when the passes or the guidance cannot be run.
            WorldError: when the past cannot be changed: before reset, after close, or in this world.
        """
        settings = self._tuned(tuning)
        if tuning.cache != "keep":
            self._change_past(tuning.cache)
        self._settings = settings

    def drop_cache(self) -> None:
        """Forget the past but for what the next frame cannot do without."""
        self._change_past("drop")

    def rebuild_cache(self) -> None:
        """Compute the cache anew from what lies in the window; what lies before it is forgotten."""
        self._change_past("rebuild")

    def close(self) -> None:
        """Let go of the networks."""
        self._settle()
        self._networks, self._moment, self._frame = None, None, None

    @abstractmethod
    def _begin(
        self, seed: int, start: np.ndarray | None, controls: Sequence[Control], prompt: str | None
    ) -> tuple[np.ndarray, Kept]:
        """Return the first picture and the state after it; all has been checked but the controls."""

    @abstractmethod
    def _next(self, moment: Kept, control: Control, index: int) -> tuple[np.ndarray, Kept]:
        """Return picture ``index`` and the state after it; refuse a control that is not offered."""

    @abstractmethod
    def _count_passes(self) -> int:
        """Denoising passes of a frame or block, under the settings in use."""

    @abstractmethod
    def _offer(self) -> Dials:
        """What may be tuned, and how it stands."""

    @abstractmethod
    def _tuned(self, tuning: Tuning) -> Any:
        """Return the settings as a tuning changes them, or refuse it."""

    @abstractmethod
    def _with_past(self, moment: Kept, action: CacheAction) -> Kept:
        """Return the state with its past dropped or rebuilt."""

    def _settle(self) -> None:
        """Wait for what still runs behind the frame on show, so that the state is complete."""

    def _change_past(self, action: CacheAction) -> None:
        self._need_networks()
        check_begun(self._about, self._frame)
        if action not in self.dials.cache:
            raise WorldError(
                f"{self._about.name} keeps nothing from which its past could be changed ({action})"
            )
        self._settle()
        assert self._moment is not None, "a world that shows a frame has a state"
        self._moment = self._with_past(self._moment, action)

    def _go_to(self, moment: Any) -> None:
        self._moment, self._settings = moment, moment.settings

    def _need_networks(self) -> Networks:
        return check_open(self._about, self._networks)


class Described(Protocol):
    """What the world.json of every kind of neural world says."""

    @property
    def fps(self) -> float:
        """Steps a second."""
        ...

    @property
    def height(self) -> int:
        """Rows of a frame."""
        ...

    @property
    def width(self) -> int:
        """Columns of a frame."""
        ...

    @property
    def controls(self) -> ControlSpace:
        """What the player may do."""
        ...

    @property
    def description(self) -> str:
        """One or two sentences for people."""
        ...


def describe(
    spec: Described,
    *,
    name: str,
    starts: tuple[Start, ...],
    engine: str,
    details: Mapping[str, str | int | float],
    latent_pictures: tuple[bytes, ...] = (),
) -> WorldInfo:
    """Say what a neural world is, from its world.json and what only its networks know."""
    return WorldInfo(
        name=name,
        fps=spec.fps,
        height=spec.height,
        width=spec.width,
        controls=spec.controls,
        starts=starts,
        engine=engine,
        description=spec.description,
        details=details,
        latent_pictures=latent_pictures,
    )


Settings = TypeVar("Settings", PlayDefaults, VideoPlay, InstructPlay)


def with_levels(settings: Settings, levels: Sequence[float]) -> Settings:
    """Return settings with other noise levels.

    Raises:
        ConfigError: when they do not fall from 1 to above 0.
    """
    check_levels(levels)
    return replace(settings, levels=tuple(float(level) for level in levels))


def with_guidance(settings: Settings, guidance: float) -> Settings:
    """Return settings with another guidance; 1 is plain, else passes double.

    Raises:
        ConfigError: when it is not above 0.
    """
    if not guidance > 0.0:
        raise ConfigError(f"guidance {guidance:g} is not above 0; use 1 for plain play or more to exaggerate")
    return replace(settings, guidance=float(guidance))


def spread_levels(own: Sequence[float], passes: int) -> tuple[float, ...]:
    """Return noise levels for any number of passes, along the curve that a world's own levels lie on.

    Args:
        own: the world's own levels, evenly spaced or pushed towards noise by a shift.
        passes: how many are wanted.

    Source: the shift of Esser et al. 2403.03206, equation 23, solved for the second level.
    """
    if passes == len(own):
        return tuple(own)
    shift = 1.0
    if len(own) > 1:
        even = 1.0 - 1.0 / len(own)
        shift = own[1] * (1.0 - even) / (even * (1.0 - own[1]))
    spaced = [1.0 - i / passes for i in range(passes)]
    return tuple(round(shift * level / (1.0 + (shift - 1.0) * level), 6) for level in spaced)


def tune_levels(settings: Settings, own: Sequence[float], tuning: Tuning) -> Settings:
    """Return settings as a tuning changes their levels and guidance.

    Raises:
        ConfigError: when they cannot be run.
    """
    if tuning.levels or tuning.passes:
        settings = with_levels(settings, tuning.levels or spread_levels(own, tuning.passes))
    return with_guidance(settings, tuning.guidance) if tuning.guidance else settings


def offer_levels(settings: Settings, own: Settings) -> Dials:
    """Say what of a denoising world may be tuned, and how it stands."""
    return Dials(
        passes=tuple(sorted({*PASSES, len(own.levels), len(settings.levels)})),
        guidance=tuple(sorted({*GUIDANCE, own.guidance, settings.guidance})),
        cache=("drop", "rebuild"),
        now=Tuning(passes=len(settings.levels), levels=settings.levels, guidance=settings.guidance),
    )


def control_of_block(decided: Control, since: Sequence[Control]) -> Control:
    """The control of a block of frames: what is held now, taps since the last one, and the mean turn.

    Args:
        decided: the control of the block before.
        since: controls of the steps after the one that decided it; the newest asks for this block.
    """
    if not since:  # a block of the start picture alone is followed by another at once
        return decided
    pressed = {key for control in since for key in control.keys - decided.keys}
    yaw, pitch = np.mean([control.look for control in since], axis=0).tolist()
    return Control(since[-1].keys | pressed, (yaw, pitch))


def check_knobs(levels: Sequence[float], guidance: float, num_threads: int) -> None:
    """Refuse levels, guidance and threads of a config that cannot be run; () and 0 take the defaults.

    Raises:
        ConfigError: says what was given and what is allowed.
    """
    if levels:
        check_levels(levels)
    if guidance < 0.0:
        raise ConfigError(f"guidance {guidance:g} is negative; use 1 for plain play or more to exaggerate")
    if num_threads < 0:
        raise ConfigError(f"num_threads {num_threads} is negative; use 0 for every core or a number")


def choose_overlap(wanted: Overlap | Literal["auto"]) -> Overlap:
    """What "auto" means in this process: behind where it may use two cores or more."""
    if wanted != "auto":
        return wanted
    return "behind" if count_cores() > 1 else "none"


def count_threads(wanted: int, overlap: Overlap) -> Threads:
    """Threads of the networks; 0 takes the cores that this process may use.

    What runs behind wants cores of its own, half of them; passes that the player waits for run when nothing
    else does, and take two at least.
    """
    cores = count_cores()
    beside = wanted or max(1, cores // (2 if overlap == "behind" else 1))
    return Threads(alone=wanted or max(beside, min(cores, 2)), beside=beside)


def open_worker(overlap: Overlap) -> ThreadPoolExecutor | None:
    """Return the one thread that works behind the frame on show, None where nothing does."""
    return ThreadPoolExecutor(1, thread_name_prefix="behind") if overlap == "behind" else None


def _show(image: np.ndarray, index: int) -> Frame:
    image = np.ascontiguousarray(image)
    image.flags.writeable = False
    return Frame(image=image, index=index)
