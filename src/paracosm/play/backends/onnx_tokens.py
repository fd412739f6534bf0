"""Plays a world of tokens through ONNX Runtime: all that a playing machine needs. Imports no torch.

The same weights and the same functions as :mod:`.torch_tokens`, by test the same tokens. All state is a value
that is passed in and returned; the rings beside it only spare copying when play goes on where it was. This
file does NOT know controls or worlds.
"""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.token_spec import SIZES_NOTE, TokenWorldSpec
from paracosm.models.mask_schedule import SamplerConfig, mask_levels
from paracosm.models.rollout import next_frame

from .array_masking import Filled, Masked, fill, remask
from .onnx_backend import check_cache_order, open_graph, runtime_name, taken
from .ring import Entry, Ring
from .threads import Threads

if TYPE_CHECKING:
    from paracosm.core.world_spec import PlaySizes

Past = tuple[Entry, ...]
"""Frames as one network saw them, oldest first."""


@dataclass(frozen=True, kw_only=True)
class StackSizes:
    """What a graph says of its cache; the names are those that :class:`.ring.Ring` reads."""

    layers: int
    heads: int
    head_width: int
    window: int
    tokens_per_frame: int
    attention: Literal["joint", "factorised", "space"]
    frame_frequencies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxTokenState:
    """Everything that the next frame depends on, besides the seed; arrays are never written to.

    Attributes:
        dynamics: frames of the past as the dynamics saw them, or will have once the newest is written.
        decoder: frames of the past as the decoder saw them.
        index: of the next frame, counted from the first of the start.
    """

    dynamics: Past | Future[Past]
    decoder: Past
    index: int

    @property
    def past(self) -> Past:
        """Frames as the dynamics saw them; waits for the newest."""
        return self.dynamics.result() if isinstance(self.dynamics, Future) else self.dynamics


class Streamed:
    """One graph, run frame by frame.

    Args:
        path: the graph.
        threads: on which it runs: beside others, but for one with a writer, which runs alone.
        writer: a graph that takes the same and gives only what the cache takes; runs beside others.

    Raises:
        DataError: when a graph is missing, cannot be read, or says nothing of its cache.
    """

    def __init__(self, path: Path, threads: Threads, writer: Path | None = None) -> None:
        self._session: Any = (
            open_graph(path, threads.alone, waits="spinning") if writer else open_graph(path, threads.beside)
        )
        self._writer: Any = open_graph(writer, threads.beside) if writer else None
        notes = self._session.get_modelmeta().custom_metadata_map
        if SIZES_NOTE not in notes:
            raise DataError(f"{path} says nothing of its cache; build the world again")
        check_cache_order(self._session, path)
        self.sizes = StackSizes(**json.loads(notes[SIZES_NOTE]))
        self._frequencies = np.asarray(self.sizes.frame_frequencies, np.float64)
        self._ring = Ring(cast("PlaySizes", self.sizes)) if self.sizes.window else None
        first = self._session.get_outputs()[0]
        self._made: str = first.name
        self.made_width = int(first.shape[-1])

    def place(self, index: int, past: Past) -> dict[str, np.ndarray]:
        """Inputs that say where a frame lies and what came before it."""
        ring = self._ring
        if ring is None:
            return {}
        held = ring.entries
        if len(held) != len(past) or any(a is not b for a, b in zip(held, past, strict=True)):
            ring.fill(past)
        # Whole turns are taken off in double precision: frame 1,000,000 is placed as exactly as frame 1.
        angle = np.remainder(index * self._frequencies, 2 * np.pi).astype(np.float32)
        arrays = {f"keys_{i}": part for i, part in enumerate(ring.keys)}
        arrays |= {f"values_{i}": part for i, part in enumerate(ring.values)}
        return {"angle": angle, "mask": ring.mask, **arrays}

    def look(self, inputs: dict[str, np.ndarray], place: dict[str, np.ndarray]) -> np.ndarray:
        """What the graph makes of a frame; the past stays as it is."""
        return self._session.run([self._made], {**inputs, **place})[0]

    def write(self, inputs: dict[str, np.ndarray], index: int, past: Past) -> tuple[np.ndarray, Past]:
        """What the graph makes of a frame, and the past that also holds it."""
        place = self.place(index, past)
        made, *new = self._session.run(None, {**inputs, **place})
        return made, self._keep(new, index, next(iter(inputs.values())), past)

    def write_only(self, inputs: dict[str, np.ndarray], index: int, past: Past) -> Past:
        """The past that also holds a frame, by the writer."""
        new = self._writer.run(None, taken(self._writer, {**inputs, **self.place(index, past)}))
        return self._keep(new, index, next(iter(inputs.values())), past)

    def _keep(self, new: list[np.ndarray], index: int, made_from: np.ndarray, past: Past) -> Past:
        if self._ring is None:
            return past
        entry = Entry(index=index, keys=new[0], values=new[1], latents=made_from, control=None)
        self._ring.write(entry)
        return self._ring.entries


