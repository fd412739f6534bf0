"""A neural world on disk: world.json, the folders of its networks, and frames to start from.

    WORLD/world.json             this file's WorldSpec
    WORLD/tokenizer/             config.json, model.safetensors, encode.onnx, decode.onnx
    WORLD/dynamics/              config.json, model.safetensors, condition.onnx, step.onnx, write.onnx
    WORLD/starts.safetensors     frames uint8 (n, t, h, w, 3), controls float32 (n, t - 1, a)

Each graph lies beside the weights it reads, because ONNX Runtime follows no path out of a graph's own folder.
Everything that a player needs to know stands in world.json, so that it needs no torch. This file does NOT
know how frames are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .config import from_json
from .controls import ControlSpace
from .errors import ConfigError, DataError
from .files import file_hash, read_json

FORMAT_VERSION = 2
"""Raised when world.json or the graphs' inputs change their meaning; 2 turned the cache (`CACHE_ORDER`)."""
Spec = TypeVar("Spec")
Arithmetic = Literal["float32", "int8"]
"""How the matrices of the dynamics' layers are multiplied in play: in floating point, or in bytes, for
weights stored as bytes."""
WEIGHTS_FILE = "model.safetensors"
"""Weights of a part, in its folder."""
PLACES = "places"
"""Length of the past in a graph of the dynamics, fixed when it is opened."""
CACHE_ORDER_NOTE, CACHE_ORDER = "cache_order", "keys (places, k), values (k, places), mask 1 where held"
"""Note that a graph with a cache carries along, and what it must say: how it takes its past."""
SCALE_SUFFIX = ":scale"
"""Ends the name of the scales of weights stored as bytes: they tell how to read weights and are none."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One network of a world."""

    folder: str
    """folder inside the world's folder"""
    weights: str
    """hash of its weights file; graphs point into that file by byte, so no other file will do"""


@dataclass(frozen=True, kw_only=True)
class WorldParts:
    """The networks of a world."""

    tokenizer: Part
    """frames to latents and back"""
    dynamics: Part
    """noise to the next latents"""


@dataclass(frozen=True, kw_only=True)
class PlaySizes:
    """Shapes that a player must know to keep the cache and draw noise."""

    latent_channels: int
    """numbers for each grid position"""
    latent_height: int
    """rows of the latent grid"""
    latent_width: int
    """columns of the latent grid"""
    tokens_per_frame: int
    """tokens of a frame"""
    layers: int
    """layers that keep keys and values"""
    heads: int
    """attention heads"""
    head_width: int
    """numbers a head"""
    window: int
    """past frames that a frame sees"""
    attention: Literal["joint", "factorised"]
    """one sequence of all tokens, or one sequence over time for each token position"""
    frame_frequencies: tuple[float, ...]
    """radians that one frame turns each rotary pair of the frame axis"""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(z, h, w) of one frame's latents."""
        return self.latent_channels, self.latent_height, self.latent_width


@dataclass(frozen=True, kw_only=True)
class PlayDefaults:
    """How the world is played unless the player says otherwise."""

    levels: tuple[float, ...] = (1.0, 0.5)
    """noise levels of the denoising passes, falling from 1"""
    guidance: float = 1.0
    """how far the prediction is pushed from no control towards the control; 1 is plain"""
    context_level: float = 0.0
    """noise level that the network is told for the clean frames of the past"""
    window: int = 0
    """past frames that are kept; 0 takes all that the network was made for"""
    sink: int = 0
    """first frames that stay in the window for good; one or a few keep a long game near its start"""
    renoise: Literal["euler", "fresh"] = "euler"
    """from one pass to the next along the straight line, or under new noise, as some students learnt it"""


@dataclass(frozen=True, kw_only=True)
class SpecHead:
    """What world.json says of every kind of neural world."""

    format_version: int
    """see FORMAT_VERSION of the kind"""
    name: str
    """short name, e.g. "doom" """
    description: str
    """one or two sentences for people"""
    fps: float
    """steps a second at the world's own pace"""
    height: int
    """rows of a frame in pixels"""
    width: int
    """columns of a frame in pixels"""
    starts: str
    """file of the frames to start from"""

    def __post_init__(self) -> None:
        """Refuse what cannot be a world."""
        if self.fps <= 0 or self.height < 1 or self.width < 1:
            raise ConfigError(
                f"{self.height} x {self.width} at {self.fps:g} fps is no picture; use sizes above 0"
            )


@dataclass(frozen=True, kw_only=True)
class WorldSpec(SpecHead):
    """What world.json holds."""

    controls: ControlSpace
    """what the player may do"""
    sizes: PlaySizes
    """shapes of latents and cache"""
    parts: WorldParts
    """the networks"""
    play: PlayDefaults
    """how it is played"""
    arithmetic: Arithmetic = "float32"
    """how the graphs multiply; any backend does the same"""
    game: str = ""
    """the true game that this world dreams of, e.g. "game:doom"; "" when it cannot be opened here"""
    game_config: Mapping[str, Any] = field(default_factory=dict)
    """the true game's config as JSON values, so that both have one picture size and one level"""


