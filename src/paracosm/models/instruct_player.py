"""The networks of a world that follows instructions as functions from arrays to arrays.

All state is a value that is passed in and returned. This file does NOT know key names, seeds or worlds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from paracosm.core.instruct_spec import InstructPlay, InstructWorldSpec
from paracosm.core.shapes import Latents

from .clip_rollout import Asked, ClipRollout
from .dynamics_masked import MaskedDynamics, clip_conditions
from .instruct import Instructions, InstructNet
from .instruct_world import check_fit
from .pixels import to_frames, to_pixels
from .text import TextTokens, collate, make_encoder
from .tokenizer_vae import State, TokenizerVAE


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipState:
    """Everything that the next clip depends on, besides what is asked and its noise.

    Attributes:
        latents: (1, x, z, h, w), the frames that the next clip is given.
        controls: float32 (x, a), what led to each of them.
        known: bool (x,), whether that is known.
        decoder: streaming state of the decoder.
    """

    latents: Latents
    controls: np.ndarray
    known: np.ndarray
    decoder: State | None


class InstructPlayer:
    """The functions of a world's networks.

    Args:
        folder: the world's folder; its weights were checked against ``spec``.
        spec: its description.
        num_threads: threads of torch for the whole process; 0 leaves them as they are.

    Raises:
        ConfigError: when the networks do not belong together.
        MissingPackageError: when the encoder's weights are not installed.
    """

    def __init__(self, folder: Path, spec: InstructWorldSpec, num_threads: int) -> None:
        if num_threads:
            torch.set_num_threads(num_threads)
        self.runtime = f"torch {torch.__version__}"
        self._spec = spec
        self._tokenizer = TokenizerVAE.load(folder / spec.parts.tokenizer.folder)
        self._base = MaskedDynamics.load(folder / spec.parts.base.folder)
        branch = spec.parts.branch
        self._branch = InstructNet.load(folder / branch.folder) if branch is not None else None
        check_fit(self._tokenizer, self._base, self._branch)
        self._encoder = make_encoder(spec.encoder)
        self._states: dict[str, np.ndarray] = {}
        made, patch = self._tokenizer.config, self._base.config.patch
        self.latent_shape = (made.latent_channels, made.latent_height, made.latent_width)
        self.tokens = (made.latent_height // patch) * (made.latent_width // patch)

    @torch.inference_mode()
    def begin(self, clip: np.ndarray, controls: np.ndarray) -> tuple[np.ndarray, ClipState]:
        """Begin from a clip.

        Args:
            clip: uint8 (t, h, w, 3); of more frames than are given the last count, of fewer the first is
                held.
            controls: float32 (t - 1, a), between its frames.

        Returns:
            The last frame as the decoder shows it, and the state after it.
        """
        given, width = self._spec.given_frames, self._spec.controls.width
        missing = max(0, given - len(clip))
        clip = np.concatenate([clip[:1]] * missing + [clip])
        rows = np.concatenate([np.zeros((missing + 1, width), np.float32), controls])[-given:]
        latents, _ = self._tokenizer.encode(to_pixels(torch.from_numpy(clip[-given:].copy())[None]))
        frames, decoder = self._decode(latents, None)
        known = np.arange(given) >= given - len(controls)
        return frames[-1], ClipState(latents=latents, controls=rows, known=known, decoder=decoder)

    @torch.inference_mode()
    def imagine(
        self, said: Mapping[str, str], noise: np.ndarray, play: InstructPlay
    ) -> tuple[np.ndarray, ClipState]:
        """Begin from words: the base makes a whole clip, of which the last frame is shown.

        Args:
            said: texts by field of the base.
            noise: float32 (t, z, h, w), standard normal, of the clip.
            play: passes and guidance.
        """
        frames, made, decoder = self._draw(said, noise, play)
        latents = made[:, -self._spec.given_frames :]
        rows = np.zeros((latents.shape[1], self._spec.controls.width), np.float32)
        known = np.zeros(len(rows), bool)
        return frames[-1], ClipState(latents=latents, controls=rows, known=known, decoder=decoder)

    @torch.inference_mode()
    def draw_clip(self, said: Mapping[str, str], noise: np.ndarray, play: InstructPlay) -> np.ndarray:
        """All frames of the clip that the base makes from words, uint8 (t, h, w, 3); as :meth:`imagine`."""
        return self._draw(said, noise, play)[0]

    def _draw(
        self, said: Mapping[str, str], noise: np.ndarray, play: InstructPlay
    ) -> tuple[np.ndarray, Latents, State]:
        asked = Asked(
            text=self._text(said, self._base.config.fields), conditions=self._conditions(len(noise))
        )
        rollout = ClipRollout(self._base, levels=play.levels, guidance=play.prompt_guidance)
        made = rollout.next(torch.from_numpy(noise)[None], None, asked)
        frames, decoder = self._decode(made, None)
        return frames, made, decoder

    @torch.inference_mode()
    def next(
        self,
        state: ClipState,
        said: Mapping[str, str],
        control: np.ndarray | None,
        guide: np.ndarray | None,
        noise: np.ndarray,
        play: InstructPlay,
        steered: bool,
    ) -> tuple[list[np.ndarray], ClipState]:
        """Make the next clip's new frames.

        Args:
            state: of the frames before.
            said: the instruction, texts by field.
            control: float32 (a,), held for the whole clip; None leaves it to words and guide.
            guide: uint8 (t, h, w, 3), the video prompt of the first new frames, or None.
            noise: float32 (n, z, h, w), standard normal.
            play: passes and guidance.
            steered: whether the branch is used; without it the base reads the instruction as free words.

        Returns:
            The new frames uint8 (h, w, 3), and the state after them.
        """
        given, new = state.latents.shape[1], len(noise)
        held = np.zeros(self._spec.controls.width, np.float32) if control is None else control
        rows = np.concatenate([state.controls, np.tile(held, (new, 1))]).astype(np.float32)
        known = np.concatenate([state.known, np.full(new, control is not None)])
        known[0] = False  # as in training: nothing is known of what led to the first frame of a clip
        told, free = None, said
        if self._branch is not None:
            words = self._text(said if steered else {}, self._branch.config.fields)
            told = self._instructions(words, rows, known, guide, given) if steered else None
            free = {} if steered else {self._base.config.fields[0]: ". ".join(said.values())}
        asked = Asked(
            text=self._text(free, self._base.config.fields),
            conditions=self._conditions(given + new),
            told=told,
        )
        rollout = ClipRollout(self._base, self._branch, levels=play.levels, guidance=play.guidance)
        made = rollout.next(torch.from_numpy(noise)[None], state.latents, asked)
        frames, decoder = self._decode(made, state.decoder)
        latents = torch.cat([state.latents, made], 1)[:, -given:]
        after = ClipState(latents=latents, controls=rows[-given:], known=known[-given:], decoder=decoder)
        return list(frames), after

    def _instructions(
        self, words: TextTokens, rows: np.ndarray, known: np.ndarray, guide: np.ndarray | None, given: int
    ) -> Instructions:
        shape = (1, len(rows), *self.latent_shape)
        drawn, guided = torch.zeros(shape), torch.zeros(shape[:2], dtype=torch.bool)
        if guide is not None:
            last = given + len(guide)
            latents, _ = self._tokenizer.encode(to_pixels(torch.from_numpy(guide.copy())[None]))
            drawn[:, given:last], guided[:, given:last] = latents, True
        return Instructions(
            text=words,
            controls=torch.from_numpy(rows)[None],
            known=torch.from_numpy(known)[None],
            guide=drawn,
            guided=guided,
        )

    def _text(self, said: Mapping[str, str], fields: tuple[str, ...]) -> TextTokens:
        missing = [text for text in said.values() if text not in self._states]
        self._states |= dict(zip(missing, self._encoder.encode(missing), strict=True))
        # stored texts are rounded to half precision, so what is typed is rounded too
        states = {fields.index(name): self._states[text].astype(np.float16) for name, text in said.items()}
        return collate([states], self._base.config.text_width)

    def _conditions(self, num_frames: int) -> Tensor:
        spec = self._spec
        return torch.tensor([clip_conditions(spec.fps, spec.height, spec.width, num_frames)])

    def _decode(self, latents: Latents, state: State | None) -> tuple[np.ndarray, State]:
        pixels, state = self._tokenizer.decode(latents, state)
        return rearrange(to_frames(pixels), "1 t h w c -> t h w c").numpy(), state
