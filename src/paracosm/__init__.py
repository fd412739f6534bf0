"""Paracosm turns recordings of a game into a world that a person or an agent can play.

The names here load on first use, so that ``import paracosm`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paracosm.core.controls import Control, ControlSpace
    from paracosm.core.world import Frame, World
    from paracosm.worlds import open_world

__version__ = "0.1.0"

__all__ = ["Control", "ControlSpace", "Frame", "World", "__version__", "open_world"]

_HOMES = {
    "Control": "paracosm.core.controls",
    "ControlSpace": "paracosm.core.controls",
    "Frame": "paracosm.core.world",
    "World": "paracosm.core.world",
    "open_world": "paracosm.worlds",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'paracosm' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)
