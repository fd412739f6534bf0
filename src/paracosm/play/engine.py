"""The neural engine: a World whose next frame comes from networks; needs no torch unless it is told to.

It runs the one rollout (``models.rollout``) over a backend: noise from the seed and the frame's number,
controls as vectors, guidance by a second pass, the cache as a ring filled from immutable entries. Its whole
state is the frame's number, the seed, those entries and the settings, so snapshots are cheap and restoring
one replays the same bytes. This file does NOT know browsers, sessions or training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.instruct_spec import is_instruct_world
from paracosm.core.rng import stream
from paracosm.core.token_spec import is_token_world
from paracosm.core.tuning import CacheAction, Dials, Tuning
from paracosm.core.video_spec import is_video_world
from paracosm.core.world_spec import (
    WEIGHTS_FILE,
    PlayDefaults,
    check_parts,
    load_spec,
    load_starts,
)
from paracosm.models.rollout import check_levels, check_window, next_frame
from paracosm.zoo import bundled_worlds

from .backends import Backend, BackendKind, CompileKind, Precision, State, open_backend
from .backends.ring import Entry, Ring
from .conditions import Conditions
from .instruct_world import InstructEngineConfig, InstructWorld
from .neural_base import (
    Moment,
    NeuralBase,
    Overlap,
    check_knobs,
    choose_overlap,
    count_threads,
    describe,
    offer_levels,
    open_worker,
    tune_levels,
    with_guidance,
    with_levels,
)
from .token_world import TokenEngineConfig, TokenWorld
from .video_world import VideoEngineConfig, VideoWorld
from .weights import count_parameters


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How a neural world is run."""

    backend: BackendKind | Literal["auto"] = "auto"
    """onnx needs nothing beyond this package; torch needs the extra "train"; auto: onnx, but torch for worlds
    that play with nothing else"""
    num_threads: int = 0
    """threads of a pass; 0 takes the cores of this process, half of them for what runs beside another"""
    levels: tuple[float, ...] = ()
    """noise levels of the denoising passes, falling from 1; () takes the world's own"""
    guidance: float = 0.0
    """push from no control towards the control: 1 is plain, 2 doubles the effect; 0 takes the world's own"""
    window: int = 0
    """past frames that are kept, in a streamed world latent frames with the block being made; 0 takes the
    world's own"""
    sink: int = -1
    """first frames that stay in the window for good; -1 takes the world's own"""
    overlap: Overlap | Literal["auto"] = "auto"
    """behind: a frame is shown before it is written to the cache, which happens meanwhile; the same bytes;
    auto: behind where this process may use two cores or more, but none in streamed worlds"""
    compile: CompileKind = "off"
    """with torch only: compile the networks when they are first used; graphs needs a graphics card"""
    device: str = "auto"
    """of streamed worlds only: cpu, cuda, cuda:1, ...; auto: a graphics card when there is one"""
    dtype: Precision = "auto"
    """of streamed worlds only: number type of all networks; auto: bfloat16 on a graphics card, float32
    elsewhere; paracosm doctor says which one to take"""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        check_knobs(self.levels, self.guidance, self.num_threads)


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuralMoment(Moment):
    """What a snapshot of a neural world holds; arrays are shared and never written to.

    Attributes:
        entries: the frames in the cache, oldest first; consecutive moments share all but one.
        decoder: streaming state of the decoder.
    """

    entries: tuple[Entry, ...]
    decoder: State


