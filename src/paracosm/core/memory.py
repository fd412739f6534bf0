"""How much memory this process holds.

This file does NOT know what is in it.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path


def peak_mb() -> float:
    """Largest resident memory of this program so far, in MB."""
    # getrusage of a new process begins with the peak of the one that started it, also after exec
    with contextlib.suppress(OSError, IndexError):
        kilobytes = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
        return int(kilobytes) / (1 << 10)
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def resident_mb() -> float:
    """Resident memory now, in MB; the peak where the system does not tell it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_mb()
    return pages * resource.getpagesize() / (1 << 20)
