"""Matrix-Game 2.0's transformer: the published config and tensor names, and how they become ours.

Nothing of a file may stay unused and nothing may be missing: names go one to one. Patches are published as a
convolution and are a product here; the gains of the action modules' norms, which the published network never
applies, are kept as buffers that ours never applies either. This file does NOT know the picture codec, the
image encoder, or how worlds are played.

Source: Skywork/Matrix-Game-2.0, MIT; names and shapes as derived from the published configs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import read_json
from paracosm.models.action_module import ActionModuleConfig
from paracosm.models.base import save_tensors
from paracosm.models.dynamics_video import VideoDynamics, VideoDynamicsConfig

from .published import Settings, check_numbers
from .sampler import LATENTS_PER_BLOCK

PREFIX = "model."
"""Stands before every name in the distilled files, and not in the foundation model's."""
KEY_TENSOR = "patch_embedding.weight"
"""A tensor that every transformer of this family has: its file is known by it."""
CONTEXT_TENSOR = "img_emb.proj.0.weight"
"""A tensor whose length is the width of an image token, which the config does not tell."""
LARGEST_THETA = 1e9
"""Largest base of rotary frequencies that is taken for one."""
CONFIG_NAMES = ("config.json", "base_config.json")
"""How the config is called beside the weights; the second beside the foundation model."""

_OUTSIDE = {
    "patch_embedding": "enter",
    "time_embedding.0": "time.0",
    "time_embedding.2": "time.2",
    "time_projection.1": "time_vectors.1",
    "img_emb.proj.0": "context.0",
    "img_emb.proj.1": "context.1",
    "img_emb.proj.3": "context.3",
    "img_emb.proj.4": "context.4",
    "head.head": "head.leave",
    "head.modulation": "head.shifts",
}
_ATTENTION = {"q": "query", "k": "key", "v": "value", "o": "leave"}
_BLOCK = {
    "modulation": "shifts",
    **{f"self_attn.{theirs}": f"self_attention.{ours}" for theirs, ours in _ATTENTION.items()},
    "self_attn.norm_q.weight": "self_attention.query_gain",
    "self_attn.norm_k.weight": "self_attention.key_gain",
    **{f"cross_attn.{theirs}": f"cross.{ours}" for theirs, ours in _ATTENTION.items()},
    "cross_attn.norm_q.weight": "cross.query_gain",
    "cross_attn.norm_k.weight": "cross.key_gain",
    "norm3": "cross_norm",
    "ffn.0": "feed_forward.0",
    "ffn.2": "feed_forward.2",
    "action_model.mouse_mlp.0": "actions.mouse.mix.0",
    "action_model.mouse_mlp.2": "actions.mouse.mix.2",
    "action_model.mouse_mlp.3": "actions.mouse.mix.3",
    "action_model.t_qkv": "actions.mouse.enter",
    "action_model.proj_mouse": "actions.mouse.leave",
    "action_model.keyboard_embed.0": "actions.keyboard.embed.0",
    "action_model.keyboard_embed.2": "actions.keyboard.embed.2",
    "action_model.mouse_attn_q": "actions.keyboard.query",
    "action_model.keyboard_attn_kv": "actions.keyboard.enter",
    "action_model.proj_keyboard": "actions.keyboard.leave",
    "action_model.img_attn_q_norm.weight": "actions.mouse.unused_query_gain",
    "action_model.img_attn_k_norm.weight": "actions.mouse.unused_key_gain",
    "action_model.key_attn_q_norm.weight": "actions.keyboard.unused_query_gain",
    "action_model.key_attn_k_norm.weight": "actions.keyboard.unused_key_gain",
}
"""Their names to ours inside a block; endings .weight and .bias stay."""

_KNOWN_CONFIG = {
    "model_type": "i2v",
    "patch_size": [1, 2, 2],
    "qk_norm": True,
    "cross_attn_norm": True,
    "inject_sample_info": False,
    "window_size": [-1, -1],
    "eps": 1e-6,
}
"""Settings that this family may have and the one value that is built here."""
_IDLE_CONFIG = {"text_len", "text_dim", "_class_name", "_diffusers_version", "_name_or_path"}
"""Settings that change nothing in the network."""


