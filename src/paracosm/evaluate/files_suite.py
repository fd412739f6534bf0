"""Measures clips of any project by their files alone: fidelity by name, distances, quality over time.

    run_files(FilesConfig(videos=DIR, reference=DIR), out)  ->  FilesOutcome

What needs the world itself, or its controls, says so. A missing or broken clip counts against the coverage.
This file does NOT read files, and knows no formula.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.figures import Figure, Report, make_report, not_computed, write_report
from paracosm.core.files import whole_file
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import stream

from .clips_of_files import Pair, find_clips, is_lossy, pair_clips, read_clip
from .drift import STILL_GREY_LEVELS
from .files_plug_ins import FilePlugIns
from .gameworld import interpolation_error
from .metrics.clip_features import CLIP_FRAMES, DIRECTIONS, SCALES, clip_statistics, fit_encoder
from .metrics.distances import LEAST_CLIPS, frechet_distance, kernel_distance
from .metrics.plug_ins import PlugIn, try_plug_in
from .metrics.structure import moving_psnr_db, ssim
from .part import Tally
from .quality import frame_statistics, luma, motion, psnr_db, sharpness
from .tally import figure_of_tally

HORIZONS = (1, 4, 8, 16, 32, 64)
"""Frames after the first at which pairs are compared."""
NEEDS_WORLD: Mapping[str, str] = {
    "control.keys_share_of_ceiling": "the controls that each clip was made under are not known",
    "camera.rpe_rotation_deg": "the true camera of the clips is not known",
    "memory.score": "walks that lead back have to be played in the world itself",
    "interaction.trigger_rate": "the no-op counterfactual has to be played in the world itself",
    "engine.frames_per_second": "speed is measured on the world itself",
}
"""Figures that clips alone cannot give, and why."""
TEMPORAL: Mapping[str, tuple[str, bool | None]] = {
    "sharpness": ("grey levels", None),
    "motion": ("grey levels", None),
    "still_share": ("share", False),
    "interpolation_error": ("grey levels", None),
    "brightness_drift": ("grey levels", False),
    "chroma_drift": ("grey levels", False),
    "sharpness_drift": ("share", None),
}
"""Figures of one clip: unit, and whether more is better (None: neither; read it beside the reference)."""


@dataclass(frozen=True, kw_only=True)
class FilesConfig:
    """Which files are measured."""

    videos: Path
    """folder of clips to measure"""
    reference: Path | None = None
    """folder of true clips: those of the same names are what the clips should show"""
    seed: int = 0
    """seed of the draw of real clips for distances"""
    plug_ins: tuple[PlugIn, ...] = ()
    """networks of the user's own that measure frames or clips too"""


@dataclass(frozen=True, kw_only=True)
class FilesOutcome:
    """What measuring gave.

    Attributes:
        report: every figure, also those that could not be computed.
        rows: for each clip name its status ("ok", "skipped" or "failed"), reason and numbers.
        coverage: ok over ok and failed; 1 when nothing was due.
    """

    report: Report
    rows: Sequence[Mapping[str, Any]]
    coverage: float


