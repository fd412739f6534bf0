"""A world that follows instructions, on disk: a base that makes clips, and the branch that steers it.

    WORLD/world.json             this file's InstructWorldSpec; "kind" is "instruct"
    WORLD/tokenizer/             config.json, model.safetensors: frames to latents and back
    WORLD/base/                  config.json, model.safetensors: words and given frames to a clip
    WORLD/branch/                config.json, model.safetensors: keys, words and a video prompt to what is
                                 added to the base; left out in a world that is the base alone
    WORLD/starts.safetensors     frames uint8 (n, t, h, w, 3), controls float32 (n, t - 1, a)

It plays with torch. This file does NOT know how frames are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .controls import ControlSpace
from .errors import ConfigError, DataError
from .world_spec import Part, SpecHead, Starts, check_weights, kind_of, load_arrays, read_spec

FORMAT_VERSION = 1
"""Raised when world.json changes its meaning."""
KIND = "instruct"


@dataclass(frozen=True, kw_only=True)
class InstructParts:
    """The networks of a world."""

    tokenizer: Part
    """frames to latents and back"""
    base: Part
    """words and given frames to a clip"""
    branch: Part | None
    """what steers the base, or None for the base alone"""


@dataclass(frozen=True, kw_only=True)
class InstructPlay:
    """How a world is played; players may choose otherwise."""

    levels: tuple[float, ...] = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1)
    """noise levels of the passes of a clip, falling from 1"""
    guidance: float = 1.0
    """push from nothing said towards what is said; 1 is plain, else passes double"""
    prompt_guidance: float = 2.0
    """the same for the clip that a prompt begins"""


@dataclass(frozen=True, kw_only=True)
class InstructWorldSpec(SpecHead):
    """What world.json holds."""

    kind: Literal["instruct"]
    """tells this world from the others"""
    controls: ControlSpace
    """what the player may do; words always, keys and video prompts where there is a branch"""
    parts: InstructParts
    """the networks"""
    encoder: Literal["minilm", "hashed_words"]
    """who turns words into token states"""
    prompt_fields: tuple[str, ...]
    """fields that the base reads; the first takes free words"""
    fields: tuple[str, ...]
    """fields of an instruction; the first takes free words"""
    unchanged: str
    """what a field says when nothing is asked of it"""
    given_frames: int
    """frames that the next clip is given"""
    new_frames: int
    """frames of a clip that are new: an instruction holds for so many"""
    play: InstructPlay
    """how it is played"""

    def __post_init__(self) -> None:
        """Refuse what cannot be a world."""
        super().__post_init__()
        if min(self.given_frames, self.new_frames) < 1:
            raise ConfigError(
                f"{self.given_frames} + {self.new_frames} frames are no clip; use 1 or more of each"
            )
        steered = self.controls.keys or max(self.controls.look_limit) > 0 or self.controls.guide
        if not self.controls.text or (self.parts.branch is None and steered):
            raise ConfigError(
                "a world of this kind takes words, and keys, turns and guides only with a branch; "
                "offer what its networks follow"
            )


def is_instruct_world(folder: Path) -> bool:
    """Whether a folder's world.json is of this kind."""
    return kind_of(folder) == KIND


def load_instruct_spec(folder: Path) -> InstructWorldSpec:
    """Read world.json and check that the networks are those it was written for.

    Raises:
        DataError: when a file is missing or of other weights.
        ConfigError: when it is of a newer format or does not fit; names the key.
    """
    spec = read_spec(folder, InstructWorldSpec, FORMAT_VERSION)
    for part in (spec.parts.tokenizer, spec.parts.base, spec.parts.branch):
        if part is not None:
            check_weights(folder, part, "build the world again")
    return spec


def load_instruct_starts(folder: Path, spec: InstructWorldSpec) -> Starts:
    """Read the start clips of a world.

    Raises:
        DataError: when the file is missing, corrupt or does not fit the world.
    """
    path = folder / spec.starts
    starts = Starts(**load_arrays(path, ("frames", "controls")))
    check_instruct_starts(starts, spec, str(path))
    return starts


def check_instruct_starts(starts: Starts, spec: InstructWorldSpec, name: str) -> None:
    """Refuse start clips that do not fit the world.

    Raises:
        DataError: says what was given and what is needed.
    """
    frames, controls = starts.frames, starts.controls
    picture = (spec.given_frames, spec.height, spec.width, 3)
    if frames.ndim != 5 or frames.dtype != np.uint8 or frames.shape[1:] != picture or not len(frames):
        raise DataError(
            f"{name}: start frames are {frames.dtype} {frames.shape}; uint8 (n, {spec.given_frames}, "
            f"{spec.height}, {spec.width}, 3) with n >= 1 is needed"
        )
    needed = (len(frames), spec.given_frames - 1, spec.controls.width)
    if controls.shape != needed or controls.dtype != np.float32:
        raise DataError(
            f"{name}: start controls are {controls.dtype} {controls.shape}; float32 {needed} is needed"
        )
