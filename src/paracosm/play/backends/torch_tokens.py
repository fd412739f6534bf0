"""Plays a world of tokens through torch: one tokenizer, one masked dynamics, one rollout.

All state is a value that is passed in and returned. This file does NOT know controls or worlds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paracosm.core.token_spec import TokenWorldSpec
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.token_rollout import TokenRollout
from paracosm.models.token_world import check_fit
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.nn.kv_cache import KVCache


@dataclass(frozen=True, kw_only=True)
class TokenState:
    """Everything that the next frame depends on, besides the seed.

    Attributes:
        dynamics: frames of the past as the dynamics saw them.
        decoder: frames of the past as the decoder saw them.
    """

    dynamics: KVCache
    decoder: KVCache


class TokenPlayer:
    """The functions of a world's networks.

    Args:
        folder: the world's folder; its weights were checked against ``spec``.
        spec: its description.
        num_threads: threads of torch for the whole process; 0 leaves them as they are.

    Raises:
        ConfigError: when tokenizer and dynamics do not belong together.
    """

    def __init__(self, folder: Path, spec: TokenWorldSpec, num_threads: int) -> None:
        if num_threads:
            torch.set_num_threads(num_threads)
        self.runtime = f"torch {torch.__version__}"
        self._tokenizer = TokenizerVQ.load(folder / spec.parts.tokenizer.folder)
        self._dynamics = MaskGITDynamics.load(folder / spec.parts.dynamics.folder)
        check_fit(self._tokenizer, self._dynamics, spec.num_actions)
        self.tokens = self._dynamics.config.tokens_per_frame

    @torch.inference_mode()
    def begin(self, clip: np.ndarray, actions: list[int | None]) -> tuple[np.ndarray, TokenState]:
        """Begin from a clip.

        Args:
            clip: uint8 (t, h, w, 3).
            actions: t entries: the action that led to each frame, None where it is not known.

        Returns:
            The last frame as the decoder shows it, and the state after it.
        """
        state = TokenState(dynamics=self._dynamics.empty_cache(), decoder=self._tokenizer.decoder_cache())
        encoder = self._tokenizer.encoder_cache()
        image = clip[-1]
        for picture, action in zip(clip, actions, strict=True):
            pixels = to_pixels(torch.from_numpy(picture.copy())[None, None])
            codes, encoder = self._tokenizer.encode_frame(pixels, encoder)
            cache = self._dynamics.write(codes, *self._control(action), state.dynamics)
            image, decoder = self._decode(codes, state.decoder)
            state = TokenState(dynamics=cache, decoder=decoder)
        return image, state

    @torch.inference_mode()
    def next(
        self, action: int, draws: np.ndarray, sampler: SamplerConfig, state: TokenState
    ) -> tuple[np.ndarray, TokenState]:
        """Make the next frame.

        Args:
            action: learnt action that leads to it.
            draws: uniform float32 (passes, 1, 1, s).
            sampler: passes and temperature.
            state: of the frame before.
        """
        rollout = TokenRollout(self._dynamics, sampler)
        codes, cache = rollout.next(torch.from_numpy(draws), self._control(action), state.dynamics)
        image, decoder = self._decode(codes, state.decoder)
        return image, TokenState(dynamics=cache, decoder=decoder)

    def settle(self, state: TokenState) -> TokenState:
        """The same state: nothing is ever left to be written."""
        return state

    def _decode(self, codes: Tensor, cache: KVCache) -> tuple[np.ndarray, KVCache]:
        pixels, cache = self._tokenizer.decode_frame(codes, cache)
        return to_frames(pixels)[0, 0].numpy(), cache

    def _control(self, action: int | None) -> tuple[Tensor, Tensor]:
        vectors = self._dynamics.action_vectors(torch.tensor([[action or 0]]))
        return vectors, torch.tensor([[action is not None]])


def open_player(folder: Path, spec: TokenWorldSpec, num_threads: int, behind: object) -> TokenPlayer:
    """Open the networks of a world; here every frame is written before it is shown."""
    return TokenPlayer(folder, spec, num_threads)
