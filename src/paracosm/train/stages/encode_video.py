"""Stage: recordings to clips of a codec that compresses time, once, so that training never runs the codec.

Every clip is encoded from its own first frame on, as play encodes the picture that it begins with; beside it
lie the image condition and the tokens of that picture. It resumes by episode. This file does NOT train
anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.data.reader import Dataset
from paracosm.data.video_clips import VideoClipStore
from paracosm.models.pixels import to_pixels
from paracosm.models.video_codec import ImageEncoder, VideoCodec, encode_clip, encode_grey
from paracosm.models.video_parts import load_parts, parts_hash


@dataclass(frozen=True, kw_only=True)
class EncodeVideoStageConfig:
    """What is encoded with which parts."""

    data: Path
    """dataset folder; the clips land in DATA/latents"""
    parts: Path
    """folder with vae/ and image_encoder/: what video_codec left, or a converted world"""
    clip_latents: int = 15
    """latent frames a clip, a multiple of the latent frames that the network makes at once"""
    stride: int = 8
    """frames from the beginning of one clip to that of the next"""
    batch_size: int = 20
    """clips encoded at once"""
    num_threads: int = 0
    """torch threads; 0 leaves them as they are"""

    def __post_init__(self) -> None:
        """Refuse clips of nothing."""
        if self.clip_latents < 2 or self.stride < 1 or self.batch_size < 1:
            raise ConfigError(
                f"clip_latents {self.clip_latents}, stride {self.stride} and batch_size {self.batch_size} "
                "must be at least 2, 1 and 1"
            )


def open_clip_store(dataset: Dataset, parts: Path, clip_latents: int, stride: int) -> VideoClipStore:
    """Open the encoded clips of a dataset under a folder of parts."""
    made_with = parts_hash(parts)
    name = f"video-{made_with}-{clip_latents}-{stride}"
    return VideoClipStore(dataset, name, {"parts": made_with, "clip_latents": clip_latents, "stride": stride})


@torch.no_grad()
def main(config: EncodeVideoStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Encode every episode that is not yet encoded; return the folder of the clips."""
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    dataset = Dataset(config.data)
    codec, tower = load_parts(config.parts)
    store = open_clip_store(dataset, config.parts, config.clip_latents, config.stride)
    line = progress("encode video", len(dataset.episodes), unit="episode")
    for done, episode in enumerate(dataset.episodes, 1):
        if not store.has(episode):
            store.write(episode, encode_episode(codec, tower, np.ascontiguousarray(episode.frames), config))
        line.update(done)
    line.close()
    return store.folder


@torch.no_grad()
def encode_episode(
    codec: VideoCodec, tower: ImageEncoder, frames: np.ndarray, config: EncodeVideoStageConfig
) -> dict[str, np.ndarray]:
    """Encode all clips of an episode.

    Args:
        codec: frames to latents.
        tower: the first frame to tokens.
        frames: uint8 (t, h, w, 3).
        config: length and stride of clips.

    Returns:
        The arrays of :class:`paracosm.data.video_clips.VideoClipStore`; empty for a short episode.
    """
    length = 1 + (config.clip_latents - 1) * codec.frames_per_latent
    firsts = np.arange(0, max(0, len(frames) - length + 1), config.stride, dtype=np.int64)
    made: dict[str, list[np.ndarray]] = {"latents": [], "grey": [], "tokens": []}
    for begin in range(0, len(firsts), config.batch_size):
        clips = np.stack([frames[i : i + length] for i in firsts[begin : begin + config.batch_size]])
        pixels = to_pixels(torch.from_numpy(clips))
        parts = {
            "latents": encode_clip(codec, pixels),
            "grey": encode_grey(codec, pixels[:, :1], config.clip_latents),
            "tokens": tower(pixels[:, 0]),
        }
        for name, part in parts.items():
            made[name].append(part.float().numpy().astype(np.float16))
    if not len(firsts):
        return {"first": firsts, **{name: np.zeros((0, 1), np.float16) for name in made}}
    return {"first": firsts, **{name: np.concatenate(parts) for name, parts in made.items()}}
