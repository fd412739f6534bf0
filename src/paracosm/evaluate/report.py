"""One static page beside the figures, so that a person can look: table, clips, minutes of free play.

No network and no script from elsewhere; pictures are embedded. This file does NOT compute figures.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from paracosm.core.figures import Figure, Report
from paracosm.core.files import whole_file
from paracosm.core.world import WorldInfo

from .long_runs import LongRuns
from .quality import psnr_db
from .short_runs import VARIANTS, ShortRuns
from .targets import Target

SHOWN_STEPS = (1, 2, 4, 8, 12, 16, 24, 32)
"""Steps of a case that the strips show."""
SHOWN_CASES = 3
"""Worst cases, and as many in the middle."""
SHOWN_MOMENTS = 13
"""Frames of a long run that a strip shows, evenly spread."""
SCALE = 2
"""Screen pixels for each pixel of a strip."""
LABELS = {"true_game": "true game", "copy_last": "last frame copied", "shuffled": "controls shuffled"} | {
    "no_control": "no control"
}
"""Words for the anchors."""

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; margin-bottom: 0; }} h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .4rem; }}
p.note {{ opacity: .75; margin: .2rem 0 .8rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: .22rem .6rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }}
th:first-child, td:first-child, td.reason {{ text-align: left; }}
td.reason {{ white-space: normal; opacity: .75; }}
figure {{ margin: .8rem 0 1.4rem; }} figcaption {{ font-size: .9rem; opacity: .8; }}
ul.plain {{ list-style: none; padding: 0; columns: 24rem; }}
img {{ image-rendering: pixelated; max-width: 100%; }}
</style>
<h1>{title}</h1>
<p class="note">{about}</p>
{body}
</html>
"""


