"""First weights from a named seed.

Layers draw theirs from torch's global stream, which is put back behind them.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from paracosm.core.errors import ConfigError
from paracosm.core.rng import sub_seed
from paracosm.models.base import Model


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


def begin_with(model: Model, folder: Path, may_differ: tuple[str, ...] = ()) -> None:
    """Give a model the weights of a model folder.

    Args:
        model: changed in place.
        folder: of a model of the same kind.
        may_differ: values of the config that say nothing of the weights' shapes.

    Raises:
        ConfigError: when the folder holds a model of other sizes.
        DataError: when the folder is incomplete.
    """
    initial = type(model).load(folder)
    if replace(initial.config, **{name: getattr(model.config, name) for name in may_differ}) != model.config:
        raise ConfigError(
            f"{folder} holds {initial.config}, the stage trains {model.config}; "
            "choose weights of the same sizes"
        )
    model.load_state_dict(initial.state_dict())
