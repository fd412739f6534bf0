"""What every test shares: one thread for arithmetic, no network, figures of nobody's own settings."""

import os

# Before numpy or torch load: two test processes on two cores must not start four threads.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