def write_page(
    path: Path,
    info: WorldInfo,
    report: Report,
    short: ShortRuns | None = None,
    long: LongRuns | None = None,
    targets: Sequence[Target] = (),
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: the HTML file.
        info: the world measured.
        report: its figures.
        short: short runs to show, None for none.
        long: long runs to show, None for none.
        targets: bounds to hold the figures against.

    Raises:
        DataError: when it cannot be written.
    """
    body = [_verdict(report, targets)] if targets else []
    body.append(_table(report))
    if short is not None:
        body += _case_figures(short, info.fps)
    if long is not None:
        body += _run_figures(long, info.fps)
    about = (
        f"{info.height} x {info.width} pixels, {info.fps:g} steps a second, "
        f"{info.engine or 'engine unknown'}. "
        f"Measured on {report.hardware.get('cpu', 'unknown')}, {report.hardware.get('cores', '?')} cores; "
        f"commit {report.commit or 'unknown'}; {report.command}"
    )
    page = PAGE.format(
        title=html.escape(f"{info.name}, measured"), about=html.escape(about), body="\n".join(body)
    )
    with whole_file(path) as temporary:
        temporary.write_text(page)


def strip(rows: Sequence[np.ndarray], scale: int = SCALE) -> np.ndarray:
    """Lay clips under each other, their frames side by side, with a gap of two pixels.

    Args:
        rows: uint8 (t, h, w, 3) each, of equal h and w; shorter ones end early.
        scale: screen pixels for each pixel.

    Returns:
        uint8 (height, width, 3).
    """
    height, width = rows[0].shape[1:3]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + 2) - 2, columns * (width + 2) - 2, 3), 128, np.uint8)
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            top, left = y * (height + 2), x * (width + 2)
            sheet[top : top + height, left : left + width] = frame
    return sheet.repeat(scale, axis=0).repeat(scale, axis=1)


def _verdict(report: Report, targets: Sequence[Target]) -> str:
    met = sum(target.meets(report.figures) for target in targets)
    items = "".join(f"<li>{_mark(target, report)} {html.escape(str(target))}</li>" for target in targets)
    return (
        f"<h2>Meets {met} of {len(targets)} targets</h2>"
        "<p class='note'>A dash marks what was not measured.</p>"
        f"<ul class='plain'>{items}</ul>"
    )


def _mark(target: Target, report: Report) -> str:
    figure = report.figures.get(target.figure)
    if figure is None or figure.value is None:
        return "&ndash;"
    return "&#10003;" if target.meets(report.figures) else "<b>&#10007;</b>"


def _table(report: Report) -> str:
    head = "".join(f"<th>{html.escape(LABELS[name])}</th>" for name in VARIANTS)
    rows = "".join(_row(name, figure) for name, figure in report.figures.items())
    return (
        "<h2>Figures</h2><p class='note'>95 % intervals by bootstrap over cases or runs. Beside each figure "
        "stands the same measured on its anchors, where it can be.</p><div class='wide'><table>"
        f"<tr><th>figure</th><th>value</th><th>95 %</th><th>unit</th><th>n</th>{head}</tr>"
        f"{rows}</table></div>"
    )


def _row(name: str, figure: Figure) -> str:
    cells = f"<td>{html.escape(name)}</td>"
    if figure.value is None:
        reason = html.escape(f"{figure.status}: {figure.reason}")
        return f"<tr>{cells}<td class='reason' colspan='{4 + len(VARIANTS)}'>{reason}</td></tr>"
    interval = f"{figure.ci95[0]:.3g} to {figure.ci95[1]:.3g}" if figure.ci95 else ""
    values = [f"<b>{figure.value:.4g}</b>", interval, html.escape(figure.unit), str(figure.n)]
    anchors = (figure.anchors.get(anchor) for anchor in VARIANTS)
    values += ["" if value is None else f"{value:.4g}" for value in anchors]
    return f"<tr>{cells}{''.join(f'<td>{value}</td>' for value in values)}</tr>"


def _case_figures(short: ShortRuns, fps: float) -> list[str]:
    last = min(16, len(short.world[0])) - 1
    scores = np.array(
        [
            float(psnr_db(run[last], case.truth[last]))
            for run, case in zip(short.world, short.cases, strict=True)
        ]
    )
    order = np.argsort(scores)
    middle = max(0, len(order) // 2 - SHOWN_CASES // 2)
    parts = [
        "<h2>Short runs</h2>"
        "<p class='note'>Rows: true game, this world, this world under shuffled controls, without "
        f"control. Columns: the last start frame, then after {', '.join(map(str, SHOWN_STEPS))} steps. "
        "The moving picture shows the true game on the left and this world on the right.</p>"
    ]
    for title, chosen in (("worst", order[:SHOWN_CASES]), ("middling", order[middle : middle + SHOWN_CASES])):
        for index in chosen:
            case = short.cases[index]
            rows = [
                case.truth,
                short.world[index],
                *(short.anchors[name][index] for name in ("shuffled", "no_control")),
            ]
            steps = [step - 1 for step in SHOWN_STEPS if step <= len(case.truth)]
            start = case.rollout.start[-1:]
            sheet = strip([np.concatenate([start, row[steps]]) for row in rows])
            caption = f"{title}: {case.name}, {scores[index]:.1f} dB after {last + 1} steps"
            parts.append(_show([_png(sheet), _animation(case.truth, short.world[index], fps)], caption))
    return parts


def _run_figures(long: LongRuns, fps: float) -> list[str]:
    parts = [
        "<h2>Free play for minutes</h2>"
        "<p class='note'>Above the true game (at a seam another episode begins), "
        "below this world under the same controls, at even distances over the whole run.</p>"
    ]
    for run, frames, truth in zip(long.runs, long.world, long.truth, strict=True):
        moments = np.linspace(0, len(frames) - 1, SHOWN_MOMENTS).astype(int)
        real = np.concatenate([part[1:] for part in truth])
        sheet = strip([real[moments], frames[moments]], scale=1 if frames.shape[2] > 64 else SCALE)
        parts.append(_show([_png(sheet)], f"{run.name}, {len(frames) / fps:.0f} s"))
    return parts


def _show(pictures: Sequence[str], caption: str) -> str:
    images = " ".join(f"<img alt='' src='data:image/png;base64,{picture}'>" for picture in pictures)
    return f"<figure><div class='wide'>{images}</div><figcaption>{html.escape(caption)}</figcaption></figure>"


def _png(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _animation(truth: np.ndarray, dream: np.ndarray, fps: float) -> str:
    """A moving PNG of the true game and the world side by side: lossless, unlike any video."""
    frames = [Image.fromarray(strip([np.stack(pair)])) for pair in zip(truth, dream, strict=True)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "png", save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0)
    return base64.b64encode(buffer.getvalue()).decode()
