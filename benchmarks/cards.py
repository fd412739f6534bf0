"""Writes the figures of stored reports into cards and pages: ``python -m benchmarks.cards``.

Cards and pages are written by hand but for the tables between their markers; a test fails when one is stale.
The reports of a world make one table in its card, its headlines stand in every page that has their markers
(README.md), and the table of each report alone in docs/results.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from paracosm.core.figures import Figure, Report, read_report
from paracosm.core.token_spec import is_token_world
from paracosm.evaluate.targets import LEARNT_ACTIONS, TARGETS, Target
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
REPORTS: Mapping[str, Sequence[str]] = {
    "doom": ("doom_core.json", "doom_full.json", "doom_speed.json"),
    "coinrun": ("coinrun_core.json", "coinrun_full.json", "coinrun_speed.json"),
    "coinrun-latent": ("coinrun_latent_meaning.json", "coinrun_latent_speed.json"),
    "minetest": ("minetest_first.json", "minetest_gameworld.json"),
}
"""The stored reports of each bundled world, in the order in which they are shown; of a figure that several
have the last's stands: of all cases rather than of half."""
RESULTS = ROOT / "docs" / "results.md"
"""Page of every report."""
HEADLINES: Mapping[str, str] = {
    "tokenizer.psnr_db": "true frames encoded and decoded",
    "fidelity.gain_over_copy_db@4": "better than the copied frame after 4 steps",
    "fidelity.gain_over_copy_db@16": "better than the copied frame after 16 steps",
    "fidelity.sharpness_share@16": "sharpness after 16 steps, of the true frames'",
    "control.keys_share_of_ceiling": "keys obeyed, of what is read off true frames",
    "control.turn_share_of_ceiling": "turn obeyed, of what is read off true frames",
    "learnt_actions.purity_share_of_reader": "what a learnt action does, of what a supervised reader tells",
    "learnt_actions.delta_psnr_db@4": "better than under drawn actions after 4 steps",
    "learnt_actions.action_margin@1": "better than under the best wrong action after a step",
    "stability.in_band_share_of_ceiling@120s": "frames like the game's in two minutes, of the game's own",
    "stability.places_share@120s": "places visited in two minutes, of those really visited",
    "engine.frames_per_second": "frames a second, engine alone",
    "play.chromium.key_to_screen_ms.p95": "key to screen in Chromium, 95th percentile",
}
"""Figures that the pages show, with their words."""


def card_file(folder: Path) -> Path:
    """Where the card of a world's folder stands: beside it, since the folder is replaced as a whole."""
    return folder.with_suffix(".md")


def pages() -> list[Path]:
    """Documents that show the headlines."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if HEAD_BEGIN in page.read_text()]


def figures_table(world: str, reports: Sequence[Report]) -> str:
    """Lay reports out as one table in Markdown: every figure, its interval, its anchors, and its target.

    Args:
        world: whose targets stand beside the figures.
        reports: of a figure that several have, the last's is shown.
    """
    figures = join_figures(reports)
    lines = [
        *(f"{_origin(one)}, {_machine(one)}; seeds {_seeds(one)}.  " for one in reports),
        "",
        "| figure | value | 95 % | n | true game | copied | shuffled | no control | target |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    targets = _targets(world)
    lines += [_row(name, figure, targets.get(name)) for name, figure in figures.items()]
    return "\n".join(lines)


def join_figures(reports: Sequence[Report]) -> dict[str, Figure]:
    """Figures of several reports by name; a value stands before what a later report did not compute."""
    joined: dict[str, Figure] = {}
    for report in reports:
        computed = {name: one for name, one in report.figures.items() if one.value is not None}
        joined |= {name: one for name, one in report.figures.items() if name not in joined} | computed
    return joined


def headlines_table(reports: Mapping[str, Sequence[Report]]) -> str:
    """Lay the headlines of several worlds out as Markdown, a column each: value, interval, n and bar."""
    lines = [f"| | {' | '.join(reports)} |", "|---" * (len(reports) + 1) + "|"]
    for name, words in HEADLINES.items():
        cells = [_headline(world, name, join_figures(some).get(name)) for world, some in reports.items()]
        if any(cells):
            lines.append(f"| {words} (`{name}`) | {' | '.join(cells)} |")
    lines.append("")
    lines += [
        f"- {world}: {_origin(one)}, {_machine(one)}" for world, some in reports.items() for one in some
    ]
    return "\n".join(lines)


def results_table(reports: Mapping[str, Sequence[Report]]) -> str:
    """Lay every report of every world out as Markdown, a heading each."""
    return "\n\n".join(
        f"## {world}: {_suite(report)}\n\n{figures_table(world, [report])}"
        for world, several in reports.items()
        for report in several
    )


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
    reports = {world: [read_report(FOLDER / name) for name in names] for world, names in REPORTS.items()}
    folders = bundled_worlds()
    found = {
        card_file(folders[world]): fresh_text(
            card_file(folders[world]).read_text(), figures_table(world, some)
        )
        for world, some in reports.items()
    }
    found[RESULTS] = fresh_text(RESULTS.read_text(), results_table(reports))
    table = headlines_table(reports)
    return found | {page: fresh_text(page.read_text(), table, HEAD_BEGIN, HEAD_END) for page in pages()}


def main() -> None:
    """Bring every card and page up to date."""
    for file, text in fresh_documents().items():
        file.write_text(text)


def _targets(world: str) -> dict[str, Target]:
    folder = bundled_worlds().get(world)
    learnt = folder is not None and is_token_world(folder)
    targets: Sequence[Target] = LEARNT_ACTIONS if learnt else TARGETS.get(f"game:{world}", ())
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


def _machine(report: Report) -> str:
    return f"on {report.hardware['cores']} cores of {report.hardware['cpu']}"


def _seeds(report: Report) -> str:
    return ", ".join(map(str, report.seeds)) or "none"


def _suite(report: Report) -> str:
    found = re.search(r"--suite (\w+)", report.command)
    script = re.match(r"python -m (benchmarks\.\w+)", report.command)
    return f"suite {found[1]}" if found else script[1] if script else "suite first"


def _headline(world: str, name: str, figure: Figure | None) -> str:
    """Cell of a headline; "" for what the world has no use for."""
    if figure is None or figure.status == "undefined":
        return ""
    bar = _bar(_targets(world).get(name), figure)
    said = f"{figure.status}: {figure.reason}"
    if figure.value is not None:
        interval = _interval(figure, 3)
        said = f"{figure.value:.3g} {figure.unit} ({f'{interval}; ' if interval else ''}n = {figure.n})"
    return f"{said}; {bar}" if bar else said


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
