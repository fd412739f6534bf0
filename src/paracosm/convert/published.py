"""What others published, read with care: settings of a JSON file one by one, tensors to the last number.

A setting of another type or out of range is refused by its name, and so is a tensor that no network could
have learnt. This file does NOT know which settings or tensors there are.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from paracosm.core.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

LARGEST = 1_000_000
"""No size of a network that is read here comes near it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a file; every reader refuses what does not fit with a ConfigError that names it.

    A number may be written with a point when it is whole: 256.0 is 256.

    Attributes:
        file: its name, for messages.
        values: what it holds.
        advice: what to do about a setting that is refused.
        path: names of the settings around these, e.g. "action_config.".
    """

    file: str
    values: Mapping[str, Any]
    advice: str
    path: str = field(default="")

    def whole(self, key: str, least: int = 1, default: int | None = None) -> int:
        """Read a whole number from ``least`` up; without a default it must be there."""
        value: Any = self.values.get(key, default)
        if not _is_whole(value) or not least <= value <= LARGEST:
            raise self.refused(key, f"a whole number from {least} to {LARGEST:,}")
        return int(value)

    def real(self, key: str, least: float, most: float, default: float | None = None) -> float:
        """Read a number from ``least`` to ``most``; without a default it must be there."""
        value: Any = self.values.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise self.refused(key, f"a number from {least:g} to {most:g}")
        return float(value)

    def truth(self, key: str, default: bool) -> bool:
        """Read true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.refused(key, "true or false")
        return value

    def wholes(self, key: str, least: int) -> tuple[int, ...]:
        """Read a list of one or more whole numbers, each from ``least`` up."""
        value: Any = self.values.get(key)
        numbers = value if isinstance(value, list) else []
        if not numbers or not all(_is_whole(number) and least <= number <= LARGEST for number in numbers):
            raise self.refused(key, f"a list of whole numbers from {least} to {LARGEST:,}")
        return tuple(int(number) for number in value)

    def inside(self, key: str) -> Settings:
        """Read settings that stand together under one name."""
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise self.refused(key, "an object of settings")
        return Settings(file=self.file, values=value, advice=self.advice, path=f"{self.path}{key}.")

    def fixed(self, known: Mapping[str, Any]) -> None:
        """Refuse settings that are there and have another value than the one that can be built."""
        for key, value in known.items():
            given = self.values.get(key, value)
            if given != value:
                raise ConfigError(
                    f"{self.file} has {self.path}{key} = {given!r}; only {value!r} can be built here: "
                    "this is a network of another family"
                )

    def tell_unknown(self, known: Collection[str]) -> None:
        """Say which settings are not used."""
        for key in sorted(set(self.values) - set(known)):
            logger.warning("%s: %s = %r is not known and not used", self.file, key, self.values[key])

    def refused(self, key: str, needed: str) -> ConfigError:
        """Make the error for a setting that does not fit."""
        given = f"{self.path}{key} = {self.values[key]!r}" if key in self.values else f"no {self.path}{key}"
        return ConfigError(f"{self.file} has {given}; {needed} is needed: {self.advice}")


def check_numbers(source: Path, name: str, tensor: Tensor) -> Tensor:
    """Return a tensor of weights as it is, or refuse one that is no weights.

    Args:
        source: where it was read, for messages.
        name: its name there.
        tensor: of any shape and type.

    Raises:
        DataError: when its numbers are no floating-point ones, or one of them is not finite in float32.
    """
    kind = str(tensor.dtype).removeprefix("torch.")
    if not tensor.is_floating_point():
        raise DataError(
            f"{source}: {name} holds {kind} numbers; weights are floating-point numbers: download it again"
        )
    if not bool(tensor.float().isfinite().all()):
        raise DataError(
            f"{source}: {name} holds a number that is not finite in float32; "
            "the file is damaged or its training failed: download it again"
        )
    return tensor


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
