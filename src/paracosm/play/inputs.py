"""From events of a player's hands to the control of one step, without losing a tap or a degree.

Keys are the newest held set; taps are latched, so that a press shorter than a tick still acts once; turns are
summed and consumed once. This file does NOT know sockets or clocks: it is told what happened and asked at
each tick.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import Control, ControlSpace


@dataclass(frozen=True, kw_only=True)
class Hands:
    """What the player's hands did since the message before.

    Attributes:
        seq: number of this message, larger than the one before.
        clock: the player's own clock at the event in ms; only ever echoed.
        held: ``KeyboardEvent.code`` (or ``Mouse0`` ..) of everything held now.
        taps: codes pressed since the message before, held still or not.
        look: (yaw, pitch) turned since the message before, in degrees, right and up positive.
        turn: (yaw, pitch) turning that goes on while held, as a share of the world's limit, -1 to 1.
        latent: learnt action held now, or None.
    """

    seq: int
    clock: float = 0.0
    held: frozenset[str] = frozenset()
    taps: frozenset[str] = frozenset()
    look: tuple[float, float] = (0.0, 0.0)
    turn: tuple[float, float] = (0.0, 0.0)
    latent: int | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The control of one step and the newest message that went into it.

    Attributes:
        control: what the world is given.
        seq: newest message applied, 0 before the first.
        clock: that message's player clock in ms.
    """

    control: Control
    seq: int
    clock: float


class InputQueue:
    """Merges messages between two ticks; the newest held set wins, taps and turns add up.

    ``post`` may be called from another thread than ``take``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hands = Hands(seq=0)
        self._taps: set[str] = set()
        self._look = (0.0, 0.0)
        self._text: str | None = None
        self._guide: np.ndarray | None = None
        self._key_sets: dict[frozenset[str], frozenset[str]] = {}

    def post(self, hands: Hands) -> None:
        """Take in one message.

        Raises:
            ValueError: when ``seq`` does not rise.
        """
        with self._lock:
            if hands.seq <= self._hands.seq:
                raise ValueError(f"seq {hands.seq} came after {self._hands.seq}; number messages upwards")
            self._hands = hands
            self._taps |= hands.taps
            self._look = (self._look[0] + hands.look[0], self._look[1] + hands.look[1])

    def instruct(self, text: str) -> None:
        """Give the standing instruction with the next step; "" clears it."""
        with self._lock:
            self._text = text

    def guide(self, clip: np.ndarray) -> None:
        """Give a video prompt uint8 (t, h, w, 3) with the next step; a newer one takes its place."""
        with self._lock:
            self._guide = clip

    def release(self) -> None:
        """Forget taps, turns and held keys: nothing done before a pause or a rewind acts after it."""
        with self._lock:
            hands = self._hands
            self._hands = Hands(seq=hands.seq, clock=hands.clock)
            self._taps.clear()
            self._look = (0.0, 0.0)

    @property
    def holding(self) -> bool:
        """Whether anything is held, so that a player who only holds a key counts as active."""
        with self._lock:
            return bool(self._hands.held) or any(self._hands.turn) or self._hands.latent is not None

    def take(self, space: ControlSpace) -> Taken:
        """Make the control of one step and consume taps and turns.

        Codes without a binding mean nothing, as on any keyboard. A turn beyond the limit of one step is done
        as far as the limit allows; at most one more step's worth waits for the next, so that a flick of the
        mouse does not leave the camera turning for seconds.

        Args:
            space: what the world offers.
        """
        with self._lock:
            hands, text, guide = self._hands, self._text, self._guide
            codes = hands.held | self._taps
            wanted = [
                summed + _finite_share(share) * limit
                for summed, share, limit in zip(self._look, hands.turn, space.look_limit, strict=True)
            ]
            done = [
                max(-limit, min(limit, angle)) for angle, limit in zip(wanted, space.look_limit, strict=True)
            ]
            left = [
                max(-limit, min(limit, angle - turned))
                for angle, turned, limit in zip(wanted, done, space.look_limit, strict=True)
            ]
            self._taps.clear()
            self._look = (left[0], left[1])
            self._text = self._guide = None
        keys = frozenset(space.bindings[code] for code in codes if code in space.bindings)
        # One set for all equal ones: a session keeps every control it has seen, and a set weighs 200 bytes.
        keys = self._key_sets.setdefault(keys, keys)
        latent = hands.latent if hands.latent is not None and hands.latent < space.num_latents else None
        control = Control(
            keys,
            (done[0], done[1]),
            text if space.text else None,
            latent,
            guide if space.guide else None,
        )
        return Taken(control=control, seq=hands.seq, clock=hands.clock)


def _finite_share(share: float) -> float:
    return max(-1.0, min(1.0, share)) if math.isfinite(share) else 0.0
