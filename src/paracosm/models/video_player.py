"""A streamed video world's networks as functions from arrays to arrays: begin, dream a block, decode.

All state is a value that the caller keeps. The image condition is encoded one latent frame at a time for as
long as it changes: behind the start picture it is grey for ever, so after some seconds it repeats itself.
This file does NOT know key names, seeds or players; noise comes from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.core.video_spec import VideoParts, VideoPlay

from .action_module import window_rows
from .dynamics_video import BlockInput, Pair, VideoDynamics
from .pixels import to_frames, to_pixels
from .video_codec import CodecState, ImageEncoder, VideoCodec, join_mask
from .video_stream import (
    StreamSettings,
    StreamState,
    begin,
    dream_block,
    drop_cache,
    keep_block,
    rebuild_cache,
)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Draw(Protocol):
    """Draws standard normal noise."""

    def __call__(self, index: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return float32 numbers for pass ``index`` of the present block."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Condition:
    """The image condition of the latent frames to come.

    Attributes:
        picture: latents of the start picture, (1, 1, z, h, w), until it is used; then None.
        grey: latents of the newest grey frames; None before the first.
        state: of the encoder.
        settled: whether ``grey`` is what all later frames have.
        waited: grey latent frames encoded so far.
    """

    picture: Tensor | None
    grey: Tensor | None
    state: CodecState
    settled: bool
    waited: int


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoState:
    """Where a stream stands; never changed after it was handed out."""

    stream: StreamState
    context: tuple[Pair, ...]
    condition: Condition


@dataclass(frozen=True, kw_only=True, eq=False)
class Dreamt:
    """A block that was denoised and is not in the cache yet."""

    state: VideoState
    condition: Condition
    clean: Tensor
    given: BlockInput
    play: VideoPlay


class VideoPlayer:
    """The three networks of a world.

    Args:
        dynamics: the transformer, in eval mode.
        codec: frames to latents and back.
        image_encoder: the start picture to tokens.
        height: rows of a frame in pixels.
        width: columns of a frame in pixels.
        idle: place of the keyboard number that is 1 while no key is held; -1 where all are 0 then.

    Raises:
        ConfigError: when the networks or the picture's size do not fit each other.
    """

    def __init__(
        self,
        dynamics: VideoDynamics,
        codec: VideoCodec,
        image_encoder: ImageEncoder,
        height: int,
        width: int,
        idle: int = -1,
    ) -> None:
        self.dynamics, self.codec, self.image_encoder = dynamics, codec, image_encoder
        config = self.config = dynamics.config
        check_picture_size(height, width, codec.side * config.patch)
        self._grid = (height // codec.side, width // codec.side)
        self._picture, self._idle = (height, width), idle
        self.device = dynamics.enter.weight.device
        expected = {
            "latent channels": (codec.channels, config.latent_channels),
            "frames a latent": (codec.frames_per_latent, config.actions.frames_per_latent),
            "numbers of an image token": (image_encoder.width, config.context_width),
        }
        for what, (given, needed) in expected.items():
            if given != needed:
                raise ConfigError(
                    f"the codec or image encoder has {given} {what}, the transformer needs {needed}; "
                    "convert them from one release"
                )
        if config.condition_channels != codec.channels + codec.frames_per_latent:
            raise ConfigError(
                f"the transformer takes {config.condition_channels} condition channels; "
                f"{codec.frames_per_latent} of mask and {codec.channels} of latents are made here"
            )

    @classmethod
    def load(
        cls, folder: Path, parts: VideoParts, height: int, width: int, idle: int, dtype: str, device: str
    ) -> VideoPlayer:
        """Open the networks of a world's folder; arguments as for the class.

        Raises:
            DataError: when a part is missing or damaged.
            MissingPackageError: when diffusers or transformers is not installed.
        """
        kind = DTYPES[dtype]
        return cls(
            VideoDynamics.load(folder / parts.dynamics.folder, kind, device),
            VideoCodec.load(folder / parts.vae.folder, kind, device),
            ImageEncoder.load(folder / parts.image_encoder.folder, kind, device),
            height,
            width,
            idle,
        )

    @property
    def block_frames(self) -> int:
        """Frames of every block but the first."""
        return self.config.block * self.config.actions.frames_per_latent

    @property
    def latents_per_block(self) -> int:
        """Latent frames made at once."""
        return self.config.block

    @property
    def tokens_per_latent(self) -> int:
        """Tokens of one latent frame."""
        return self.config.tokens_per_frame(*self._grid)

    @property
    def rows_needed(self) -> int:
        """Rows of controls that the next block may still look at, and those that it will replace."""
        return self.config.actions.rows + self.config.actions.frames_per_latent

    @property
    def decoder_state(self) -> CodecState:
        """State of a decoder that has seen nothing."""
        return self.codec.decoder_state

    @property
    def runtime(self) -> str:
        """What computes, where and in which numbers."""
        return f"torch {torch.__version__} {self.device.type} {self._weight.dtype}".replace("torch.", "")

    def rows_of_block(self, block: int) -> tuple[int, int]:
        """Rows of controls that are new in a block: from the step that asks for it to the last one it sees.

        Args:
            block: number of the block, from 0.

        Returns:
            The first new row, and the one after the last; rows before the first stay as they were told.
        """
        frames = self.config.actions.frames_per_latent
        first_latent = block * self.config.block
        last = frames * (first_latent + self.config.block - 1)
        first = max(0, frames * (first_latent - 1))
        return first, max(last, first + 1)

    @torch.inference_mode()
    def begin(self, picture: np.ndarray, play: VideoPlay) -> tuple[np.ndarray, VideoState]:
        """Begin a stream at a picture.

        Args:
            picture: uint8 (h, w, 3).
            play: says how much of the past the stream will see.

        Returns:
            The picture as the codec shows it, and the state.
        """
        pixels = to_pixels(torch.tensor(picture, device=self.device)[None, None])
        tokens = self.image_encoder(pixels[:, 0]).to(self._weight)
        latents, state = self.codec.encode(pixels, self.codec.encoder_state)
        shown, _ = self.codec.decode(latents, self.codec.decoder_state)
        condition = Condition(picture=latents, grey=None, state=state, settled=False, waited=0)
        stream = begin(self.dynamics, *self._grid, window=play.window, sink=play.sink)
        context = self.dynamics.read_context(tokens)
        return _images(shown)[0], VideoState(stream=stream, context=context, condition=condition)

    @torch.inference_mode()
    def next_block(
        self, state: VideoState, told: np.ndarray, first_told: int, play: VideoPlay, draw: Draw
    ) -> tuple[tuple[Tensor, ...], VideoState]:
        """Dream the next block and write it to the cache; see :meth:`dream`.

        Returns:
            For each latent frame its latents (1, 1, z, h, w), and the next state.
        """
        latents, dreamt = self.dream(state, told, first_told, play, draw)
        return latents, self.keep(dreamt)

    @torch.inference_mode()
    def dream(
        self, state: VideoState, told: np.ndarray, first_told: int, play: VideoPlay, draw: Draw
    ) -> tuple[tuple[Tensor, ...], Dreamt]:
        """Denoise the next block; on a graphics card the numbers stay there and nobody waits for them.

        Args:
            state: where the stream stands.
            told: rows of keyboard and mouse numbers, one a frame, up to the last one that the block sees.
            first_told: number of the first of these rows.
            play: passes and guidance.
            draw: of noise; pass 0 is where denoising begins.

        Returns:
            For each latent frame its latents (1, 1, z, h, w), and what :meth:`keep` takes.
        """
        config = self.config
        condition, given = self._conditions(state.condition)
        actions = config.actions
        wanted = window_rows(state.stream.written, config.block, actions.rows, actions.frames_per_latent)
        rows = self._send(told[np.array(wanted) - first_told])[None]
        block = BlockInput(
            condition=given,
            keyboard=rows[..., : actions.keys],
            mouse=rows[..., actions.keys :],
            context=state.context,
            idle=self._idle,
        )
        shape = (1, config.block, config.latent_channels, *self._grid)

        def noise(index: int) -> Tensor:
            return self._send(draw(index, shape))

        torch.compiler.cudagraph_mark_step_begin()
        clean = dream_block(
            self.dynamics,
            state.stream,
            noise(0),
            block,
            _settings(play),
            lambda index: noise(index + 1),
        )
        dreamt = Dreamt(state=state, condition=condition, clean=clean, given=block, play=play)
        return tuple(part.float() for part in clean.split(1, 1)), dreamt

    @torch.inference_mode()
    def keep(self, dreamt: Dreamt) -> VideoState:
        """Write a dreamt block to the cache; the pictures of the block do not depend on it."""
        state = dreamt.state
        stream = keep_block(self.dynamics, state.stream, dreamt.clean, dreamt.given, _settings(dreamt.play))
        return replace(state, stream=stream, condition=dreamt.condition)

    @torch.inference_mode()
    def decode(self, latents: Tensor, state: CodecState) -> tuple[np.ndarray, CodecState]:
        """Turn the next latents into frames uint8 (t, h, w, 3) and the decoder's next state."""
        shown, state = self.codec.decode(latents, state)
        return _images(shown), state

    def drop(self, state: VideoState) -> VideoState:
        """Forget the past: what comes next depends on the start picture and the controls alone."""
        return replace(state, stream=drop_cache(state.stream))

    @torch.inference_mode()
    def rebuild(self, state: VideoState, play: VideoPlay) -> VideoState:
        """Compute the cache anew from the latents in the window; what lies before them is forgotten."""
        return replace(state, stream=rebuild_cache(self.dynamics, state.stream, _settings(play)))

    def _conditions(self, condition: Condition) -> tuple[Condition, Tensor]:
        """The condition of one block's latent frames (1, t, z', h, w), and what comes after."""
        made = []
        for _ in range(self.config.block):
            is_start = condition.picture is not None
            if is_start:
                latents, condition = condition.picture, replace(condition, picture=None)
            else:
                condition = self._grey(condition)
                latents = condition.grey
            assert latents is not None
            made.append(join_mask(latents, self.codec.frames_per_latent, is_start=is_start))
        return condition, torch.cat(made, 1).to(self._weight)

    def _grey(self, condition: Condition) -> Condition:
        if condition.settled:
            return condition
        grey = torch.zeros(1, self.codec.frames_per_latent, 3, *self._picture, device=self.device)
        latents, state = self.codec.encode(grey, condition.state)
        waited = condition.waited + 1
        # A convolution looks back two frames, so the picture is out of sight of n of them after 2 n frames.
        # On a graphics card it is counted, since a comparison would make every block wait for the card.
        same = self.device.type == "cpu" and _same(state, condition.state)
        settled = same or waited > 2 * len(state)
        return replace(condition, grey=latents, state=state, settled=settled, waited=waited)

    def compile(self, kind: Literal["off", "default", "graphs"]) -> None:
        """Let torch compile the blocks of the transformer at their first use.

        Args:
            kind: "graphs" also lets a graphics card repeat them without the processor. Neither has been run
                on a graphics card yet.
        """
        if kind != "off":
            mode = "reduce-overhead" if kind == "graphs" else "default"
            for block in self.dynamics.blocks:
                block.compile(mode=mode)

    def _send(self, numbers: np.ndarray) -> Tensor:
        """Numbers as the transformer takes them; a copy to a graphics card is queued, not waited for."""
        held = torch.from_numpy(numbers)
        if self.device.type == "cuda":
            held = held.pin_memory().to(self.device, non_blocking=True)
        return held.to(self._weight)

    @property
    def _weight(self) -> Tensor:
        return self.dynamics.enter.weight


def check_picture_size(height: int, width: int, side: int) -> None:
    """Refuse a picture that does not divide into tokens.

    Raises:
        ConfigError: says which sizes are near.
    """
    if height % side or width % side or height < side or width < side:
        near = [max(side, round(length / side) * side) for length in (height, width)]
        raise ConfigError(
            f"{height} x {width} does not divide into tokens of {side} x {side} pixels; "
            f"use e.g. {near[0]} x {near[1]}"
        )


def _settings(play: VideoPlay) -> StreamSettings:
    return StreamSettings(levels=play.levels, guidance=play.guidance, context_level=play.context_level)


def _same(one: CodecState, other: CodecState) -> bool:
    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return a.shape == b.shape and bool(torch.equal(a, b))
        return a is b or a == b

    return all(equal(a, b) for a, b in zip(one, other, strict=True))


def _images(pixels: Tensor) -> np.ndarray:
    return np.ascontiguousarray(to_frames(pixels)[0].cpu().numpy())
