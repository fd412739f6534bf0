"""Plays through torch, where it is installed: the very functions that were exported, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.errors import ConfigError
from paracosm.core.extras import need
from paracosm.core.world_spec import WorldSpec

from .ring import Ring

State = tuple[np.ndarray, ...]


class TorchBackend:
    """See :class:`paracosm.play.backends.Backend`.

    Args:
        folder: the world's folder.
        spec: its description.
        num_threads: threads of torch; torch has one number for the whole process, and this sets it.
        compile: "default" compiles the passes at their first use.

    Raises:
        ConfigError: when graphs are asked for: this backend computes on the processor.
        MissingPackageError: when torch is not installed.
        DataError: when a file is missing or corrupt.
    """

    def __init__(
        self, folder: Path, spec: WorldSpec, num_threads: int, compile: Literal["off", "default", "graphs"]
    ) -> None:
        if compile == "graphs":
            raise ConfigError(
                "graphs need a graphics card, and this world runs on the processor; use default"
            )
        self._torch = torch = need("torch", "train")
        from paracosm.models.dynamics_flow import FlowDynamics
        from paracosm.models.frame_codec import DecodeFrame, EncodeFrame, first_states
        from paracosm.models.frame_step import FrameCondition, FrameStep, FrameWrite
        from paracosm.models.tokenizer_vae import TokenizerVAE

        torch.set_num_threads(num_threads)
        self.runtime = f"torch {torch.__version__}"
        tokenizer = TokenizerVAE.load(folder / spec.parts.tokenizer.folder)
        dynamics = FlowDynamics.load(folder / spec.parts.dynamics.folder)
        self._encode, self._decode = EncodeFrame(tokenizer), DecodeFrame(tokenizer)
        self._condition: Callable[..., Any] = FrameCondition(dynamics)
        self._step: Callable[..., Any] = FrameStep(dynamics, spec.arithmetic)
        self._write: Callable[..., Any] = FrameWrite(dynamics, spec.arithmetic)
        if compile == "default":
            self._step, self._write = torch.compile(self._step), torch.compile(self._write)
        self.encoder_state, self.decoder_state = (
            tuple(part.numpy() for part in state) for state in first_states(tokenizer)
        )

    def encode(self, image: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """See the Protocol."""
        latents, *after = self._run(self._encode, [image, *state])
        return latents, tuple(after)

    def decode(self, latents: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """See the Protocol."""
        image, *after = self._run(self._decode, [latents, *state])
        return image, tuple(after)

    def condition(
        self, levels: np.ndarray, known: np.ndarray, control: np.ndarray, angle: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See the Protocol."""
        modulation, cos, sin = self._run(self._condition, [levels, known, control, angle])
        return modulation, cos, sin

    def step(
        self, x: np.ndarray, modulation: np.ndarray, cos: np.ndarray, sin: np.ndarray, ring: Ring
    ) -> np.ndarray:
        """See the Protocol."""
        return self._run(self._step, [x, modulation, cos, sin, ring.mask, *ring.keys, *ring.values])[0]

    def write(
        self, clean: np.ndarray, modulation: np.ndarray, cos: np.ndarray, sin: np.ndarray, ring: Ring
    ) -> tuple[np.ndarray, np.ndarray]:
        """See the Protocol."""
        inputs = [clean, modulation, cos, sin, ring.mask, *ring.keys, *ring.values]
        keys, values = self._run(self._write, inputs)
        return keys, values

    def _run(self, function: Callable[..., Any], arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
        with self._torch.inference_mode():
            made = function(*(self._torch.from_numpy(array) for array in arrays))
        return [np.ascontiguousarray(part.numpy()) for part in made]
