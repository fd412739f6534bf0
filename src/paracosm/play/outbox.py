"""What waits to be sent to one player: every word, but at most two frames; the older makes room.

Frames that were sent and not yet acknowledged are bounded too, so that a slow line fills no buffer with old
pictures. This file does NOT know what a message means.
"""

from __future__ import annotations

import asyncio
from collections import deque

MAX_UNSENT_FRAMES = 2
MAX_UNSEEN_FRAMES = 6
"""Sent and not acknowledged: enough for 20 frames a second over a line of 300 ms."""


class Outbox:
    """A queue between the session and its socket.

    Attributes:
        dropped: frames that made room for newer ones.
    """

    def __init__(self) -> None:
        self._words: deque[bytes] = deque()
        self._frames: deque[tuple[int, bytes]] = deque()
        self._changed = asyncio.Event()
        self._unseen: deque[int] = deque()
        self.dropped = 0

    def put(self, message: bytes) -> None:
        """Queue a message that must arrive."""
        self._words.append(message)
        self._changed.set()

    def put_frame(self, number: int, message: bytes) -> None:
        """Queue a frame; when two wait already, the older is dropped.

        Args:
            number: rises by one from frame to frame, from 1.
            message: its bytes.
        """
        if len(self._frames) == MAX_UNSENT_FRAMES:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append((number, message))
        self._changed.set()

    def drop_frames(self) -> None:
        """Forget frames that wait: what they show is over."""
        self._frames.clear()

    def acknowledge(self, number: int) -> bool:
        """Take note that the player has seen frame ``number`` and will see none before it.

        Returns:
            Whether any frame that was sent had not been acknowledged before.
        """
        before = len(self._unseen)
        while self._unseen and self._unseen[0] <= number:
            self._unseen.popleft()
        self._changed.set()
        return len(self._unseen) < before

    async def get(self) -> bytes:
        """Wait for the next message to send: words first, they are rare and explain the frames."""
        while True:
            if self._words:
                return self._words.popleft()
            if self._frames and len(self._unseen) < MAX_UNSEEN_FRAMES:
                number, message = self._frames.popleft()
                self._unseen.append(number)
                return message
            self._changed.clear()
            await self._changed.wait()
