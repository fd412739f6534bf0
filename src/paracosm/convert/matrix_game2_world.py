"""A folder of Matrix-Game 2.0 weights to a world that plays: all of it, or the transformer alone.

This file does NOT know tensor names; ``matrix_game2`` and ``wan_parts`` do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from paracosm.core.config import save_config
from paracosm.core.errors import DataError
from paracosm.core.files import refuse_overlap, whole_folder
from paracosm.core.video_spec import (
    FORMAT_VERSION,
    VideoParts,
    VideoPlay,
    VideoWorldSpec,
    save_pictures,
)
from paracosm.core.world_spec import Part
from paracosm.models.base import weights_hash
from paracosm.models.video_codec import ImageEncoder, VideoCodec
from paracosm.models.video_player import VideoPlayer, check_picture_size

from .matrix_game2 import CONFIG_NAMES, convert_network
from .sampler import PublishedSampler, read_sampler
from .variants import FPS, SOURCE, VARIANTS, Variant, find_variant
from .wan_parts import (
    CLIP_NAMES,
    VAE_NAMES,
    convert_codec,
    convert_image_encoder,
    find_part,
)

logger = logging.getLogger(__name__)

PIXELS_PER_TOKEN = 16
"""Side of a token in pixels: eight for a latent position, two positions for a token."""


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """What to convert."""

    source: Path
    """folder with config.json and one safetensors file, or the folder that holds all variants"""
    out: Path
    """folder of the world; one that was converted before is replaced, any other must be empty"""
    variant: Literal["auto", "universal", "gta_drive", "templerun", "foundation"] = "auto"
    """which variant it is; auto looks at its config"""
    height: int = 352
    """rows of a frame in pixels"""
    width: int = 640
    """columns of a frame in pixels"""
    steps: tuple[int, ...] = ()
    """denoising steps of 1,000, falling from 1000; () takes the variant's own"""
    starts: tuple[Path, ...] = ()
    """pictures to begin from, cut to the size; without one a plain landscape is drawn"""


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What was made.

    Attributes:
        variant: name of the variant, or "custom".
        tensors: tensors of the transformer.
        parameters: numbers in them.
        missing: parts that were not found, so that the folder does not play yet; () for a whole world.
    """

    variant: str
    tensors: int
    parameters: int
    missing: tuple[str, ...]


def convert_matrix_game2(config: ConvertConfig) -> Converted:
    """Write a world's folder, or, when codec or image encoder are not at hand, its transformer alone.

    Raises:
        DataError: when a file is missing, truncated or does not fit, or ``out`` holds, is or lies in what is
            read, or is a folder that was not converted before.
        ConfigError: when the config describes another network, or another variant than was asked for.
        MissingPackageError: when diffusers or transformers is needed and not installed.
    """
    check_picture_size(config.height, config.width, PIXELS_PER_TOKEN)
    source = _find_source(config)
    sampler = read_sampler(source)
    sampler = replace(sampler, steps=config.steps or sampler.steps)
    parts = {
        "vae": find_part((source, source.parent), VAE_NAMES),
        "image encoder": find_part((source, source.parent), CLIP_NAMES),
    }
    read = (config.source, source, *config.starts, *(path for path in parts.values() if path is not None))
    refuse_overlap(config.out, read)
    with whole_folder(config.out, _mark(config.out)) as partial:
        network = convert_network(source, partial / "dynamics", sampler.block)
        name, variant = find_variant(config.variant, network.config.actions, network.config.window)
        missing = tuple(what for what, path in parts.items() if path is None)
        if not missing and network.config.window:
            assert parts["vae"] is not None, parts
            assert parts["image encoder"] is not None, parts
            convert_codec(parts["vae"], partial / "vae")
            convert_image_encoder(parts["image encoder"], partial / "image_encoder")
            # putting the parts together proves that they fit; the transformer's weights are not needed
            codec = VideoCodec.load(partial / "vae")
            encoder = ImageEncoder.load(partial / "image_encoder")
            VideoPlayer(network, codec, encoder, config.height, config.width)
            _write_world(config, partial, name, variant, sampler)
    state = network.state_dict()
    return Converted(
        variant=name,
        tensors=len(state),
        parameters=sum(tensor.numel() for tensor in state.values()),
        missing=missing if network.config.window else ("window of play",),
    )


def _mark(out: Path) -> str:
    """The file by which an earlier conversion is known: a transformer alone lies there without a world."""
    return "dynamics/config.json" if list(out.glob("*")) == [out / "dynamics"] else "world.json"


def _write_world(
    config: ConvertConfig, folder: Path, name: str, variant: Variant, sampler: PublishedSampler
) -> None:
    parts = VideoParts(
        dynamics=Part(folder="dynamics", weights=weights_hash(folder / "dynamics")),
        vae=Part(folder="vae", weights=""),
        image_encoder=Part(folder="image_encoder", weights=""),
    )
    spec = VideoWorldSpec(
        kind="video",
        format_version=FORMAT_VERSION,
        name=name,
        description=variant.description,
        fps=FPS,
        height=config.height,
        width=config.width,
        controls=variant.controls,
        actions=variant.actions,
        parts=parts,
        play=VideoPlay(levels=sampler.levels(variant.steps), context_level=sampler.context_level),
        starts="starts.safetensors",
        source=SOURCE,
    )
    pictures = [read_picture(path, config.height, config.width) for path in config.starts]
    save_pictures(pictures or [draw_landscape(config.height, config.width)], folder / spec.starts)
    save_config(spec, folder / "world.json")


def _find_source(config: ConvertConfig) -> Path:
    """The folder of one variant: the one given, or the variant's inside it."""
    source = config.source
    if not source.is_dir():
        raise DataError(f"{source} is no folder; give the folder that holds config.json and the weights")
    if any((source / name).is_file() for name in CONFIG_NAMES):
        return source
    here = {name: source / variant.folder for name, variant in VARIANTS.items()}
    here = {name: folder for name, folder in here.items() if folder.is_dir()}
    if config.variant in here:
        return here[config.variant]
    if config.variant == "auto" and len(here) == 1:
        return next(iter(here.values()))
    raise DataError(
        f"{source} holds no config.json, and the variants {', '.join(here) or 'none'}; "
        "give the folder of one variant, or --variant with one of those"
    )