class NeuralWorld(NeuralBase[Backend, NeuralMoment]):
    """A world made by networks; see :class:`paracosm.core.world.World`.

    Args:
        folder: the world's folder.
        config: how to run it.
        name: how it is called in ``info``; "" takes "model:" and the folder.

    Raises:
        DataError: when a file is missing or corrupt.
        ConfigError: when world.json does not fit or is of a newer format.
    """

    def __init__(self, folder: Path, config: EngineConfig, name: str = "") -> None:
        self._spec = spec = load_spec(folder)
        check_parts(folder, spec)
        self._starts = load_starts(folder, spec)
        overlap = choose_overlap(config.overlap)
        threads = count_threads(config.num_threads, overlap)
        kind = "onnx" if config.backend == "auto" else config.backend
        backend = open_backend(kind, folder, spec, threads, config.compile)
        settings = replace(
            spec.play,
            levels=config.levels or spec.play.levels,
            guidance=config.guidance or spec.play.guidance,
            window=config.window or spec.play.window,
            sink=config.sink if config.sink >= 0 else spec.play.sink,
        )
        check_levels(settings.levels)
        check_window(spec.sizes.window, settings.window, settings.sink)
        weights = f"{spec.parts.tokenizer.weights}-{spec.parts.dynamics.weights}"
        parts = (spec.parts.tokenizer, spec.parts.dynamics)
        about = describe(
            spec,
            name=name or f"model:{folder}",
            starts=("seed", "image", "clip"),
            engine=f"{backend.runtime}, weights {weights}",
            details={
                "tokens_per_frame": spec.sizes.tokens_per_frame,
                "parameters": sum(count_parameters(folder / part.folder / WEIGHTS_FILE) for part in parts),
                "backend": kind,
            },
        )
        super().__init__(about, weights, backend, settings)
        self._frequencies = np.asarray(spec.sizes.frame_frequencies, np.float64)
        self._conditions = Conditions(len(self._frequencies), spec.controls.width)
        self._ring = Ring(spec.sizes, settings.window, settings.sink)
        self._behind = open_worker(overlap)
        self._writing: Future[Ring] | None = None

    @property
    def settings(self) -> PlayDefaults:
        """Levels, guidance and context level in use."""
        return self._settings

    def set_levels(self, levels: Sequence[float]) -> None:
        """Choose the noise levels of the denoising passes from the next step on; more passes are slower.

        Raises:
            ConfigError: when they do not fall from 1 to above 0.
        """
        self._settings = with_levels(self._settings, levels)

    def set_guidance(self, guidance: float) -> None:
        """Choose how far controls are exaggerated from the next step on; 1 is plain, else passes double.

        Raises:
            ConfigError: when it is not above 0.
        """
        self._settings = with_guidance(self._settings, guidance)

    def set_window(self, window: int, sink: int = 0) -> None:
        """Choose how many past frames are kept from the next step on, and how many of them for good.

        The oldest frames that are held now become the sink.

        Raises:
            ConfigError: when the window is wider than the network's, or the sink leaves no room beside it.
        """
        check_window(self._spec.sizes.window, window, sink)
        self._settle()
        self._settings = replace(self._settings, window=window, sink=sink)
        self._fill_ring(self._ring.entries)

    def _begin(
        self, seed: int, start: np.ndarray | None, controls: Sequence[Control], prompt: str | None
    ) -> tuple[np.ndarray, NeuralMoment]:
        vectors = self._spec.controls.to_vectors(controls)
        if start is None:
            chosen = int(stream(seed, "start").integers(len(self._starts)))
            clip, vectors = self._starts.frames[chosen], self._starts.controls[chosen]
        else:
            clip = np.array(start if start.ndim == 4 else start[None])
        backend = self._need_networks()
        self._frame = None
        self._ring.clear()
        encoder, decoder = backend.encoder_state, backend.decoder_state
        image = clip[0]
        for i, picture in enumerate(clip):
            latents, encoder = backend.encode(picture, encoder)
            # the start's last frame is frame 0, those before it are counted backwards
            first = i - len(clip) + 1
            plan = self._plan(first, vectors[i - 1] if i else None, ())
            self._write(latents, plan, self._ring)
            image, decoder = backend.decode(latents, decoder)
        return image, NeuralMoment(
            weights=self._weights,
            seed=seed,
            settings=self._settings,
            entries=self._ring.entries,
            decoder=decoder,
        )

    def _next(self, moment: NeuralMoment, control: Control, index: int) -> tuple[np.ndarray, NeuralMoment]:
        vector = self._spec.controls.to_vectors([control])[0]
        shape, seed = self._spec.sizes.latent_shape, moment.seed
        noise = stream(seed, "noise", index).standard_normal(shape, np.float32)
        plan = self._plan(index, vector, self._settings.levels)
        fresh = _fresh_noise(seed, index, shape) if self._settings.renoise == "fresh" else None
        self._settle()  # as late as can be: nothing above needs the past
        write = self._write if self._behind is None else self._write_behind
        clean, _ = next_frame(self._denoise, write, noise, self._settings.levels, plan, self._ring, fresh)
        image, decoder = self._need_networks().decode(clean, moment.decoder)
        return image, replace(moment, entries=self._ring.entries, decoder=decoder)

    def _go_to(self, moment: NeuralMoment) -> None:
        super()._go_to(moment)
        self._fill_ring(moment.entries)

    def _count_passes(self) -> int:
        return len(self._settings.levels)

    def _offer(self) -> Dials:
        return offer_levels(self._settings, self._spec.play)

    def _tuned(self, tuning: Tuning) -> PlayDefaults:
        return tune_levels(self._settings, self._spec.play.levels, tuning)

    def _with_past(self, moment: NeuralMoment, action: CacheAction) -> NeuralMoment:
        """Write the frames in the window anew, oldest first; a dropped past leaves the newest alone."""
        kept = moment.entries if action == "rebuild" else moment.entries[-1:]
        self._ring.clear()
        for entry in kept:
            self._write(entry.latents, self._plan(entry.index, entry.control, ()), self._ring)
        return replace(moment, entries=self._ring.entries)

    def _settle(self) -> None:
        """Wait for the frame that is being written behind the one on show."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
            if self._moment is not None:
                self._moment = replace(self._moment, entries=self._ring.entries)

    def _plan(self, index: int, vector: np.ndarray | None, levels: tuple[float, ...]) -> _Plan:
        """Prepare all passes of one frame; without a vector the control that leads to it is unknown."""
        guided = vector is not None and self._settings.guidance != 1.0
        passes = [(self._settings.context_level, vector is not None)]
        passes += [(level, vector is not None) for level in levels]
        passes += [(level, False) for level in levels if guided]
        # Whole turns are taken off in double precision: frame 1,000,000 is placed as exactly as frame 1.
        angle = np.remainder(index * self._frequencies, 2 * np.pi).astype(np.float32)
        modulation, cos, sin = self._conditions.ask(self._need_networks(), passes, vector, angle)
        rows = {(level, known): modulation[i] for i, (level, known) in enumerate(passes[1:], 1)}
        return _Plan(index=index, control=vector, write=modulation[0], denoise=rows, cos=cos, sin=sin)

    def _fill_ring(self, entries: tuple[Entry, ...]) -> None:
        self._ring = Ring(self._spec.sizes, self._settings.window, self._settings.sink)
        self._ring.fill(entries)

    def _denoise(self, x: np.ndarray, level: float, control: _Plan, cache: Ring) -> np.ndarray:
        backend, plan = self._need_networks(), control
        clean = backend.step(x, plan.denoise[level, True], plan.cos, plan.sin, cache)
        free = plan.denoise.get((level, False))
        if free is None:
            return clean
        uncontrolled = backend.step(x, free, plan.cos, plan.sin, cache)
        return uncontrolled + np.float32(self._settings.guidance) * (clean - uncontrolled)

    def _write(self, clean: np.ndarray, control: _Plan, cache: Ring) -> Ring:
        keys, values = self._need_networks().write(clean, control.write, control.cos, control.sin, cache)
        told, index = control.control, control.index
        cache.write(Entry(index=index, keys=keys, values=values, latents=clean, control=told))
        return cache

    def _write_behind(self, clean: np.ndarray, control: _Plan, cache: Ring) -> Ring:
        """Write while the frame is decoded and shown; the next step waits for it."""
        assert self._behind is not None, "asked for with a worker only"
        self._writing = self._behind.submit(self._write, clean, control, cache)
        return cache


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What all passes of one frame share; the rollout hands it through as the control."""

    index: int
    control: np.ndarray | None
    write: np.ndarray
    denoise: dict[tuple[float, bool], np.ndarray]
    cos: np.ndarray
    sin: np.ndarray


