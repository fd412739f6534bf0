"""Everything that has happened in one session, as a tree of branches.

Kept are controls, hashes of frames, pictures and snapshots of the world. A branch leaves its parent at a
frame, the fork; what lies before belongs to the parent, so nothing is kept twice. Controls and hashes are
kept for every step; pictures and snapshots within a budget of memory, oldest first and log-spaced: going back
d steps costs at most in the order of d steps. This file does NOT step a world.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import WorldError
from paracosm.core.tuning import Tuning
from paracosm.core.world import Snapshot


@dataclass(frozen=True, kw_only=True)
class TimelineConfig:
    """How much of the past is kept for one player."""

    snapshot_every: int = 16
    """Steps between two snapshots of the world."""
    max_snapshots: int = 96
    """Snapshots kept at most."""
    snapshot_mb: float = 96.0
    """Memory for snapshots in megabytes, as far as their arrays can be counted."""
    picture_mb: float = 24.0
    """Memory for compressed pictures in megabytes: preview while rewinding, and the clip to download."""
    max_steps: int = 200_000
    """Steps kept at most in all branches; then the session ends."""


@dataclass(kw_only=True)
class Branch:
    """One line of events.

    Attributes:
        id: number, 0 for the first.
        parent: where it comes from, None for the first.
        fork: index of the frame at which it leaves its parent.
        controls: ``controls[i]`` acts between frame ``fork + i`` and the next.
        hashes: ``hashes[i]`` belongs to frame ``fork + 1 + i``; "" while not known.
        tunings: by frame, what was changed there before the step that leads on from it.
    """

    id: int
    parent: Branch | None
    fork: int
    controls: list[Control] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    tunings: dict[int, list[Tuning]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Index of the last frame."""
        return self.fork + len(self.controls)

    def owner(self, index: int) -> Branch:
        """Return the branch to which frame ``index`` belongs: this one or an ancestor."""
        branch = self
        while branch.parent is not None and index <= branch.fork:
            branch = branch.parent
        return branch

    def control(self, index: int) -> Control:
        """Return the control that acts at frame ``index`` on the way along this branch."""
        branch = self.owner(index + 1)
        return branch.controls[index - branch.fork]

    def tunings_at(self, index: int) -> list[Tuning]:
        """Return what is changed at frame ``index`` on the way along this branch, before its step."""
        return self.owner(index + 1).tunings.get(index, [])

    def tunings_until(self, index: int) -> list[tuple[int, Tuning]]:
        """Return what was changed at frames before ``index``, with its frame."""
        return [(at, tuning) for at in range(index) for tuning in self.tunings_at(at)]

    def path(self) -> list[Control]:
        """Return all controls from the first frame to the end of this branch."""
        before = self.parent.path()[: self.fork] if self.parent is not None else []
        return before + self.controls