def read_picture(path: Path, height: int, width: int) -> np.ndarray:
    """Read a picture and cut it to the size from its middle, uint8 (h, w, 3).

    Raises:
        DataError: when it is missing or no picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
            return np.asarray(fitted, np.uint8)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no picture ({error}); give a PNG or JPEG file") from error


def draw_landscape(height: int, width: int) -> np.ndarray:
    """Draw a plain scene to begin from: sky, sun, hills, a road; uint8 (h, w, 3)."""
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = row / height, column / width - 0.5
    horizon = 0.5 + 0.04 * np.sin(x * 9.0) + 0.02 * np.sin(x * 23.0)
    sky = np.stack([90 + 130 * y, 140 + 100 * y, 220 + 20 * y], -1)
    depth = np.clip((y - horizon) / 0.5, 0.02, 1.0)
    ground = np.stack([70 + 60 * depth, 105 + 50 * depth, 45 + 30 * depth], -1)
    ground *= (0.92 + 0.08 * np.sign(np.sin(2.0 / depth)))[..., None]
    road = np.abs(x) < 0.03 + 0.3 * depth
    ground[road] = (np.array([118, 114, 108]) * (0.8 + 0.2 * depth[..., None]))[road]
    picture = np.where((y < horizon)[..., None], sky, ground)
    sun = (x - 0.25) ** 2 * (width / height) ** 2 + (y - 0.18) ** 2 < 0.003
    picture[sun] = (255, 244, 200)
    return np.clip(picture, 0, 255).astype(np.uint8)
