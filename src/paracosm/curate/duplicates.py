"""Clips of one game that show the same: by hashes of their pictures, or by vectors of a handed-in encoder.

A clip is a duplicate of an earlier one in which at least a share of its pictures is found; two parts of one
standstill are such. Different games are never compared. This file does NOT delete: it writes columns.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from paracosm.core.errors import ConfigError

from .hashing import count_different

VERSION = 1

SCHEMA = pa.schema([("clip", pa.string()), ("duplicate", pa.float64()), ("duplicate_of", pa.string())])
"""duplicate: share of a clip's pictures found in the earlier clip ``duplicate_of``; null without a usable
hash."""

SIMILAR_SCHEMA = pa.schema([("clip", pa.string()), ("similar", pa.float64()), ("similar_to", pa.string())])
"""similar: largest cosine to an earlier clip of the same game; null for the first, and without an encoder."""


@dataclass(frozen=True, kw_only=True)
class DuplicatesConfig:
    """When two pictures, and two clips, are the same."""

    bits: int = 6
    """Most bits of 64 in which the hashes of near-identical pictures differ."""
    share: float = 0.5
    """Share of pictures found again from which an earlier clip is named as the original."""

    def __post_init__(self) -> None:
        """Refuse what would compare everything with everything."""
        if not 0 <= self.bits <= 16:
            raise ConfigError(f"bits {self.bits} tells nothing apart or nothing together; use 0 to 16")


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """One clip: its name, its game, and the uint64 hashes of its pictures."""

    name: str
    game: str
    hashes: np.ndarray


def find_duplicates(clips: Sequence[Hashed], config: DuplicatesConfig) -> pa.Table:
    """Find for each clip the earlier clip of its game that shows most of its pictures.

    Args:
        clips: in the order in which they are kept; the first of several alike is the original.
        config: when they are alike.

    Returns:
        A table of SCHEMA, a row for each clip in the same order.
    """
    owner = np.repeat(np.arange(len(clips)), [len(clip.hashes) for clip in clips])
    hashes = np.concatenate([clip.hashes for clip in clips] or [np.empty(0, np.uint64)]).astype(np.uint64)
    games = np.array([clip.game for clip in clips])
    found: list[Counter[int]] = [Counter() for _ in clips]
    seen: set[tuple[int, int]] = set()
    for game in dict.fromkeys(games.tolist()):
        places = np.flatnonzero(games[owner] == game) if len(owner) else np.empty(0, int)
        for later, earlier in near_pairs(hashes[places], config.bits):
            hash_index, clip, other = (
                int(places[later]),
                int(owner[places[later]]),
                int(owner[places[earlier]]),
            )
            if clip > other and (hash_index, other) not in seen:
                seen.add((hash_index, other))
                found[clip][other] += 1
    return _originals(clips, found, config)


def near_pairs(hashes: np.ndarray, bits: int) -> Iterator[tuple[int, int]]:
    """Yield places (later, earlier) of hashes that differ in at most ``bits`` bits; a pair may come twice.

    The 64 bits are cut into bits + 1 bands: two hashes that near agree in at least one band, so only hashes
    with an equal band are compared.
    """
    edges = np.linspace(0, 64, bits + 2).round().astype(int)
    for low, high in itertools.pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order], prepend=np.uint64(2**64 - 1))) if len(order) else []
        for group in np.split(order, starts[1:]):
            yield from _pairs_within(group, hashes, bits)


def _pairs_within(group: np.ndarray, hashes: np.ndarray, bits: int) -> Iterator[tuple[int, int]]:
    ordered = np.sort(group)
    for place in range(1, len(ordered)):
        near = count_different(hashes[ordered[:place]], hashes[ordered[place]]) <= bits
        for earlier in ordered[:place][near]:
            yield int(ordered[place]), int(earlier)


def _originals(clips: Sequence[Hashed], found: list[Counter[int]], config: DuplicatesConfig) -> pa.Table:
    rows = []
    copies: set[int] = set()
    for index, clip in enumerate(clips):
        if not len(clip.hashes):
            rows.append({"clip": clip.name, "duplicate": None, "duplicate_of": None})
            continue
        # Only an original can be the original: else a chain of slow change would empty a whole walk.
        counts = {other: count for other, count in found[index].items() if other not in copies}
        best = min(counts, key=lambda other: (-counts[other], other)) if counts else None
        share = counts[best] / len(clip.hashes) if best is not None else 0.0
        is_copy = best is not None and share >= config.share
        if is_copy:
            copies.add(index)
        rows.append(
            {
                "clip": clip.name,
                "duplicate": share,
                "duplicate_of": clips[best].name if is_copy and best is not None else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def find_similar(names: Sequence[str], games: Sequence[str], vectors: np.ndarray) -> pa.Table:
    """Find for each clip the most similar earlier clip of its game.

    Args:
        names: clips, in the order in which they are kept.
        games: their games.
        vectors: float32 (n, d); rows of nan have no vector.

    Returns:
        A table of SIMILAR_SCHEMA.

    Source: cosine deduplication as in SemDeDup (2303.09540), without its clusters: within one game all pairs
    are few enough.
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    game_of = np.array(list(games))
    rows = []
    for index, name in enumerate(names):
        earlier = np.flatnonzero((game_of[:index] == game_of[index]) & np.isfinite(unit[:index]).all(axis=1))
        if not len(earlier) or not np.isfinite(unit[index]).all():
            rows.append({"clip": name, "similar": None, "similar_to": None})
            continue
        cosine = unit[earlier] @ unit[index]
        best = int(cosine.argmax())
        rows.append({"clip": name, "similar": float(cosine[best]), "similar_to": names[int(earlier[best])]})
    return pa.Table.from_pylist(rows, schema=SIMILAR_SCHEMA)
