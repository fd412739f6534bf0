"""Plays through ONNX Runtime: the default, and all that a playing machine needs. Imports no torch."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime

from paracosm.core.errors import DataError
from paracosm.core.world_spec import CACHE_ORDER, CACHE_ORDER_NOTE, PLACES, WorldSpec

from .ring import Ring
from .threads import Threads

State = tuple[np.ndarray, ...]
Waits = Literal["asleep", "spinning"]


class OnnxBackend:
    """See :class:`paracosm.play.backends.Backend`.

    Args:
        folder: the world's folder.
        spec: its description.
        threads: on which they run.

    Raises:
        DataError: when a graph is missing or cannot be read.
    """

    def __init__(self, folder: Path, spec: WorldSpec, threads: Threads) -> None:
        self.runtime = runtime_name()
        tokenizer, dynamics = folder / spec.parts.tokenizer.folder, folder / spec.parts.dynamics.folder
        self._encode = open_graph(tokenizer / "encode.onnx", threads.beside)
        self._decode = open_graph(tokenizer / "decode.onnx", threads.beside)
        self._condition = open_graph(dynamics / "condition.onnx", threads.beside)
        tokens = spec.sizes.tokens_per_frame if spec.sizes.attention == "joint" else 1
        usual = (spec.play.window or spec.sizes.window) * tokens
        self._step = _PassGraph(dynamics / "step.onnx", threads.alone, usual, waits="spinning")
        self._write = _PassGraph(dynamics / "write.onnx", threads.beside, usual, waits="asleep")
        self.encoder_state = _first_state(self._encode)
        self.decoder_state = _first_state(self._decode)

    def encode(self, image: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """See the Protocol."""
        latents, *after = self._encode.run(None, {"image": image} | _named("state", state))
        return latents, tuple(after)

    def decode(self, latents: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """See the Protocol."""
        image, *after = self._decode.run(None, {"latents": latents} | _named("state", state))
        return image, tuple(after)

    def condition(
        self, levels: np.ndarray, known: np.ndarray, control: np.ndarray, angle: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See the Protocol."""
        inputs = {"levels": levels, "known": known, "control": control, "angle": angle}
        modulation, cos, sin = self._condition.run(None, inputs)
        return modulation, cos, sin

    def step(
        self, x: np.ndarray, modulation: np.ndarray, cos: np.ndarray, sin: np.ndarray, ring: Ring
    ) -> np.ndarray:
        """See the Protocol."""
        return self._step.run(["clean"], x, modulation, cos, sin, ring)[0]

    def write(
        self, clean: np.ndarray, modulation: np.ndarray, cos: np.ndarray, sin: np.ndarray, ring: Ring
    ) -> tuple[np.ndarray, np.ndarray]:
        """See the Protocol."""
        keys, values = self._write.run(["new_keys", "new_values"], clean, modulation, cos, sin, ring)
        return keys, values


class _PassGraph:
    """One graph of a pass, opened anew for each length of the past: fixed lengths are faster than free ones.

    Args:
        path: its file.
        num_threads: threads of one pass.
        usual: places of the past that are met first.
        waits: how threads wait, see :func:`session_options`.
    """

    def __init__(self, path: Path, num_threads: int, usual: int, waits: Waits) -> None:
        self._path, self._num_threads = path, num_threads
        self._waits: Waits = waits
        session = open_graph(path, num_threads, {PLACES: usual}, waits)
        check_cache_order(session, path)
        self._sessions = {usual: session}
        self._opening = threading.Lock()

    def run(
        self,
        outputs: list[str],
        x: np.ndarray,
        modulation: np.ndarray,
        cos: np.ndarray,
        sin: np.ndarray,
        ring: Ring,
    ) -> list[np.ndarray]:
        """Outputs by name; arguments as for :meth:`OnnxBackend.step`."""
        inputs = {"x": x, "modulation": modulation, "cos": cos, "sin": sin, "mask": ring.mask}
        inputs |= _named("keys", ring.keys) | _named("values", ring.values)
        session = self._session(len(ring.mask))
        return session.run(outputs, taken(session, inputs))

    def _session(self, places: int) -> Any:
        with self._opening:
            if places not in self._sessions:
                self._sessions[places] = open_graph(
                    self._path, self._num_threads, {PLACES: places}, self._waits
                )
            return self._sessions[places]


def session_options(num_threads: int, waits: Waits = "asleep") -> onnxruntime.SessionOptions:
    """Return how a graph is run: the same numbers on every processor, and no core burnt between passes.

    Args:
        num_threads: threads of one pass.
        waits: how they wait for the next product of a pass. Spinning makes a pass of small products a fifth
            faster on two idle cores, where waking sleepers eats up what they do; between passes all sleep.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    spins = waits == "spinning" and num_threads > 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spins else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Without it, sums of two byte products overflow quietly on processors that lack VNNI instructions.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    return options


def runtime_name() -> str:
    """What computes, with its version."""
    return f"onnxruntime {onnxruntime.__version__}"


def open_graph(
    path: Path, num_threads: int, lengths: Mapping[str, int] | None = None, waits: Waits = "asleep"
) -> Any:
    """Open a graph.

    Args:
        path: its file.
        num_threads: threads of one pass.
        lengths: of axes that the graph leaves free, by name.
        waits: how threads wait, see :func:`session_options`.

    Raises:
        DataError: when it is missing or cannot be read.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run paracosm export to write the graphs of this world")
    options = session_options(num_threads, waits)
    for name, length in (lengths or {}).items():
        options.add_free_dimension_override_by_name(name, length)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own for every fault of a file
        first_line = str(error).splitlines()[0]
        raise DataError(
            f"{path} cannot be run ({first_line}); run paracosm export to write it anew"
        ) from error


def taken(session: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those inputs that a graph takes: one that only writes has no use for the last layer's past."""
    return {part.name: inputs[part.name] for part in session.get_inputs()}


def check_cache_order(session: Any, path: Path) -> None:
    """Refuse a graph that takes its past otherwise than rings keep it.

    Raises:
        DataError: for a graph of an older export.
    """
    if session.get_modelmeta().custom_metadata_map.get(CACHE_ORDER_NOTE) != CACHE_ORDER:
        raise DataError(f"{path} takes its past in an older way; export or build this world anew")


def _first_state(session: Any) -> State:
    held = [part for part in session.get_inputs() if part.name.startswith("state_")]
    return tuple(np.zeros(part.shape, np.float32) for part in held)


def _named(name: str, arrays: Any) -> dict[str, np.ndarray]:
    return {f"{name}_{i}": array for i, array in enumerate(arrays)}
