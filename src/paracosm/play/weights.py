"""Reads what a weights file says about itself, without loading it. Knows nothing of networks."""

import json
import math
import struct
from pathlib import Path

from paracosm.core.world_spec import SCALE_SUFFIX


def count_parameters(path: Path) -> int:
    """Count the weights in a safetensors file from its header, however they are stored."""
    with path.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return sum(
        math.prod(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and not name.endswith(SCALE_SUFFIX)
    )
