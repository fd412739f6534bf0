"""A world begins from an image-to-video model: words gone, output unchanged under any controls."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from paracosm.convert.wan_base import load_image_to_video
from paracosm.core.errors import DataError
from tests import tiny_video


def base_checkpoint(config):
    """An image-to-video model: cross attention to words and to the picture, and a text embedding."""
    tensors = tiny_video.published_tensors(replace(config, action_layers=()))
    for i in range(config.depth):
        start = f"blocks.{i}.cross_attn."
        for kind in ("k", "v"):
            for ending in ("weight", "bias"):
                picture = tensors[f"{start}{kind}.{ending}"]
                tensors[f"{start}{kind}_img.{ending}"] = picture
                tensors[f"{start}{kind}.{ending}"] = torch.randn(picture.shape)
        tensors[f"{start}norm_k_img.weight"] = tensors[f"{start}norm_k.weight"]
        tensors[f"{start}norm_k.weight"] = torch.randn(config.width)
    tensors["text_embedding.0.weight"] = torch.randn(config.width, 8)
    return tensors


@torch.inference_mode()
def test_the_base_s_output_is_unchanged_at_step_0_under_any_controls(tmp_path):
    config = tiny_video.config(window=-1)
    save_file(base_checkpoint(config), tmp_path / "base.safetensors")
    network = load_image_to_video(tmp_path / "base.safetensors", config)
    # what the base computes from a picture alone: the same weights, no module for actions anywhere
    base = load_image_to_video(tmp_path / "base.safetensors", replace(config, action_layers=()))
    clean, given = tiny_video.clip_inputs(base, 6)
    levels = torch.rand(1, 6, generator=torch.Generator().manual_seed(0))
    expected = base(clean, levels, given)
    assert torch.equal(network(clean, levels, given), expected)
    other = replace(given, keyboard=1.0 - given.keyboard, mouse=given.mouse + 0.1)
    assert torch.equal(network(clean, levels, other), expected)


def test_the_words_are_gone_and_the_picture_s_keys_stay(tmp_path):
    config = tiny_video.config()
    tensors = base_checkpoint(config)
    save_file(tensors, tmp_path / "base.safetensors")
    network = load_image_to_video(tmp_path / "base.safetensors", config)
    assert torch.equal(network.blocks[1].cross.key.weight, tensors["blocks.1.cross_attn.k_img.weight"])
    assert torch.equal(network.blocks[0].cross.key_gain, tensors["blocks.0.cross_attn.norm_k_img.weight"])


def test_a_base_of_another_kind_is_refused(tmp_path):
    config = tiny_video.config()
    tensors = base_checkpoint(config)
    del tensors["head.head.bias"]
    tensors["camera.weight"] = torch.zeros(2)
    save_file(tensors, tmp_path / "base.safetensors")
    with pytest.raises(DataError, match=r"lacks \['head.head.bias'\] and has \['camera.weight'\]"):
        load_image_to_video(tmp_path / "base.safetensors", config)
    with pytest.raises(DataError, match=r"is corrupt or truncated .*; download it again"):
        load_image_to_video(tmp_path / "nothing.safetensors", config)
    tensors = base_checkpoint(config)
    tensors["head.head.bias"].fill_(torch.nan)
    save_file(tensors, tmp_path / "base.safetensors")
    with pytest.raises(DataError, match=r"head.head.bias holds a number that is not finite in float32"):
        load_image_to_video(tmp_path / "base.safetensors", config)
