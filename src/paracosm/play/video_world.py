"""A streamed video world: a World whose frames come in blocks from a transformer, without end.

A block is dreamt when its first frame is asked for, under the control of that step. A press that began and
ended while the former block was shown still counts, and a turn is spread over the block as the hand made it.
Rows of controls that were told to the network stay as they were told, since the pictures followed them. The
state is a value, so a snapshot is a handful of references. Needs torch only when a world is opened. This file
does NOT know browsers or training.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.rng import stream
from paracosm.core.tuning import CacheAction, Dials, Tuning
from paracosm.core.video_spec import VideoPlay, load_pictures, load_video_spec
from paracosm.core.world_spec import WEIGHTS_FILE
from paracosm.models.rollout import check_levels

from .backends import CompileKind, Precision
from .neural_base import (
    Moment,
    NeuralBase,
    Overlap,
    check_knobs,
    control_of_block,
    describe,
    offer_levels,
    open_worker,
    tune_levels,
    with_guidance,
    with_levels,
)
from .weights import count_parameters


@dataclass(frozen=True, kw_only=True)
class VideoEngineConfig:
    """How a streamed world is run."""

    device: str = "auto"
    """cpu, cuda, or auto: a graphics card when there is one"""
    dtype: Precision = "auto"
    """number type; auto: bfloat16 on a graphics card, float32 elsewhere"""
    num_threads: int = 0
    """threads of torch on a processor, for the whole process; 0 leaves them as they are"""
    levels: tuple[float, ...] = ()
    """noise levels of the denoising passes, falling from 1; () takes the world's own"""
    guidance: float = 0.0
    """push from no control towards the control: 1 is plain; 0 takes the world's own"""
    window: int = 0
    """latent frames seen, the block being made counted; 0 takes the world's own"""
    sink: int = -1
    """first latent frames that stay in the window for good; -1 takes the world's own"""
    overlap: Overlap = "none"
    """behind: the block is written to the cache while its first latent frame is decoded and shown, and each
    later one is decoded while the one before it is shown; the same bytes"""
    compile: CompileKind = "off"
    """compile the transformer when it is first used; graphs needs a graphics card"""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        check_knobs(self.levels, self.guidance, self.num_threads)


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoMoment(Moment):
    """Everything that makes the next frames.

    Attributes:
        networks: state of the networks.
        decoder: streaming state of the decoder.
        frames: decoded and not yet shown, uint8 (h, w, 3).
        latents: dreamt and not yet decoded, on the device of the networks.
        told: rows of numbers that the network was told, oldest first.
        first_told: number of the first of them.
        block: number of the next block.
        decided: the control of the newest block.
        since: controls of the steps after the one that decided it.
    """

    networks: Any
    decoder: tuple[Any, ...]
    frames: tuple[np.ndarray, ...] = ()
    latents: tuple[Any, ...] = ()
    told: np.ndarray
    first_told: int = 0
    block: int = 0
    decided: Control = IDLE
    since: tuple[Control, ...] = ()


