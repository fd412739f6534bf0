"""Clips on the page: short cases with the worst first, and moments of minutes of free play.

This file does NOT know figures.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from .cases import Case
from .clips import animation, difference_of, picture, strip
from .long_runs import read_truth
from .page_style import heading
from .part import Result
from .quality import psnr_db
from .runner import Outcome

SHOWN_STEPS = (1, 2, 4, 8, 12, 16, 24, 32)
"""Steps of a case that the strips show."""
SCENE_STEPS = (1, 2, 3, 4, 6, 8, 12, 18, 24)
"""Steps of a scene that its strip shows."""
SHOWN_CASES = 3
"""Worst cases, and as many in the middle."""
SHOWN_MOMENTS = 13
"""Frames of a long run that a strip shows, evenly spread."""
SHOWN_RUNS = 4
"""Long runs that are shown."""


def short_clips(outcome: Outcome) -> str:
    """Short cases, worst first: moving beside the truth, and moments under every control; "" without any."""
    results = outcome.bench.results("short")
    cases = outcome.bench.all_cases()
    shown = [(cases[one.unit.case], one) for one in results if one.unit.case in cases]
    if not shown:
        return ""
    clips = [(case, result.array("world"), result) for case, result in shown]
    last = min(16, len(clips[0][1])) - 1
    scores = np.array([float(psnr_db(clip[last], case.truth[last])) for case, clip, _ in clips])
    order = np.argsort(scores)
    middle = max(SHOWN_CASES, len(order) // 2 - SHOWN_CASES // 2)
    groups = {
        "Worst cases first": order[:SHOWN_CASES],
        "Middling cases": order[middle : middle + SHOWN_CASES],
        "Best case": order[-1:] if len(order) > 2 * SHOWN_CASES else [],
    }
    parts = [
        heading("Clips")
        + f"<p class='note'>Moving: the true game, this world, and their difference (doubled; "
        f"grey is none). Below each, a column a moment: the last start frame, then after "
        f"{', '.join(map(str, SHOWN_STEPS))} steps; rows: true game, this world, under shuffled controls, "
        f"without control. Ordered by PSNR after {last + 1} steps.</p>"
    ]
    for title, chosen in groups.items():
        if len(chosen):
            parts.append(f"<h3>{title}</h3>")
        for index in chosen:
            case, clip, result = clips[index]
            truth = case.truth[: len(clip)]  # another part may have asked for more of this case
            caption = f"{case.name}, {case.split.replace('_', ' ')}: {scores[index]:.1f} dB"
            rows = [truth, clip, result.array("shuffled"), result.array("no_control")]
            parts.append(_case_figure(case, rows, outcome.bench.info.fps, caption))
    return "".join(parts)


def _case_figure(case: Case, rows: Sequence[np.ndarray], fps: float, caption: str) -> str:
    truth, clip = rows[:2]
    steps = [step - 1 for step in SHOWN_STEPS if step <= len(truth)]
    start = case.rollout.start[-1:]
    sheet = strip([np.concatenate([start, row[steps]]) for row in rows])
    scale = max(1, round(128 / truth.shape[2]))
    moving = animation([truth, clip, difference_of(clip, truth)], fps, 2 * scale, "true, world, difference")
    still = picture(sheet, scale, "moments")
    return (
        f"<figure><div class='wide'>{moving}</div><div class='wide'>{still}</div>"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def scene_strips(outcome: Outcome) -> str:
    """Of each kind of interaction the scenes of the smallest and the largest effect; "" without any."""
    results = outcome.bench.results("interaction")
    splits = outcome.bench.splits()
    parts = [
        heading("Interaction")
        + f"<p class='note'>Columns: the last start frame, then after {', '.join(map(str, SCENE_STEPS))} "
        "steps. Rows: the true game with the key, this world with the key, the true game without it, this "
        "world without it. Of each kind the scene with the smallest gain first, then that with the "
        "largest.</p>"
    ]
    for kind in dict.fromkeys(str(one.numbers["kind"]) for one in results):
        own = sorted((one for one in results if one.numbers["kind"] == kind), key=_gain)
        parts.append(f"<h3>{html.escape(kind)}</h3>")
        for result in own if len(own) < 2 else (own[0], own[-1]):
            rows = [result.array(name) for name in ("truth", "world", "true_idle", "idle")]
            steps = [step - 1 for step in SCENE_STEPS if step <= len(rows[0])]
            start = result.array("start")[-1:]
            sheet = strip([np.concatenate([start, row[steps]]) for row in rows])
            marks = result.numbers["world"]
            triggered = sum(bool(one["trigger"]) for one in marks)
            split = splits.get(result.unit.case, "").replace("_", " ")
            caption = (
                f"{result.unit.key}{f', {split}' if split else ''}: gain {_gain(result):.2f}, triggered "
                f"under {triggered} of {len(marks)} noise seeds (the first is shown)"
            )
            scale = max(1, round(128 / rows[0].shape[2]))
            parts.append(
                f"<figure><div class='wide'>{picture(sheet, scale, 'moments')}</div>"
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
    return "".join(parts) if results else ""


def _gain(result: Result) -> float:
    return float(np.mean([one["gain"] for one in result.numbers["world"]]))


def long_strips(outcome: Outcome) -> str:
    """Moments of long runs above and below the frames really seen; "" without any."""
    results = outcome.bench.results("long")[:SHOWN_RUNS]
    runs = outcome.bench.all_runs()
    if not results:
        return ""
    parts = [
        heading("Free play for minutes") + "<p class='note'>Above the true game (at a seam another episode "
        "begins), below this world under the same controls, at even distances over the whole run.</p>"
    ]
    fps = outcome.bench.info.fps
    for result in results:
        run, frames = runs[result.unit.case], result.array("world")
        moments = np.linspace(0, len(frames) - 1, SHOWN_MOMENTS).astype(int)
        real = np.concatenate([part[1:] for part in read_truth([run])[0]])
        sheet = picture(strip([real[moments], frames[moments]]), 1, "true game above, world below")
        caption = html.escape(f"{run.name}, {len(frames) / fps:.0f} s")
        parts.append(f"<figure><div class='wide'>{sheet}</div><figcaption>{caption}</figcaption></figure>")
    return "".join(parts)
