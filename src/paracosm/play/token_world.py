"""A world of tokens: a World whose frames come from a masked dynamics under learnt actions.

Codes never take the round trip through pixels; each frame is decoded as it comes. The state is a value, so a
snapshot is a handful of references. Needs torch only when a world is opened. This file does NOT know browsers
or training.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError
from paracosm.core.extras import need
from paracosm.core.rng import stream
from paracosm.core.token_spec import TokenWorldSpec, load_token_spec, load_token_starts, read_action_pictures
from paracosm.core.tuning import CacheAction, Dials, Tuning
from paracosm.core.world_spec import WEIGHTS_FILE

from .neural_base import (
    PASSES,
    Moment,
    NeuralBase,
    Overlap,
    choose_overlap,
    count_threads,
    describe,
    open_worker,
)
from .weights import count_parameters


@dataclass(frozen=True, kw_only=True)
class TokenEngineConfig:
    """How a world of tokens is run."""

    backend: Literal["auto", "onnx", "torch"] = "auto"
    """what computes; auto is ONNX Runtime where the world has graphs, torch for folders older than them"""
    num_threads: int = 0
    """threads of a pass; 0 takes every core, or with torch leaves the process as it is"""
    num_passes: int = 0
    """passes a frame; 0 takes the world's own"""
    overlap: Overlap | Literal["auto"] = "auto"
    """behind: a frame is written to the cache while it is decoded and shown; the same bytes; auto: behind
    where this process may use two cores or more; torch always writes first"""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.num_threads < 0 or self.num_passes < 0:
            raise ConfigError(
                f"num_threads {self.num_threads} and num_passes {self.num_passes} must be 0 or more; "
                "0 takes the default"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenMoment(Moment):
    """Everything that makes the next frames; its settings are the number of passes a frame.

    Attributes:
        networks: state of the networks.
    """

    networks: Any


class TokenWorld(NeuralBase[Any, TokenMoment]):
    """A world under learnt actions; see :class:`paracosm.core.world.World`.

    Args:
        folder: the world's folder.
        config: how to run it.
        name: how it is called in ``info``; "" takes "model:" and the folder.

    Raises:
        DataError: when a file is missing or corrupt.
        ConfigError: when world.json does not fit, or its networks do not fit each other.
        MissingPackageError: when torch is asked for, or is all that can play it, and is not installed.
    """

    def __init__(self, folder: Path, config: TokenEngineConfig | None = None, name: str = "") -> None:
        config = config or TokenEngineConfig()
        self._spec = spec = load_token_spec(folder)
        self._starts = load_token_starts(folder, spec)
        backend = _choose_backend(folder, spec, config)
        module = importlib.import_module(f"paracosm.play.backends.{backend}_tokens")
        self._sampler_class: Any = module.SamplerConfig
        overlap = choose_overlap(config.overlap)
        # torch has one number of threads for the whole process, which is not ours to choose unasked
        threads = config.num_threads if backend == "torch" else count_threads(config.num_threads, overlap)
        player: Any = module.open_player(folder, spec, threads, open_worker(overlap))
        self._tokens: int = player.tokens
        weights = f"{spec.parts.tokenizer.weights}-{spec.parts.dynamics.weights}"
        parts = (spec.parts.tokenizer, spec.parts.dynamics)
        about = describe(
            spec,
            name=name or f"model:{folder}",
            starts=("seed", "image", "clip"),
            engine=f"{player.runtime}, weights {weights}",
            details={
                "tokens_per_frame": player.tokens,
                "parameters": sum(count_parameters(folder / part.folder / WEIGHTS_FILE) for part in parts),
                "backend": backend,
            },
            latent_pictures=read_action_pictures(folder, spec),
        )
        super().__init__(about, weights, player, config.num_passes or spec.num_passes)

    def set_passes(self, num_passes: int) -> None:
        """Choose the passes of a frame from the next step on; more are slower.

        Raises:
            ConfigError: for less than 1, or more than a frame has tokens.
        """
        self._settings = self._check_passes(num_passes)

    def _begin(
        self, seed: int, start: np.ndarray | None, controls: Sequence[Control], prompt: str | None
    ) -> tuple[np.ndarray, TokenMoment]:
        if start is None:
            chosen = int(stream(seed, "start").integers(len(self._starts.frames)))
            clip, told = self._starts.frames[chosen], self._starts.actions[chosen].tolist()
        else:
            clip = start if start.ndim == 4 else start[None]
            told = [self.action(control) for control in controls]
        image, networks = self._need_networks().begin(clip, [None, *told])
        return image, TokenMoment(
            weights=self._weights, seed=seed, settings=self._settings, networks=networks
        )

    def _next(self, moment: TokenMoment, control: Control, index: int) -> tuple[np.ndarray, TokenMoment]:
        """Make the next frame under the learnt action that a control stands for."""
        action = self.action(control)
        draws = stream(moment.seed, "tokens", index).random((self._settings, 1, 1, self._tokens), np.float32)
        sampler = self._sampler_class(num_passes=self._settings, temperature=self._spec.temperature)
        image, networks = self._need_networks().next(action, draws, sampler, moment.networks)
        return image, replace(moment, networks=networks)

    def _settle(self) -> None:
        moment = self._moment
        if moment is not None and self._networks is not None:
            self._moment = replace(moment, networks=self._networks.settle(moment.networks))

    def _count_passes(self) -> int:
        return self._settings

    def _offer(self) -> Dials:
        offered = {*(passes for passes in PASSES if passes <= self._tokens), self._settings}
        return Dials(passes=tuple(sorted(offered)), now=Tuning(passes=self._settings))

    def _tuned(self, tuning: Tuning) -> int:
        if tuning.guidance not in (0.0, 1.0) or tuning.levels:
            raise ConfigError(f"{self._about.name} knows passes only; leave levels and guidance out")
        return self._check_passes(tuning.passes) if tuning.passes else self._settings

    def _with_past(self, moment: TokenMoment, action: CacheAction) -> TokenMoment:
        raise AssertionError(f"{action} is not on offer")

    def _check_passes(self, num_passes: int) -> int:
        if not 1 <= num_passes <= self._tokens:
            raise ConfigError(
                f"num_passes {num_passes} is outside 1 to {self._tokens}, the tokens of a frame"
            )
        return num_passes

    def action(self, control: Control) -> int:
        """Learnt action that a control stands for: its own, that of its keys, or the idle one.

        Raises:
            ControlError: when the control is not offered, or its keys stand for another action than its own.
        """
        self._spec.controls.check(control)
        told = self._spec.action_of(control.keys)
        if control.latent is None:
            return told
        if control.keys and told != control.latent:
            raise ControlError(
                f"keys {sorted(control.keys)} and latent {control.latent} ask for the actions "
                f"{sorted({told, control.latent})} at once; this world takes one a step"
            )
        return control.latent


def _choose_backend(
    folder: Path, spec: TokenWorldSpec, config: TokenEngineConfig
) -> Literal["onnx", "torch"]:
    has_graphs = (folder / spec.parts.dynamics.folder / "write.onnx").is_file()
    if config.backend == "onnx" or (config.backend == "auto" and has_graphs):
        return "onnx"
    need("torch", "train")
    return "torch"
