"""The published codec and image tower have a place for every tensor in the libraries' networks."""

import json
from pathlib import Path

import pytest
import torch

from paracosm.convert.wan_parts import (
    VAE_NAMES,
    convert_codec,
    convert_image_encoder,
    find_part,
    image_tower_tensors,
)
from paracosm.core.errors import DataError
from paracosm.models.video_codec import ImageEncoder, VideoCodec
from tests import tiny_video

SUM_TOLERANCE = 1e-5
"""Pixels and latents of unit size: convolutions of one frame and of many may add in another order."""

PARTS = json.loads((Path(__file__).parent / "published_parts.json").read_text())
LAYERS = 32


def tower(layers: int, side: int = 1280) -> dict[str, torch.Tensor]:
    """The visual half as published, on the meta device."""
    shapes = {}
    for name, shape in PARTS["image_tower"].items():
        if name.startswith("transformer.0."):
            for i in range(layers):
                shapes[name.replace(".0.", f".{i}.", 1)] = shape
        else:
            shapes[name] = shape
    return {f"visual.{name}": torch.empty(shape, device="meta") for name, shape in shapes.items()}


def test_every_tensor_of_the_image_tower_has_its_place():
    tiny_video.need_parts()
    import transformers

    made = image_tower_tensors(
        tower(LAYERS) | {"textual.x": torch.zeros(1), "log_scale": torch.zeros(1)}, Path("x")
    )
    config = transformers.CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=LAYERS,
        num_attention_heads=16,
        patch_size=14,
    )
    with torch.device("meta"):
        wanted = transformers.CLIPVisionModel(config).state_dict()
    wanted = {name.removeprefix("vision_model."): part.shape for name, part in wanted.items()}
    assert {name: part.shape for name, part in made.items()} == {
        name: shape for name, shape in wanted.items() if not name.endswith("position_ids")
    }


def test_an_unknown_tensor_of_the_image_tower_is_named():
    with pytest.raises(DataError, match=r"has the unknown tensor visual.extra; give the file published"):
        image_tower_tensors({"visual.extra": torch.zeros(1)}, Path("clip.pth"))


def test_every_tensor_of_the_codec_has_its_place():
    tiny_video.need_parts()
    import diffusers
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    published = {name: torch.empty(shape, device="meta") for name, shape in PARTS["vae"].items()}
    made = convert_wan_vae_to_diffusers(published)
    with torch.device("meta"):
        wanted = diffusers.AutoencoderKLWan().state_dict()
    assert {name: part.shape for name, part in made.items()} == {
        name: part.shape for name, part in wanted.items()
    }


@torch.inference_mode()
def test_streamed_frames_equal_the_whole_clip(tmp_path):
    tiny_video.need_parts()
    tiny_video.write_parts(tmp_path)
    convert_codec(tmp_path / "vae", tmp_path / "out")
    codec = VideoCodec.load(tmp_path / "out")
    network = codec._network
    scale = torch.tensor(network.config.latents_std).view(1, -1, 1, 1, 1)
    mean = torch.tensor(network.config.latents_mean).view(1, -1, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 3, codec.channels, 2, 4, generator=generator)
    frames, state = [], codec.decoder_state
    for i in range(3):
        before = tuple(state)
        made, state = codec.decode(latents[:, i : i + 1], state)
        again, _ = codec.decode(latents[:, i : i + 1], before)
        assert torch.equal(made, again), "a state that was used must not have changed"
        frames.append(made)
    whole = network.decode(latents.transpose(1, 2) * scale + mean).sample.transpose(1, 2)
    assert [part.shape[1] for part in frames] == [1, 4, 4]
    torch.testing.assert_close(torch.cat(frames, 1), whole, atol=SUM_TOLERANCE, rtol=0)
    pixels = torch.rand(1, 9, 3, 16, 32, generator=generator) * 2 - 1
    parts, state = [], codec.encoder_state
    for first, last in ((0, 1), (1, 5), (5, 9)):
        made, state = codec.encode(pixels[:, first:last], state)
        parts.append(made)
    whole = (network.encode(pixels.transpose(1, 2)).latent_dist.mode() - mean) / scale
    torch.testing.assert_close(torch.cat(parts, 1), whole.transpose(1, 2), atol=SUM_TOLERANCE, rtol=0)


def test_parts_that_lack_tensors_are_refused(tmp_path):
    tiny_video.need_parts()
    from safetensors.torch import load_file, save_file

    tiny_video.write_parts(tmp_path)
    for part, convert in (("vae", convert_codec), ("image_encoder", convert_image_encoder)):
        path = next((tmp_path / part).glob("*.safetensors"))
        tensors = load_file(path)
        tensors.pop(sorted(tensors)[0])
        save_file(tensors, path, metadata={"format": "pt"})
        with pytest.raises(DataError, match=r"lacks \['.*'\] and has unknown \[\]; it is incomplete"):
            convert(tmp_path / part, tmp_path / "out")


def test_a_damaged_pickle_is_refused(tmp_path):
    tiny_video.need_parts()
    (tmp_path / "Wan2.1_VAE.pth").write_bytes(b"no pickle")
    assert find_part([tmp_path], VAE_NAMES) == tmp_path / "Wan2.1_VAE.pth"
    with pytest.raises(DataError, match=r"Wan2.1_VAE.pth is corrupt or truncated"):
        convert_codec(tmp_path / "Wan2.1_VAE.pth", tmp_path / "out")


@torch.inference_mode()
def test_the_image_encoder_gives_the_last_layer_but_one(tmp_path):
    tiny_video.need_parts()
    tiny_video.write_parts(tmp_path)
    convert_image_encoder(tmp_path / "image_encoder", tmp_path / "out")
    encoder = ImageEncoder.load(tmp_path / "out")
    tokens = encoder(torch.zeros(1, 3, 32, 48))
    assert tokens.shape == (1, 5, tiny_video.CONTEXT)
    assert encoder.width == tiny_video.CONTEXT
