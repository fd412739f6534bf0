"""A model card as markup: the few things of Markdown that cards use, every text escaped.

Headings, paragraphs, lists, tables, bold, code; a link becomes its words, since the page stands alone. This
file does NOT know figures.
"""

from __future__ import annotations

import html
import re


def card_markup(text: str) -> str:
    """Turn a card, Markdown, into HTML; what is none of the known blocks becomes a paragraph."""
    blocks = re.split(r"\n\s*\n", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip())
    return "\n".join(_block(block.strip()) for block in blocks if block.strip())


def _block(block: str) -> str:
    lines = block.splitlines()
    if lines[0].startswith("#"):
        words = lines[0].lstrip("#").strip()
        rest = "\n".join(lines[1:]).strip()
        return f"<h4>{_inline(words)}</h4>" + (_block(rest) if rest else "")
    if all(line.startswith("|") for line in lines):
        return _table(lines)
    if lines[0].startswith("- "):
        items = re.split(r"(?m)^- ", block)[1:]
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
    return f"<p>{_inline(block)}</p>"


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    rules = [index for index, row in enumerate(rows) if all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    head = rows[: rules[0]] if rules else []
    body = [row for index, row in enumerate(rows) if index not in rules and index >= len(head)]
    shown = [("th", row) for row in head if any(row)] + [("td", row) for row in body]
    return (
        "<table class='facts'>"
        + "".join(
            f"<tr>{''.join(f'<{tag}>{_inline(cell)}</{tag}>' for cell in row)}</tr>" for tag, row in shown
        )
        + "</table>"
    )


def _inline(text: str) -> str:
    found = html.escape(" ".join(text.split()))
    found = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", found)
    found = re.sub(r"`([^`]*)`", r"<code>\1</code>", found)
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", found)
