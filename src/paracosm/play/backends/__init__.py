"""What computes a neural world: one Protocol, two backends, opened once a process for all players of a world.

This file does NOT know sessions, noise or controls' names.
"""

from __future__ import annotations

import importlib
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from paracosm.core.errors import ConfigError
from paracosm.core.world_spec import PlaySizes, WorldSpec

from .ring import Ring
from .threads import Threads

BackendKind = Literal["onnx", "torch"]
"""ONNX Runtime, or torch where it is installed."""
CompileKind = Literal["off", "default", "graphs"]
"""Whether torch compiles a network at its first use; graphs also records it for a graphics card to repeat."""
Precision = Literal["auto", "float32", "bfloat16", "float16"]
"""Number type of networks in torch; auto is bfloat16 on a graphics card, float32 elsewhere."""
State = tuple[np.ndarray, ...]
"""Streaming state of an encoder or decoder; never written to."""


class Backend(Protocol):
    """The five functions of a world's networks; arrays in, arrays out, and no memory of its own."""

    runtime: str
    """what computes and its version, e.g. "onnxruntime 1.31.1" """
    encoder_state: State
    """state of an encoder that has seen nothing"""
    decoder_state: State
    """state of a decoder that has seen nothing"""

    def encode(self, image: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Turn uint8 (h, w, 3) into latents float32 (z, h, w) and the next state."""
        ...

    def decode(self, latents: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Turn latents into uint8 (h, w, 3) and the next state."""
        ...

    def condition(
        self, levels: np.ndarray, known: np.ndarray, control: np.ndarray, angle: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Prepare a frame for all its passes.

        Args:
            levels: float32 (p,), noise level of each pass.
            known: bool (p,), False for a pass that does not see the control.
            control: float32 (1, a).
            angle: float32 (k / 4,), turn of each rotary pair of the frame axis at this frame.

        Returns:
            float32 (p, rows, d) for :meth:`step`, and cosines and sines (s, k / 2).
        """
        ...

    def step(
        self, x: np.ndarray, modulation: np.ndarray, cos: np.ndarray, sin: np.ndarray, ring: Ring
    ) -> np.ndarray:
        """Run one denoising pass: the clean latents predicted from x (z, h, w)."""
        ...

    def write(
        self, clean: np.ndarray, modulation: np.ndarray, cos: np.ndarray, sin: np.ndarray, ring: Ring
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the writing pass: a frame's rotated keys and its values, each float32 (layers, n, s, k)."""
        ...


def open_backend(
    kind: BackendKind, folder: Path, spec: WorldSpec, threads: Threads, compile: CompileKind = "off"
) -> Backend:
    """Open the networks of a world, or share them with who has the same ones open.

    Args:
        kind: which runtime.
        folder: the world's folder; its weights were checked against ``spec``.
        spec: its description.
        threads: on which they run, each >= 1.
        compile: whether torch compiles it.

    Raises:
        ConfigError: when it is to be compiled and cannot be.
        DataError: when a file is missing or corrupt.
        MissingPackageError: when torch is asked for and not installed.
    """
    parts = spec.parts
    if compile != "off" and kind != "torch":
        raise ConfigError(f"backend {kind} is compiled already; leave compile off, or use backend torch")
    key = (kind, compile, str(folder.resolve()), parts.tokenizer.weights, parts.dynamics.weights, threads)
    with _LOCK:
        backend = _OPEN.get(key)
        if backend is None:
            backend = _OPENERS[kind](folder, spec, threads, compile)
            _OPEN[key] = backend
        return backend


def _open_onnx(folder: Path, spec: WorldSpec, threads: Threads, _: CompileKind) -> Backend:
    return importlib.import_module("paracosm.play.backends.onnx_backend").OnnxBackend(folder, spec, threads)


def _open_torch(folder: Path, spec: WorldSpec, threads: Threads, compile: CompileKind) -> Backend:
    return importlib.import_module("paracosm.play.backends.torch_backend").TorchBackend(
        folder, spec, threads.beside, compile
    )


_OPENERS: dict[BackendKind, Callable[[Path, WorldSpec, Threads, CompileKind], Backend]] = {
    "onnx": _open_onnx,
    "torch": _open_torch,
}
# Weights are shared by all sessions of a process and go when the last of them closes.
_OPEN: weakref.WeakValueDictionary[tuple[str, str, str, str, str, Threads], Backend] = (
    weakref.WeakValueDictionary()
)
_LOCK = threading.Lock()

__all__ = [
    "Backend",
    "BackendKind",
    "CompileKind",
    "PlaySizes",
    "Precision",
    "Ring",
    "State",
    "Threads",
    "open_backend",
]
