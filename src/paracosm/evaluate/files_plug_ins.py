"""Plug-ins on clips of files: distances of paired frames by horizon, Fréchet distance of windows.

This file does NOT read files and does not load a network by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paracosm.core.figures import Figure, not_computed
from paracosm.core.rng import stream

from .metrics.distances import LEAST_CLIPS, frechet_distance
from .metrics.plug_ins import CLIP_FRAMES, PlugIn, ScriptedClips, ScriptedPair, load_plug_in
from .part import Tally
from .tally import figure_of_tally


class FilePlugIns:
    """The user's networks over all clips of a folder, one pair of clips after the other.

    Args:
        plug_ins: the networks.
        horizons: frames after the first at which pairs are compared.
        seed: seed of the draw of windows.

    Raises:
        MissingPackageError: without torch, where there is a plug-in.
        DataError: for a file that is no plug-in.
    """

    def __init__(self, plug_ins: Sequence[PlugIn], horizons: Sequence[int], seed: int = 0) -> None:
        loaded = [load_plug_in(plug_in) for plug_in in plug_ins]
        self._pairs = [one for one in loaded if isinstance(one, ScriptedPair)]
        self._clips = [one for one in loaded if isinstance(one, ScriptedClips)]
        self._horizons, self._seed = horizons, seed
        self._features: dict[tuple[str, str], list[np.ndarray]] = {}

    def compare(self, clip: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, list[float]]]:
        """Distances of a clip uint8 (t, h, w, 3), and of the true first frame copied, at each horizon."""
        at = [horizon for horizon in self._horizons if horizon < len(clip)]
        start = np.repeat(truth[:1], len(at), axis=0)
        return {
            one.name: {
                "clip": one.measure(clip[at], truth[at]).tolist(),
                "copy_last": one.measure(start, truth[at]).tolist(),
            }
            for one in self._pairs
        }

    def add(self, who: str, frames: np.ndarray) -> None:
        """Describe all windows of CLIP_FRAMES frames of a "clip" or a "reference"."""
        count = len(frames) // CLIP_FRAMES
        if count:
            windows = frames[: count * CLIP_FRAMES].reshape(count, CLIP_FRAMES, *frames.shape[1:])
            for one in self._clips:
                self._features.setdefault((one.name, who), []).append(one.encode(windows))

    def figures(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
        """Every figure of every plug-in, from the rows that :meth:`compare` filled and the windows added."""
        chosen = [row for row in rows if row["status"] == "ok" and "plug_ins" in row]
        found = {}
        for one in self._pairs:
            for number, horizon in enumerate(self._horizons):
                long = [row for row in chosen if len(row["plug_ins"][one.name]["clip"]) > number]
                found[f"{one.plug_in.figure}@{horizon}"] = figure_of_tally(
                    Tally(
                        cases=tuple(str(row["case"]) for row in long),
                        world=_column(long, one.name, "clip", number),
                        anchors={"copy_last": _column(long, one.name, "copy_last", number)},
                        unit=one.plug_in.unit,
                        higher_is_better=False,
                        reason=f"no pair has {horizon + 1} frames" if chosen else "no clip has a reference",
                    )
                )
        return found | {f"{one.plug_in.figure}@{CLIP_FRAMES}": self._distance(one) for one in self._clips}

    def _distance(self, network: ScriptedClips) -> Figure:
        own, real = (self._features.get((network.name, who), []) for who in ("clip", "reference"))
        counts = [sum(len(part) for part in parts) for parts in (own, real)]
        if min(counts) < LEAST_CLIPS:
            reason = (
                f"{counts[0]} and {counts[1]} windows of {CLIP_FRAMES} frames; needed are {LEAST_CLIPS} each"
            )
            return not_computed("undefined", reason, network.plug_in.unit)
        generator = stream(self._seed, "windows", network.name)
        clips, pool = (generator.permutation(np.concatenate(parts)) for parts in (own, real))
        floor = len(pool) // 2 if len(pool) // 2 >= LEAST_CLIPS else 0
        # the floor needs as many real windows again, so that both distances have one bias
        count = min(len(clips), floor or len(pool))
        first, second = pool[:count], pool[count : 2 * count]
        return Figure(
            value=frechet_distance(clips[:count], first, None),
            unit=network.plug_in.unit,
            n=count,
            higher_is_better=False,
            anchors={"true_game": frechet_distance(second, first, None) if floor else None},
        )


def _column(rows: Sequence[Mapping[str, Any]], name: str, who: str, number: int) -> np.ndarray:
    return np.array([row["plug_ins"][name][who][number] for row in rows], np.float64)
