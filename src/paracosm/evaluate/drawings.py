"""Drawings made by code, from a seed: what a child or a designer might begin a world from.

Five kinds, told apart because a world may take to one and not to another. Same seed, same drawings. This
file does NOT know worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw

from paracosm.core.rng import stream

from .far_starts import FarStart

NUM_DRAWINGS = 50
"""Drawings made unless told otherwise: ten of each kind."""
CANVAS = 4
"""Drawn this many times as large, then made smaller: lines of a drawing have soft edges."""

Draw = Callable[[ImageDraw.ImageDraw, np.random.Generator, int, int], None]


def make_drawings(height: int, width: int, count: int = NUM_DRAWINGS, seed: int = 0) -> list[FarStart]:
    """Make drawings of a world's size, kinds in turn.

    Args:
        height: rows in pixels.
        width: columns in pixels.
        count: how many.
        seed: chooses them.
    """
    drawings = []
    for index in range(count):
        kind = list(KINDS)[index % len(KINDS)]
        draws = stream(seed, "drawing", index)
        image = Image.new("RGB", (CANVAS * width, CANVAS * height), "white")
        KINDS[kind](ImageDraw.Draw(image), draws, CANVAS * width, CANVAS * height)
        small = image.resize((width, height), Image.Resampling.BOX)
        drawings.append(FarStart(kind=kind, name=f"{kind} {index}", picture=np.asarray(small)))
    return drawings


def draw_shapes(pen: ImageDraw.ImageDraw, draws: np.random.Generator, width: int, height: int) -> None:
    """Filled discs, boxes and triangles of any colour on a plain ground."""
    pen.rectangle((0, 0, width, height), fill=_colour(draws))
    for _ in range(int(draws.integers(3, 9))):
        x, y = draws.uniform(0, width), draws.uniform(0, height)
        r = draws.uniform(0.06, 0.25) * width
        match int(draws.integers(3)):
            case 0:
                pen.ellipse((x - r, y - r, x + r, y + r), fill=_colour(draws))
            case 1:
                pen.rectangle((x - r, y - r, x + r, y + r), fill=_colour(draws))
            case _:
                pen.polygon(((x, y - r), (x - r, y + r), (x + r, y + r)), fill=_colour(draws))


def draw_sketch(pen: ImageDraw.ImageDraw, draws: np.random.Generator, width: int, height: int) -> None:
    """A pencil sketch: ground, a house, a tree, a stick figure, in black lines on white."""
    line = max(2, width // 60)
    ground = draws.uniform(0.65, 0.85) * height
    pen.line((0, ground, width, ground + draws.uniform(-0.05, 0.05) * height), fill="black", width=line)
    side, left = draws.uniform(0.18, 0.3) * width, draws.uniform(0.05, 0.3) * width
    pen.rectangle((left, ground - side, left + side, ground), outline="black", width=line)
    roof = ((left, ground - side), (left + side / 2, ground - 1.6 * side), (left + side, ground - side))
    pen.line(roof, fill="black", width=line)
    trunk, crown = draws.uniform(0.6, 0.75) * width, draws.uniform(0.07, 0.12) * width
    pen.line((trunk, ground, trunk, ground - 2 * crown), fill="black", width=line)
    pen.ellipse(
        (trunk - crown, ground - 4 * crown, trunk + crown, ground - 2 * crown), outline="black", width=line
    )
    _stick_figure(pen, draws.uniform(0.4, 0.55) * width, ground, draws.uniform(0.2, 0.3) * height, line)


def draw_platforms(pen: ImageDraw.ImageDraw, draws: np.random.Generator, width: int, height: int) -> None:
    """A platform game as one would paint it: sky, ground, ledges, a coin and a figure."""
    pen.rectangle((0, 0, width, height), fill=_colour(draws, 150))
    ground, earth = draws.uniform(0.7, 0.85) * height, _colour(draws, 0, 160)
    pen.rectangle((0, ground, width, height), fill=earth)
    for _ in range(int(draws.integers(1, 4))):
        x, y = draws.uniform(0, 0.8) * width, draws.uniform(0.3, 0.65) * height
        pen.rectangle((x, y, x + draws.uniform(0.15, 0.35) * width, y + 0.06 * height), fill=earth)
    x, r = draws.uniform(0.6, 0.9) * width, 0.04 * width
    pen.ellipse((x - r, ground - 4 * r, x + r, ground - 2 * r), fill=(240, 200, 40))
    _stick_figure(pen, 0.5 * width, ground, 0.16 * height, max(3, width // 30))


def draw_scribble(pen: ImageDraw.ImageDraw, draws: np.random.Generator, width: int, height: int) -> None:
    """A crayon scribble: a few long wandering lines."""
    for _ in range(int(draws.integers(2, 5))):
        steps = draws.normal(0, 0.12, (24, 2)) * (width, height)
        path = np.clip(steps.cumsum(0) + draws.uniform(0.2, 0.8, 2) * (width, height), 0, (width, height))
        pen.line([tuple(point) for point in path], fill=_colour(draws, 0, 200), width=max(3, width // 40))


def draw_landscape(pen: ImageDraw.ImageDraw, draws: np.random.Generator, width: int, height: int) -> None:
    """Painted bands: a sky that pales, a sun, and hills before hills."""
    top, low = (np.array(_colour(draws, 100)) for _ in range(2))
    for row in range(height):
        pen.line((0, row, width, row), fill=tuple(int(v) for v in top + (low - top) * row / height))
    x, y, r = draws.uniform(0, width), draws.uniform(0.1, 0.3) * height, 0.08 * width
    pen.ellipse((x - r, y - r, x + r, y + r), fill=(250, 230, 120))
    for layer in range(3):
        base, phase = (0.5 + 0.15 * layer) * height, draws.uniform(0, 6)
        hills = [(c, base + 0.08 * height * np.sin(phase + 6 * c / width)) for c in range(0, width + 1, 4)]
        pen.polygon([*hills, (width, height), (0, height)], fill=_colour(draws, 20, 180))


KINDS: Mapping[str, Draw] = {
    "shapes": draw_shapes,
    "sketch": draw_sketch,
    "platforms": draw_platforms,
    "scribble": draw_scribble,
    "landscape": draw_landscape,
}
"""Kinds of drawings, in the order in which they are made."""


def _stick_figure(pen: ImageDraw.ImageDraw, x: float, ground: float, tall: float, line: int) -> None:
    head = tall / 6
    neck, hip = ground - tall + 2 * head, ground - tall * 0.4
    pen.ellipse((x - head, ground - tall, x + head, neck), outline="black", width=line)
    for path in (
        (x, neck, x, hip),
        (x - 1.5 * head, neck + head, x + 1.5 * head, neck + head),
        (x, hip, x - head, ground),
        (x, hip, x + head, ground),
    ):
        pen.line(path, fill="black", width=line)


def _colour(draws: np.random.Generator, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in draws.integers(low, high, 3))
    return red, green, blue
