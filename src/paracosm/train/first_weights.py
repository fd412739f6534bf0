"""First weights from a named seed.

Layers draw theirs from torch's global stream, which is put back behind them.
"""

import contextlib
from collections.abc import Iterator

import torch

from paracosm.core.rng import sub_seed


@contextlib.contextmanager
def first_weights(seed: int, name: str) -> Iterator[None]:
    """Within the block, layers draw their first weights from (seed, name); outside it nothing changes.

    Args:
        seed: run seed, >= 0.
        name: what is made, e.g. "dynamics".
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sub_seed(seed, f"{name} weights"))  # noqa: TID251
        yield
