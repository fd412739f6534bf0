"""The part that lets a vision model mark the same interactions, beside clips whose marks are known.

It reads the clips that the part ``interaction`` played. Engine truth stays the primary judge; this one says
how far a judge without it agrees. This file does NOT know the questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from paracosm.core.figures import Figure, not_computed
from paracosm.core.stats import BOOTSTRAP_DRAWS
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.interaction_effect import Quartet, measure_effect
from paracosm.evaluate.interaction_score import DIMENSIONS
from paracosm.evaluate.judge_client import JudgeConfig
from paracosm.evaluate.judge_clips import Judged, count_right, judge_clip, kappa, labelled_clips
from paracosm.evaluate.judge_questions import WORDINGS, templates_hash
from paracosm.evaluate.part import Part, Result, SkippedUnitError, Tally, Unit, UnitResult, ratio_of

LEAST_ACCURACY = 0.8
"""Share of the known answers that a judge must give for its marks to be shown."""


@dataclass(frozen=True, kw_only=True)
class JudgedInteraction:
    """Marks by a vision model behind an OpenAI-compatible endpoint."""

    url: str = ""
    """Address of the endpoint up to its version; without one the part is skipped."""
    model: str = ""
    """Name of the model to ask for."""
    judge_id: str = ""
    """Id under which it must answer; the name itself where this is empty."""
    cache: str = "judge_replies"
    """Folder of kept replies."""
    mode: Literal["live", "replay"] = "live"
    """Whether to ask, or to read kept replies only."""
    votes: int = 3
    """Times that each question is asked; odd."""
    num_calibration: int = 15
    """Scenes whose true clips are judged too; three or four labelled clips each."""
    templates: str = templates_hash()
    """Hash of the questions: part of what makes marks comparable."""

    name: ClassVar[str] = "judged"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("interaction",)
    alone: ClassVar[bool] = False

    def units(self, bench: Bench) -> Sequence[Unit]:
        """The played clips, then the labelled ones of the first scenes; nothing without an endpoint."""
        if not self.url:
            return []
        played = [result.unit.key for result in bench.results("interaction")]
        # every kind takes its turn, so that a small calibration holds them all
        place: dict[str, int] = {}
        for kind in dict.fromkeys(key.partition("/")[0] for key in played):
            own = [key for key in played if key.partition("/")[0] == kind]
            place |= {key: number for number, key in enumerate(own)}
        turn = sorted(played, key=lambda key: (place[key], key))[: self.num_calibration]
        return [Unit(key=f"world/{key}", case=key) for key in played] + [
            Unit(key=f"known/{key}", case=key) for key in turn
        ]

    def run(self, bench: Bench, unit: Unit) -> UnitResult:
        """Judge one clip, or the labelled clips of one scene; a judge that fails makes the unit failed."""
        what, _, key = unit.key.partition("/")
        result = bench.result("interaction", key)
        kind = str(result.numbers["kind"])
        if kind not in WORDINGS:
            raise SkippedUnitError(f"no wording says what {kind} looks like")
        start = result.array("start")[-1]
        if what == "world":
            judged = judge_clip(self._judge(), WORDINGS[kind], start, result.array("world"), self.votes)
            return UnitResult(numbers={"kind": kind, **_to_json(judged)})
        acted, idle = result.array("truth"), result.array("true_idle")
        effect = measure_effect(Quartet(acted=acted, idle=idle, true_acted=acted, true_idle=idle), 0)
        right = asked = 0
        by_clip = {}
        for clip in labelled_clips(acted, idle, effect.active):
            judged = judge_clip(self._judge(), WORDINGS[kind], start, clip.frames, self.votes)
            good, count = count_right(judged, clip)
            right, asked = right + good, asked + count
            by_clip[clip.name] = {"right": good, "asked": count, **_to_json(judged)}
        return UnitResult(numbers={"kind": kind, "right": right, "asked": asked, "clips": by_clip})

    def measure(self, bench: Bench, results: Sequence[Result]) -> dict[str, Tally | Figure]:
        """Marks, gated and given the trigger; accuracy on labelled clips; agreement with engine truth."""
        names = ["trigger_rate", "overall", *DIMENSIONS, *(f"{name}.given_trigger" for name in DIMENSIONS)]
        if not self.url:
            reason = "no judge was named; give --judge-url and --judge-model"
            return {f"judged.{name}": not_computed("skipped", reason) for name in names}
        known = [result for result in results if result.unit.key.startswith("known/")]
        clips = [result for result in results if result.unit.key.startswith("world/")]
        pairs = np.array([(one.numbers["right"], one.numbers["asked"]) for one in known], float).reshape(
            -1, 2
        )
        accuracy = ratio_of(pairs)
        figures: dict[str, Tally | Figure] = {
            "judged.calibration_accuracy": Tally(
                cases=_cases(known), world=pairs, combine=ratio_of, unit="share",
                reason="no labelled clip was judged",
            )
        }  # fmt: skip
        if not accuracy >= LEAST_ACCURACY:
            shown = (
                "could not be tested" if np.isnan(accuracy) else f"gives {accuracy:.2f} of the known answers"
            )
            reason = f"the judge {self.model} {shown}; at least {LEAST_ACCURACY} is needed"
            return figures | {f"judged.{name}": not_computed("undefined", reason) for name in names}
        figures["judged.trigger_rate"] = _marks(clips, "trigger", "share")
        figures["judged.overall"] = _marks(clips, "overall", "marks")
        for name in DIMENSIONS:
            figures[f"judged.{name}"] = _marks(clips, name, "marks")
            figures[f"judged.{name}.given_trigger"] = _marks(clips, name, "marks", given=True)
        figures["judged.vote_agreement"] = Tally(
            cases=_cases(clips),
            world=np.array([result.numbers["agreement"] for result in clips], float),
            unit="share",
        )
        return figures | _agreement(bench, clips)

    def _judge(self) -> JudgeConfig:
        return JudgeConfig(
            url=self.url, model=self.model, judge_id=self.judge_id, cache=Path(self.cache), mode=self.mode
        )


def with_judge(parts: Sequence[Part], judge: JudgeConfig | None) -> list[Part]:
    """Tell the part that asks a vision model which one; other parts stay as they are."""
    if judge is None:
        return list(parts)
    asked = {
        "url": judge.url,
        "model": judge.model,
        "judge_id": judge.judge_id,
        "cache": str(judge.cache),
        "mode": judge.mode,
    }
    return [replace(part, **asked) if isinstance(part, JudgedInteraction) else part for part in parts]


def _to_json(judged: Judged) -> dict[str, Any]:
    overall = (5 * judged.marks["trigger"] + sum(judged.marks[name] for name in DIMENSIONS)) / 6
    return {
        "marks": {**judged.marks, "overall": overall},
        "answers": judged.answers,
        "agreement": judged.agreement,
        "judge": judged.judge,
        "tokens": judged.tokens,
    }


def _cases(results: Sequence[Result]) -> tuple[str, ...]:
    return tuple(result.unit.case for result in results)


def _marks(results: Sequence[Result], name: str, unit: str, given: bool = False) -> Tally:
    marks: list[Mapping[str, float]] = [result.numbers["marks"] for result in results]
    if given:
        rows = np.array([(one[name] * one["trigger"], one["trigger"]) for one in marks], float).reshape(-1, 2)
        return Tally(
            cases=_cases(results), world=rows, combine=ratio_of, unit=unit, reason="no clip was triggered"
        )
    return Tally(cases=_cases(results), world=np.array([one[name] for one in marks], float), unit=unit)


def _agreement(bench: Bench, clips: Sequence[Result]) -> dict[str, Tally | Figure]:
    """Cohen's kappa between this judge and engine truth, of the trigger and of all marks pooled."""
    pairs = []
    for result in clips:
        engine = bench.result("interaction", result.unit.case).numbers["world"][0]
        pairs.append([(engine[name], result.numbers["marks"][name]) for name in ("trigger", *DIMENSIONS)])
    rows = np.array(pairs, float).reshape(len(pairs), 1 + len(DIMENSIONS), 2)

    def tally(part: slice) -> Tally:
        def combine(chosen: np.ndarray) -> float:
            flat = chosen.reshape(-1, 2)
            return kappa(flat[:, 0].tolist(), flat[:, 1].tolist()) if len(flat) else float("nan")

        return Tally(
            cases=_cases(clips),
            world=rows[:, part],
            combine=combine,
            unit="kappa",
            draws=BOOTSTRAP_DRAWS // 4,
            reason="neither judge varies",
        )

    return {
        "judged.kappa_trigger": tally(slice(0, 1)),
        "judged.kappa_marks": tally(slice(1, None)),
    }
