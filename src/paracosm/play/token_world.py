"""A world of tokens: a World whose frames come from a masked dynamics under learnt actions.

Codes never take the round trip through pixels; each frame is decoded as it comes. The state is a value, so a
snapshot is a handful of references. Needs torch only when a world is opened. This file does NOT know browsers
or training.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.extras import need
from paracosm.core.rng import stream
from paracosm.core.token_spec import load_token_spec, load_token_starts
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start

from .weights import count_parameters


@dataclass(frozen=True, kw_only=True)
class TokenEngineConfig:
    """How a world of tokens is run."""

    num_threads: int = 0
    """threads of torch, for the whole process; 0 leaves them as they are"""
    num_passes: int = 0
    """passes a frame; 0 takes the world's own"""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.num_threads < 0 or self.num_passes < 0:
            raise ConfigError(
                f"num_threads {self.num_threads} and num_passes {self.num_passes} must be 0 or more; "
                "0 takes the default"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenMoment:
    """Everything that makes the next frames; never changed.

    Attributes:
        weights: hash of the networks that made it.
        seed: of the sampling.
        num_passes: passes a frame.
        networks: state of the networks.
    """

    weights: str
    seed: int
    num_passes: int
    networks: Any


class TokenWorld:
    """A world under learnt actions; see :class:`paracosm.core.world.World`.

    Args:
        folder: the world's folder.
        config: how to run it.
        name: how it is called in ``info``; "" takes "model:" and the folder.

    Raises:
        DataError: when a file is missing or corrupt.
        ConfigError: when world.json does not fit, or its networks do not fit each other.
        MissingPackageError: when torch is not installed.
    """

    def __init__(self, folder: Path, config: TokenEngineConfig | None = None, name: str = "") -> None:
        config = config or TokenEngineConfig()
        self._spec = spec = load_token_spec(folder)
        self._starts = load_token_starts(folder, spec)
        need("torch", "train")
        module = importlib.import_module("paracosm.play.backends.torch_tokens")
        self._sampler_class: Any = module.SamplerConfig
        self._player: Any = module.open_player(folder, spec, config.num_threads)
        self._num_passes = config.num_passes or spec.num_passes
        self._weights = f"{spec.parts.tokenizer.weights}-{spec.parts.dynamics.weights}"
        self._parameters = sum(
            count_parameters(folder / part.folder / "model.safetensors")
            for part in (spec.parts.tokenizer, spec.parts.dynamics)
        )
        self._name = name or f"model:{folder}"
        self._moment: TokenMoment | None = None
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        spec, player = self._spec, self._need_player()
        return WorldInfo(
            name=self._name,
            fps=spec.fps,
            height=spec.height,
            width=spec.width,
            controls=spec.controls,
            starts=("seed", "image", "clip"),
            engine=f"{player.runtime}, weights {self._weights}",
            description=spec.description,
            details={
                "denoise_steps": self._num_passes,
                "tokens_per_frame": player.tokens,
                "parameters": self._parameters,
                "backend": "torch",
            },
        )

    def set_passes(self, num_passes: int) -> None:
        """Choose the passes of a frame from the next step on; more are slower.

        Raises:
            ConfigError: for less than 1, or more than a frame has tokens.
        """
        tokens = self._need_player().tokens
        if not 1 <= num_passes <= tokens:
            raise ConfigError(f"num_passes {num_passes} is outside 1 to {tokens}, the tokens of a frame")
        self._num_passes = num_passes

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin again, also from any picture of the world's size; without a start the seed picks one.

        The first frame is the last frame of the start as the decoder shows it.

        Raises:
            WorldError: for a negative seed, a start of another size, or a prompt.
            ControlError: for a start control that the world does not offer.
        """
        check_start(self.info, start, controls, prompt)
        if seed < 0:
            raise WorldError(f"seed {seed} is negative; use a whole number from 0 up")
        if start is None:
            chosen = int(stream(seed, "start").integers(len(self._starts.frames)))
            clip, told = self._starts.frames[chosen], self._starts.actions[chosen].tolist()
        else:
            clip = start if start.ndim == 4 else start[None]
            told = [self.action(control) for control in controls]
        image, networks = self._need_player().begin(clip, [None, *told])
        self._moment = TokenMoment(
            weights=self._weights, seed=seed, num_passes=self._num_passes, networks=networks
        )
        self._frame = _show(image, 0)
        return self._frame

    def step(self, control: Control) -> Frame:
        """Make the next frame under the learnt action that a control stands for.

        Raises:
            ControlError: when the control is not offered, or asks for two actions at once.
            WorldError: before reset or after close.
        """
        player = self._need_player()
        if self._moment is None or self._frame is None:
            raise WorldError(f"{self._name} has not begun; call reset first")
        action, moment, index = self.action(control), self._moment, self._frame.index + 1
        shape = (self._num_passes, 1, 1, player.tokens)
        draws = stream(moment.seed, "tokens", index).random(shape, np.float32)
        sampler = self._sampler_class(num_passes=self._num_passes, temperature=self._spec.temperature)
        image, networks = player.next(action, draws, sampler, moment.networks)
        self._moment = TokenMoment(
            weights=self._weights, seed=moment.seed, num_passes=self._num_passes, networks=networks
        )
        self._frame = _show(image, index)
        return self._frame

    def action(self, control: Control) -> int:
        """Learnt action that a control stands for: its own, that of its key, or the idle one.

        Raises:
            ControlError: when the control is not offered, or its keys stand for several actions.
        """
        self._spec.controls.check(control)
        wanted = {self._spec.key_actions[key] for key in control.keys}
        if control.latent is not None:
            wanted.add(control.latent)
        if len(wanted) > 1:
            raise ControlError(
                f"keys {sorted(control.keys)} and latent {control.latent} ask for the actions "
                f"{sorted(wanted)} at once; this world takes one a step"
            )
        return wanted.pop() if wanted else self._spec.idle_action

    def snapshot(self) -> Snapshot:
        """Return the complete state."""
        if self._moment is None or self._frame is None:
            raise WorldError(f"{self._name} has not begun; call reset first")
        return Snapshot(world=self._name, frame=self._frame, payload=self._moment)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go to a snapshot of this world, also one that another copy of it took; settings included.

        Raises:
            WorldError: when it belongs to another world or to other weights.
        """
        check_snapshot(self.info, snapshot)
        moment = snapshot.payload
        if not isinstance(moment, TokenMoment) or moment.weights != self._weights:
            raise WorldError(
                f"the snapshot was taken with other weights of {self._name}; it cannot go on with these"
            )
        self._moment, self._frame, self._num_passes = moment, snapshot.frame, moment.num_passes
        return snapshot.frame

    def close(self) -> None:
        """Let go of the networks."""
        self._player, self._moment, self._frame = None, None, None

    def _need_player(self) -> Any:
        if self._player is None:
            raise WorldError(f"{self._name} is closed; open it again")
        return self._player


def _show(image: np.ndarray, index: int) -> Frame:
    image = np.ascontiguousarray(image)
    image.flags.writeable = False
    return Frame(image=image, index=index)
