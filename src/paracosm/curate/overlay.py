"""What does not belong to the world: a heads-up display, a pause or menu, and text.

A display shows as edges that stay where they are while the picture behind them moves. Where nothing moves
they cannot be told from the world: then the score is None, not 0. This file does NOT read text; RapidOCR
(extra "judges") finds it, when asked.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from paracosm.core.extras import need

from .clip import Clip, evenly

VERSION = 1

COLUMNS: dict[str, pa.DataType] = {
    "hud": pa.float64(),
    "hud_area": pa.float64(),
    "paused": pa.float64(),
    "text": pa.float64(),
}
"""hud: share of all edges that stay in place while the picture moves; hud_area: share of the picture's cells
that hold such edges; paused: share of frames in standstills of a second or more, such as menus and loading
screens (a player who stands still looks the same); text: share of the picture under lines of text."""

GRID = (9, 16)
"""Cells down and across in which a display is located."""


@dataclass(frozen=True, kw_only=True)
class OverlayConfig:
    """What counts as staying, as moving and as text."""

    stays: float = 0.8
    """Share of pictures that must show an edge at the same place."""
    least_pictures: int = 4
    """Fewest pictures that can tell a display from the world."""
    least_changed: float = 0.25
    """Share of edges that must change between pictures before a display can be told from the world."""
    pause_s: float = 1.0
    """Standstills that count as a pause."""
    pause_moved: float = 0.01
    """Share of changed pixels below which a frame stands still."""
    text: Literal["none", "rapidocr"] = "none"
    """Who looks for text: nobody, or RapidOCR's detector."""
    text_pictures: int = 2
    """Pictures of each clip in which text is looked for."""


def score_overlay(clip: Clip, config: OverlayConfig) -> dict[str, Any]:
    """Score a clip; the columns are COLUMNS."""
    hud, area = find_display(clip.pictures, config)
    return {
        "hud": hud,
        "hud_area": area,
        "paused": paused_share(clip.motion("moved"), clip.column("dark"), clip.fps, config),
        "text": text_share(evenly(clip.pictures, config.text_pictures))
        if config.text == "rapidocr"
        else None,
    }


def find_display(pictures: Sequence[np.ndarray], config: OverlayConfig) -> tuple[float | None, float | None]:
    """Return the share of edges that stay in place and the share of cells that hold them.

    Args:
        pictures: uint8 (h, w, 3) of one clip, half a second apart.
        config: what counts as staying.

    Returns:
        Both None when there are too few pictures or too little moves between them.
    """
    if len(pictures) < config.least_pictures:
        return None, None
    thin = np.stack([_edges(picture) for picture in pictures])
    cv2 = need("cv2", "curate")
    thick = np.stack([cv2.dilate(edges.view(np.uint8), np.ones((3, 3), np.uint8)) > 0 for edges in thin])
    present = thin.sum(axis=(1, 2))
    if present.mean() < 20:
        return 0.0, 0.0
    gone = 1 - (thin[1:] & thick[:-1]).sum(axis=(1, 2)) / np.maximum(present[1:], 1)
    if gone.mean() < config.least_changed:
        return None, None
    staying = thick.mean(axis=0) >= config.stays
    share = (thin & staying).sum() / thin.sum()
    chance = _share_by_chance(thin, thick, config)
    hud = max(0.0, (share - chance) / max(1 - chance, 0.01))
    return float(hud), _cells_with(staying & thin.any(axis=0)) if hud > 0 else 0.0


def paused_share(moved: np.ndarray, dark: np.ndarray, fps: float, config: OverlayConfig) -> float | None:
    """Return the share of frames in standstills of pause_s or more; black frames count elsewhere."""
    if not len(moved):
        return None
    still = (moved < config.pause_moved) & (dark[1:] < 0.98)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= config.pause_s * fps].sum()) / len(moved)


def text_share(pictures: Sequence[np.ndarray]) -> float | None:
    """Return the mean share of the picture under lines of text.

    Raises:
        MissingPackageError: when RapidOCR is not installed.
    """
    reader = _text_reader()
    shares = []
    for picture in pictures:
        found = reader(picture[..., ::-1], use_det=True, use_cls=False, use_rec=False)
        boxes = [] if found.boxes is None else found.boxes
        shares.append(sum(_area(np.asarray(box)) for box in boxes) / (picture.shape[0] * picture.shape[1]))
    return float(np.mean(shares)) if shares else None


def _edges(picture: np.ndarray) -> np.ndarray:
    cv2 = need("cv2", "curate")
    return cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 80, 160) > 0


def _cells_with(staying: np.ndarray) -> float:
    rows = np.arange(staying.shape[0]) * GRID[0] // staying.shape[0]
    columns = np.arange(staying.shape[1]) * GRID[1] // staying.shape[1]
    counts = np.zeros(GRID)
    np.add.at(counts, (rows[:, None], columns[None, :]), staying)
    # A few stray pixels are noise; a letter or a frame draws more.
    return float((counts >= 4).mean())


def _share_by_chance(thin: np.ndarray, thick: np.ndarray, config: OverlayConfig) -> float:
    """Share of edges that would seem to stay if nothing did: grass and grids have an edge everywhere.

    Each picture is shifted round by another amount, which moves whatever stays.
    """
    shifts = [(37 * place, 53 * place) for place in range(len(thin))]
    thin, thick = (
        np.stack([np.roll(part, shift, (0, 1)) for part, shift in zip(parts, shifts, strict=True)])
        for parts in (thin, thick)
    )
    return float((thin & (thick.mean(axis=0) >= config.stays)).sum() / thin.sum())


def _area(box: np.ndarray) -> float:
    x, y = box[:, 0], box[:, 1]
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


@functools.cache
def _text_reader() -> Any:
    return need("rapidocr", "judges").RapidOCR()
