"""How a report's page looks: its frame, its style in light and dark and on paper, and words for names.

This file does NOT know what a page shows.
"""

from __future__ import annotations

import html
import re

LABELS = {
    "true_game": "true game",
    "copy_last": "last frame copied",
    "shuffled": "controls shuffled",
    "no_control": "no control",
}
"""Words for the anchors."""

FAMILIES = {
    "tokenizer": "Tokenizer",
    "fidelity": "Fidelity",
    "control": "Control",
    "stability": "Stability",
    "memory": "Memory",
    "camera": "Camera",
    "distance": "Distances of distributions",
    "interaction": "Interaction",
    "judged": "Interaction, by a vision model",
    "phenomena": "Phenomena",
    "gameworld": "GameWorld-style card",
    "plug_in": "Networks of the user's own",
    "engine": "Engine alone",
    "play": "As a player sees it",
    "determinism": "Determinism",
    "coverage": "Coverage",
}
"""Headings for the first words of figures' names."""

HEADLINE = {
    "tokenizer.psnr_db": "true frames encoded and decoded",
    "fidelity.gain_over_copy_db@16": "above the copied frame after 16 steps",
    "control.keys_share_of_ceiling": "keys obeyed, of the ceiling",
    "control.turn_share_of_ceiling": "turn obeyed, of the ceiling",
    "stability.in_band_share_of_ceiling@120s": "frames in band over two minutes, of the ceiling",
    "stability.places_share@120s": "places visited, of those really visited",
    "interaction.trigger_rate": "interactions that happen",
    "memory.score": "of the view still there on coming back",
    "engine.frames_per_second": "frames a second, engine alone",
}
"""Figures that stand large at the head of the page, with their words."""

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{
  color-scheme: light dark; --ink: #1d2330; --paper: #fff; --line: #d9dde5; --soft: #5d6675; --panel: #f5f7fa;
  --world: #2457c5; --true: #1b8a4b; --copy: #8a8f99; --shuffled: #d07a12; --none: #a04bb5; --bad: #b3261e;
}}
@media (prefers-color-scheme: dark) {{ :root {{
  --ink: #e4e8f0; --paper: #14171d; --line: #343a46; --soft: #9aa3b2; --panel: #1c2028;
  --world: #7fa8ff; --true: #58c98a; --copy: #989da8; --shuffled: #f0a94c; --none: #d08be2; --bad: #ff8a80;
}} }}
@page {{ size: A4; margin: 14mm 12mm; }}
* {{ box-sizing: border-box; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--paper); }}
h1 {{ font-size: 1.7rem; margin: 0 0 .6rem; }}
body {{ counter-reset: section; }}
h2::before {{ counter-increment: section; content: counter(section) ". "; color: var(--soft); }}
ol.contents {{ columns: 15rem; margin: 1rem 0 0; padding-left: 1.6rem; font-size: .9rem; }}
ol.contents a {{ color: inherit; text-decoration-color: var(--line); }}
h4 {{ font-size: .95rem; margin: .6rem 0 .2rem; }}
h2 {{ font-size: 1.2rem; margin: 2.4rem 0 .3rem; padding-bottom: .2rem;
  border-bottom: 2px solid var(--line); }}
h3 {{ font-size: 1rem; margin: 1.3rem 0 .2rem; }}
p.note {{ color: var(--soft); margin: .2rem 0 .6rem; max-width: 62rem; }}
p.verdict {{ font-size: 1.1rem; font-weight: 600; margin: .4rem 0 1rem; padding: .6rem .9rem;
  background: var(--panel); border-left: 5px solid var(--true); }}
p.verdict.bad {{ border-color: var(--bad); }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: .6rem;
  margin: 0 0 1.1rem; }}