class Timeline:
    """The branches of one session and the moment at which it stands.

    Attributes:
        branches: by number.
        current: the branch that is being played.
        index: the frame that is shown.
    """

    def __init__(self, config: TimelineConfig) -> None:
        self.config = config
        self.current = Branch(id=0, parent=None, fork=0)
        self.branches: dict[int, Branch] = {0: self.current}
        self.index = 0
        self.first_hash = ""
        self._next_id = 1
        self._pictures: dict[tuple[int, int], bytes] = {}
        self._picture_bytes = 0
        self._snapshots: dict[tuple[int, int], _Kept] = {}
        self._steps = 0

    @property
    def at_end(self) -> bool:
        """Whether nothing recorded lies after the moment shown."""
        return self.index == self.current.length

    @property
    def full(self) -> bool:
        """Whether no further step may be kept."""
        return self._steps >= self.config.max_steps

    def tune(self, tuning: Tuning) -> None:
        """Note a change at the moment shown; where something recorded lies ahead, a branch leaves it."""
        if not self.at_end:
            self._fork()
        self.current.tunings.setdefault(self.index, []).append(tuning)

    def append(self, control: Control) -> None:
        """Go one step on with a new control; in the middle of a branch this makes a new one."""
        if not self.at_end:
            self._fork()
        self.current.controls.append(control)
        self.current.hashes.append("")
        self.index += 1
        self._steps += 1

    def advance(self) -> Control:
        """Go one step on along what was recorded and return the control that acts."""
        control = self.current.control(self.index)
        self.index += 1
        return control

    def note_hash(self, value: str) -> str:
        """Keep the hash of the frame shown.

        Returns:
            The hash that was known before, "" when there was none.
        """
        if self.index == 0:
            known, self.first_hash = self.first_hash, self.first_hash or value
            return known
        branch = self.current.owner(self.index)
        position = self.index - branch.fork - 1
        known = branch.hashes[position]
        branch.hashes[position] = known or value
        return known

    def hashes(self) -> list[str]:
        """Return the hashes of all frames along the current branch, the first included."""
        return [self.first_hash, *_hash_path(self.current)]

    def keep_picture(self, picture: bytes) -> None:
        """Keep the compressed picture of the frame shown; the oldest make room."""
        key = (self.current.owner(self.index).id, self.index)
        if key in self._pictures:
            return
        self._pictures[key] = picture
        self._picture_bytes += len(picture)
        while self._picture_bytes > self.config.picture_mb * 1e6 and len(self._pictures) > 1:
            oldest = next(iter(self._pictures))
            self._picture_bytes -= len(self._pictures.pop(oldest))

    def picture(self, branch_id: int, index: int) -> bytes | None:
        """Return the compressed picture of a moment, None when it is no longer kept."""
        branch = self.branch(branch_id, index)
        return self._pictures.get((branch.owner(index).id, index))

    def oldest_picture(self) -> int:
        """Return the first index from which on every picture up to the moment shown is kept."""
        index = self.index
        while index > 0 and (self.current.owner(index - 1).id, index - 1) in self._pictures:
            index -= 1
        return index

    def wants_snapshot(self) -> bool:
        """Whether the moment shown lies on the grid and has no snapshot yet."""
        if self.index % self.config.snapshot_every:
            return False
        return (self.current.owner(self.index).id, self.index) not in self._snapshots

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the complete state of the moment shown; the least useful of the others make room."""
        key = (self.current.owner(self.index).id, self.index)
        self._snapshots[key] = _Kept(snapshot=snapshot, size=count_bytes(snapshot), born=self._steps)
        while len(self._snapshots) > 2 and (
            len(self._snapshots) > self.config.max_snapshots
            or sum(kept.size for kept in self._snapshots.values()) > self.config.snapshot_mb * 1e6
        ):
            del self._snapshots[self._least_useful(key)]

    def nearest_snapshot(self, branch: Branch, index: int) -> tuple[int, Snapshot]:
        """Return the last snapshot at or before frame ``index`` on the way along ``branch``."""
        on_the_way = (
            (at, kept.snapshot)
            for (branch_id, at), kept in self._snapshots.items()
            if at <= index and branch.owner(at).id == branch_id
        )
        return max(on_the_way, key=_first)

    def branch(self, branch_id: int, index: int) -> Branch:
        """Return a branch that reaches frame ``index``.

        Raises:
            WorldError: when there is no such branch or moment.
        """
        branch = self.branches.get(branch_id)
        if branch is None:
            raise WorldError(f"branch {branch_id} does not exist; there are {sorted(self.branches)}")
        if not 0 <= index <= branch.length:
            raise WorldError(
                f"moment {index} does not exist; branch {branch_id} goes from 0 to {branch.length}"
            )
        return branch

    def load(
        self, controls: list[Control], hashes: list[str], tunings: Sequence[tuple[int, Tuning]] = ()
    ) -> None:
        """Fill a fresh timeline with recorded controls, tunings and, where known, the hash of every frame."""
        self.current.tunings = {}
        for at, tuning in tunings:
            self.current.tunings.setdefault(at, []).append(tuning)
        self.current.controls = list(controls)
        self.current.hashes = list(hashes[1:]) if hashes else [""] * len(controls)
        self.first_hash = hashes[0] if hashes else ""
        self._steps = len(controls)

    def _fork(self) -> None:
        self.current = Branch(id=self._next_id, parent=self.current.owner(self.index), fork=self.index)
        self.branches[self._next_id] = self.current
        self._next_id += 1

    def _least_useful(self, newest: tuple[int, int]) -> tuple[int, int]:
        """Choose by the gap that would open against the age: old times may be sparse, recent ones not."""
        keys = sorted(self._snapshots)
        scores: dict[tuple[int, int], float] = {}
        for before, key, after in zip([None, *keys], keys, [*keys[1:], None], strict=False):
            if key in (newest, (0, 0)):
                continue
            low = before[1] if before is not None and before[0] == key[0] else self.branches[key[0]].fork
            high = (
                after[1] if after is not None and after[0] == key[0] else key[1] + self.config.snapshot_every
            )
            scores[key] = (high - low) / (self._steps - self._snapshots[key].born + 1)
        return min(scores, key=scores.__getitem__)


def hash_image(image: np.ndarray) -> str:
    """Return 16 hex digits that stand for the bytes of an image."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).hexdigest()


def count_bytes(value: Any) -> int:
    """Estimate the memory of a state by its arrays and byte strings; what is shared counts once."""
    return _count_bytes(value, set())


@dataclass(frozen=True, kw_only=True)
class _Kept:
    snapshot: Snapshot
    size: int
    born: int


def _first(pair: tuple[int, Snapshot]) -> int:
    return pair[0]


def _hash_path(branch: Branch) -> list[str]:
    before = _hash_path(branch.parent)[: branch.fork] if branch.parent is not None else []
    return before + branch.hashes


def _count_bytes(value: Any, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    size = getattr(value, "nbytes", None)  # arrays of numpy, and those of a backend
    if isinstance(size, int):
        return size
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_count_bytes(item, seen) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return 8 * len(value) + sum(_count_bytes(item, seen) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(_count_bytes(getattr(value, item.name), seen) for item in dataclasses.fields(value))
    return 64
