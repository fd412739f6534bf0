"""Recording what is played: finished frames and controls, handed to whoever stores them.

This file does NOT know any file format; the command line gives a :class:`Recorder` that writes the dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ParacosmError
from paracosm.core.tuning import Tuning
from paracosm.core.world import Frame, WorldInfo

TAKE_MB = 256.0
"""A take that grows beyond this is handed over and a new one begins with its last frame."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """One recorded stretch of play; control i acts between frame i and frame i + 1.

    Attributes:
        info: the world.
        seed: seed of the reset.
        start: picture that the session began from, or None.
        prompt: words that it began from, or None.
        before: controls from the reset up to the first frame, so that the take can be made again.
        frames: n frames.
        controls: n - 1 controls.
        tuned: what was changed in how frames are made since the reset, each with its frame since the reset.
    """

    info: WorldInfo
    seed: int
    start: np.ndarray | None
    prompt: str | None
    before: tuple[Control, ...]
    frames: tuple[Frame, ...]
    controls: tuple[Control, ...]
    tuned: tuple[tuple[int, Tuning], ...] = ()


class Recorder(Protocol):
    """Stores a take, for example as an episode of a dataset."""

    def __call__(self, take: Take) -> str:
        """Store ``take`` and return words for the player that say where.

        Raises:
            ParacosmError: when it cannot be stored; the take is kept and offered again.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Words for the player; a complaint unless ``good``."""

    text: str
    good: bool = False


class TakeBuffer:
    """Collects the take that is being played and hands it over; one not stored is offered again."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._head: Take | None = None
        self._frames: list[Frame] = []
        self._controls: list[Control] = []
        self._unsaved: list[Take] = []

    @property
    def num_steps(self) -> int:
        """Steps collected since the take began."""
        return len(self._controls)

    def begin(
        self,
        *,
        info: WorldInfo,
        seed: int,
        start: np.ndarray | None,
        prompt: str | None,
        before: Sequence[Control],
        frame: Frame,
        tuned: Sequence[tuple[int, Tuning]] = (),
    ) -> None:
        """Start a take at ``frame``, reached by the controls ``before`` and what was ``tuned`` on the way."""
        self._head = Take(
            info=info,
            seed=seed,
            start=start,
            prompt=prompt,
            before=tuple(before),
            frames=(frame,),
            controls=(),
            tuned=tuple(tuned),
        )
        self._frames, self._controls = [frame], []

    def add(self, control: Control, frame: Frame) -> bool:
        """Take in one step; does nothing when no take was begun.

        Returns:
            Whether the take is so large that it should be handed over and a new one begun.
        """
        if self._head is None:
            return False
        self._controls.append(control)
        self._frames.append(frame)
        return len(self._frames) * frame.image.nbytes > TAKE_MB * 1e6

    def hand_over(self, tuned: Sequence[tuple[int, Tuning]] = ()) -> list[Notice]:
        """End the take, if one was begun, and give it to the recorder with those that it refused before.

        Args:
            tuned: all that was tuned since the reset up to now.
        """
        head, self._head = self._head, None
        if head is not None and self._controls:
            take = Take(
                info=head.info,
                seed=head.seed,
                start=head.start,
                prompt=head.prompt,
                before=head.before,
                frames=tuple(self._frames),
                controls=tuple(self._controls),
                tuned=tuple(tuned) or head.tuned,
            )
            self._unsaved.append(take)
        self._frames, self._controls = [], []
        notices: list[Notice] = []
        while self._unsaved:
            try:
                where = self._recorder(self._unsaved[0])
            except ParacosmError as error:
                notices.append(Notice(text=f"the recording is kept but could not be stored: {error}"))
                break
            done = self._unsaved.pop(0)
            notices.append(Notice(text=f"recorded {len(done.controls)} steps: {where}", good=True))
        return notices
