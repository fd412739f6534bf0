"""What every test shares: one thread for arithmetic, and marks that skip with a reason where something lacks.

``@pytest.mark.games("coinrun")`` fetches the game on first use (also "doom", "gym", "ale"),
``@pytest.mark.browser`` needs Chromium and its driver, ``@pytest.mark.gpu`` a graphics card. With
PARACOSM_TESTS_MUST_RUN set, as .ci/run does, a missing game or browser is a failure and not a skip.
"""

import importlib.util
import os
import shutil

# Before numpy or torch load: two test processes on two cores must not start four threads.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import pytest

from paracosm.collect.games.procgen_install import need_game
from paracosm.core.errors import MissingPackageError

MUST_RUN = "PARACOSM_TESTS_MUST_RUN"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("games"):
        for game in mark.args:
            _need(_why_no_game(game))
    if item.get_closest_marker("browser"):
        missing = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
        _need(
            f"{' and '.join(missing)} not found; run: apt-get install chromium chromium-driver"
            if missing
            else ""
        )
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("this machine has no graphics card")


def _why_no_game(game: str) -> str:
    if game != "coinrun":
        modules = {"doom": "vizdoom", "gym": "gymnasium", "ale": "ale_py"}
        missing = importlib.util.find_spec(modules[game]) is None
        return f'{modules[game]} is not installed; run: pip install -e ".[games]"' if missing else ""
    try:
        need_game()
    except MissingPackageError as error:
        return str(error)
    return ""


def _need(reason: str) -> None:
    if reason and os.environ.get(MUST_RUN):
        pytest.fail(f"{reason} ({MUST_RUN} is set)")
    if reason:
        pytest.skip(reason)
