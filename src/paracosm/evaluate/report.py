"""One static page beside the figures, so that a person can look: verdict, tables, curves, clips, worst cases.

No network and no script; pictures are embedded, moving ones too. This file does NOT compute figures.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from paracosm.core.figures import Figure, Report
from paracosm.core.files import whole_file

from .card_page import card_markup
from .charts import ROW_WIDTH, Line, difference_picture, legend, line_chart, row_picture
from .compare import DIFFERENCE
from .page_style import FAMILIES, HEADLINE, LABELS, PAGE, contents, heading
from .parts.short import VARIANTS
from .report_clips import long_strips, scene_strips, short_clips
from .runner import LEAST_COVERAGE, Outcome
from .tally import UNSEEN
from .targets import Target

CURVES = {"sharpness": "grey levels", "brightness": "grey levels", "chroma": "grey levels"} | {
    "motion": "grey levels a step"
}
"""Statistics whose course over minutes is drawn, with their units."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the page shows.

    Attributes:
        outcome: units and what they kept.
        report: the figures, and where they were measured.
        targets: bounds to hold them against; () for none.
        cases: which cases, for people.
        against: the other world or folder, "" for none.
        card: the world's model card, as Markdown; "" for none.
        versions: version of each part.
    """

    outcome: Outcome
    report: Report
    targets: Sequence[Target] = ()
    cases: str = ""
    against: str = ""
    card: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)


def write_page(path: Path, page: Page) -> None:
    """Write the page, whole or not at all.

    Raises:
        DataError: when it cannot be written.
    """
    info = page.outcome.bench.info
    head = [_verdict(page), _headline(page), _facts(page)]
    body = [_targets(page), *_tables(page), _curves(page), short_clips(page.outcome)]
    body += [scene_strips(page.outcome), long_strips(page.outcome), _not_ok(page), _card(page)]
    sections = "\n".join(filter(None, body))
    parts = [*filter(None, head), contents(sections), sections]
    text = PAGE.format(title=html.escape(f"{info.name}, measured"), body="\n".join(parts))
    with whole_file(path) as temporary:
        temporary.write_text(text)


def verdict(page: Page) -> str:
    """Say in one sentence what was found."""
    figures, outcome = page.report.figures, page.outcome
    words = []
    if page.targets:
        met = sum(target.meets(figures) for target in page.targets)
        missing = sum(not _measured(figures, target.figure) for target in page.targets)
        rest = f", {missing} not measured" if missing else ""
        words.append(f"Meets {met} of {len(page.targets)} targets{rest}")
    done = sum(figure.value is not None for figure in figures.values())
    words.append(f"{done} figures measured, {len(figures) - done} not computed")
    words.append(
        f"{outcome.count('ok')} of {outcome.count('ok') + outcome.count('failed')} units ended well"
        + (f", {outcome.count('skipped')} were skipped" if outcome.count("skipped") else "")
    )
    return "; ".join(words) + "."


def _verdict(page: Page) -> str:
    figures = page.report.figures
    missed = any(_measured(figures, target.figure) and not target.meets(figures) for target in page.targets)
    word = "bad" if missed or page.outcome.coverage < LEAST_COVERAGE else "good"
    return f"<p class='verdict {word}'>{html.escape(verdict(page))}</p>"


def _headline(page: Page) -> str:
    """The few figures that a reader asks for first, where they were measured."""
    tiles = []
    for name, words in HEADLINE.items():
        figure = page.report.figures.get(name)
        if figure is not None and figure.value is not None:
            interval = _interval(figure)
            note = f"{html.escape(figure.unit)}{f', {interval}' if interval else ''}"
            tiles.append(
                f"<div><b>{_number(figure.value)}</b><span>{html.escape(words)}</span><small>{note}</small></div>"
            )
    return f"<div class='tiles'>{''.join(tiles)}</div>" if tiles else ""


def _facts(page: Page) -> str:
    info, report = page.outcome.bench.info, page.report
    played = {one.unit.case for results in page.outcome.results.values() for one in results}
    splits = [split for name, split in page.outcome.bench.splits().items() if name in played]
    counts = {split: splits.count(split) for split in dict.fromkeys(splits)}
    played_from = ", ".join(f"{n} on {split.replace('_', ' ')}s" for split, n in counts.items())
    rows = {
        "world": f"{info.name}, {info.engine or 'engine unknown'}",
        "picture": f"{info.height} x {info.width} pixels, {info.fps:g} steps a second",
        "cases": "; ".join(filter(None, [page.cases, played_from])),
        "noise seeds": ", ".join(map(str, report.seeds)),
        "versions": ", ".join(f"{name} {version}" for name, version in page.versions.items()),
        "machine": f"{report.hardware.get('cpu', 'unknown')}, {report.hardware.get('cores', '?')} cores, "
        f"{report.hardware.get('memory_gb', '?')} GB, {report.hardware.get('system', '')}, "
        f"Python {report.hardware.get('python', '?')}",
        "commit": report.commit or "unknown",
        "to repeat": report.command,
    }
    cells = "".join(
        f"<tr><th>{name}</th><td>{_code(name, value)}</td></tr>" for name, value in rows.items() if value
    )
    return f"<table class='facts'>{cells}</table>"


def _code(name: str, value: str) -> str:
    text = html.escape(value)
    return f"<code>{text}</code>" if name in ("to repeat", "commit") else text


def _targets(page: Page) -> str:
    if not page.targets:
        return ""
    items = "".join(f"<li>{_mark(target, page)} {html.escape(str(target))}</li>" for target in page.targets)
    note = "A dash marks what was not measured."
    return f"{heading('Targets')}<p class='note'>{note}</p><ul class='plain'>{items}</ul>"


def _mark(target: Target, page: Page) -> str:
    if not _measured(page.report.figures, target.figure):
        return "<b class='dash'>&ndash;</b>"
    met = target.meets(page.report.figures)
    return "<b class='met'>&#10003;</b>" if met else "<b class='missed'>&#10007;</b>"


def _measured(figures: Mapping[str, Figure], name: str) -> bool:
    return name in figures and figures[name].value is not None


def _tables(page: Page) -> list[str]:
    figures = dict(page.report.figures)
    differences = {name: figures.pop(name) for name in list(figures) if name.startswith(DIFFERENCE)}
    unseen = {name: figures.pop(name) for name in list(figures) if name.startswith(UNSEEN)}
    found = [
        heading("Figures") + "<p class='note'>95 % intervals by bootstrap over cases, resampled whole. The "
        "picture in each row sets the value and its interval among the same figure of the anchors, on an "
        "axis of its own; an arrow says which way is better.</p>",
        legend({"world": "this world", **{name: LABELS[name] for name in VARIANTS}}),
    ]
    families: dict[str, dict[str, Figure]] = {}
    figures.pop("coverage", None)  # the verdict says it
    for name, figure in figures.items():
        families.setdefault(name.partition(".")[0], {})[name] = figure
    for family, group in families.items():
        found.append(f"<h3>{html.escape(FAMILIES.get(family, family))}</h3>{_table(group)}")
    if unseen:
        found.append(heading("Levels that the world never saw") + _table(unseen, UNSEEN))
    if differences:
        title = heading(f"This world minus {page.against}")
        note = "Paired over the cases that both judged. An interval that leaves out nought is a difference."
        found.append(f"{title}<p class='note'>{note}</p>{_difference_table(differences)}")
    return found


def _table(figures: Mapping[str, Figure], prefix: str = "") -> str:
    shown = VARIANTS if any(figure.anchors for figure in figures.values()) else ()
    head = "".join(f"<th>{html.escape(LABELS[name])}</th>" for name in shown)
    rows = "".join(_rows({name.removeprefix(prefix): one for name, one in figures.items()}, shown))
    return (
        f"<div class='wide'><table class='figures fixed'>{_columns(len(shown))}<tr><th>figure</th><th></th>"
        f"<th>value</th><th>95 %</th><th>unit</th><th>n</th>{head}</tr>{rows}</table></div>"
    )


def _columns(num_anchors: int) -> str:
    """Give every table the same widths, in shares of the page, so that the eye can run down it."""
    widths = (300, ROW_WIDTH + 12, 84, 160, 100, 52, *(70,) * num_anchors)
    shares = [100 * width / sum(widths) for width in widths]
    return "<colgroup>" + "".join(f"<col style='width:{share:.2f}%'>" for share in shares) + "</colgroup>"


def _rows(figures: Mapping[str, Figure], shown: Sequence[str]) -> Iterator[str]:
    """A row for each figure; neighbours that were not computed for one reason share theirs."""
    for (status, reason), group in itertools.groupby(
        figures.items(), lambda item: (item[1].status, item[1].reason)
    ):
        if status == "ok":
            yield from (_row(name, figure, shown) for name, figure in group)
        else:
            names = ", ".join(html.escape(name) for name, _ in group)
            why = html.escape(f"{status}: {reason}")
            yield (
                f"<tr class='off'><td colspan='2'>{names}</td>"
                f"<td class='reason' colspan='{4 + len(shown)}'>{why}</td></tr>"
            )


def _row(name: str, figure: Figure, shown: Sequence[str]) -> str:
    assert figure.value is not None
    label = f"<td>{html.escape(name)}{_arrow(figure)}</td>"
    alone = all(value is None for value in figure.anchors.values())
    chart = "" if alone else row_picture(float(figure.value), figure.ci95, figure.anchors)
    values = [chart, f"<b>{_number(figure.value)}</b>", _interval(figure), html.escape(figure.unit)]
    values += [str(figure.n), *(_number(figure.anchors.get(anchor)) for anchor in shown)]
    return f"<tr>{label}{''.join(f'<td>{value}</td>' for value in values)}</tr>"


def _difference_table(figures: Mapping[str, Figure]) -> str:
    rows = []
    for name, figure in figures.items():
        label = f"<td>{html.escape(name.removeprefix(DIFFERENCE))}{_arrow(figure)}</td>"
        if figure.value is None:
            reason = html.escape(figure.reason)
            rows.append(f"<tr class='off'>{label}<td class='reason' colspan='5'>{reason}</td></tr>")
            continue
        cells = [difference_picture(float(figure.value), figure.ci95), f"<b>{figure.value:+.4g}</b>"]
        cells += [_interval(figure), html.escape(figure.unit), str(figure.n)]
        rows.append(f"<tr>{label}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "<tr><th>figure</th><th></th><th>difference</th><th>95 %</th><th>unit</th><th>n</th></tr>"
    return f"<div class='wide'><table class='figures'>{head}{''.join(rows)}</table></div>"


def _arrow(figure: Figure) -> str:
    if figure.higher_is_better is None or figure.value is None:
        return ""
    return f"<i class='arrow'>{'&uarr;' if figure.higher_is_better else '&darr;'}</i>"


def _interval(figure: Figure) -> str:
    return f"{_number(figure.ci95[0])} to {_number(figure.ci95[1])}" if figure.ci95 else ""


def _number(value: float | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _curves(page: Page) -> str:
    charts = [*_horizon_charts(page), *_second_charts(page)]
    if not charts:
        return ""
    names = {"world": "this world", **{name: LABELS[name] for name in VARIANTS}}
    return (
        heading("Over time")
        + "<p class='note'>First by how far ahead, with 95 % intervals shaded. Then what "
        "each second of free play shows, mean over the runs with their range shaded, beside the frames that "
        f"players really saw under the same controls.</p>{legend(names)}"
        f"<div class='charts'>{''.join(charts)}</div>"
    )


def _horizon_charts(page: Page) -> list[str]:
    found = []
    for stem, unit in (("fidelity.psnr_db@", "dB"), ("fidelity.sharpness_share@", "share")):
        points = {
            int(name.removeprefix(stem)): figure
            for name, figure in page.report.figures.items()
            if name.startswith(stem) and figure.value is not None
        }
        if len(points) < 2:
            continue
        steps = sorted(points)
        lines = [_horizon_line("world", steps, points)]
        # the true game has no error: its line would press all others flat
        lines += [_horizon_line(name, steps, points) for name in VARIANTS if name != "true_game"]
        title = stem.removesuffix("@").replace("_db", "")
        found.append(line_chart(title, lines, "steps after the start", unit))
    return found


def _horizon_line(name: str, steps: Sequence[int], points: Mapping[int, Figure]) -> Line:
    if name != "world":
        values = [points[step].anchors.get(name) for step in steps]
        return Line(name=name, x=steps, y=[float("nan") if value is None else value for value in values])
    ends = [points[step].ci95 or (points[step].value, points[step].value) for step in steps]
    return Line(
        name=name,
        x=steps,
        y=[float(points[step].value or 0) for step in steps],
        low=[float(end[0] or 0) for end in ends],
        high=[float(end[1] or 0) for end in ends],
    )


def _second_charts(page: Page) -> list[str]:
    results = page.outcome.bench.results("stability")
    curves = [result.numbers["per_second"] for result in results if result.numbers.get("per_second")]
    seconds = min((len(curve["sharpness"]["world"]) for curve in curves), default=0)
    if seconds < 3:
        return []
    found = []
    for statistic, unit in CURVES.items():
        lines = []
        for name in ("true_game", "world"):
            rows = np.array([curve[statistic][name][:seconds] for curve in curves])
            lines.append(
                Line(
                    name=name,
                    x=range(1, seconds + 1),
                    y=rows.mean(axis=0).tolist(),
                    low=rows.min(axis=0).tolist(),
                    high=rows.max(axis=0).tolist(),
                )
            )
        found.append(line_chart(statistic, lines, "seconds of free play", unit))
    return found


def _not_ok(page: Page) -> str:
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for part, results in page.outcome.results.items():
        for result in results:
            if result.status != "ok":
                key = (part, result.status, result.reason)
                reasons.setdefault(key, []).append(result.unit.key)
    if not reasons:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(part)}</td><td>{status}</td><td>{len(keys)}</td>"
        f"<td class='reason'>{html.escape(reason)}; such as {html.escape(keys[0])}</td></tr>"
        for (part, status, reason), keys in reasons.items()
    )
    head = "<tr><th>part</th><th>status</th><th>units</th><th class='reason'>why</th></tr>"
    return f"{heading('What did not run')}<table class='figures'>{head}{rows}</table>"


def _card(page: Page) -> str:
    if not page.card:
        return ""
    return f"{heading('Model card')}<div class='card'>{card_markup(page.card)}</div>"
