"""The published codec and image tower have a place for every tensor in the libraries' networks."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from paracosm.convert.wan_parts import (
    CLIP_NAMES,
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
    tiny_video.write_parts(tmp_path)
    for part, convert in (("vae", convert_codec), ("image_encoder", convert_image_encoder)):
        path = next((tmp_path / part).glob("*.safetensors"))
        tensors = load_file(path)
        tensors.pop(sorted(tensors)[0])
        save_file(tensors, path, metadata={"format": "pt"})
        with pytest.raises(DataError, match=r"lacks \['.*'\] and has unknown \[\]; it is incomplete"):
            convert(tmp_path / part, tmp_path / "out")


@pytest.mark.parametrize(
    "junk", [b"no pickle", b"\x80\x02\x8a\xff", b"PK\x03\x04", b"", b"\x80\x04K.", bytes(4)]
)
def test_a_damaged_pickle_is_refused(tmp_path, junk):
    tiny_video.need_parts()
    for name, convert in (("Wan2.1_VAE.pth", convert_codec), (CLIP_NAMES[1], convert_image_encoder)):
        (tmp_path / name).write_bytes(junk)
        with pytest.raises(
            DataError, match=f"{name} is corrupt or truncated, or holds more than .*; download"
        ):
            convert(tmp_path / name, tmp_path / "out")
    assert find_part([tmp_path], VAE_NAMES) == tmp_path / "Wan2.1_VAE.pth"


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ([1, 2], "holds list, tensors by name are needed: give the file published with the weights"),
        (torch.zeros(2), "holds Tensor, tensors by name are needed"),
        ({"state_dict": [1]}, "holds list, tensors by name are needed"),
        ({"encoder": "weights"}, "holds dict, tensors by name are needed"),
        ({0: torch.zeros(2)}, "holds dict, tensors by name are needed"),
    ],
)
def test_a_pickle_of_other_things_is_refused(tmp_path, held, text):
    tiny_video.need_parts()
    for name, convert in (("Wan2.1_VAE.pth", convert_codec), (CLIP_NAMES[1], convert_image_encoder)):
        torch.save(held, tmp_path / name)
        with pytest.raises(DataError, match=text):
            convert(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize(
    "tensors",
    [
        {"visual.pos_embedding": torch.tensor(1.0)},
        {"visual.transformer.0.attn.to_qkv.weight": torch.zeros(2, 2)},
        {"visual.transformer.0.attn.to_qkv.bias": torch.tensor(1.0)},
    ],
)
def test_an_image_tower_of_other_shapes_is_refused(tmp_path, tensors):
    tiny_video.need_parts()
    torch.save(tensors, tmp_path / CLIP_NAMES[1])
    with pytest.raises(DataError, match=r"has tensors of other names or shapes \(.*\); give the file publ"):
        convert_image_encoder(tmp_path / CLIP_NAMES[1], tmp_path / "out")


def test_parts_with_numbers_that_are_not_finite_are_refused(tmp_path):
    tiny_video.need_parts()
    tiny_video.write_parts(tmp_path)
    for part, convert in (("vae", convert_codec), ("image_encoder", convert_image_encoder)):
        path = next((tmp_path / part).glob("*.safetensors"))
        tensors = load_file(path)
        name, tensor = next(iter(tensors.items()))
        for other, text in (
            (torch.full_like(tensor, torch.nan), "holds a number that is not finite in float32"),
            (torch.ones(tensor.shape, dtype=torch.int64), "holds int64 numbers; weights are floating"),
        ):
            save_file(tensors | {name: other}, path, metadata={"format": "pt"})
            with pytest.raises(DataError, match=f"{part}/.*safetensors: {name} {text}"):
                convert(tmp_path / part, tmp_path / "out")


def test_a_part_that_is_no_folder_of_the_library_is_refused(tmp_path):
    tiny_video.need_parts()
    tiny_video.write_parts(tmp_path)
    for part, convert in (("vae", convert_codec), ("image_encoder", convert_image_encoder)):
        path = next((tmp_path / part).glob("*.safetensors"))
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(DataError, match=rf"{part} is corrupt, truncated or of another kind \("):
            convert(tmp_path / part, tmp_path / "out")
        for junk in ("[1]", "{", '{"hidden_size": "x", "z_dim": "x"}'):
            (tmp_path / part / "config.json").write_text(junk)
            with pytest.raises(DataError, match=rf"{part} is corrupt, truncated or of another kind \("):
                convert(tmp_path / part, tmp_path / "out")


@torch.inference_mode()
def test_the_image_encoder_gives_the_last_layer_but_one(tmp_path):
    tiny_video.need_parts()
    tiny_video.write_parts(tmp_path)
    convert_image_encoder(tmp_path / "image_encoder", tmp_path / "out")
    encoder = ImageEncoder.load(tmp_path / "out")
    tokens = encoder(torch.zeros(1, 3, 32, 48))
    assert tokens.shape == (1, 5, tiny_video.CONTEXT)
    assert encoder.width == tiny_video.CONTEXT
