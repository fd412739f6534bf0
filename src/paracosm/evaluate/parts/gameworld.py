"""The part that fills a card in the manner of the GameWorld score: eight dimensions, by offline substitutes.

It reads what the part ``short`` kept, and plays two things of its own: symmetric walks, and cases along which
the true game tells depth. Originals are measured beside where their networks are given. This file does NOT
know the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from paracosm.core.figures import Figure, not_computed
from paracosm.evaluate import gameworld, gameworld_originals
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.cameras import true_views, with_depth
from paracosm.evaluate.cases import Case
from paracosm.evaluate.gameworld_originals import Network
from paracosm.evaluate.part import Result, SkippedUnitError, Tally, Unit, UnitResult, mean_of, ratio_of
from paracosm.evaluate.reprojection import LEAST_TRUE_GAIN, reprojection, reprojection_gain

from .control import NO_READER, read_steps
from .short import VARIANTS, shown

ORIGINALS: Mapping[str, tuple[str, str]] = {
    "image_quality_musiq": ("musiq", "MUSIQ"),
    "aesthetic_laion": ("aesthetic", "the LAION aesthetic predictor"),
    "temporal_consistency_clip": ("clip", "CLIP ViT-B/32"),
    "motion_smoothness_amt": ("amt", "AMT-S"),
}
"""Figures of originals: the setting that names the network's file, and what the network is."""
NEVER: Mapping[str, str] = {
    "keyboard_accuracy_vpt": "VPT's inverse dynamics knows Minecraft's keys alone",
    "mouse_accuracy_vpt": "VPT's inverse dynamics knows Minecraft's turns alone",
    "object_consistency_droid": "DROID-SLAM needs a GPU; the depth and motion of the true game are known",
}
"""Originals that cannot be measured here at all."""


