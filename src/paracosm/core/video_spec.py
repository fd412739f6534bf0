"""A streamed video world on disk, and what its controls mean in the network's numbers.

    WORLD/world.json             this file's VideoWorldSpec; "kind" is "video"
    WORLD/dynamics/              config.json, model.safetensors: the transformer
    WORLD/vae/                   the picture codec, in the library's own format
    WORLD/image_encoder/         the image tower, in the library's own format
    WORLD/starts.safetensors     pictures to begin from, uint8 (n, h, w, 3)

It plays with torch. This file does NOT know how frames are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from .controls import Control, ControlSpace
from .errors import ConfigError, DataError
from .world_spec import Part, SpecHead, check_weights, kind_of, load_arrays, read_spec, save_arrays

FORMAT_VERSION = 1
"""Raised when world.json changes its meaning."""
KIND = "video"


@dataclass(frozen=True, kw_only=True)
class ActionMap:
    """From a player's control to the keyboard and mouse numbers of a network."""

    columns: tuple[str, ...]
    """key of each keyboard number, in order; "" for a number that no key sets"""
    choice: Literal["any", "one"]
    """any: held keys count together; one: exactly one number is set, the first held key's"""
    idle: int
    """with choice one, the number that is set while no key is held"""
    mouse: int
    """mouse numbers: 2 are pitch and yaw, up and right positive; 0 for a network without a mouse"""
    mouse_limit: float
    """largest size of a mouse number, which stands for the largest turn of one step"""
    turns: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """keys that turn: mouse numbers (pitch, yaw) that they add while held"""

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        if self.mouse not in (0, 2):
            raise ConfigError(
                f"{self.mouse} mouse numbers have no known meaning; a network with 2 (pitch, yaw) or 0 plays"
            )
        if self.choice == "one" and not 0 <= self.idle < len(self.columns):
            raise ConfigError(
                f"idle {self.idle} is none of the {len(self.columns)} keyboard numbers; give its place from 0"
            )
        if self.turns and not self.mouse:
            raise ConfigError("keys that turn need mouse numbers; leave turns out")

    @property
    def idle_number(self) -> int:
        """Place of the keyboard number that is 1 while no key is held; -1 where all are 0 then."""
        return self.idle if self.choice == "one" else -1

    def numbers(self, control: Control, look_limit: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Turn a control into keyboard numbers and mouse numbers, float32.

        Args:
            control: keys and degrees of (yaw, pitch).
            look_limit: degrees of yaw and pitch that are the mouse's limit.
        """
        held = np.array([key in control.keys and key != "" for key in self.columns], np.float32)
        if self.choice == "one":
            chosen = int(held.argmax()) if held.any() else self.idle
            held = np.zeros_like(held)
            held[chosen] = 1.0
        mouse = np.zeros(self.mouse, np.float32)
        if self.mouse:
            yaw, pitch = (
                angle / limit * self.mouse_limit if limit else 0.0
                for angle, limit in zip(control.look, look_limit, strict=True)
            )
            turn = np.array([pitch, yaw], np.float32)
            for key in sorted(control.keys & self.turns.keys()):
                turn += np.array(self.turns[key], np.float32)
            mouse = np.clip(turn, -self.mouse_limit, self.mouse_limit)
        return held, mouse


@dataclass(frozen=True, kw_only=True)
class VideoParts:
    """The networks of a streamed world."""

    dynamics: Part
    """noise to the next latent frames"""
    vae: Part
    """frames to latents and back"""
    image_encoder: Part
    """the start picture to tokens"""


@dataclass(frozen=True, kw_only=True)
class VideoPlay:
    """How the world is played unless the player says otherwise."""

    levels: tuple[float, ...]
    """noise levels of the denoising passes, falling from 1"""
    guidance: float = 1.0
    """push from no control towards the control; 1 is plain"""
    context_level: float = 0.0
    """noise level that the network is told for clean latents"""
    window: int = 0
    """latent frames seen, the block being made counted; 0 takes all that the network was made for"""
    sink: int = -1
    """first latent frames that stay in the window for good; -1 takes the network's own"""


@dataclass(frozen=True, kw_only=True)
class VideoWorldSpec(SpecHead):
    """What world.json holds."""

    kind: Literal["video"]
    """tells this world from those that play without torch"""
    controls: ControlSpace
    """what the player may do"""
    actions: ActionMap
    """what that means in the network's numbers"""
    parts: VideoParts
    """the networks"""
    play: VideoPlay
    """how it is played"""
    source: str = ""
    """where the weights come from, and their licence"""

    def __post_init__(self) -> None:
        """Refuse what cannot be a world."""
        super().__post_init__()
        named = {key for key in self.actions.columns if key} | set(self.actions.turns)
        unknown = sorted(named - set(self.controls.keys))
        if unknown:
            raise ConfigError(
                f"actions name keys {unknown} that the controls do not offer; offered are "
                f"{list(self.controls.keys)}"
            )


def is_video_world(folder: Path) -> bool:
    """Whether a folder's world.json is of this kind."""
    return kind_of(folder) == KIND


def load_video_spec(folder: Path) -> VideoWorldSpec:
    """Read world.json and check that the networks are those it was written for.

    Raises:
        DataError: when a file is missing or of other weights.
        ConfigError: when it is of a newer format or does not fit; names the key.
    """
    spec = read_spec(folder, VideoWorldSpec, FORMAT_VERSION)
    check_weights(folder, spec.parts.dynamics, "convert again")
    return spec


def load_pictures(folder: Path, spec: VideoWorldSpec) -> np.ndarray:
    """Read the pictures that a world can begin from, uint8 (n, h, w, 3).

    Raises:
        DataError: when the file is missing, corrupt or does not fit the world.
    """
    path = folder / spec.starts
    pictures = load_arrays(path, ("frames",))["frames"]
    check_pictures(pictures, spec.height, spec.width, str(path))
    return pictures


def save_pictures(pictures: Sequence[np.ndarray], path: Path) -> None:
    """Write pictures to begin from; the caller makes the folder whole."""
    save_arrays(path, frames=np.stack(pictures))


def check_pictures(pictures: np.ndarray, height: int, width: int, name: str) -> None:
    """Refuse pictures of another type or size.

    Raises:
        DataError: says what was given and what is needed.
    """
    fits = pictures.ndim == 4 and pictures.dtype == np.uint8 and pictures.shape[1:] == (height, width, 3)
    if not fits or not len(pictures):
        raise DataError(
            f"{name}: start pictures are {pictures.dtype} {pictures.shape}; "
            f"uint8 (n, {height}, {width}, 3) with n >= 1 is needed"
        )
