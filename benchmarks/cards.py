"""Writes the figures of stored reports into cards and pages: ``python -m benchmarks.cards``.

Cards and pages are written by hand but for the tables between their markers; a test fails when one is stale.
The full table stands in the card, the headlines in every page that has their markers (README.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from paracosm.core.figures import Figure, Report, read_report
from paracosm.evaluate.targets import TARGETS, Target
from paracosm.zoo import bundled_worlds

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
BEGIN, END = "<!-- figures: written by python -m benchmarks.cards -->", "<!-- end of figures -->"
"""Around the table of a card."""
HEAD_BEGIN, HEAD_END = (
    "<!-- headlines: written by python -m benchmarks.cards -->",
    "<!-- end of headlines -->",
)
"""Around the headlines of a page."""
REPORTS: Mapping[str, str] = {"doom": "doom_first.json", "coinrun": "coinrun_first.json"}
"""The stored report of each bundled world, in the order in which they are shown."""
HEADLINES: Mapping[str, str] = {
    "tokenizer.psnr_db": "true frames encoded and decoded",
    "fidelity.gain_over_copy_db@4": "better than the copied frame after 4 steps",
    "fidelity.gain_over_copy_db@16": "better than the copied frame after 16 steps",
    "fidelity.sharpness_share@16": "sharpness after 16 steps, of the true frames'",
    "control.keys_share_of_ceiling": "keys obeyed, of what is read off true frames",
    "control.turn_share_of_ceiling": "turn obeyed, of what is read off true frames",
    "stability.in_band_share_of_ceiling@120s": "frames like the game's in two minutes, of the game's own",
    "stability.places_share@120s": "places visited in two minutes, of those really visited",
    "engine.frames_per_second": "frames a second, engine alone",
    "play.chromium.key_to_screen_ms.p95": "key to screen in Chromium, 95th percentile",
}
"""Figures that the pages show, with their words."""


def report_file(world: str) -> Path:
    """Where the report of a bundled world is stored."""
    return FOLDER / REPORTS[world]


def card_file(folder: Path) -> Path:
    """Where the card of a world's folder stands: beside it, since the folder is replaced as a whole."""
    return folder.with_suffix(".md")


def pages() -> list[Path]:
    """Documents that show the headlines."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if HEAD_BEGIN in page.read_text()]


def figures_table(world: str, report: Report) -> str:
    """Lay a report out as Markdown: every figure, its interval, its anchors, and its target."""
    lines = [
        f"{_origin(report)}, on {report.hardware['cores']} cores of {report.hardware['cpu']}; "
        f"seeds {', '.join(map(str, report.seeds)) or 'none'}.",
        "",
        "| figure | value | 95 % | n | true game | copied | shuffled | no control | target |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    targets = _targets(world)
    lines += [_row(name, figure, targets.get(name)) for name, figure in report.figures.items()]
    return "\n".join(lines)


def headlines_table(reports: Mapping[str, Report]) -> str:
    """Lay the headlines of several worlds out as Markdown, each with its interval, n and bar."""
    lines = [
        "| world | figure | value | 95 % | n | bar |",
        "|---|---|---|---|---|---|",
    ]
    for world, report in reports.items():
        targets = _targets(world)
        for name, words in HEADLINES.items():
            figure = report.figures.get(name)
            if figure is not None and figure.status != "undefined":
                lines.append(_headline(world, name, words, figure, targets.get(name)))
    lines += ["", *(f"- {world}: {_origin(report)}" for world, report in reports.items())]
    return "\n".join(lines)


def fresh_text(text: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """Return a document with the table between its markers.

    Raises:
        ValueError: when the markers do not stand in it once each, in this order.
    """
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last or begin in rest or end in after or end in before:
        raise ValueError(f"the document must hold {begin} and {end}, once each and in this order")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def fresh_documents() -> dict[Path, str]:
    """Every card and page that shows figures, as it must read."""
    reports = {world: read_report(report_file(world)) for world in REPORTS}
    folders = bundled_worlds()
    found = {
        card_file(folders[world]): fresh_text(
            card_file(folders[world]).read_text(), figures_table(world, report)
        )
        for world, report in reports.items()
    }
    table = headlines_table(reports)
    return found | {page: fresh_text(page.read_text(), table, HEAD_BEGIN, HEAD_END) for page in pages()}


def main() -> None:
    """Bring every card and page up to date."""
    for file, text in fresh_documents().items():
        file.write_text(text)


def _targets(world: str) -> dict[str, Target]:
    targets: Sequence[Target] = TARGETS.get(f"game:{world}", ())
    return {target.figure: target for target in targets}


def _origin(report: Report) -> str:
    return f"`{report.command}` at commit {report.commit or 'unknown'}"


def _bar(target: Target | None, figure: Figure) -> str:
    """Bounds of a target, and whether the figure keeps them; a figure without a value was not measured."""
    if target is None:
        return ""
    bounds = str(target).removeprefix(f"{target.figure} ")
    if figure.value is None:
        return f"{bounds} not measured"
    return f"{bounds} {'met' if target.meets({target.figure: figure}) else '**missed**'}"


def _headline(world: str, name: str, words: str, figure: Figure, target: Target | None) -> str:
    label = f"| {world} | {words} (`{name}`)"
    if figure.value is None:
        return f"{label} | {figure.status}: {figure.reason} | | | {_bar(target, figure)} |"
    return (
        f"{label} | {figure.value:.3g} {figure.unit} | {_interval(figure, 3)} | {figure.n} | "
        f"{_bar(target, figure)} |"
    )


def _interval(figure: Figure, digits: int) -> str:
    return f"{figure.ci95[0]:.{digits}g} to {figure.ci95[1]:.{digits}g}" if figure.ci95 else ""


def _row(name: str, figure: Figure, target: Target | None) -> str:
    bar = _bar(target, figure)
    if figure.value is None:
        said = f"{figure.reason}{f'; {bar}' if bar else ''}"
        return f"| {name} | {figure.status} | | | | | | | {said} |"
    beside = [figure.anchors.get(key) for key in ("true_game", "copy_last", "shuffled", "no_control")]
    anchors = " | ".join("" if value is None else f"{value:.4g}" for value in beside)
    value = f"{figure.value:.4g} {figure.unit}"
    return f"| {name} | {value} | {_interval(figure, 4)} | {figure.n} | {anchors} | {bar} |"


if __name__ == "__main__":
    main()
