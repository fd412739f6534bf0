"""A streamed video world put together from its networks, saved as one folder that plays.

This file does NOT know how frames are made in play, nor how the networks were trained.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paracosm.core.config import save_config
from paracosm.core.controls import ControlSpace
from paracosm.core.files import whole_folder
from paracosm.core.video_spec import (
    FORMAT_VERSION,
    ActionMap,
    VideoParts,
    VideoPlay,
    VideoWorldSpec,
    check_pictures,
    save_pictures,
)
from paracosm.core.world_spec import Part

from .base import weights_hash
from .dynamics_video import VideoDynamics
from .video_parts import IMAGE_ENCODER, VAE, load_parts
from .video_player import VideoPlayer


def build_video_world(
    folder: Path,
    *,
    dynamics: Path,
    parts: Path,
    starts: Sequence[np.ndarray],
    name: str,
    description: str,
    fps: float,
    controls: ControlSpace,
    actions: ActionMap,
    play: VideoPlay,
    source: str = "",
) -> VideoWorldSpec:
    """Write a world folder; it appears whole or not at all.

    Args:
        folder: an earlier one is replaced as a whole.
        dynamics: folder of the transformer, which has a window.
        parts: folder with vae/ and image_encoder/.
        starts: pictures to begin from, uint8 (h, w, 3), of one size: that of the world.
        name: short name.
        description: one or two sentences for people.
        fps: steps a second at the world's own pace.
        controls: what the player may do.
        actions: what that is in the network's numbers.
        play: passes and guidance.
        source: where weights that were not trained here come from, and their licence.

    Returns:
        What world.json now holds.

    Raises:
        ConfigError: when the parts or the picture's size do not fit each other.
        DataError: when a part is missing, or the disk is full.
        MissingPackageError: when diffusers or transformers is not installed.
    """
    height, width = starts[0].shape[:2]
    check_pictures(np.stack(starts), height, width, name)
    network = VideoDynamics.load(dynamics)
    network.empty_cache(network.config.patch, network.config.patch)  # refuses a network of whole clips
    VideoPlayer(network, *load_parts(parts), height, width)  # refuses networks that do not fit
    with whole_folder(folder, "world.json") as partial:
        network.save(partial / "dynamics")
        for part in (VAE, IMAGE_ENCODER):
            shutil.copytree(parts / part, partial / part)
        spec = VideoWorldSpec(
            kind="video",
            format_version=FORMAT_VERSION,
            name=name,
            description=description,
            fps=fps,
            height=height,
            width=width,
            controls=controls,
            actions=actions,
            parts=VideoParts(
                dynamics=Part(folder="dynamics", weights=weights_hash(partial / "dynamics")),
                vae=Part(folder=VAE, weights=""),
                image_encoder=Part(folder=IMAGE_ENCODER, weights=""),
            ),
            play=play,
            starts="starts.safetensors",
            source=source,
        )
        save_pictures(starts, partial / spec.starts)
        save_config(spec, partial / "world.json")
    return spec