def open_model_world(
    name_or_path: str, config: EngineConfig | None = None
) -> NeuralWorld | VideoWorld | TokenWorld | InstructWorld:
    """Open a neural world by the name of a bundled one or by the path of a folder.

    Args:
        name_or_path: e.g. "doom", or "runs/mine/world"; write "./doom" for a folder that is called as a
            bundled world.
        config: how to run it; None takes the defaults.

    Raises:
        WorldError: when there is neither.
        DataError: when a file of it is missing or corrupt.
        ConfigError: when it is of a newer format, or cannot be run so.
    """
    bundled = bundled_worlds()
    folder = bundled.get(name_or_path, Path(name_or_path))
    if not folder.is_dir():
        known = ", ".join(bundled) or "none"
        raise WorldError(
            f'"{name_or_path}" is neither a bundled world ({known}) nor a folder; pass a name or a path'
        )
    if not is_video_world(folder):
        refuse_place(config or EngineConfig(), f"model:{name_or_path}")
    if is_token_world(folder):
        return TokenWorld(folder, _for_tokens(config or EngineConfig()), f"model:{name_or_path}")
    if is_instruct_world(folder):
        return InstructWorld(folder, _for_instruct(config or EngineConfig()), f"model:{name_or_path}")
    if is_video_world(folder):
        return VideoWorld(folder, _for_video(config or EngineConfig()), f"model:{name_or_path}")
    return NeuralWorld(folder, config or EngineConfig(), f"model:{name_or_path}")


