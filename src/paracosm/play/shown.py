"""One frame of a session, ready to be sent, with what led to it and what it cost.

This file does NOT know sessions.
"""

from __future__ import annotations

from dataclasses import dataclass

from paracosm.core.controls import IDLE, Control
from paracosm.core.world import Frame
from paracosm.play.inputs import Taken

NO_INPUT = Taken(control=IDLE, seq=0, clock=0.0)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One frame ready to be sent.

    Attributes:
        jpeg: the compressed picture.
        branch: number of the branch it lies on.
        index: steps since the first frame, along that branch.
        control: what led to it.
        seq: newest input message that went into it.
        clock: that message's player clock in ms.
        step_ms: time the world took.
        encode_ms: time the compression took.
        late_ms: how long after its deadline the step began.
        frame: what the world gave.
    """

    jpeg: bytes
    branch: int
    index: int
    control: Control
    seq: int
    clock: float
    step_ms: float
    encode_ms: float
    late_ms: float
    frame: Frame
