"""A world of tokens on disk: learnt actions in, codes from a masked dynamics, pictures out.

    WORLD/world.json             this file's TokenWorldSpec; "kind" is "tokens"
    WORLD/tokenizer/             config.json, model.safetensors: frames to codes and back
                                 encode.onnx, decode.onnx: the same without torch, on the same weights
    WORLD/dynamics/              config.json, model.safetensors: codes and an action to the next codes
                                 condition.onnx, step.onnx, write.onnx: an action, one pass over a frame,
                                 and the pass that fills the cache, without torch
    WORLD/starts.safetensors     frames uint8 (n, t, h, w, 3), actions int64 (n, t - 1)
    WORLD/actions/1.png, ...     what each learnt action was found to do, where that was drawn

Folders written before the graphs play with torch. This file does NOT know how frames are made.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from .controls import ControlSpace
from .errors import ConfigError, DataError
from .world_spec import SpecHead, WorldParts, check_weights, kind_of, load_arrays, read_spec, save_arrays

FORMAT_VERSION = 3
"""Raised when world.json or the graphs' inputs change their meaning; 2 turned the cache (`CACHE_ORDER`), 3
tells a pass its action by a graph of its own."""
KIND = "tokens"
ACTIONS_FOLDER = "actions"
"""Pictures of what each learnt action does, in a world's folder."""
CHORD = "+"
"""Joins the names of keys that are held together, in the order of ``key_actions``."""
SIZES_NOTE = "sizes"
"""Under this name a graph carries what its player must know to keep its cache, as JSON."""


@dataclass(frozen=True, kw_only=True)
class TokenWorldSpec(SpecHead):
    """What world.json holds."""

    kind: Literal["tokens"]
    """tells this world from the others"""
    num_actions: int
    """learnt actions that the player chooses from"""
    idle_action: int
    """learnt action of a step at which the player chooses none: that of labelled steps without a key, else
    the commonest in the training data"""
    key_actions: dict[str, int]
    """learnt action of each real key, where some labelled clips told; else empty. In the order of the
    recording, so that the world has its controls"""
    parts: WorldParts
    """the networks"""
    num_passes: int
    """passes a frame"""
    temperature: float
    """of the sampling"""
    bindings: dict[str, str] = field(default_factory=dict)
    """W3C key codes of the real keys of ``key_actions``, e.g. {"ArrowLeft": "left"}"""
    chord_actions: dict[str, int] = field(default_factory=dict)
    """learnt action of real keys held together, e.g. {"right+up": 4}"""
    rarest_first: tuple[str, ...] = ()
    """which key counts of those held together that no labelled step held; without it the last"""

    def __post_init__(self) -> None:
        """Refuse what cannot be a world."""
        super().__post_init__()
        if self.num_actions < 2:
            raise ConfigError(
                f"{self.num_actions} latent action cannot tell two controls apart; use at least 2, e.g. 6"
            )
        unknown = sorted(set(self.rarest_first) - set(self.key_actions))
        if unknown:
            raise ConfigError(f"rarest_first names {unknown}; key_actions has {list(self.key_actions)}")
        chosen = {"idle_action": self.idle_action, **self.key_actions, **self.chord_actions}
        for name, action in chosen.items():
            if not 0 <= action < self.num_actions:
                raise ConfigError(
                    f"{name} is action {action} of {self.num_actions}; use 0 to {self.num_actions - 1}"
                )

    def action_of(self, keys: Collection[str]) -> int:
        """Learnt action of real keys held together; a chord that nobody labelled counts as its rarest key."""
        held = [key for key in self.key_actions if key in keys]
        if not held:
            return self.idle_action
        single = next((key for key in self.rarest_first if key in held), held[-1])
        return self.chord_actions.get(CHORD.join(held), self.key_actions[single])

    @property
    def controls(self) -> ControlSpace:
        """What the player may do: hold one learnt action, or a real key that stands for one."""
        return ControlSpace(
            keys=tuple(self.key_actions), bindings=self.bindings, num_latents=self.num_actions
        )


@dataclass(frozen=True, kw_only=True)
class TokenStarts:
    """Clips that a world of tokens can begin from.

    Attributes:
        frames: uint8 (n, t, h, w, 3).
        actions: int64 (n, t - 1), the learnt actions between the frames.
    """

    frames: np.ndarray
    actions: np.ndarray


def is_token_world(folder: Path) -> bool:
    """Whether a folder's world.json is of this kind."""
    return kind_of(folder) == KIND


def load_token_spec(folder: Path) -> TokenWorldSpec:
    """Read world.json and check that the networks are those it was written for.

    Raises:
        DataError: when a file is missing or of other weights.
        ConfigError: when it is of a newer format or does not fit; names the key.
    """
    spec = read_spec(folder, TokenWorldSpec, FORMAT_VERSION)
    for part in (spec.parts.tokenizer, spec.parts.dynamics):
        check_weights(folder, part, "build the world again")
    return spec


def load_token_starts(folder: Path, spec: TokenWorldSpec) -> TokenStarts:
    """Read the start clips of a world.

    Raises:
        DataError: when the file is missing, corrupt or does not fit the world.
    """
    path = folder / spec.starts
    starts = TokenStarts(**load_arrays(path, ("frames", "actions")))
    check_token_starts(starts, spec, str(path))
    return starts


def action_picture(folder: Path, action: int) -> Path:
    """File of the picture of what a learnt action does; players count actions from 1."""
    return folder / ACTIONS_FOLDER / f"{action + 1}.png"


def read_action_pictures(folder: Path, spec: TokenWorldSpec) -> tuple[bytes, ...]:
    """PNG of what each learnt action was found to do; () when they were not drawn.

    Raises:
        DataError: when some are there and some are not.
    """
    files = [action_picture(folder, action) for action in range(spec.num_actions)]
    missing = [file for file in files if not file.is_file()]
    if len(missing) == len(files):
        return ()
    if missing:
        raise DataError(
            f"{missing[0]} is missing beside others; copy the whole world folder, or draw them anew"
        )
    return tuple(file.read_bytes() for file in files)


def save_token_starts(starts: TokenStarts, path: Path) -> None:
    """Write start clips; the caller makes the folder whole."""
    save_arrays(path, frames=starts.frames, actions=starts.actions)


def check_token_starts(starts: TokenStarts, spec: TokenWorldSpec, name: str) -> None:
    """Refuse start clips that do not fit the world.

    Raises:
        DataError: says what was given and what is needed.
    """
    frames, actions = starts.frames, starts.actions
    picture = (spec.height, spec.width, 3)
    fits = frames.ndim == 5 and frames.dtype == np.uint8 and frames.shape[2:] == picture
    if not fits or min(frames.shape[:2]) < 1:
        raise DataError(
            f"{name}: start frames are {frames.dtype} {frames.shape}; "
            f"uint8 (n, t, {spec.height}, {spec.width}, 3) with n and t >= 1 is needed"
        )
    needed = (frames.shape[0], frames.shape[1] - 1)
    known = not actions.size or 0 <= actions.min() <= actions.max() < spec.num_actions
    if not known or actions.shape != needed or actions.dtype != np.int64:
        raise DataError(
            f"{name}: start actions are {actions.dtype} {actions.shape}; int64 {needed} from 0 to "
            f"{spec.num_actions - 1} is needed"
        )