def refuse_place(config: EngineConfig, name: str) -> None:
    """Refuse a device and a number type for a world that is not streamed.

    Raises:
        ConfigError: when either was chosen.
    """
    chosen = [f"{key} {value}" for key, value in (("device", config.device), ("dtype", config.dtype))]
    chosen = [words for words in chosen if not words.endswith(" auto")]
    if chosen:
        raise ConfigError(
            f"{' and '.join(chosen)} can be chosen for streamed worlds only, and {name} is none: other "
            "neural worlds compute on the processor in the numbers of their files; leave both at auto"
        )


def _for_tokens(config: EngineConfig) -> TokenEngineConfig:
    """What of an engine's config a world of tokens takes."""
    return TokenEngineConfig(backend=config.backend, num_threads=config.num_threads, overlap=config.overlap)


def _for_instruct(config: EngineConfig) -> InstructEngineConfig:
    """What of an engine's config a world of instructions takes; it knows one backend."""
    return InstructEngineConfig(
        levels=config.levels, guidance=config.guidance, num_threads=config.num_threads
    )


def _for_video(config: EngineConfig) -> VideoEngineConfig:
    """What of an engine's config a streamed world takes: it knows one backend, which counts its threads.

    Raises:
        ConfigError: when another backend is asked for.
    """
    if config.backend == "onnx":
        raise ConfigError("backend onnx has no graphs of a streamed world; use torch, or auto")
    return VideoEngineConfig(
        device=config.device,
        dtype=config.dtype,
        levels=config.levels,
        guidance=config.guidance,
        window=config.window,
        sink=config.sink,
        num_threads=config.num_threads,
        overlap="none" if config.overlap == "auto" else config.overlap,
        compile=config.compile,
    )


def _fresh_noise(seed: int, index: int, shape: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    """Noise after each pass of a frame, by its own name, so that other passes do not move it."""
    return lambda number: stream(seed, "noise", index, number).standard_normal(shape, np.float32)
