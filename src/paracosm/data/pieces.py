"""Stretches of recordings without a cut, and clips drawn from them: what is learnt from plain video.

A world's recordings have no cuts: an episode is one piece. Videos may jump from one shot to another; a clip
across a jump would teach that the world jumps. This file does NOT know torch or models.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from paracosm.core.errors import DataError

from .clips import ClipSampler
from .reader import EpisodeRef

CutKind = Literal["none", "find"]
"""Whether episodes have cuts: none in a world's recordings; in videos they are found by their pictures."""

SMALL_SIDE = 8
"""Frames are compared as pictures of this many cells a side: motion changes them little, a cut a lot."""
LEAST_JUMP = 24.0
"""Mean change of a cell, of 255, below which nothing is a cut."""
TIMES_USUAL = 4.0
"""A cut also changes the picture this many times as much as the frames around it do."""
NEIGHBOURS = 4
"""Frames before and after that say what is usual."""


@dataclass(frozen=True)
class Piece:
    """Frames first .. stop - 1 of one episode, without a cut among them."""

    episode: int
    first: int
    stop: int

    @property
    def num_frames(self) -> int:
        """Frames of the piece."""
        return self.stop - self.first


def find_cuts(frames: np.ndarray) -> list[int]:
    """Frames at which a new shot begins.

    Args:
        frames: uint8 (t, h, w, 3).
    """
    if len(frames) < 2:
        return []
    small = np.stack([_shrink(frame) for frame in frames])
    jumps = np.abs(np.diff(small, axis=0)).mean((1, 2, 3))
    cuts = []
    for i, jump in enumerate(jumps):
        around = np.concatenate([jumps[max(0, i - NEIGHBOURS) : i], jumps[i + 1 : i + 1 + NEIGHBOURS]])
        usual = float(np.median(around)) if len(around) else 0.0
        if jump >= LEAST_JUMP and jump >= TIMES_USUAL * usual:
            cuts.append(i + 1)
    return cuts


class FrameClips:
    """Clips of frames that cross no cut, read when they are drawn.

    Args:
        episodes: where they come from.
        clip_frames: frames of a clip.
        seed: of the draws.
        cuts: whether the episodes have cuts.

    Raises:
        DataError: when no piece is long enough; says how long the longest is.
    """

    def __init__(
        self, episodes: Sequence[EpisodeRef], clip_frames: int, seed: int, cuts: CutKind = "none"
    ) -> None:
        self.episodes, self.clip_frames = tuple(episodes), clip_frames
        # Compressed episodes are decoded once; raw ones are read a clip at a time, so that memory stays free.
        self._decoded = {
            i: episode.frames for i, episode in enumerate(self.episodes) if episode.encoding != "raw"
        }
        self.pieces = tuple(piece for i in range(len(self.episodes)) for piece in self._pieces(i, cuts))
        longest = max((piece.num_frames for piece in self.pieces), default=0)
        if longest < clip_frames:
            found = "no stretch without a cut" if cuts == "find" else "no episode"
            raise DataError(
                f"{found} has the {clip_frames} frames of a clip (the longest of {len(self.pieces)} has "
                f"{longest}); set clip_frames to {longest} or less, or bring longer videos"
            )
        self._sampler = ClipSampler(
            [piece.num_frames for piece in self.pieces],
            clip_frames,
            seed,
            weights=[self.episodes[piece.episode].weight for piece in self.pieces],
        )

    def places(self, step: int, part: int, count: int) -> list[tuple[int, int]]:
        """Episode and first frame of the clips of one step."""
        drawn = self._sampler.draw(step, part, count)
        return [(self.pieces[i].episode, self.pieces[i].first + first) for i, first in drawn]

    def draw(self, step: int, part: int, count: int) -> np.ndarray:
        """Frames uint8 (count, clip_frames, h, w, 3) of one step."""
        return self.cut(self.places(step, part, count))

    def cut(self, places: Sequence[tuple[int, int]]) -> np.ndarray:
        """Frames uint8 (b, clip_frames, h, w, 3) that begin at the given places."""
        return np.stack([self._read(i, first, first + self.clip_frames) for i, first in places])

    def _read(self, episode: int, first: int, stop: int) -> np.ndarray:
        if episode in self._decoded:
            return self._decoded[episode][first:stop]
        return self.episodes[episode].read_frames(first, stop)

    def _pieces(self, index: int, cuts: CutKind) -> list[Piece]:
        count = self.episodes[index].num_frames
        found = find_cuts(self._read(index, 0, count)) if cuts == "find" else []
        edges = [0, *found, count]
        return [Piece(index, first, stop) for first, stop in itertools.pairwise(edges)]


def _shrink(frame: np.ndarray) -> np.ndarray:
    """Mean colours of a grid of cells, float32 (side, side, 3); edges that do not divide are left out."""
    rows, columns = max(1, frame.shape[0] // SMALL_SIDE), max(1, frame.shape[1] // SMALL_SIDE)
    kept = frame[: rows * SMALL_SIDE, : columns * SMALL_SIDE]
    cells = kept.reshape(kept.shape[0] // rows, rows, kept.shape[1] // columns, columns, 3)
    return cells.mean((1, 3), dtype=np.float32)
