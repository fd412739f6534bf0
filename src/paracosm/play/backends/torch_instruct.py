"""Opens the networks of a world that follows instructions in torch."""

from __future__ import annotations

from pathlib import Path

from paracosm.core.instruct_spec import InstructWorldSpec
from paracosm.models.instruct_player import InstructPlayer


def open_player(folder: Path, spec: InstructWorldSpec, num_threads: int) -> InstructPlayer:
    """Open the networks of a world."""
    return InstructPlayer(folder, spec, num_threads)