class VideoWorld(NeuralBase[Any, VideoMoment]):
    """A world made by a streamed video transformer; see :class:`paracosm.core.world.World`.

    Args:
        folder: the world's folder.
        config: how to run it.
        name: how it is called in ``info``; "" takes "model:" and the folder.

    Raises:
        DataError: when a file is missing or corrupt.
        ConfigError: when world.json does not fit, its networks do not fit each other, or window and sink do
            not fit them.
        MissingPackageError: when torch, diffusers or transformers is not installed.
    """

    def __init__(self, folder: Path, config: VideoEngineConfig | None = None, name: str = "") -> None:
        config = config or VideoEngineConfig()
        self._spec = spec = load_video_spec(folder)
        self._pictures = load_pictures(folder, spec)
        player: Any = importlib.import_module("paracosm.play.backends.torch_video").open_player(
            folder, spec, config.device, config.dtype, config.num_threads, config.compile
        )
        settings = replace(
            spec.play,
            levels=config.levels or spec.play.levels,
            guidance=config.guidance or spec.play.guidance,
            window=config.window or spec.play.window,
            sink=config.sink if config.sink != -1 else spec.play.sink,
        )
        check_levels(settings.levels)
        player.config.choose_window(settings.window, settings.sink)
        weights = spec.parts.dynamics.weights
        about = describe(
            spec,
            name=name or f"model:{folder}",
            starts=("seed", "image"),
            engine=f"{player.runtime}, weights {weights}",
            details={
                "frames_per_block": player.block_frames,
                "tokens_per_frame": player.tokens_per_latent,
                "parameters": count_parameters(folder / spec.parts.dynamics.folder / WEIGHTS_FILE),
                "backend": "torch",
            },
        )
        super().__init__(about, weights, player, settings)
        self._behind = open_worker(config.overlap)
        self._writing: Future[Any] | None = None
        self._decoding: Future[tuple[tuple[np.ndarray, ...], Any]] | None = None

    @property
    def settings(self) -> VideoPlay:
        """Levels, guidance, context level, window and sink in use."""
        return self._settings

    def set_levels(self, levels: Sequence[float]) -> None:
        """Choose the noise levels of the denoising passes from the next block on; more passes are slower.

        Raises:
            ConfigError: when they do not fall from 1 to above 0.
        """
        self._settings = with_levels(self._settings, levels)

    def set_guidance(self, guidance: float) -> None:
        """Choose how far controls are exaggerated from the next block on; 1 is plain, else passes double.

        Raises:
            ConfigError: when it is not above 0.
        """
        self._settings = with_guidance(self._settings, guidance)

    def _begin(
        self, seed: int, start: np.ndarray | None, controls: Sequence[Control], prompt: str | None
    ) -> tuple[np.ndarray, VideoMoment]:
        if start is None:
            start = self._pictures[int(stream(seed, "start").integers(len(self._pictures)))]
        player = self._need_networks()
        image, networks = player.begin(np.array(start), self._settings)
        width = len(self._spec.actions.columns) + self._spec.actions.mouse
        return image, VideoMoment(
            weights=self._weights,
            seed=seed,
            settings=self._settings,
            networks=networks,
            decoder=player.decoder_state,
            told=np.zeros((0, width), np.float32),
        )

    def _next(self, moment: VideoMoment, control: Control, index: int) -> tuple[np.ndarray, VideoMoment]:
        """Return the next frame; when it begins a block, dream that block under this control first."""
        self._spec.controls.check(control)
        moment = replace(moment, since=(*moment.since, control))
        while not moment.frames:
            moment = self._decode(moment) if moment.latents else self._dream(self._written(moment))
        image, *rest = moment.frames
        moment = replace(moment, frames=tuple(rest))
        if self._behind is not None and self._decoding is None and moment.latents:
            decode = self._need_networks().decode
            self._decoding = self._behind.submit(decode, moment.latents[0], moment.decoder)
        return image, moment

    def _count_passes(self) -> int:
        return len(self._settings.levels)

    def _offer(self) -> Dials:
        return offer_levels(self._settings, self._spec.play)

    def _tuned(self, tuning: Tuning) -> VideoPlay:
        return tune_levels(self._settings, self._spec.play.levels, tuning)

    def _with_past(self, moment: VideoMoment, action: CacheAction) -> VideoMoment:
        """A dropped past leaves the start picture and the controls; a rebuilt one all in the window."""
        player = self._need_networks()
        if action == "drop":
            return replace(moment, networks=player.drop(moment.networks))
        return replace(moment, networks=player.rebuild(moment.networks, self._settings))

    def _settle(self) -> None:
        if self._moment is not None:
            self._moment = self._written(self._moment)
            if self._decoding is not None:
                ahead = self._decode(self._moment)
                self._moment = replace(ahead, frames=(*self._moment.frames, *ahead.frames))

    def _written(self, moment: VideoMoment) -> VideoMoment:
        """The state with its newest block in the cache; waits where that runs behind."""
        if self._writing is None:
            return moment
        writing, self._writing = self._writing, None
        return replace(moment, networks=writing.result())

    def _dream(self, moment: VideoMoment) -> VideoMoment:
        """Make the next block's latents under the controls given since the last."""
        player, spec = self._need_networks(), self._spec
        control = control_of_block(moment.decided, moment.since)
        numbers = np.concatenate(spec.actions.numbers(control, spec.controls.look_limit))
        first, last = player.rows_of_block(moment.block)
        # what lay ahead of the newest frame was held over; from there on the new control holds
        known = moment.told[: max(0, first - moment.first_told)]
        told = np.concatenate([known, np.tile(numbers, (last - first, 1))])
        draw = stream(moment.seed, "noise", moment.block)

        def noise(index: int, shape: tuple[int, ...]) -> np.ndarray:
            return draw.standard_normal(shape, np.float32)

        latents, dreamt = player.dream(moment.networks, told, moment.first_told, self._settings, noise)
        networks = moment.networks
        if self._behind is None:
            networks = player.keep(dreamt)
        else:
            self._writing = self._behind.submit(player.keep, dreamt)
        surplus = max(0, len(told) - player.rows_needed)
        frames = moment.frames
        return replace(
            moment,
            networks=networks,
            latents=latents,
            frames=frames,
            told=told[surplus:],
            first_told=moment.first_told + surplus,
            block=moment.block + 1,
            decided=control,
            since=(),
        )

    def _decode(self, moment: VideoMoment) -> VideoMoment:
        latents, *rest = moment.latents
        is_start = moment.block == 1 and len(moment.latents) == self._need_networks().latents_per_block
        if self._decoding is None:
            frames, decoder = self._need_networks().decode(latents, moment.decoder)
        else:
            decoding, self._decoding = self._decoding, None
            frames, decoder = decoding.result()
        # the first latent frame is the start picture, which reset has shown
        shown = () if is_start else tuple(frames)
        return replace(moment, latents=tuple(rest), decoder=decoder, frames=shown)