def read_published_config(
    document: Mapping[str, Any], block: int = LATENTS_PER_BLOCK, context_width: int = 1280
) -> VideoDynamicsConfig:
    """Turn a published config.json into ours.

    Args:
        document: the file's JSON.
        block: latent frames made at once; the published file does not say.
        context_width: numbers of an image token; the published file does not say, its weights do.

    Raises:
        ConfigError: when a setting is missing, of another type, or has a value that is not built here.
    """
    settings = Settings(
        file="config.json", values=document, advice="give the config that was published with these weights"
    )
    settings.fixed(_KNOWN_CONFIG)
    settings.tell_unknown({*_CONFIG_KEYS, *_KNOWN_CONFIG, *_IDLE_CONFIG})
    actions = settings.inside("action_config")
    actions.fixed({"patch_size": [1, 2, 2], "qk_norm": True, "qkv_bias": False})
    width, out = settings.whole("dim"), settings.whole("out_dim")
    if actions.whole("img_hidden_size") != width:
        raise ConfigError(
            f"action_config.img_hidden_size {actions.values['img_hidden_size']} is not dim {width}; the "
            "action module adds to the same stream, so both must agree"
        )
    return VideoDynamicsConfig(
        latent_channels=out,
        condition_channels=settings.whole("in_dim", least=out + 1) - out,
        patch=2,
        width=width,
        depth=settings.whole("num_layers"),
        heads=settings.whole("num_heads"),
        hidden=settings.whole("ffn_dim"),
        time_width=settings.whole("freq_dim", least=2),
        context_width=context_width,
        block=block,
        window=max(0, settings.whole("local_attn_size", least=-1)),
        sink=settings.whole("sink_size", least=0, default=0),
        positions="window",
        action_layers=_read_action_layers(actions),
        actions=_read_actions(actions),
    )


_CONFIG_KEYS = {
    "dim",
    "num_layers",
    "num_heads",
    "ffn_dim",
    "freq_dim",
    "in_dim",
    "out_dim",
    "local_attn_size",
    "sink_size",
    "action_config",
}


def _read_action_layers(actions: Settings) -> tuple[int, ...]:
    """Blocks with an action module; a network without one would be offered keys that do nothing."""
    layers = actions.values.get("blocks")
    if layers == []:
        raise ConfigError(
            "config.json has action_config.blocks = []: no block has an action module, so keys and mouse "
            "would do nothing; such a base is what paracosm recipe matrix_game2.small --base FILE begins from"
        )
    layers = actions.wholes("blocks", least=0)
    if len(set(layers)) != len(layers):
        raise actions.refused("blocks", "every block at most once")
    return layers


def _read_actions(actions: Settings) -> ActionModuleConfig:
    has_mouse, has_keys = actions.truth("enable_mouse", True), actions.truth("enable_keyboard", True)
    if not has_mouse and not has_keys:
        raise ConfigError(
            "config.json has neither action_config.enable_mouse nor action_config.enable_keyboard; a world "
            "needs one of them: give the config that was published with these weights"
        )
    heads, turned = actions.whole("heads_num"), actions.wholes("rope_dim_list", least=0)
    if turned[0] % 2:
        raise actions.refused("rope_dim_list", "an even first number")
    keyboard_width = actions.whole("keyboard_hidden_dim")
    mouse_width = actions.whole("mouse_hidden_dim") if has_mouse else keyboard_width
    for key, width in (("keyboard_hidden_dim", keyboard_width), ("mouse_hidden_dim", mouse_width)):
        if width != heads * sum(turned):
            raise ConfigError(
                f"action_config.{key} {width} over {heads} heads is not rope_dim_list {list(turned)}, which "
                f"sums to {sum(turned)}; use {heads * sum(turned)}"
            )
    return ActionModuleConfig(
        keys=actions.whole("keyboard_dim_in") if has_keys else 0,
        mouse=actions.whole("mouse_dim_in") if has_mouse else 0,
        frames_per_latent=actions.whole("vae_time_compression_ratio"),
        window=actions.whole("windows_size"),
        heads=heads,
        keyboard_width=keyboard_width,
        mouse_width=mouse_width,
        embedding=actions.whole("hidden_size"),
        turned_pairs=turned[0] // 2,
        theta=actions.real("rope_theta", 1.0, LARGEST_THETA),
    )


