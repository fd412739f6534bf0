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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.rng import stream
from paracosm.core.video_spec import VideoPlay, load_pictures, load_video_spec
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start
from paracosm.models.rollout import check_levels

from .weights import count_parameters


@dataclass(frozen=True, kw_only=True)
class VideoEngineConfig:
    """How a streamed world is run."""

    device: str = "auto"
    """cpu, cuda, or auto: a graphics card when there is one"""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """number type; auto: bfloat16 on a graphics card, float32 elsewhere"""
    num_threads: int = 0
    """threads of torch on a processor, for the whole process; 0 leaves them as they are"""
    levels: tuple[float, ...] = ()
    """noise levels of the denoising passes, falling from 1; () takes the world's own"""
    guidance: float = 0.0
    """push from no control towards the control: 1 is plain; 0 takes the world's own"""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.levels:
            check_levels(self.levels)
        if self.guidance < 0.0:
            raise ConfigError(
                f"guidance {self.guidance:g} is negative; use 1 for plain play or more to exaggerate"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """Everything that makes the next frames; never changed.

    Attributes:
        weights: hash of the transformer that made it.
        seed: of the noise.
        play: passes and guidance in use.
        networks: state of the networks.
        decoder: streaming state of the decoder.
        frames: decoded and not yet shown, uint8 (h, w, 3).
        latents: dreamt and not yet decoded.
        told: rows of numbers that the network was told, oldest first.
        first_told: number of the first of them.
        block: number of the next block.
        decided: the control of the newest block.
        since: controls of the steps after the one that decided it.
    """

    weights: str
    seed: int
    play: VideoPlay
    networks: Any
    decoder: tuple[Any, ...]
    frames: tuple[np.ndarray, ...] = ()
    latents: tuple[np.ndarray, ...] = ()
    told: np.ndarray
    first_told: int = 0
    block: int = 0
    decided: Control = IDLE
    since: tuple[Control, ...] = ()


class VideoWorld:
    """A world made by a streamed video transformer; see :class:`paracosm.core.world.World`.

    Args:
        folder: the world's folder.
        config: how to run it.
        name: how it is called in ``info``; "" takes "model:" and the folder.

    Raises:
        DataError: when a file is missing or corrupt.
        ConfigError: when world.json does not fit, or its networks do not fit each other.
        MissingPackageError: when torch, diffusers or transformers is not installed.
    """

    def __init__(self, folder: Path, config: VideoEngineConfig | None = None, name: str = "") -> None:
        config = config or VideoEngineConfig()
        self._spec = spec = load_video_spec(folder)
        self._pictures = load_pictures(folder, spec)
        self._player: Any = importlib.import_module("paracosm.play.backends.torch_video").open_player(
            folder, spec, config.device, config.dtype, config.num_threads
        )
        self._play = replace(
            spec.play,
            levels=config.levels or spec.play.levels,
            guidance=config.guidance or spec.play.guidance,
        )
        check_levels(self._play.levels)
        weights = folder / spec.parts.dynamics.folder / "model.safetensors"
        self._parameters = count_parameters(weights)
        self._name = name or f"model:{folder}"
        self._moment: Moment | None = None
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        spec = self._spec
        player = self._need_player()
        return WorldInfo(
            name=self._name,
            fps=spec.fps,
            height=spec.height,
            width=spec.width,
            controls=spec.controls,
            starts=("seed", "image"),
            engine=f"{player.runtime}, weights {spec.parts.dynamics.weights}",
            description=spec.description,
            details={
                "denoise_steps": len(self._play.levels),
                "frames_per_block": player.block_frames,
                "tokens_per_frame": player.tokens_per_latent,
                "parameters": self._parameters,
                "backend": player.runtime,
            },
        )

    @property
    def settings(self) -> VideoPlay:
        """Levels, guidance and context level in use."""
        return self._play

    def set_levels(self, levels: Sequence[float]) -> None:
        """Choose the noise levels of the denoising passes from the next block on; more passes are slower.

        Raises:
            ConfigError: when they do not fall from 1 to above 0.
        """
        check_levels(levels)
        self._change(replace(self._play, levels=tuple(float(level) for level in levels)))

    def set_guidance(self, guidance: float) -> None:
        """Choose how far controls are exaggerated from the next block on; 1 is plain, else passes double.

        Raises:
            ConfigError: when it is not above 0.
        """
        if not guidance > 0.0:
            raise ConfigError(
                f"guidance {guidance:g} is not above 0; use 1 for plain play or more to exaggerate"
            )
        self._change(replace(self._play, guidance=float(guidance)))

    def drop_cache(self) -> None:
        """Forget the past: the next block follows the start picture and the controls alone."""
        moment = self._need_moment()
        self._moment = replace(moment, networks=self._need_player().drop(moment.networks))

    def rebuild_cache(self) -> None:
        """Compute the cache anew from the latents in the window; what lies before them is forgotten."""
        moment = self._need_moment()
        self._moment = replace(moment, networks=self._need_player().rebuild(moment.networks, moment.play))

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin again at a picture; without one the seed picks one of the world's own.

        The first frame is the picture as the codec shows it.

        Raises:
            WorldError: for a negative seed, a picture of another size, a clip, or a prompt.
        """
        check_start(self.info, start, controls, prompt)
        if seed < 0:
            raise WorldError(f"seed {seed} is negative; use a whole number from 0 up")
        if start is None:
            start = self._pictures[int(stream(seed, "start").integers(len(self._pictures)))]
        player = self._need_player()
        image, networks = player.begin(np.array(start))
        width = len(self._spec.actions.columns) + self._spec.actions.mouse
        self._moment = Moment(
            weights=self._spec.parts.dynamics.weights,
            seed=seed,
            play=self._play,
            networks=networks,
            decoder=player.decoder_state,
            told=np.zeros((0, width), np.float32),
        )
        self._frame = _show(image, 0)
        return self._frame

    def step(self, control: Control) -> Frame:
        """Return the next frame; when it begins a block, dream that block under this control first.

        Raises:
            ControlError: when the control is not offered.
            WorldError: before reset or after close.
        """
        self._spec.controls.check(control)
        moment, shown = self._need_moment(), self._frame
        assert shown is not None, "a world that has begun has shown a frame"
        moment = replace(moment, since=(*moment.since, control))
        while not moment.frames:
            moment = self._decode(moment) if moment.latents else self._dream(moment)
        image, *rest = moment.frames
        self._moment = replace(moment, frames=tuple(rest))
        # a player who leaves may close the world while it dreams: the frame before is asked for no more
        self._frame = _show(image, shown.index + 1)
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the complete state."""
        moment = self._need_moment()
        assert self._frame is not None, "a world that has begun has shown a frame"
        return Snapshot(world=self._name, frame=self._frame, payload=moment)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go to a snapshot of this world, also one that another copy of it took; settings included.

        Raises:
            WorldError: when it belongs to another world or to other weights.
        """
        check_snapshot(self.info, snapshot)
        moment = snapshot.payload
        if not isinstance(moment, Moment) or moment.weights != self._spec.parts.dynamics.weights:
            raise WorldError(
                f"the snapshot was taken with other weights of {self._name}; it cannot go on with these"
            )
        self._moment, self._play, self._frame = moment, moment.play, snapshot.frame
        return snapshot.frame

    def close(self) -> None:
        """Let go of the networks."""
        self._player, self._moment, self._frame = None, None, None

    def _dream(self, moment: Moment) -> Moment:
        """Make the next block's latents under the controls given since the last."""
        player, spec = self._need_player(), self._spec
        control = self._decide(moment)
        numbers = np.concatenate(spec.actions.numbers(control, spec.controls.look_limit))
        first, last = player.rows_of_block(moment.block)
        # what lay ahead of the newest frame was held over; from there on the new control holds
        known = moment.told[: max(0, first - moment.first_told)]
        told = np.concatenate([known, np.tile(numbers, (last - first, 1))])
        draw = stream(moment.seed, "noise", moment.block)

        def noise(index: int, shape: tuple[int, ...]) -> np.ndarray:
            return draw.standard_normal(shape, np.float32)

        latents, networks = player.next_block(moment.networks, told, moment.first_told, moment.play, noise)
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

    def _decode(self, moment: Moment) -> Moment:
        latents, *rest = moment.latents
        is_start = moment.block == 1 and len(moment.latents) == self._need_player().latents_per_block
        frames, decoder = self._need_player().decode(latents, moment.decoder)
        # the first latent frame is the start picture, which reset has shown
        shown = () if is_start else tuple(frames)
        return replace(moment, latents=tuple(rest), decoder=decoder, frames=shown)

    def _decide(self, moment: Moment) -> Control:
        """The control of a new block: what is held now, taps since the last one, and the mean turn."""
        if not moment.since:  # a block of the start picture alone is followed by another at once
            return moment.decided
        newest = moment.since[-1]
        pressed = {key for control in moment.since for key in control.keys - moment.decided.keys}
        yaw, pitch = np.mean([control.look for control in moment.since], axis=0).tolist()
        return Control(newest.keys | pressed, (yaw, pitch))

    def _change(self, play: VideoPlay) -> None:
        self._play = play
        if self._moment is not None:
            self._moment = replace(self._moment, play=play)

    def _need_player(self) -> Any:
        if self._player is None:
            raise WorldError(f"{self._name} is closed; open it again")
        return self._player

    def _need_moment(self) -> Moment:
        self._need_player()
        if self._moment is None:
            raise WorldError(f"{self._name} has not begun; call reset first")
        return self._moment


def _show(image: np.ndarray, index: int) -> Frame:
    image = np.ascontiguousarray(image)
    image.flags.writeable = False
    return Frame(image=image, index=index)
