"""A tokenizer of frames is inflated over time unchanged, and a decoder is tuned under a frozen encoder."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models.tokenizer_vae import TokenizerVAE, inflate
from paracosm.train.stages import tokenizer
from tests import tiny
from tests.shapes_world import record_shapes

from .instruct_stages import tokenizer_config


def test_an_inflated_tokenizer_agrees_with_its_frames_to_the_bit() -> None:
    flat, deep = tiny.tokenizer(), TokenizerVAE(tiny.tokenizer_config(3)).eval()
    inflate(flat, deep)
    pixels = torch.rand(2, 4, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        latents, _ = flat.encode(pixels)
        assert torch.equal(latents, deep.encode(pixels)[0])
        assert torch.equal(flat.decode(latents)[0], deep.decode(latents)[0])
    with pytest.raises(ConfigError, match="only time_kernel may differ, and the given one must have 1"):
        inflate(deep, TokenizerVAE(tiny.tokenizer_config(2)))


def test_a_tuned_decoder_learns_while_every_byte_of_the_encoder_stays(tmp_path: Path) -> None:
    record_shapes(tmp_path / "data")
    first = tokenizer.main(tokenizer_config(tmp_path, num_steps=2))
    config = tokenizer_config(tmp_path / "tuned", num_steps=4)
    config = replace(config, data=tmp_path / "data", initial=first, tune="decoder")
    before, after = (
        TokenizerVAE.load(first).state_dict(),
        TokenizerVAE.load(tokenizer.main(config)).state_dict(),
    )
    for name, value in before.items():
        same = value.numpy().tobytes() == after[name].numpy().tobytes()
        frozen = not name.startswith("decoder.")
        assert same == frozen or (not frozen and ".norm." in name), name
    with pytest.raises(ConfigError, match="tune decoder needs a tokenizer to tune; set initial"):
        tokenizer.TokenizerStage(replace(config, initial=None))


def test_a_stage_inflates_a_tokenizer_of_single_frames(tmp_path: Path) -> None:
    record_shapes(tmp_path / "data")
    first = tokenizer.main(tokenizer_config(tmp_path, num_steps=2))
    config = tokenizer_config(tmp_path / "deep", num_steps=2, time_kernel=2)
    stage = tokenizer.TokenizerStage(replace(config, data=tmp_path / "data", initial=first, clip_frames=3))
    deep = stage.networks["tokenizer"]
    assert isinstance(deep, TokenizerVAE)
    pixels = stage.batch(0, 0)
    with torch.no_grad():
        assert torch.equal(deep.eval().encode(pixels)[0], TokenizerVAE.load(first).encode(pixels)[0])
