"""Memory is this program's own."""

import subprocess
import sys

import numpy as np

from paracosm.core.memory import peak_mb, resident_mb


def test_the_peak_is_not_that_of_the_process_that_started_this_one() -> None:
    large = np.ones(400 << 17)  # 400 MB
    peak = subprocess.check_output(
        [sys.executable, "-c", "from paracosm.core.memory import peak_mb; print(peak_mb())"], text=True
    )
    assert 5 < float(peak) < 200
    assert peak_mb() > large.nbytes / (1 << 20)
    assert resident_mb() <= peak_mb() + 1
