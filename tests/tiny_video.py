"""Streamed video worlds of toy size: checkpoints in the published naming with random weights, and parts."""

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from paracosm.convert.matrix_game2 import published_shapes, read_published_config
from paracosm.core.rng import sub_seed
from paracosm.models.action_module import window_rows
from paracosm.models.dynamics_video import BlockInput, VideoDynamics, VideoDynamicsConfig

HEIGHT, WIDTH = 32, 48
CONTEXT = 32
LATENTS = 16


def published_config(
    *, keys: int = 4, mouse: int = 2, window: int = 6, sink: int = 0, frames_per_latent: int = 4
) -> dict[str, Any]:
    """A config.json as published, at toy size."""
    return {
        "_class_name": "CausalWanModel",
        "action_config": {
            "blocks": [0],
            "enable_keyboard": True,
            "enable_mouse": mouse > 0,
            "heads_num": 2,
            "hidden_size": 4,
            "img_hidden_size": 24,
            "keyboard_dim_in": keys,
            "keyboard_hidden_dim": 32,
            "mouse_dim_in": mouse,
            "mouse_hidden_dim": 32,
            "patch_size": [1, 2, 2],
            "qk_norm": True,
            "qkv_bias": False,
            "rope_dim_list": [8, 4, 4],
            "rope_theta": 256,
            "vae_time_compression_ratio": frames_per_latent,
            "windows_size": 3,
        },
        "dim": 24,
        "eps": 1e-06,
        "ffn_dim": 32,
        "freq_dim": 16,
        "in_dim": 2 * LATENTS + 4,
        "inject_sample_info": False,
        "local_attn_size": window,
        "model_type": "i2v",
        "num_heads": 2,
        "num_layers": 2,
        "out_dim": LATENTS,
        "sink_size": sink,
        "text_len": 512,
    }


def config(block: int = 3, **options: int) -> VideoDynamicsConfig:
    return read_published_config(published_config(**options), block, CONTEXT)


def network(config: VideoDynamicsConfig, dtype: torch.dtype = torch.float64) -> VideoDynamics:
    """Random weights that answer to everything; double precision, so that equal means equal."""
    model = VideoDynamics(config).to(dtype).eval()
    fill(model.state_dict(keep_vars=False))
    return model


def fill(tensors: Mapping[str, Tensor], seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(sub_seed(seed, "tiny video"))
    for tensor in tensors.values():
        drawn = torch.randn(tensor.shape, generator=generator)
        scale = tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.3
        tensor.copy_(drawn * scale + (1.0 if tensor.ndim == 1 and bool((tensor == 1).all()) else 0.0))


def published_tensors(config: VideoDynamicsConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = published_shapes(VideoDynamics(config))
    tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for name, tensor in tensors.items():
        if "norm" in name or name.startswith(("img_emb.proj.0.weight", "img_emb.proj.4.weight")):
            tensor.fill_(1.0 if name.endswith("weight") else 0.0)
    fill(tensors)
    return tensors


def write_checkpoint(folder: Path, *, prefix: str = "model.", block: int = 3, **options: int) -> Path:
    """A folder as it would be downloaded, the transformer alone."""
    folder.mkdir(parents=True)
    document = published_config(**options)
    (folder / "config.json").write_text(json.dumps(document))
    tensors = published_tensors(read_published_config(document, block, CONTEXT))
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, folder / "weights.safetensors")
    if block != 3:
        (folder / "pipeline.json").write_text(json.dumps({"num_frame_per_block": block}))
    return folder


def need_parts() -> None:
    """Skip, with the reason, where the libraries of codec and image encoder are not installed."""
    missing = [name for name in ("diffusers", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        reason = f'{" and ".join(missing)} not installed; run: pip install -e ".[weights]"'
        if os.environ.get("PARACOSM_TESTS_MUST_RUN"):
            pytest.fail(reason)
        pytest.skip(reason)


def write_parts(folder: Path) -> None:
    """Codec and image encoder beside it, in the libraries' formats."""
    import diffusers
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # noqa: TID251
        codec = diffusers.AutoencoderKLWan(base_dim=8, z_dim=LATENTS, num_res_blocks=1)
        clip = transformers.CLIPVisionModel(
            transformers.CLIPVisionConfig(
                hidden_size=CONTEXT,
                intermediate_size=48,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=28,
                patch_size=14,
                hidden_act="gelu",
            )
        )
    codec.save_pretrained(folder / "vae")
    clip.save_pretrained(folder / "image_encoder")


def clip_inputs(
    model: VideoDynamics, num_latents: int, *, batch: int = 1, rows: int = 4, columns: int = 6, seed: int = 0
) -> tuple[Tensor, BlockInput]:
    """Latents and everything else of a clip, for all its latent frames at once."""
    generator = torch.Generator().manual_seed(sub_seed(seed, "tiny clip"))
    config, dtype = model.config, model.enter.weight.dtype

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32).to(dtype)

    actions = config.actions
    index = torch.tensor(window_rows(0, num_latents, actions.rows, actions.frames_per_latent))
    controls = num_latents * actions.frames_per_latent + 1
    grid = (batch, num_latents)
    return draw(*grid, config.latent_channels, rows, columns), BlockInput(
        condition=draw(*grid, config.condition_channels, rows, columns),
        keyboard=(draw(batch, controls, actions.keys) > 0).to(dtype)[:, index],
        mouse=0.1 * draw(batch, controls, actions.mouse)[:, index],
        context=model.read_context(draw(batch, 5, config.context_width)),
    )


def part(given: BlockInput, frames: slice) -> BlockInput:
    """The inputs of some latent frames."""
    return replace(
        given,
        condition=given.condition[:, frames],
        keyboard=given.keyboard[:, frames],
        mouse=given.mouse[:, frames],
    )
