"""Writes the figures of each world's stored report into its model card: ``python -m benchmarks.cards``.

A card is written by hand but for the table between its markers; a test fails when the table is stale.
"""

from __future__ import annotations

from pathlib import Path

from paracosm.core.figures import Figure, Report, read_report
from paracosm.evaluate.targets import TARGETS, Target
from paracosm.zoo import bundled_worlds

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- figures: written by python -m benchmarks.cards -->", "<!-- end of figures -->"


def report_file(world: str) -> Path:
    """Where the report of a bundled world is stored."""
    return FOLDER / f"{world}_first.json"


def card_file(folder: Path) -> Path:
    """Where the card of a world's folder stands: beside it, since the folder is replaced as a whole."""
    return folder.with_suffix(".md")


def figures_table(world: str, report: Report) -> str:
    """Lay a report out as Markdown: every figure, its interval, its anchors, and its target."""
    targets = {target.figure: target for target in TARGETS.get(f"game:{world}", ())}
    lines = [
        f"`{report.command}` at commit {report.commit or 'unknown'}, on {report.hardware['cores']} cores of "
        f"{report.hardware['cpu']}; seeds {', '.join(map(str, report.seeds)) or 'none'}.",
        "",
        "| figure | value | 95 % | n | true game | copied | shuffled | no control | target |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(name, figure, targets.get(name), report) for name, figure in report.figures.items()]
    return "\n".join(lines)


def fresh_card(card: str, table: str) -> str:
    """Return a card with the table between its markers."""
    before, _, rest = card.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main() -> None:
    """Bring every card up to date."""
    for world, folder in bundled_worlds().items():
        if report_file(world).exists():
            card = card_file(folder)
            card.write_text(
                fresh_card(card.read_text(), figures_table(world, read_report(report_file(world))))
            )


def _row(name: str, figure: Figure, target: Target | None, report: Report) -> str:
    verdict = "" if target is None else f"{target} {'met' if target.meets(report.figures) else '**missed**'}"
    verdict = verdict.removeprefix(f"{name} ")
    if figure.value is None:
        return f"| {name} | {figure.status} | | | | | | | {verdict or figure.reason} |"
    interval = f"{figure.ci95[0]:.4g} to {figure.ci95[1]:.4g}" if figure.ci95 else ""
    beside = [figure.anchors.get(key) for key in ("true_game", "copy_last", "shuffled", "no_control")]
    anchors = " | ".join("" if value is None else f"{value:.4g}" for value in beside)
    return f"| {name} | {figure.value:.4g} {figure.unit} | {interval} | {figure.n} | {anchors} | {verdict} |"


if __name__ == "__main__":
    main()
