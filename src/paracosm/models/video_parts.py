"""The codec and the image tower of a streamed video world made anew at small sizes, and folders of both.

    PARTS/vae/              the picture codec, in the library's own format
    PARTS/image_encoder/    the image tower, in the library's own format

A converted world's folder is such a folder, too. This file does NOT know training.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.extras import need
from paracosm.core.files import file_hash

from .video_codec import EXTRA, ImageEncoder, VideoCodec

VAE, IMAGE_ENCODER = "vae", "image_encoder"
"""Folders of the two."""


@dataclass(frozen=True, kw_only=True)
class VideoCodecConfig:
    """Sizes of an autoencoder of the Wan 2.1 kind: 8 x 8 pixels and 4 frames become one latent position."""

    base_channels: int
    """channels at the size of the picture; published: 96"""
    latent_channels: int
    """numbers for each position of the latent grid; published: 16"""
    growth: tuple[int, ...]
    """channels at each size over those of the picture's, published: 1 2 4 4; four of them make a side of 8"""
    blocks: int
    """residual blocks at each size; published: 2"""

    def __post_init__(self) -> None:
        """Refuse another number of sizes."""
        if len(self.growth) != 4:
            raise ConfigError(
                f"growth {list(self.growth)} has {len(self.growth)} sizes; give four, e.g. 1 2 4 4, so that "
                "8 x 8 pixels become one position"
            )


@dataclass(frozen=True, kw_only=True)
class ImageTowerConfig:
    """Sizes of an image tower of CLIP's kind."""

    width: int
    """numbers of a token; published: 1280"""
    depth: int
    """layers, of which the last is not used; published: 32"""
    heads: int
    """attention heads; published: 16"""
    side: int
    """pixels a side that a picture is brought to; published: 224"""
    patch: int
    """pixels a side of a token; published: 14"""

    @property
    def num_tokens(self) -> int:
        """Tokens of a picture."""
        return (self.side // self.patch) ** 2 + 1


def make_codec(config: VideoCodecConfig) -> Any:
    """Make the library's autoencoder with first weights from torch's present stream.

    Raises:
        MissingPackageError: when diffusers is not installed.
    """
    return need("diffusers", EXTRA).AutoencoderKLWan(
        base_dim=config.base_channels,
        z_dim=config.latent_channels,
        dim_mult=list(config.growth),
        num_res_blocks=config.blocks,
        latents_mean=[0.0] * config.latent_channels,
        latents_std=[1.0] * config.latent_channels,
    )


def make_image_tower(config: ImageTowerConfig) -> Any:
    """Make the library's image tower with first weights from torch's present stream.

    Raises:
        MissingPackageError: when transformers is not installed.
    """
    transformers = need("transformers", EXTRA)
    return transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            image_size=config.side,
            patch_size=config.patch,
            hidden_act="gelu",
        )
    )


def load_parts(folder: Path) -> tuple[VideoCodec, ImageEncoder]:
    """Open the codec and the image tower of a folder.

    Raises:
        DataError: when one is missing or damaged.
        MissingPackageError: when diffusers or transformers is not installed.
    """
    return VideoCodec.load(folder / VAE), ImageEncoder.load(folder / IMAGE_ENCODER)


def parts_hash(folder: Path) -> str:
    """First 16 hex digits of a hash over the weights of both.

    Raises:
        DataError: when there are none.
    """
    files = sorted(path for part in (VAE, IMAGE_ENCODER) for path in (folder / part).glob("*.safetensors"))
    if not files:
        raise DataError(
            f"{folder} holds no weights in {VAE}/ and {IMAGE_ENCODER}/; give a converted world, or train "
            "a codec"
        )
    digest = hashlib.sha256("".join(file_hash(path) for path in files).encode())
    return digest.hexdigest()[:16]