def convert_network(folder: Path, out: Path, block: int = LATENTS_PER_BLOCK) -> VideoDynamics:
    """Turn a folder with config.json and one safetensors file into a model folder of ours.

    Args:
        folder: as published, e.g. base_distilled_model.
        out: model folder, an earlier one is replaced; numbers are stored in the type they came in.
        block: latent frames made at once.

    Returns:
        The network on the meta device, without weights.

    Raises:
        DataError: when a file is missing, truncated, or does not fit the config.
        ConfigError: when the config describes a network that is not built here.
    """
    path = next((folder / name for name in CONFIG_NAMES if (folder / name).is_file()), folder / "config.json")
    document, weights = read_json(path), find_weights(folder)
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no object; download it again")
    with torch.device("meta"):
        network = VideoDynamics(read_published_config(document, block, _context_width(weights)))
    save_tensors(network, read_published_weights(weights, network), out)
    return network


def _context_width(weights: Path) -> int:
    """Numbers of an image token, as the weights of its first norm say."""
    with _open(weights) as file:
        for name in (PREFIX + CONTEXT_TENSOR, CONTEXT_TENSOR):
            if name in file.keys():  # noqa: SIM118 (safe_open has no iterator)
                shape = file.get_slice(name).get_shape()
                if len(shape) != 1 or not shape[0]:
                    raise DataError(
                        f"{weights}: {name} is {list(shape)}, one row of numbers is needed: download it again"
                    )
                return shape[0]
    raise DataError(f"{weights} lacks {CONTEXT_TENSOR}; it is incomplete: download it again")


def published_name(ours: str) -> str:
    """Return the published name, without prefix, of one of our tensors."""
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)", ours)
    if found is None:
        table, start, name = _TO_OUTSIDE, "", ours
    else:
        table, start, name = _TO_BLOCK, f"blocks.{found[1]}.", found[2]
    if name in table:
        return start + table[name]
    stem, _, ending = name.rpartition(".")
    return f"{start}{table[stem]}.{ending}"


_TO_OUTSIDE = {ours: theirs for theirs, ours in _OUTSIDE.items()}
_TO_BLOCK = {ours: theirs for theirs, ours in _BLOCK.items()}


def published_shapes(network: VideoDynamics) -> dict[str, tuple[int, ...]]:
    """Names and shapes, without prefix, of every tensor of the published file of such a network."""
    config, shapes = network.config, {}
    for name, tensor in network.state_dict().items():
        shape = tuple(tensor.shape)
        if name == "enter.weight":
            shape = (config.width, config.latent_channels + config.condition_channels, 1, 2, 2)
        if name.endswith("shifts"):
            shape = (1, *shape)
        shapes[published_name(name)] = shape
    return shapes


def find_weights(folder: Path) -> Path:
    """Return the safetensors file of a folder that holds a transformer of this family.

    Raises:
        DataError: when there is none or more than one, or a file is truncated.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give the folder that holds config.json and the weights")
    found = []
    for path in sorted(folder.glob("*.safetensors")):
        with _open(path) as file:
            if any(name in (KEY_TENSOR, PREFIX + KEY_TENSOR) for name in file.keys()):  # noqa: SIM118
                found.append(path)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(
            f"{folder} holds {names} of the safetensors files with a {KEY_TENSOR}; exactly one is needed: "
            "give the folder of one variant, e.g. base_distilled_model"
        )
    return found[0]


def read_published_weights(path: Path, network: VideoDynamics) -> dict[str, Tensor]:
    """Read a published file as the tensors of our network, number types as stored.

    Args:
        path: the safetensors file.
        network: what they are for; the meta device suffices.

    Raises:
        DataError: when the file is truncated, or a tensor is missing, unknown, of another shape, or holds
            whole numbers or some that are not finite.
    """
    wanted = published_shapes(network)
    with _open(path) as file:
        stored = list(file.keys())
        prefix = PREFIX if PREFIX + KEY_TENSOR in stored else ""
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in stored}
        _check_names(path, shapes, {prefix + name: shape for name, shape in wanted.items()})
        state = network.state_dict()
        names = {ours: prefix + published_name(ours) for ours in state}
        return {
            ours: check_numbers(path, name, file.get_tensor(name)).reshape(state[ours].shape)
            for ours, name in names.items()
        }


def _check_names(
    path: Path, found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or unknown:
        raise DataError(
            f"{path} lacks {_some(missing)} and has unknown {_some(unknown)} beside its config.json; "
            "the two belong to different variants or the file is incomplete: download the pair again"
        )
    for name, shape in found.items():
        if shape != wanted[name]:
            raise DataError(
                f"{path}: {name} is {list(shape)}, config.json describes {list(wanted[name])}; "
                "the two belong to different variants: download the pair again"
            )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return (
        f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 3 else ", ".join(names) or "none"
    )


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is corrupt or truncated ({error}); download it again") from error