class OnnxTokenPlayer:
    """The functions of a world's networks; see :class:`.torch_tokens.TokenPlayer`.

    Args:
        folder: the world's folder; its weights were checked against ``spec``.
        spec: its description.
        threads: on which they run.
        behind: writes a frame to the cache while it is decoded and shown; None writes it before.

    Raises:
        DataError: when a graph is missing or cannot be read.
    """

    def __init__(
        self, folder: Path, spec: TokenWorldSpec, threads: Threads, behind: ThreadPoolExecutor | None
    ) -> None:
        self._behind = behind
        tokenizer, dynamics = folder / spec.parts.tokenizer.folder, folder / spec.parts.dynamics.folder
        self.runtime = runtime_name()
        self._encode = Streamed(tokenizer / "encode.onnx", threads)
        self._decode = Streamed(tokenizer / "decode.onnx", threads)
        self._condition = open_graph(dynamics / "condition.onnx", threads.beside)
        self._step = Streamed(dynamics / "step.onnx", threads, dynamics / "write.onnx")
        self.tokens = self._decode.sizes.tokens_per_frame
        self._mask_code = self._step.made_width  # one logit a code; the code after the last stands for a mask

    def begin(self, clip: np.ndarray, actions: list[int | None]) -> tuple[np.ndarray, OnnxTokenState]:
        """Begin from a clip; see :meth:`.torch_tokens.TokenPlayer.begin`."""
        seen: Past = ()
        state = OnnxTokenState(dynamics=(), decoder=(), index=0)
        image = clip[-1]
        for index, (picture, action) in enumerate(zip(clip, actions, strict=True)):
            codes, seen = self._encode.write({"image": np.ascontiguousarray(picture)}, index, seen)
            past = self._step.write_only({"codes": codes, **self._tell(action)}, index, state.past)
            image, shown = self._decode.write({"codes": codes}, index, state.decoder)
            state = OnnxTokenState(dynamics=past, decoder=shown, index=index + 1)
        return image, state

    def next(
        self, action: int, draws: np.ndarray, sampler: SamplerConfig, state: OnnxTokenState
    ) -> tuple[np.ndarray, OnnxTokenState]:
        """Make the next frame; see :meth:`.torch_tokens.TokenPlayer.next`."""
        told, index, past = self._tell(action), state.index, state.past
        # the past is the same for all passes of a frame
        place = self._step.place(index, past)

        def denoise(x: Masked, level: float, control: object, cache: object) -> Filled:
            return fill(x, self._step.look({"codes": x.codes, **told}, place), sampler.temperature)

        def write(clean: Filled, control: object, cache: object) -> Past | Future[Past]:
            inputs = {"codes": clean.codes, **told}
            if self._behind is None:
                return self._step.write_only(inputs, index, past)
            return self._behind.submit(self._step.write_only, inputs, index, past)

        begin = Masked.begin(self._mask_code, draws.reshape(len(draws), -1))
        levels, renoise = mask_levels(len(draws)), remask(self._mask_code)
        clean, written = next_frame(denoise, write, begin, levels, None, None, renoise=renoise)
        image, shown = self._decode.write({"codes": clean.codes}, index, state.decoder)
        return image, OnnxTokenState(dynamics=written, decoder=shown, index=index + 1)

    def settle(self, state: OnnxTokenState) -> OnnxTokenState:
        """The same state with nothing still to be written."""
        return replace(state, dynamics=state.past)

    def _tell(self, action: int | None) -> dict[str, np.ndarray]:
        """What all passes of a frame are told of the action that leads to it."""
        given = {"action": np.array([action or 0], np.int64), "known": np.array([action is not None])}
        return {"told": self._condition.run(None, given)[0]}


def open_player(
    folder: Path, spec: TokenWorldSpec, threads: Threads, behind: ThreadPoolExecutor | None
) -> OnnxTokenPlayer:
    """Open the networks of a world."""
    return OnnxTokenPlayer(folder, spec, threads, behind)
