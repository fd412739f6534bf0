"""How weights lie in a safetensors file: as they are, in half precision, or as bytes with a scale a row.

``int8`` keeps every weight of two or more axes as int8 plus one float32 scale for each row of its first axis
(an output channel), named ``NAME:scale`` and shaped to multiply; all else is kept in half precision. It
halves a world's download once more. This file does NOT know models, nor how weights are multiplied in play.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from paracosm.core.world_spec import SCALE_SUFFIX

Storage = Literal["float32", "float16", "int8"]
"""Number type of stored weights."""
LARGEST = 127
"""Largest int8; -128 stays unused, so that the code is symmetric."""


def to_disk(tensors: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """Turn a state dict into what is written; integers stay as they are."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if storage == "float32" or not tensor.is_floating_point():
            stored[name] = tensor
        elif storage == "int8" and tensor.ndim > 1:
            stored[name], stored[name + SCALE_SUFFIX] = _to_bytes(tensor.float())
        else:
            stored[name] = tensor.half()
    return stored


def from_disk(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo :func:`to_disk` up to rounding: int8 tensors become float32, all others keep their type."""
    tensors = {}
    for name, tensor in stored.items():
        scale = stored.get(name + SCALE_SUFFIX)
        if scale is not None:
            tensors[name] = tensor.float() * scale
        elif not name.endswith(SCALE_SUFFIX):
            tensors[name] = tensor
    return tensors


def _to_bytes(tensor: Tensor) -> tuple[Tensor, Tensor]:
    scale = tensor.abs().amax(tuple(range(1, tensor.ndim)), keepdim=True) / LARGEST
    scale = torch.where(scale > 0, scale, torch.ones(()))
    return (tensor / scale).round().to(torch.int8), scale
