"""Charts as inline SVG in the colours of the page: lines over time, a figure among its anchors, differences.

Pure functions from numbers to markup. This file does NOT know figures or worlds.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 340, 170
"""Size of a line chart in CSS pixels."""
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 30
"""Room for labels around it."""
FEW = 8
"""Points up to which each is marked, on the line and on the axis."""
ROW_WIDTH, ROW_HEIGHT = 170, 18
"""Size of a row's picture."""
MARKS = {"true_game": (2, 16), "copy_last": (1, 8), "shuffled": (6, 12), "no_control": (10, 17)}
"""Upper and lower end of each anchor's mark in a row: two anchors of one value both show."""
COLOURS = {
    "world": "var(--world)",
    "true_game": "var(--true)",
    "copy_last": "var(--copy)",
    "shuffled": "var(--shuffled)",
    "no_control": "var(--none)",
}
"""Colour of each line and mark, set by the page for light and dark."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart.

    Attributes:
        name: "world" or an anchor; decides the colour.
        x: places.
        y: values, as many; nan leaves a gap.
        low: lower end of a band around it, or None.
        high: its upper end.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def line_chart(title: str, lines: Sequence[Line], x_label: str, unit: str) -> str:
    """Draw lines over a common axis; returns a figure element.

    Args:
        title: what stands above.
        lines: at least one with a finite value.
        x_label: name and unit of the horizontal axis.
        unit: unit of the vertical one.
    """
    values = [value for line in lines for row in (line.y, line.low or (), line.high or ()) for value in row]
    y_ticks = _ticks([value for value in values if math.isfinite(value)])
    places = sorted({value for line in lines for value in line.x})
    x_ticks = places if len(places) <= FEW else _ticks(places)
    x_low = min(value for line in lines for value in line.x)
    x_high = max(value for line in lines for value in line.x)
    to_x = _scale(x_low, x_high, LEFT, WIDTH - RIGHT)
    to_y = _scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [
        f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{to_y(tick):.1f}' y2='{to_y(tick):.1f}'/>"
        f"<text class='axis' x='{LEFT - 5}' y='{to_y(tick) + 3.5:.1f}' text-anchor='end'>{tick:g}</text>"
        for tick in y_ticks
    ]
    parts += [
        f"<text class='axis' x='{to_x(tick):.1f}' y='{HEIGHT - BOTTOM + 13}' text-anchor='middle'>"
        f"{tick:g}</text>"
        for tick in x_ticks
        if x_low <= tick <= x_high
    ]
    parts.append(
        f"<text class='axis' x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 4}' text-anchor='middle'>"
        f"{html.escape(x_label)}</text>"
    )
    # the world is drawn last, over what it is compared with
    for line in sorted(lines, key=lambda one: one.name == "world"):
        parts.append(_draw(line, to_x, to_y))
    caption = html.escape(f"{title} ({unit})" if unit else title)
    return (
        f"<figure class='chart'><figcaption>{caption}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{caption}'>{''.join(parts)}</svg>"
        "</figure>"
    )


def row_picture(
    value: float, interval: tuple[float, float] | None, anchors: Mapping[str, float | None]
) -> str:
    """Draw a value with its interval among its anchors, on one short axis."""
    known = {name: number for name, number in anchors.items() if number is not None}
    spread = [value, *known.values(), *(interval or ())]
    low, high = min(spread), max(spread)
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    to_x = _scale(low, high, 7, ROW_WIDTH - 7)
    middle = ROW_HEIGHT / 2
    parts = [f"<line class='grid' x1='2' x2='{ROW_WIDTH - 2}' y1='{middle}' y2='{middle}'/>"]
    parts += [
        f"<line x1='{to_x(number):.1f}' x2='{to_x(number):.1f}' y1='{MARKS[name][0]}' y2='{MARKS[name][1]}' "
        f"stroke='{COLOURS[name]}' stroke-width='2.5'><title>{name} {number:.4g}</title></line>"
        for name, number in known.items()
        if name in COLOURS
    ]
    return _row(parts, value, interval, to_x)


def difference_picture(value: float, interval: tuple[float, float] | None) -> str:
    """Draw a difference with its interval around nought."""
    reach = max(abs(number) for number in (value, *(interval or ()))) or 1.0
    to_x = _scale(-reach, reach, 7, ROW_WIDTH - 7)
    zero = to_x(0)
    parts = [f"<line class='zero' x1='{zero:.1f}' x2='{zero:.1f}' y1='1' y2='{ROW_HEIGHT - 1}'/>"]
    return _row(parts, value, interval, to_x)


def legend(words: Mapping[str, str]) -> str:
    """Say which colour is what.

    Args:
        words: line name to words, in the order shown.
    """
    items = "".join(
        f"<span><i style='background:{COLOURS[name]}'></i>{html.escape(text)}</span>"
        for name, text in words.items()
    )
    return f"<p class='legend'>{items}</p>"


def _row(parts, value, interval, to_x) -> str:
    middle = ROW_HEIGHT / 2
    if interval is not None:
        parts.append(
            f"<line x1='{to_x(interval[0]):.1f}' x2='{to_x(interval[1]):.1f}' y1='{middle}' y2='{middle}' "
            f"stroke='{COLOURS['world']}' stroke-width='2'/>"
        )
    parts.append(f"<circle cx='{to_x(value):.1f}' cy='{middle}' r='4' fill='{COLOURS['world']}'/>")
    size = f"width='{ROW_WIDTH}' height='{ROW_HEIGHT}' viewBox='0 0 {ROW_WIDTH} {ROW_HEIGHT}'"
    return f"<svg class='row' {size} aria-hidden='true'>{''.join(parts)}</svg>"


def _draw(line: Line, to_x, to_y) -> str:
    colour = COLOURS[line.name]
    found = ""
    if line.low is not None and line.high is not None and len(line.x) > 1:
        above = [f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in zip(line.x, line.high, strict=True)]
        below = [f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in zip(line.x, line.low, strict=True)]
        found += f"<polygon points='{' '.join([*above, *reversed(below)])}' fill='{colour}' opacity='.18'/>"
    points = [f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
    width = 2.2 if line.name == "world" else 1.5
    found += f"<polyline points='{' '.join(points)}' fill='none' stroke='{colour}' stroke-width='{width}'/>"
    if len(points) <= FEW:
        found += "".join(
            f"<circle cx='{point.split(',')[0]}' cy='{point.split(',')[1]}' r='2.6' fill='{colour}'/>"
            for point in points
        )
    return found


def _scale(low: float, high: float, first: float, last: float):
    span = (high - low) or 1.0
    return lambda value: first + (value - low) / span * (last - first)


def _ticks(values: Sequence[float], count: int = 4) -> list[float]:
    """Round numbers that enclose the values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(np.round(index * step, 10)) for index in range(first, last + 1)]
