"""Worlds that come with the package: a folder each, found by name. Knows nothing of what is in them."""

from pathlib import Path


def bundled_worlds() -> dict[str, Path]:
    """Return the bundled worlds: name to folder, in alphabetical order."""
    here = Path(__file__).parent
    return {path.parent.name: path.parent for path in sorted(here.glob("*/world.json"))}
