"""The tokenizer: shapes, scale, learning, refusals; its laws stand in tests/laws."""

from dataclasses import replace

import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.tokenizer_vae import TokenizerVAE
from tests import tiny


def pixels(num_frames: int = 3) -> torch.Tensor:
    shape = (2, num_frames, 3, tiny.HEIGHT, tiny.WIDTH)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("time_kernel", [1, 3])
@torch.no_grad()
def test_shapes_go_there_and_back(time_kernel: int) -> None:
    tokenizer = tiny.tokenizer(time_kernel)
    latents, _ = tokenizer.encode(pixels())
    assert latents.shape == (2, 3, 4, 4, 6)
    assert tokenizer.decode(latents)[0].shape == pixels().shape


@pytest.mark.parametrize("time_kernel", [1, 3])
def test_gradient_reaches_every_parameter(time_kernel: int) -> None:
    tokenizer = tiny.tokenizer(time_kernel)
    mean, log_variance = tokenizer.posterior(pixels())
    made, _ = tokenizer.decode(mean + log_variance)
    made.square().sum().backward()
    assert tiny.ungraded(tokenizer) == []


@torch.no_grad()
def test_a_measured_scale_makes_unit_latents_and_keeps_the_pictures() -> None:
    tokenizer, x = tiny.tokenizer(), pixels(40)
    before = tokenizer.decode(tokenizer.encode(x)[0])[0]
    raw, _ = tokenizer.posterior(x)
    axes = (0, 1, 3, 4)
    tokenizer.set_scale(raw.mean(axes), raw.std(axes))
    latents, _ = tokenizer.encode(x)
    torch.testing.assert_close(latents.mean(axes), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std(axes), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(tokenizer.decode(latents)[0], before, atol=1e-4, rtol=0)


def test_frames_become_pixels_and_back_to_the_same_bytes() -> None:
    frames = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16, 1).expand(1, 1, 16, 16, 3)
    assert to_pixels(frames).min() == -1.0
    assert to_pixels(frames).max() == 1.0
    assert torch.equal(to_frames(to_pixels(frames)), frames)


def test_pixels_beyond_the_range_are_clipped() -> None:
    assert to_frames(torch.full((1, 1, 3, 1, 1), 1.7)).unique().tolist() == [255]
    assert to_frames(torch.full((1, 1, 3, 1, 1), -9.0)).unique().tolist() == [0]


def test_the_state_belongs_to_time_layers_only() -> None:
    assert set(tiny.tokenizer(1).encode(pixels())[1]) == {None}
    assert all(part is not None for part in tiny.tokenizer(3).encode(pixels())[1])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"width": 22}, r"frames of 16 x 22 do not divide by 2 x stem = 4; choose another size or stem"),
        ({"time_kernel": 0}, r"time_kernel 0 is too small; use 1 for single frames or 2 and more"),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(changes: dict[str, int], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        TokenizerVAE(replace(tiny.tokenizer_config(), **changes))  # pyright: ignore[reportArgumentType]