def run_files(
    config: FilesConfig, out: Path | None = None, *, progress: ProgressMaker = no_progress, command: str = ""
) -> FilesOutcome:
    """Measure a folder of clips.

    Args:
        config: which files.
        out: folder for results.json and cases.jsonl, or None to write nothing.
        progress: makes progress lines.
        command: the command line, for the report.

    Raises:
        DataError: when a folder holds no clip, or two of one name; for a file that is no plug-in.
        MissingPackageError: for a plug-in without torch.
    """
    clips = find_clips(config.videos)
    _try_plug_ins(config, clips)
    reference = {} if config.reference is None else find_clips(config.reference)
    pairs = pair_clips(clips, reference)
    paired = bool(set(clips) & set(reference))
    line = progress("read clips", len(pairs), "clip")
    rows, windows = [], Windows(wanted=config.reference is not None)
    plug_ins = FilePlugIns(config.plug_ins, HORIZONS, config.seed)
    for number, pair in enumerate(pairs):
        rows.append(_measure(pair, paired, windows, plug_ins))
        line.update(number + 1)
    line.close()
    figures = {
        **_fidelity(rows, paired, config),
        **measure_distances(windows, config),
        **plug_ins.figures(rows),
        **_temporal(rows),
        **{name: not_computed("skipped", f"by files alone: {why}") for name, why in NEEDS_WORLD.items()},
    }
    ok = sum(row["status"] == "ok" for row in rows)
    due = ok + sum(row["status"] == "failed" for row in rows)
    coverage = ok / due if due else 1.0
    figures["coverage"] = Figure(value=coverage, unit="share", n=due)
    outcome = FilesOutcome(report=make_report(command, figures, [config.seed]), rows=rows, coverage=coverage)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_report(outcome.report, out / "results.json")
        with whole_file(out / "cases.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return outcome


class Windows:
    """Descriptions of all windows of CLIP_FRAMES frames, of the clips and of the references."""

    def __init__(self, wanted: bool = True) -> None:
        self.wanted = wanted
        self.found: dict[str, list[np.ndarray]] = {"clip": [], "reference": []}
        self.sizes: set[tuple[int, int]] = set()

    def add(self, who: str, frames: np.ndarray) -> None:
        """Cut frames into windows and describe them."""
        count = len(frames) // CLIP_FRAMES
        if self.wanted and count and min(frames.shape[1:3]) >= 2**SCALES:
            self.sizes.add((frames.shape[1], frames.shape[2]))
            cut = frames[: count * CLIP_FRAMES]
            self.found[who].append(clip_statistics(cut.reshape(count, CLIP_FRAMES, *frames.shape[1:])))

    def of(self, who: str) -> np.ndarray:
        """All of one side, (n, statistics)."""
        parts = self.found[who]
        return np.concatenate(parts) if parts else np.empty((0, 1), np.float32)


def _try_plug_ins(config: FilesConfig, clips: Mapping[str, Path]) -> None:
    """Put noise of the size of the first clip through each plug-in, before all reading."""
    if config.plug_ins:
        height, width = read_clip(next(iter(clips.values()))).shape[1:3]
        for plug_in in config.plug_ins:
            try_plug_in(plug_in, height, width)


def _measure(pair: Pair, paired: bool, windows: Windows, plug_ins: FilePlugIns) -> dict[str, Any]:
    """Numbers of one name, or why there are none."""
    row: dict[str, Any] = {"case": pair.name, "status": "ok", "reason": ""}
    try:
        if pair.reference is not None:
            truth = read_clip(pair.reference)
            windows.add("reference", truth)
            plug_ins.add("reference", truth)
            row["reference"] = _temporal_numbers(truth)
        if pair.clip is None:
            # references that stand for no clip are a pool to draw from, unless the folders are paired
            missing = "a reference of this name has no clip; the clip is missing"
            return row | ({"status": "failed", "reason": missing} if paired else {"status": "skipped",
                          "reason": "a reference without a clip"})  # fmt: skip
        clip = read_clip(pair.clip)
        row |= {"lossy": is_lossy(pair.clip), "frames": len(clip), "clip": _temporal_numbers(clip)}
        windows.add("clip", clip)
        plug_ins.add("clip", clip)
        if pair.reference is not None:
            row["fidelity"] = _fidelity_numbers(clip, truth)  # pyright: ignore[reportPossiblyUnboundVariable]
            row["plug_ins"] = plug_ins.compare(clip, truth)  # pyright: ignore[reportPossiblyUnboundVariable]
        elif paired:
            row["reason"] = "no reference of this name: no fidelity"
    except DataError as error:
        row |= {"status": "failed", "reason": str(error)}
    return row


def _fidelity_numbers(clip: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    """PSNR, SSIM and moving-region PSNR (None where nothing moves) at each horizon, and of the first frame.

    Raises:
        DataError: when the clips differ in size or length.
    """
    if clip.shape != truth.shape:
        raise DataError(
            f"{len(clip)} frames of {clip.shape[1:3]} cannot be laid beside {len(truth)} frames of "
            f"{truth.shape[1:3]}; bring both to one size and length"
        )
    at = [horizon for horizon in HORIZONS if horizon < len(clip)]
    start = np.repeat(truth[:1], len(at), axis=0)
    copies = psnr_db(start, truth[at])
    moving = moving_psnr_db(clip[at], truth[at], start)
    return {
        "psnr_db": psnr_db(clip[at], truth[at]).tolist(),
        "copy_psnr_db": copies.tolist(),
        "ssim": ssim(clip[at], truth[at]).tolist(),
        "copy_ssim": ssim(start, truth[at]).tolist(),
        "moving_psnr_db": [float(value) if np.isfinite(value) else None for value in moving],  # pyright: ignore
    }


def _temporal_numbers(clip: np.ndarray) -> dict[str, float | None]:
    """What one clip shows over time; drifts compare its last quarter with its first."""
    statistics = frame_statistics(clip)
    quarter = max(1, len(statistics) // 4)
    first, last = statistics[:quarter].mean(axis=0), statistics[-quarter:].mean(axis=0)
    moved = motion(clip)
    colour = luma(clip)
    return {
        "sharpness": float(sharpness(clip).mean()),
        "motion": float(moved.mean()),
        "still_share": float((moved <= STILL_GREY_LEVELS).mean()),
        "interpolation_error": interpolation_error(clip) if len(clip) > 2 else None,
        "brightness_drift": float(abs(colour[-quarter:].mean() - colour[:quarter].mean())),
        "chroma_drift": float(abs(last[2] - first[2])),
        "sharpness_drift": float(last[0] / first[0]) if first[0] > 0 else None,
    }


def _fidelity(rows: Sequence[Mapping[str, Any]], paired: bool, config: FilesConfig) -> dict[str, Figure]:
    """Figures of pairs by horizon, with the first frame copied beside."""
    figures = {}
    chosen = [row for row in rows if row["status"] == "ok" and "fidelity" in row]
    for kind, unit in (("psnr_db", "dB"), ("ssim", "SSIM"), ("moving_psnr_db", "dB")):
        for number, horizon in enumerate(HORIZONS):
            name = f"fidelity.{kind}@{horizon}"
            if not paired:
                folder = "no reference was given" if config.reference is None else "no clip has a reference"
                figures[name] = not_computed("skipped", f"{folder}; pairs bear the same name", unit)
                continue
            long = [row for row in chosen if len(row["fidelity"][kind]) > number]
            judged = [row for row in long if row["fidelity"][kind][number] is not None]
            copies = [row["fidelity"].get(f"copy_{kind}", [None] * 9)[number] for row in judged]
            figures[name] = _figure(
                judged,
                [row["fidelity"][kind][number] for row in judged],
                unit,
                True,
                {"copy_last": None if None in copies else np.array(copies)},
                f"no pair has {horizon + 1} frames" if not long else "nothing moves in any reference",
            )
    return figures


def _temporal(rows: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Figures of every clip by itself, with the mean of all references beside."""
    figures = {}
    for name, (unit, higher) in TEMPORAL.items():
        clips = [row for row in rows if row["status"] == "ok" and row["clip"][name] is not None]
        truths = [row["reference"][name] for row in rows if row.get("reference", {}).get(name) is not None]
        beside = {"true_game": float(np.mean(truths)) if truths else None}
        values = [row["clip"][name] for row in clips]
        figures[f"temporal.{name}"] = _figure(clips, values, unit, higher, beside, "no clip could be read")
    return figures


def _figure(
    rows: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    unit: str,
    higher: bool | None,
    anchors: Mapping[Any, Any],
    reason: str,
) -> Figure:
    cases = tuple(str(row["case"]) for row in rows)
    return figure_of_tally(
        Tally(
            cases=cases,
            world=np.array(values, np.float64),
            anchors=anchors if cases else {},
            unit=unit,
            higher_is_better=higher,
            reason=reason,
        )
    )


def measure_distances(windows: Windows, config: FilesConfig) -> dict[str, Figure]:
    """Fréchet and kernel distance of windows of eight frames to real ones, with the floor where it can be."""
    measures: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "distance.frechet": frechet_distance,
        "distance.kernel": kernel_distance,
    }
    if config.reference is None:
        return {name: not_computed("skipped", "no reference was given") for name in measures}
    own, real = windows.of("clip"), windows.of("reference")
    spare = len(real) - 2 * DIRECTIONS
    if min(len(own), spare) < LEAST_CLIPS or len(windows.sizes) != 1:
        sizes = f" of {len(windows.sizes)} sizes" if len(windows.sizes) > 1 else ""
        reason = (
            f"{len(own)} and {len(real)} windows of {CLIP_FRAMES} frames{sizes}; needed are "
            f"{LEAST_CLIPS} and {LEAST_CLIPS + 2 * DIRECTIONS} of one size"
        )
        return {name: not_computed("undefined", reason) for name in measures}
    generator = stream(config.seed, "windows")
    own, real = own[generator.permutation(len(own))], real[generator.permutation(len(real))]
    encoder = fit_encoder(real[: 2 * DIRECTIONS])
    features, pool = encoder.encode(own), encoder.encode(real[2 * DIRECTIONS :])
    count = min(len(features), len(pool))
    floor = len(pool) // 2 if len(pool) // 2 >= LEAST_CLIPS else 0
    # the floor needs as many real windows again, so that both distances have one bias
    count = min(count, floor) if floor else count
    figures = {}
    for name, measure in measures.items():
        figures[name] = Figure(
            value=measure(features[:count], pool[:count]),
            unit="",
            n=count,
            higher_is_better=False,
            anchors={"true_game": measure(pool[count : 2 * count], pool[:count]) if floor else None},
        )
    return figures
