"""Stage: frames to codes beside the dataset, once, so that training the dynamics never runs the tokenizer.

It resumes by episode: what is encoded stays. This file does NOT train anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.data.latents import LatentStore
from paracosm.data.reader import Dataset
from paracosm.models.base import weights_hash
from paracosm.models.pixels import to_pixels
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.train.precision import autocast

from .tokenizer_vq import check_frame_size


@dataclass(frozen=True, kw_only=True)
class EncodeCodesConfig:
    """What is encoded with which tokenizer."""

    data: Path
    """dataset folder; the codes land in DATA/latents/HASH"""
    tokenizer: Path
    """folder of a discrete tokenizer"""
    piece_frames: int = 128
    """frames encoded at once, beside those they look back to"""
    num_threads: int = 0
    """torch threads; 0 leaves them as they are"""


def open_codes(dataset: Dataset, tokenizer: Path) -> LatentStore:
    """Open the codes of a dataset under a tokenizer folder."""
    config = TokenizerVQ.load(tokenizer).config
    return LatentStore(dataset, weights_hash(tokenizer), (config.rows, config.columns), "uint16")


@torch.no_grad()
def main(config: EncodeCodesConfig, progress: ProgressMaker = no_progress) -> Path:
    """Encode every episode that is not yet encoded; return the folder of the codes.

    Raises:
        ConfigError: when the tokenizer is for frames of another size.
        DataError: when a file is missing or corrupt.
    """
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    dataset = Dataset(config.data)
    tokenizer = TokenizerVQ.load(config.tokenizer)
    sizes = tokenizer.config
    check_frame_size(dataset, sizes.height, sizes.width, "the tokenizer")
    store = open_codes(dataset, config.tokenizer)
    lead = sizes.encoder.depth * sizes.window if sizes.attention != "space" else 0
    line = progress("encode", len(dataset.episodes), unit="episode")
    for done, episode in enumerate(dataset.episodes, 1):
        if not store.has(episode):
            frames = np.ascontiguousarray(episode.frames)
            codes = run_in_pieces(frames, tokenizer.encode, config.piece_frames, lead)
            store.write(episode, rearrange(codes, "t (h w) -> t h w", h=sizes.rows))
        line.update(done)
    line.close()
    return store.folder


@torch.no_grad()
def run_in_pieces(
    frames: np.ndarray, function: Callable[[Tensor], Tensor], piece_frames: int, lead: int
) -> np.ndarray:
    """Run a causal function over a long clip, piece by piece, with the result of one pass.

    Args:
        frames: uint8 (t, h, w, 3).
        function: from pixels (1, t, c, h, w) to (1, t, ...).
        piece_frames: frames a piece.
        lead: frames that the result at a frame depends on; they are run again before each piece.

    Returns:
        The function's result, (t, ...).
    """
    parts = []
    for first in range(0, len(frames), piece_frames):
        begin = max(0, first - lead)
        piece = torch.from_numpy(frames[begin : first + piece_frames].copy())
        # bf16 moves a code only where two are equally near
        with autocast("auto", "cpu"):
            made = function(to_pixels(piece[None]))
        parts.append(made[0, first - begin :].numpy())
    return np.concatenate(parts)
