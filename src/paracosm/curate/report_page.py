"""The markup of the report: plain HTML and SVG in one file, no script, nothing fetched, every text escaped.

This file does NOT know what is shown.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1c;--paper:#fff;--quiet:#666;--line:#ccc;--kept:#2f7d4f}
:root{--dropped:#c9785f}
@media(prefers-color-scheme:dark){
:root{--ink:#e8e8e8;--paper:#161616;--quiet:#a5a5a5;--line:#3a3a3a;--kept:#5fb883}}
body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;margin:0 auto}
body{max-width:1180px;padding:1.5rem}h1{font-size:1.5rem}h3{font-size:1rem;overflow-wrap:anywhere}
h2{border-top:1px solid var(--line);font-size:1.15rem;margin-top:2.2rem;padding-top:1rem}
.wide{overflow-x:auto}table{border-collapse:collapse}th{color:var(--quiet);font-weight:600}
td,th{border-bottom:1px solid var(--line);padding:.25rem .9rem .25rem 0;text-align:left}
td{overflow-wrap:anywhere;vertical-align:top}nav a{margin-right:.9rem;white-space:nowrap}a{color:inherit}
.grid{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(250px,1fr))}
.cards{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(330px,1fr))}figure{margin:0}
figure img{background:#000;border-radius:4px;display:block;width:100%}
figcaption{color:var(--quiet);font-size:.85rem;overflow-wrap:anywhere}figcaption b{color:var(--ink)}
.bar{background:var(--line);border-radius:3px;display:inline-block;height:.7em;width:140px}
.bar i{background:var(--kept);border-radius:3px;display:block;height:100%}
svg{display:block;width:100%}svg text{fill:var(--quiet);font-size:11px}
.k{fill:var(--kept)}.d{fill:var(--dropped)}.key{color:var(--quiet)}
.key span{border-radius:2px;display:inline-block;height:.8em;margin:0 .3em 0 1em;width:.8em}
dl{display:grid;gap:.2rem 1.2rem;grid-template-columns:max-content 1fr}dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
"""


@dataclass(frozen=True)
class Bar:
    """A cell that shows a share, 0 to 1, as a bar."""

    share: float


def document(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """Return the whole page: sections of a title and markup."""
    links = " ".join(f'<a href="#s{number}">{_text(name)}</a>' for number, (name, _) in enumerate(sections))
    body = "".join(
        f'<section id="s{number}"><h2>{_text(name)}</h2>{markup}</section>'
        for number, (name, markup) in enumerate(sections)
    )
    # The page carries strangers' file names: the policy keeps it from running or fetching whatever they hold.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{_text(title)}</h1><nav>{links}</nav>{body}</body></html>\n"
    )


def words(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{_text(text)}</p>"


def heading(text: str) -> str:
    """Return a smaller heading."""
    return f"<h3>{_text(text)}</h3>"


def facts(told: Mapping[str, str]) -> str:
    """Return names with their facts."""
    return (
        "<dl>"
        + "".join(f"<dt>{_text(name)}</dt><dd>{_text(fact)}</dd>" for name, fact in told.items())
        + "</dl>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str | Bar]]) -> str:
    """Return a table; a cell is text or a bar."""
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def grid(parts: Sequence[str]) -> str:
    """Lay small parts side by side."""
    return f'<div class="grid">{"".join(parts)}</div>'


def cards(parts: Sequence[str]) -> str:
    """Lay cards side by side."""
    return f'<div class="cards">{"".join(parts)}</div>' if parts else ""


def card(picture: bytes | None, title: str, text: str) -> str:
    """Return a picture (JPEG, or None) with its title and text."""
    image = ""
    if picture is not None:
        source = base64.b64encode(picture).decode()
        image = f'<img alt="{_text(title)}" loading="lazy" src="data:image/jpeg;base64,{source}">'
    return f"<figure>{image}<figcaption><b>{_text(title)}</b><br>{_text(text)}</figcaption></figure>"


def histogram(name: str, edges: np.ndarray, kept: np.ndarray, dropped: np.ndarray, unknown: int) -> str:
    """Return a stacked histogram: kept below, dropped on top.

    Args:
        name: the column.
        edges: (n + 1,) edges of the bars.
        kept: (n,) counts.
        dropped: (n,) counts.
        unknown: clips whose value is not known.
    """
    tallest = max(int((kept + dropped).max()), 1)
    width, height = 240 / len(kept), 90
    bars = []
    for place, (low, high) in enumerate(zip(kept.tolist(), dropped.tolist(), strict=True)):
        one, two = low / tallest * height, high / tallest * height
        at = f'x="{place * width:.1f}" width="{width - 1:.1f}"'
        bars.append(f'<rect class="k" {at} y="{height - one:.1f}" height="{one:.1f}"/>')
        bars.append(f'<rect class="d" {at} y="{height - one - two:.1f}" height="{two:.1f}"/>')
    note = f"{name}; not known of {unknown:,}" if unknown else name
    return (
        f'<figure><svg viewBox="0 0 240 106" role="img" aria-label="{_text(name)}">{"".join(bars)}'
        f'<text x="0" y="104">{edges[0]:.3g}</text>'
        f'<text x="240" y="104" text-anchor="end">{edges[-1]:.3g}</text>'
        f"</svg><figcaption>{_text(note)}</figcaption></figure>"
    )


def legend() -> str:
    """Return what the colours of the histograms mean."""
    return (
        '<p class="key"><span style="background:var(--kept)"></span>kept'
        '<span style="background:var(--dropped)"></span>dropped</p>'
    )


def _cell(cell: str | Bar) -> str:
    if isinstance(cell, Bar):
        share = min(max(cell.share, 0.0), 1.0)
        return f'<span class="bar" title="{share:.1%}"><i style="width:{share * 100:.1f}%"></i></span>'
    return _text(cell)


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode(), quote=True)
