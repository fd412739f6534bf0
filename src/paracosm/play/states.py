"""The closed set of states a session can be in, and the steps between them that are legal.

This file does NOT know what a session does in a state; ``session`` asks it before it changes.
"""

from __future__ import annotations

from enum import StrEnum


class SessionState(StrEnum):
    """Where one player's session stands."""

    OPENING = "opening"
    """A world is being loaded or reset."""
    PLAYING = "playing"
    """Ticks run at the pace of the world."""
    PAUSED = "paused"
    """The picture stands; single steps and rewinding are possible."""
    SEEKING = "seeking"
    """The world is being brought back to an earlier moment."""
    ENDED = "ended"
    """The world says that the episode is over; rewind or begin again."""
    FAILED = "failed"
    """The world could not go on; another may be opened."""
    CLOSED = "closed"
    """Nothing more will happen."""


_S = SessionState
EDGES: dict[SessionState, frozenset[SessionState]] = {
    _S.OPENING: frozenset({_S.PLAYING, _S.PAUSED, _S.ENDED, _S.FAILED, _S.CLOSED}),
    _S.PLAYING: frozenset({_S.OPENING, _S.PAUSED, _S.SEEKING, _S.ENDED, _S.FAILED, _S.CLOSED}),
    _S.PAUSED: frozenset({_S.OPENING, _S.PLAYING, _S.SEEKING, _S.ENDED, _S.FAILED, _S.CLOSED}),
    _S.SEEKING: frozenset({_S.PAUSED, _S.ENDED, _S.FAILED, _S.CLOSED}),
    _S.ENDED: frozenset({_S.OPENING, _S.SEEKING, _S.FAILED, _S.CLOSED}),
    _S.FAILED: frozenset({_S.OPENING, _S.CLOSED}),
    _S.CLOSED: frozenset(),
}
"""From each state, the states that may follow."""


class IllegalStateError(RuntimeError):
    """Our own fault: a session was asked to go where its state does not allow."""


def check_edge(before: SessionState, after: SessionState) -> None:
    """Refuse a step that is not in :data:`EDGES`.

    Raises:
        IllegalStateError: names both states and the ones that are allowed.
    """
    if after not in EDGES[before]:
        allowed = ", ".join(sorted(EDGES[before])) or "none"
        raise IllegalStateError(
            f"a session that is {before} cannot become {after}; allowed from here: {allowed}"
        )