.tiles div {{ background: var(--panel); padding: .55rem .8rem; display: flex; flex-direction: column; }}
.tiles b {{ font-size: 1.35rem; font-variant-numeric: tabular-nums; }}
.tiles span {{ font-size: .85rem; line-height: 1.3; }}
.tiles small {{ color: var(--soft); margin-top: auto; padding-top: .2rem; }}
table.fixed {{ table-layout: fixed; min-width: 900px; }}
table.facts th {{ text-align: left; font-weight: 600; padding: .12rem 1.2rem .12rem 0; vertical-align: top;
  white-space: nowrap; color: var(--soft); }}
table.facts td:first-child:not(:last-child) {{ padding-right: 1.2rem; color: var(--soft); }}
table.facts td {{ vertical-align: top; padding: .12rem 0; overflow-wrap: anywhere; }}
table.figures {{ width: 100%; font-size: .88rem; }}
table.figures th, table.figures td {{ text-align: right; padding: .18rem .5rem;
  border-bottom: 1px solid var(--line); white-space: nowrap; }}
table.figures td:first-child {{ overflow-wrap: anywhere; white-space: normal; }}
table.fixed td:nth-child(5) {{ white-space: normal; }}
table.figures th {{ color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; }}
table.figures th:first-child, table.figures td:first-child, table.figures .reason {{ text-align: left; }}
table.figures td.reason {{ white-space: normal; color: var(--soft); }}
table.figures tr.off td:first-child {{ color: var(--soft); }}
svg.row {{ display: block; max-width: 100%; }}
i.arrow {{ font-style: normal; color: var(--soft); padding-left: .35rem; }}
b.met {{ color: var(--true); }} b.missed {{ color: var(--bad); }} b.dash {{ color: var(--soft); }}
ul.plain {{ list-style: none; padding: 0; columns: 24rem; margin: 0; }}
.legend {{ font-size: .85rem; margin: .2rem 0 .4rem; }}
.legend span {{ margin-right: 1.2rem; white-space: nowrap; }}
.legend i {{ display: inline-block; width: .8rem; height: .8rem; margin-right: .35rem; border-radius: 2px;
  vertical-align: -1px; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: .6rem 1.2rem; }}
figure {{ margin: .6rem 0 1.2rem; }} figure.chart {{ margin: 0; }}
figcaption {{ font-size: .88rem; color: var(--soft); }} figure.chart figcaption {{ font-weight: 600; }}
svg .grid {{ stroke: var(--line); }} svg .zero {{ stroke: var(--soft); stroke-dasharray: 3 2; }}
svg .axis {{ fill: var(--soft); font-size: 10px; }}
img {{ image-rendering: pixelated; display: block; margin-bottom: 4px; }}
code {{ font-size: .9em; }}
div.card {{ background: var(--panel); padding: .4rem 1rem .6rem; font-size: .88rem; }}
@media print {{
  body {{ font-size: 8.5pt; max-width: none; margin: 0; padding: 0; }}
  figure, tr, .tiles div {{ break-inside: avoid; }} h2, h3, h4, .legend {{ break-after: avoid; }}
  .wide {{ overflow: visible; }} table.fixed {{ min-width: 0; font-size: 6.6pt; }} img {{ max-width: 100%; }}
  table.figures th, table.figures td {{ padding: .1rem .25rem; }} ol.contents a {{ text-decoration: none; }}
  .charts {{ grid-template-columns: repeat(3, 1fr); }}
}}
</style>
<h1>{title}</h1>
{body}
</html>
"""
"""The page; ``title`` and ``body`` are markup."""


def heading(title: str) -> str:
    """Head a section; the style numbers it, and :func:`contents` finds it.

    Args:
        title: plain text.
    """
    return f"<h2 id='{_anchor(title)}'>{html.escape(title)}</h2>"


def contents(sections: str) -> str:
    """List the sections that stand in some markup, with links to them; "" for fewer than three."""
    found = re.findall(r"<h2 id='([^']*)'>(.*?)</h2>", sections)
    links = "".join(f"<li><a href='#{anchor}'>{title}</a></li>" for anchor, title in found)
    return f"<ol class='contents'>{links}</ol>" if len(found) > 2 else ""


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
