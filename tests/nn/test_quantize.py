"""Codes: nearest or rounded, straight-through; a codebook follows its vectors and wakes dead codes."""

import pytest
import torch

from paracosm.nn.quantize import (
    FSQConfig,
    QuantizerConfig,
    VectorQuantizer,
    VQConfig,
    code_usage,
    make_quantizer,
)
from paracosm.train.first_weights import first_weights

CONFIGS = [VQConfig(codes=6, width=4), FSQConfig(levels=(3, 2, 4))]


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("config", CONFIGS)
def test_looking_codes_up_gives_the_quantized_vectors(config: QuantizerConfig) -> None:
    quantizer = make_quantizer(config)
    made = quantizer(draw(0, 2, 5, config.width))
    assert made.codes.dtype == torch.int64
    assert made.codes.shape == (2, 5)
    assert 0 <= int(made.codes.min()) <= int(made.codes.max()) < config.num_codes
    torch.testing.assert_close(quantizer.lookup(made.codes), made.vectors, atol=1e-6, rtol=0)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_gradient_goes_straight_through(config: QuantizerConfig) -> None:
    x = draw(0, 7, config.width).requires_grad_()
    weight = draw(1, 7, config.width)
    (make_quantizer(config)(x).vectors * weight).sum().backward()
    expected = weight if config.kind == "vq" else weight * (1 - x.detach().tanh().square())
    torch.testing.assert_close(x.grad, expected)


def test_a_grid_has_as_many_codes_as_its_levels_multiply_to_and_reaches_all() -> None:
    config = FSQConfig(levels=(3, 2, 4))
    quantizer = make_quantizer(config)
    codes = torch.arange(config.num_codes)
    vectors = quantizer.lookup(codes)
    assert len(vectors.unique(dim=0)) == 24
    assert float(vectors.abs().max()) == 1.0
    assert torch.equal(quantizer((0.999 * vectors).atanh()).codes, codes)


def test_a_vector_takes_the_nearest_code() -> None:
    quantizer = VectorQuantizer(VQConfig(codes=3, width=2))
    quantizer.codebook.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    made = quantizer(torch.tensor([[0.9, 0.1], [0.1, 0.8], [0.2, 0.2]]))
    assert made.codes.tolist() == [1, 2, 0]
    assert float(made.loss) == pytest.approx(0.25 * (0.02 + 0.05 + 0.08) / 6)


def test_the_codebook_finds_clusters_and_every_code_comes_to_use() -> None:
    # like k-means, some beginnings end with two codes in one cluster: the beginning is drawn by seed
    with first_weights(0, "codebook"):
        quantizer = VectorQuantizer(VQConfig(codes=4, width=2, decay=0.9, dead_steps=5))
    centres = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0], [0.0, -4.0]])
    generator = torch.Generator().manual_seed(0)
    for step in range(200):
        x = centres[torch.randint(4, (64,), generator=generator)] + 0.1 * draw(step, 64, 2)
        quantizer.update(x, quantizer(x).codes, generator)
    found = torch.cdist(centres, quantizer.codebook).min(1).values
    assert float(found.max()) < 0.1
    used, perplexity = code_usage(quantizer(centres).codes, 4)
    assert float(used) == 1.0
    assert float(perplexity) == pytest.approx(4.0)


def test_a_codebook_that_is_laid_anew_lies_where_vectors_are_and_keeps_to_them() -> None:
    quantizer = VectorQuantizer(VQConfig(codes=4, width=2))
    centres = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0], [0.0, -4.0]])
    x = (centres[:, None] + 0.1 * draw(0, 4, 50, 2)).reshape(2, 100, 2)
    quantizer.settle(x, torch.Generator().manual_seed(0))
    means = x.reshape(4, 50, 2).mean(1)
    assert float(torch.cdist(means, quantizer.codebook).min(1).values.max()) < 1e-5
    laid = quantizer.codebook.clone()
    quantizer.update(x, quantizer(x).codes, torch.Generator().manual_seed(0))
    torch.testing.assert_close(quantizer.codebook, laid)


def test_a_code_that_nobody_chooses_is_put_on_a_vector_of_the_batch() -> None:
    quantizer = VectorQuantizer(VQConfig(codes=2, width=2, dead_steps=3))
    generator = torch.Generator().manual_seed(0)
    quantizer.idle.zero_()
    quantizer.codebook.copy_(torch.tensor([[0.0, 0.0], [100.0, 100.0]]))
    x = 0.01 * draw(0, 8, 2) + 1.0
    for _ in range(2):
        quantizer.update(x, quantizer(x).codes, generator)
        assert quantizer.codebook[1].tolist() == [100.0, 100.0]
    quantizer.update(x, quantizer(x).codes, generator)
    assert any(torch.equal(quantizer.codebook[1], row) for row in x)


def test_quantizing_alone_changes_nothing() -> None:
    quantizer = VectorQuantizer(VQConfig(codes=6, width=4))
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(draw(0, 9, 4))
    for name, value in quantizer.state_dict().items():
        assert torch.equal(value, before[name]), name
