"""An image-to-video model of the Wan family as the beginning of a world: text taken out, actions put in.

Its cross attention has two halves, one to the words and one to the picture's tokens. The words go; the
picture's keys and values stay. Action modules begin with last projections of zero, so that the first output
under any controls is the base's own. This file does NOT know training.

Source: Matrix-Game 2.0, 2508.13009, section 3.2: SkyReels-V2-I2V-1.3B without its text branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from paracosm.core.errors import DataError
from paracosm.models.dynamics_video import VideoDynamics, VideoDynamicsConfig

from .matrix_game2 import published_name
from .published import check_numbers

_TEXT = ("text_embedding.",)
_PICTURE = {".cross_attn.k_img.": ".cross_attn.k.", ".cross_attn.v_img.": ".cross_attn.v."}
_PICTURE_NORM = ".cross_attn.norm_k_img."
_WORDS = (".cross_attn.k.", ".cross_attn.v.", ".cross_attn.norm_k.")


def load_image_to_video(path: Path, config: VideoDynamicsConfig) -> VideoDynamics:
    """Begin a network from the weights of an image-to-video model.

    Args:
        path: one safetensors file in the published names of Wan 2.1.
        config: sizes of the network; all but its actions are the base's.

    Returns:
        The network, float32, whose action modules add nothing yet.

    Raises:
        DataError: when the file is damaged, lacks a tensor, or has one without a place or without finite
            numbers.
    """
    try:
        stored = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is corrupt or truncated ({error}); download it again") from error
    network = VideoDynamics(config)
    tensors = without_text(stored)
    state = network.state_dict()
    wanted = {name: published_name(name) for name in state if ".actions." not in name}
    missing = sorted(set(wanted.values()) - tensors.keys())
    unknown = sorted(tensors.keys() - set(wanted.values()))
    if missing or unknown:
        raise DataError(
            f"{path} lacks {missing[:3]} and has {unknown[:3]}, which has no place in the network; "
            "give an image-to-video model of the sizes in the config"
        )
    for name, theirs in wanted.items():
        if tensors[theirs].numel() != state[name].numel():
            raise DataError(
                f"{path}: {theirs} is {list(tensors[theirs].shape)}, {list(state[name].shape)} is needed; "
                "give an image-to-video model of the sizes in the config"
            )
    with torch.no_grad():
        for name, theirs in wanted.items():
            numbers = check_numbers(path, theirs, tensors[theirs])
            state[name].copy_(numbers.reshape(state[name].shape))
    return network


def without_text(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what reads words; the picture's keys and values take the place of theirs."""
    has_picture = any(part in name for name in stored for part in _PICTURE)
    made: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if name.startswith(_TEXT) or (has_picture and any(part in name for part in _WORDS)):
            continue
        for theirs, ours in _PICTURE.items():
            name = name.replace(theirs, ours)
        made[name.replace(_PICTURE_NORM, ".cross_attn.norm_k.")] = tensor
    return made