@dataclass(frozen=True, kw_only=True)
class GameWorld:
    """The GameWorld-style card."""

    num_cases: int
    """as for the short runs"""
    steps: int
    """as for the short runs"""
    num_walks: int = 4
    """cases from which the walks begin, and as many along which depth is told"""
    walk_steps: int = 8
    """steps of a walk, one way"""
    depth_steps: int = 16
    """steps of a case along which depth is told"""
    musiq: str = ""
    """ONNX file of MUSIQ (SPAQ): a frame in [0, 1] in, one number of 0 to 100 out"""
    aesthetic: str = ""
    """ONNX file of CLIP ViT-L/14 with the LAION head: CLIP's input in, one number of 0 to 10 out"""
    clip: str = ""
    """ONNX file of CLIP ViT-B/32's picture side: CLIP's input in, features out"""
    amt: str = ""
    """ONNX file of AMT-S: two frames in [0, 1] in, the middle one out"""

    name: ClassVar[str] = "gameworld"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("short",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """One unit for each clip that was played, for the walks of a case, and for a case with depth."""
        clips = [Unit(key=f"clip/{one.unit.key}", case=one.unit.case) for one in bench.results("short")]
        scripts = gameworld.mirrored_walks(bench.info.controls, self.walk_steps)
        near = list(bench.cases(self.num_walks, self.depth_steps, near=True))
        walks = [
            Unit(key=f"walks/{name}", case=name, steps=2 * self.walk_steps * len(scripts)) for name in near
        ]
        depths = [Unit(key=f"depth/{name}", case=name, steps=self.depth_steps) for name in near]
        return clips + (walks if scripts else []) + depths

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Measure one clip, or play and measure one case."""
        what, _, key = unit.key.partition("/")
        if what == "clip":
            case = bench.cases(self.num_cases, self.steps)[unit.case]
            frames = shown(case, bench.result("short", key))
            return UnitResult(numbers={name: self._clip(bench, case, clip) for name, clip in frames.items()})
        case = bench.cases(self.num_walks, self.depth_steps, near=True)[unit.case]
        return UnitResult(numbers=self._walks(bench, case) if what == "walks" else _depth(bench, case))

    def measure(self, bench: Bench, results: Sequence[Result]) -> dict[str, Tally | Figure]:
        """Substitutes under names of their own, originals under theirs, with reasons for what is missing."""
        clips = [one for one in results if one.unit.key.startswith("clip/")]
        figures: dict[str, Tally | Figure] = {}
        for name, missing in (
            ("band_share", None if bench.real else "no reference recordings were given"),
            ("own_encoder_consistency", None if bench.encoder else "no tokenizer was given"),
            ("own_reader_key_accuracy", None if bench.reader else NO_READER),
            ("own_reader_turn_accuracy", _no_turn(bench)),
        ):
            figures[f"gameworld.{name}"] = (
                not_computed("skipped", missing, "share") if missing else _tally(clips, name)
            )
        figures["gameworld.interpolation_share"] = _tally(
            clips, "interpolation", combine=ratio_of, higher=None, reason="nothing moves in the true game"
        )
        for name, (setting, network) in ORIGINALS.items():
            given = getattr(self, setting)
            reason = f"{network} is not shipped; give its ONNX file"
            figures[f"gameworld.{name}"] = (
                _tally(clips, name) if given else not_computed("skipped", reason, "share")
            )
        for name, reason in NEVER.items():
            figures[f"gameworld.{name}"] = not_computed("skipped", reason, "share")
        figures["gameworld.true_depth_gain"] = _tally(
            [one for one in results if one.unit.key.startswith("depth/") and _judges(one)],
            "depth",
            combine=reprojection_gain,
            reason="at no moment do depth and motion explain the true game's own frames",
        )
        walks = [one for one in results if one.unit.key.startswith("walks/")]
        still = "no control undoes another, or the true game stands still"
        figures["gameworld.mirrored_walk_score"] = _tally(
            walks, "walks", combine=gameworld.mirror_score, reason=still
        )
        figures["gameworld.scenario_mse"] = _tally(
            walks, "walks", combine=_first_mean, higher=False, unit="squared grey levels", reason=still
        )
        return figures

    def _clip(self, bench: Bench, case: Case, clip: np.ndarray) -> dict[str, Any]:
        """Numbers of one variant of one case."""
        whole = np.concatenate([case.rollout.start[-1:], clip])
        truth = np.concatenate([case.rollout.start[-1:], case.truth])
        found: dict[str, Any] = {
            "interpolation": [gameworld.interpolation_error(whole), gameworld.interpolation_error(truth)]
        }
        if bench.real is not None:
            found["band_share"] = gameworld.band_share(whole, bench.real.band)
        if bench.encoder is not None:
            consistency = gameworld.feature_consistency(bench.encoder.encode(whole))
            found["own_encoder_consistency"] = consistency * gameworld.motion_gate(whole, truth)
        if bench.reader is not None:
            found |= _read_controls(bench, case, clip)
        for name, (setting, _) in ORIGINALS.items():
            if getattr(self, setting):
                found[name] = self._original(bench, name, whole)
        return found

    def _original(self, bench: Bench, name: str, clip: np.ndarray) -> float:
        measure: Callable[[Network, np.ndarray], float] = {
            "image_quality_musiq": gameworld_originals.image_quality,
            "aesthetic_laion": gameworld_originals.aesthetic,
            "temporal_consistency_clip": gameworld_originals.temporal_consistency,
            "motion_smoothness_amt": gameworld_originals.smoothness,
        }[name]
        file = Path(getattr(self, ORIGINALS[name][0]))
        return measure(Network(file, 2 if name == "motion_smoothness_amt" else 1), clip)

    def _walks(self, bench: Bench, case: Case) -> dict[str, Any]:
        """Mirrored errors and ways, mean over walks: of the world, the true game, and a still picture."""
        rows = {name: np.zeros(3) for name in ("world", "true_game", "copy_last")}
        scripts = gameworld.mirrored_walks(bench.info.controls, self.walk_steps)
        for script in scripts.values():
            rollout = replace(case.rollout, controls=script)
            start = case.rollout.start[-1:]
            true = np.concatenate([start, bench.play_true(rollout)[0]])
            own = np.concatenate([start, bench.play(rollout)])
            still = np.repeat(start, len(true), axis=0)
            way = gameworld.away_error(true)
            for name, clip in (("world", own), ("true_game", true), ("copy_last", still)):
                rows[name] += [gameworld.mirror_error(clip), gameworld.away_error(clip), way]
        return {name: {"walks": (row / len(scripts)).tolist()} for name, row in rows.items()}


def _depth(bench: Bench, case: Case) -> dict[str, Any]:
    """Reprojection errors of the world, of the true game, of a still picture, and of other controls."""
    config = with_depth(case.rollout.recipe.config)
    views = true_views(bench.true_game(config), case.rollout, case.rollout.controls)
    if views is None or any(view.depth is None for view in views):
        raise SkippedUnitError(f"{bench.config.game.name} does not tell how far things are")
    start = case.rollout.start[-1:]
    clips = {
        "world": np.concatenate([start, bench.play(case.rollout)]),
        "true_game": np.concatenate([start, case.truth]),
        "copy_last": np.repeat(start, 1 + len(case.truth), axis=0),
    }
    errors = {name: reprojection(clip, views) for name, clip in clips.items()}
    if errors["true_game"] is None:
        raise SkippedUnitError("no pixel of this case is seen in two frames")
    still = errors["true_game"].still
    return {
        name: {"depth": None if one is None else [one.warped, one.still, still]}
        for name, one in errors.items()
    }


def _judges(result: Result) -> bool:
    """Whether depth and motion explain the true game's own frames."""
    return reprojection_gain(np.array([result.numbers["true_game"]["depth"]])) >= LEAST_TRUE_GAIN


def _read_controls(bench: Bench, case: Case, clip: np.ndarray) -> dict[str, Any]:
    assert bench.reader is not None
    config, space = bench.reader.config, bench.info.controls
    read = read_steps(bench.reader, np.concatenate([case.rollout.start, clip]))
    asked = space.to_vectors(case.rollout.controls)[: len(read)]
    keys = [space.keys.index(key) for key in config.keys]
    found = {
        "own_reader_key_accuracy": gameworld.key_accuracy(read[:, : len(keys)], asked[:, keys], config.keys)
    }
    if config.look:
        axes = [len(space.keys) + ("yaw", "pitch").index(axis) for axis in config.look]
        found["own_reader_turn_accuracy"] = gameworld.turn_accuracy(read[:, len(keys) :], asked[:, axes])
    return found


def _no_turn(bench: Bench) -> str | None:
    if bench.reader is None:
        return NO_READER
    return None if bench.reader.config.look else "the world has no camera to turn"


def _first_mean(rows: np.ndarray) -> float:
    return mean_of(rows[:, 0])


def _tally(
    results: Sequence[Result],
    name: str,
    *,
    combine: Callable[[np.ndarray], float] = mean_of,
    higher: bool | None = True,
    unit: str = "share",
    reason: str = "no case could be judged",
) -> Tally:
    chosen = [one for one in results if one.numbers["world"].get(name) is not None]
    anchors = {
        anchor: np.array([one.numbers[anchor][name] for one in chosen], np.float64)
        for anchor in VARIANTS
        if chosen and all(one.numbers.get(anchor, {}).get(name) is not None for one in chosen)
    }
    return Tally(
        cases=tuple(one.unit.case for one in chosen),
        world=np.array([one.numbers["world"][name] for one in chosen], np.float64),
        combine=combine,
        anchors=dict(anchors),
        unit=unit,
        higher_is_better=higher,
        reason=reason,
    )
