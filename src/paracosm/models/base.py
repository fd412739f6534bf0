"""A model on disk is a folder: config.json and model.safetensors.

The config file is ``{"format_version", "kind", "config"}``. Weights never travel as pickles. This file saves
and loads them, and does NOT know training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paracosm.core.config import from_json, to_json
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import file_hash, read_json, whole_folder, write_json

from .storage import Storage, from_disk, to_disk

FORMAT_VERSION = 1
"""Raised when config.json or the names in model.safetensors change their meaning."""


class Model(nn.Module):
    """Base of every network that is saved: it is made from one config and knows its kind.

    Subclasses set ``kind`` and ``config_class`` and take the config as the only argument of ``__init__``.
    """

    kind: str
    config_class: type

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Number of learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def save(self, folder: Path, storage: Storage = "float32") -> None:
        """Write config.json and model.safetensors, both or neither.

        Args:
            folder: an earlier one is replaced as a whole.
            storage: number type of the stored weights; see :mod:`.storage`.
        """
        save_tensors(self, to_disk(self.state_dict(), storage), folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Build the model of a folder, float32, in eval mode.

        Raises:
            DataError: when a file is missing, truncated or does not fit the config.
            ConfigError: when the config is of another kind, a newer format or has an unknown key.
        """
        config = read_config(folder, cls.kind)
        model = cls(from_json(cls.config_class, config, f"{folder.name}.config"))
        expected = model.state_dict()
        tensors = read_fitting_tensors(folder, expected)
        model.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()})
        return model.eval()


def read_fitting_tensors(folder: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights of a model folder and check that they are those of a network.

    Args:
        folder: the model folder.
        expected: state dict of the network; the meta device suffices.

    Raises:
        DataError: when the file is missing, truncated or of another network.
    """
    tensors = read_tensors(folder)
    missing, unused = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unused:
        raise DataError(
            f"{folder}/model.safetensors lacks {missing[:3]} and has unknown {unused[:3]}; "
            "its config.json belongs to other weights; restore the pair"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise DataError(
                f"{folder}/model.safetensors: {name} is {tuple(tensor.shape)}, the config says "
                f"{tuple(expected[name].shape)}; restore the pair"
            )
    return tensors


def save_tensors(model: Model, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write a model folder whose weights come from elsewhere, in the number types they have.

    Args:
        model: says kind and config; may be on the meta device.
        tensors: what its state dict would hold.
        folder: an earlier one is replaced as a whole.
    """
    with whole_folder(folder, "config.json") as partial:
        config = {"format_version": FORMAT_VERSION, "kind": model.kind, "config": to_json(model.config)}
        write_json(partial / "config.json", config)
        save_file(dict(tensors), partial / "model.safetensors")
        # safetensors makes the file private; a package's data is not
        (partial / "model.safetensors").chmod(0o644)


def read_config(folder: Path, kind: str) -> dict[str, Any]:
    """Read the config of a model folder and check kind and format.

    Raises:
        DataError: when the folder or its config.json is missing.
        ConfigError: when it is of another kind or of a newer format.
    """
    document = _read_document(folder)
    if document.get("kind") != kind:
        raise ConfigError(
            f'{folder} holds a model of kind "{document.get("kind")}", not "{kind}"; pass another folder'
        )
    return document["config"]


def model_kind(folder: Path) -> str:
    """Kind of the model in a folder, e.g. "dynamics_flow"; "" when it names none.

    Raises:
        DataError: when the folder or its config.json is missing.
        ConfigError: when it is of a newer format.
    """
    return str(_read_document(folder).get("kind", ""))


def _read_document(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no model folder; a model is a folder with config.json and model.safetensors"
        )
    document = read_json(folder / "config.json")
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, int):
        raise ConfigError(f"{folder}/config.json has no format_version; it is not a model of this project")
    if version > FORMAT_VERSION:
        raise ConfigError(
            f"{folder}/config.json has format_version {version}, this version reads up to {FORMAT_VERSION}; "
            "upgrade paracosm"
        )
    return document


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read the weights of a model folder.

    Raises:
        DataError: when the file is missing or truncated.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise DataError(f"{path} is missing; restore it or train the model again")
    try:
        return from_disk(load_file(path))
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path} is corrupt or truncated ({error}); restore it or train the model again"
        ) from error


def weights_hash(folder: Path) -> str:
    """First 16 hex digits of the SHA-256 of a model folder's weights: its name in datasets and recipes."""
    return file_hash(folder / "model.safetensors")
