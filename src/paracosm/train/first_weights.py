"""First weights from a named seed.

Layers draw theirs from torch's global stream, which is put back behind them.
"""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from paracosm.core.errors import ConfigError
from paracosm.core.rng import sub_seed
from paracosm.models.base import Model

logger = logging.getLogger(__name__)


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


def begin_with(
    model: Model, folder: Path, may_differ: tuple[str, ...] = (), anew: tuple[str, ...] = ()
) -> None:
    """Give a model the weights of a model folder.

    Args:
        model: changed in place.
        folder: of a model of the same kind.
        may_differ: values of the config that may be others than the folder's.
        anew: weights that keep their first values where the folder has none, or those of another shape,
            because such a value differs.

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
    own, given = model.state_dict(), initial.state_dict()
    kept = [name for name in anew if name not in given or given[name].shape != own[name].shape]
    if kept:
        logger.info("begins with %s, but anew in %s", folder, ", ".join(kept))
    model.load_state_dict(given | {name: own[name] for name in kept})