@dataclass(frozen=True, kw_only=True)
class Starts:
    """Clips that a world can begin from.

    Attributes:
        frames: uint8 (n, t, h, w, 3).
        controls: float32 (n, t - 1, a), the vectors of the controls between the frames.
    """

    frames: np.ndarray
    controls: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)


def load_spec(folder: Path) -> WorldSpec:
    """Read world.json; see :func:`read_spec`."""
    return read_spec(folder, WorldSpec, FORMAT_VERSION)


def read_spec(folder: Path, spec_class: type[Spec], newest: int) -> Spec:
    """Read world.json as a world of one kind.

    Args:
        folder: of the world.
        spec_class: what its world.json describes.
        newest: format version of that kind up to which this version reads.

    Raises:
        DataError: when the folder or the file is missing or is not JSON.
        ConfigError: when it is of a newer format or does not fit; names the key.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; a neural world is a folder with world.json")
    path = folder / "world.json"
    document = read_json(path)
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, int):
        raise ConfigError(f"{path} has no format_version; it is no neural world of this project")
    if version > newest:
        raise ConfigError(
            f"{path} has format_version {version}, this version reads up to {newest}; upgrade paracosm"
        )
    try:
        return from_json(spec_class, document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def kind_of(folder: Path) -> str:
    """Kind that a folder's world.json names; "" for the ordinary kind, which names none, and for no world."""
    if not (folder / "world.json").is_file():
        return ""
    document = read_json(folder / "world.json")
    return str(document.get("kind", "")) if isinstance(document, dict) else ""


def check_parts(folder: Path, spec: WorldSpec) -> None:
    """Refuse a world whose weights are missing or are not those that its graphs were made for.

    Raises:
        DataError: names the file and what to do.
    """
    for part in (spec.parts.tokenizer, spec.parts.dynamics):
        check_weights(folder, part, "run paracosm export")


def check_weights(folder: Path, part: Part, remedy: str) -> None:
    """Refuse a part whose weights are missing or are not those that the world was written with.

    Args:
        folder: of the world.
        part: one of its networks.
        remedy: what makes the part anew, e.g. "run paracosm export".

    Raises:
        DataError: names the file and what to do.
    """
    path = folder / part.folder / WEIGHTS_FILE
    if not path.is_file():
        raise DataError(f"{path} is missing; copy the whole world folder or {remedy}")
    found = file_hash(path)
    if found != part.weights:
        raise DataError(
            f"{path} has the hash {found}, world.json says {part.weights}: the weights were changed or "
            f"cut off; copy the world folder again or {remedy}"
        )


def load_starts(folder: Path, spec: WorldSpec) -> Starts:
    """Read the start clips of a world.

    Raises:
        DataError: when the file is missing, corrupt or does not fit the world.
    """
    path = folder / spec.starts
    starts = Starts(**load_arrays(path, ("frames", "controls")))
    check_starts(starts, spec, str(path))
    return starts


def load_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the arrays of a world's start file.

    Raises:
        DataError: when the file or an array is missing, or the file is corrupt.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; copy the whole world folder or build the world again")
    try:
        arrays = load_file(path)
        return {name: arrays[name] for name in names}
    except (SafetensorError, OSError, KeyError) as error:
        raise DataError(f"{path} is corrupt or truncated ({error}); copy the world folder again") from error


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write the arrays of a world's start file; the caller makes the folder whole."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    path.chmod(0o644)  # safetensors makes it private; a package's data is not


def save_starts(starts: Starts, path: Path) -> None:
    """Write start clips; the caller makes the folder whole."""
    save_arrays(path, frames=starts.frames, controls=starts.controls)


def check_starts(starts: Starts, spec: WorldSpec, name: str) -> None:
    """Refuse start clips that do not fit the world.

    Raises:
        DataError: says what was given and what is needed.
    """
    frames, controls = starts.frames, starts.controls
    picture = (spec.height, spec.width, 3)
    if (
        frames.ndim != 5
        or frames.dtype != np.uint8
        or frames.shape[2:] != picture
        or min(frames.shape[:2]) < 1
    ):
        raise DataError(
            f"{name}: start frames are {frames.dtype} {frames.shape}; "
            f"uint8 (n, t, {spec.height}, {spec.width}, 3) with n and t >= 1 is needed"
        )
    needed = (frames.shape[0], frames.shape[1] - 1, spec.controls.width)
    if controls.shape != needed or controls.dtype != np.float32:
        raise DataError(
            f"{name}: start controls are {controls.dtype} {controls.shape}; float32 {needed} is needed"
        )
