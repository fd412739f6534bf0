"""Wan 2.1's picture codec and CLIP's image tower, as published or as the libraries keep them.

Both are read to the last tensor and written in the libraries' own formats. The text half of the CLIP file is
known and left out: nothing in play reads text. This file does NOT know the transformer.

Source: Wan-AI/Wan2.1, Apache-2.0; laion CLIP ViT-H/14, MIT; names as published with Matrix-Game 2.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.models.video_codec import EXTRA

from .published import check_numbers

VAE_NAMES = ("vae", "Wan2.1_VAE.pth")
"""A folder in the library's format, or the published file; in this order of preference."""
CLIP_NAMES = ("image_encoder", "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth")
"""As VAE_NAMES, for the image tower."""
_TEXT = ("textual.", "log_scale", "text_model.", "text_projection", "logit_scale", "visual_projection")
"""Beginnings of names that belong to the text half, or join both halves."""


def find_part(folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    """Return the first of these names that one of the folders holds."""
    return next((folder / name for folder in folders for name in names if (folder / name).exists()), None)


def convert_codec(source: Path, out: Path) -> None:
    """Write the picture codec in the library's format.

    Raises:
        DataError: when a tensor is missing, unknown, of another shape or holds no finite numbers, or the
            file is damaged.
        MissingPackageError: when diffusers is not installed.
    """
    diffusers = need("diffusers", EXTRA)
    if source.is_dir():
        network, info = _from_folder(diffusers.AutoencoderKLWan, source, low_cpu_mem_usage=False)
        _refuse(source, info["missing_keys"], info["unexpected_keys"])
    else:
        names = need("diffusers.loaders.single_file_utils", EXTRA)
        tensors = _renamed(names.convert_wan_vae_to_diffusers, source)
        network = diffusers.AutoencoderKLWan()
        _fill(network, tensors, source)
    network.save_pretrained(out)


def convert_image_encoder(source: Path, out: Path) -> None:
    """Write the image tower in the library's format.

    Raises:
        DataError: when a tensor is missing, unknown, of another shape or holds no finite numbers, or the
            file is damaged.
        MissingPackageError: when transformers is not installed.
    """
    transformers = need("transformers", EXTRA)
    if source.is_dir():
        network, info = _from_folder(transformers.CLIPVisionModel, source)
        unknown = [name for name in info["unexpected_keys"] if not name.startswith(_TEXT)]
        _refuse(source, info["missing_keys"], unknown)
    else:
        tensors = _renamed(partial(image_tower_tensors, source=source), source)
        config = transformers.CLIPVisionConfig(
            hidden_size=1280,
            intermediate_size=5120,
            num_hidden_layers=32,
            num_attention_heads=16,
            image_size=224,
            patch_size=14,
            hidden_act="gelu",
            projection_dim=1024,
        )
        network = transformers.CLIPVisionModel(config)
        prefix = "vision_model." if any(n.startswith("vision_model.") for n in network.state_dict()) else ""
        _fill(network, {prefix + name: tensor for name, tensor in tensors.items()}, source)
    network.save_pretrained(out)


_LAYER = {
    "norm1": "layer_norm1",
    "attn.proj": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}


def image_tower_tensors(published: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Rename the visual half of the published CLIP file to the library's names.

    Raises:
        DataError: for a name that is neither known nor of the text half.
    """
    made: dict[str, Tensor] = {}
    for name, tensor in published.items():
        if name.startswith(_TEXT) or name == "visual.head":  # the projection to text space is not used
            continue
        layer = re.fullmatch(r"visual\.transformer\.(\d+)\.(.+)\.(weight|bias)", name)
        if name == "visual.cls_embedding":
            made["embeddings.class_embedding"] = tensor.flatten()
        elif name == "visual.pos_embedding":
            made["embeddings.position_embedding.weight"] = tensor[0]
        elif name == "visual.patch_embedding.weight":
            made["embeddings.patch_embedding.weight"] = tensor
        elif name.startswith("visual.pre_norm."):
            made[name.replace("visual.pre_norm", "pre_layrnorm")] = tensor  # the library's own spelling
        elif name.startswith("visual.post_norm."):
            made[name.replace("visual.post_norm", "post_layernorm")] = tensor
        elif layer is not None and layer[2] == "attn.to_qkv":
            for part, share in zip("qkv", tensor.chunk(3), strict=True):
                made[f"encoder.layers.{layer[1]}.self_attn.{part}_proj.{layer[3]}"] = share.clone()
        elif layer is not None and layer[2] in _LAYER:
            made[f"encoder.layers.{layer[1]}.{_LAYER[layer[2]]}.{layer[3]}"] = tensor
        else:
            raise DataError(
                f"{source} has the unknown tensor {name}; give the file published with the weights"
            )
    return made


def _from_folder(cls: Any, source: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    try:
        for path in sorted(source.glob("*.safetensors")):
            _check_file(path)
        network, info = cls.from_pretrained(source, output_loading_info=True, **options)
    except DataError:
        raise
    except Exception as error:  # the libraries say in as many ways what they cannot read
        said = " ".join(str(error).split())
        raise DataError(
            f"{source} is corrupt, truncated or of another kind ({said}); download it again"
        ) from error
    return network, info


def _check_file(path: Path) -> None:
    """Refuse numbers that are no weights; the libraries would turn some of them into weights unasked."""
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (safe_open has no iterator)
            if not name.startswith(_TEXT) and not name.endswith("position_ids"):
                check_numbers(path, name, file.get_tensor(name))


def _renamed(rename: Callable[[dict[str, Tensor]], dict[str, Tensor]], source: Path) -> dict[str, Tensor]:
    """Read a published file and give its tensors the library's names."""
    tensors = _read_pickle(source)
    try:
        return rename(tensors)
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{source} has tensors of other names or shapes ({error}); "
            "give the file published with the weights"
        ) from error


def _fill(network: torch.nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    wanted = network.state_dict()
    # positions are counted by the library, not learnt
    wanted = {name: tensor for name, tensor in wanted.items() if not name.endswith("position_ids")}
    _refuse(source, wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys())
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise DataError(
                f"{source}: {name} is {list(tensor.shape)}, {list(wanted[name].shape)} is needed; "
                "download it again"
            )
        check_numbers(source, name, tensor)
    network.load_state_dict(dict(tensors), strict=False)


def _refuse(source: Path, missing: Any, unknown: Any) -> None:
    if missing or unknown:
        raise DataError(
            f"{source} lacks {sorted(missing)[:3]} and has unknown {sorted(unknown)[:3]}; "
            "it is incomplete or of another kind: download it again"
        )


def _read_pickle(source: Path) -> dict[str, Tensor]:
    try:
        # weights_only: a file from elsewhere may hold tensors and nothing that runs
        read = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no pickle fail in whatever way they lead to
        # torch's own text is long and advises to run what the file holds
        raise DataError(
            f"{source} is corrupt or truncated, or holds more than tensors ({type(error).__name__}); "
            "download it again"
        ) from error
    held = read.get("state_dict", read) if isinstance(read, dict) else read
    if not isinstance(held, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in held.items()
    ):
        raise DataError(
            f"{source} holds {type(held).__name__}, tensors by name are needed: "
            "give the file published with the weights"
        )
    return held
