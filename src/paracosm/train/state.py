"""Everything needed to go on with a training run, as plain tensors and JSON.

That is weights, averages, moments and the step. Noise and batches are drawn by step number, so neither
generators nor loaders have a state to save. This state stays in the run folder and never travels with a
model.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import read_json, write_json

FORMAT_VERSION = 1
"""Raised when the names or meaning of the tensors change."""


def save_state(
    folder: Path,
    step: int,
    networks: Mapping[str, nn.Module],
    averages: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Write the state after ``step`` finished steps into an existing folder.

    Args:
        folder: where.
        step: finished steps.
        networks: by name.
        averages: their running averages.
        optimizers: by the name of the network that each moves; "" for one that moves all.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        tensors |= {f"network/{name}/{key}": value for key, value in network.state_dict().items()}
        tensors |= {f"average/{name}/{key}": value for key, value in averages[name].state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            place = f"{_moments_of(name)}{index}/"
            tensors |= {f"{place}{key}": torch.as_tensor(value) for key, value in moments.items()}
    save_file(
        {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
        folder / "state.safetensors",
    )
    write_json(folder / "state.json", {"format_version": FORMAT_VERSION, "step": step})


def load_state(
    folder: Path,
    networks: Mapping[str, nn.Module],
    averages: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> int:
    """Restore a state in place and return its number of finished steps.

    Raises:
        DataError: when the files are corrupt or belong to other networks.
        ConfigError: when a newer version wrote them.
    """
    document = read_json(folder / "state.json")
    if document["format_version"] > FORMAT_VERSION:
        raise ConfigError(
            f"{folder} has state format {document['format_version']}, "
            f"this version reads up to {FORMAT_VERSION}; upgrade paracosm"
        )
    try:
        tensors = load_file(folder / "state.safetensors")
        for name, network in networks.items():
            network.load_state_dict(_below(tensors, f"network/{name}/"))
            averages[name].load_state_dict(_below(tensors, f"average/{name}/"))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise DataError(
            f"{folder} cannot be resumed ({error}); delete it to resume from the one before"
        ) from error
    for name, optimizer in optimizers.items():
        _load_moments(optimizer, _below(tensors, _moments_of(name)))
    return document["step"]


def _moments_of(name: str) -> str:
    return f"optimizer/{name}/" if name else "optimizer/"


def _load_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, moment = key.partition("/")
        moments.setdefault(int(index), {})[moment] = _laid_out_as(parameters[int(index)], value)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    # Files hold plain rows, convolutions here are channels-last; the fused optimiser walks both memories in
    # one order and would silently pair each weight with the moment of another.
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def load_average(folder: Path, name: str, network: nn.Module) -> nn.Module:
    """Load the running average of one network from a checkpoint into ``network`` and return it, in eval mode.

    Raises:
        DataError: when the checkpoint is corrupt or belongs to other networks.
    """
    try:
        network.load_state_dict(_below(load_file(folder / "state.safetensors"), f"average/{name}/"))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise DataError(
            f"{folder} holds no average of {name} ({error}); choose another checkpoint"
        ) from error
    return network.eval()


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
