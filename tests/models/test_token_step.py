"""The functions that play's graphs are made from agree with the networks, at every frame of a full cache."""

from typing import Literal

import numpy as np
import pytest
import torch

from paracosm.models.token_step import (
    CodesCondition,
    CodesStep,
    CodesWrite,
    DecodeCodes,
    EncodeCodes,
    StackStep,
    empty_place,
    stack_sizes,
)
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.nn.quantize import FSQConfig
from paracosm.play.backends.ring import Entry, Ring
from tests import tiny_genie
from tests.tiny import perturb

TOLERANCE = 2e-5
"""float32: the same sums in another order, two layers deep."""
FRAMES = 6
"""Frames of a run: twice the window of the tiny networks, so that some are forgotten."""


class Past:
    """A ring, and what of it the functions take."""

    def __init__(self, run: StackStep) -> None:
        self.sizes = stack_sizes(run.stack)
        self.names = list(empty_place(run.stack))
        self.ring = Ring(type("Sizes", (), self.sizes)) if self.names else None  # pyright: ignore

    def place(self, index: int) -> list[torch.Tensor]:
        if self.ring is None:
            return []
        angle = np.remainder(index * np.array(self.sizes["frame_frequencies"]), 2 * np.pi).astype(np.float32)
        return [
            torch.from_numpy(part) for part in (angle, self.ring.mask, *self.ring.keys, *self.ring.values)
        ]

    def write(self, index: int, new: tuple[torch.Tensor, ...]) -> None:
        if self.ring is not None:
            keys, values = (part.numpy().copy() for part in new)
            self.ring.write(Entry(index=index, keys=keys, values=values, latents=keys, control=None))


@pytest.mark.parametrize("conditioning", ["add", "prepend", "film"])
@torch.inference_mode()
def test_a_pass_equals_the_step_of_the_dynamics(conditioning: Literal["add", "prepend", "film"]) -> None:
    dynamics = tiny_genie.dynamics(conditioning)
    condition, step, write = CodesCondition(dynamics), CodesStep(dynamics), CodesWrite(dynamics)
    cache = dynamics.empty_cache()
    past = Past(step.run)
    codes = tiny_genie.draw_codes(1, FRAMES, dynamics.config.tokens_per_frame)
    for t in range(FRAMES):
        action, known = torch.tensor([t % tiny_genie.ACTIONS]), torch.tensor([t > 0])
        masked = codes[t].clone()
        masked[::2] = dynamics.config.mask_code
        vectors = dynamics.action_vectors(action)[None]
        expected = dynamics.step(masked[None, None], vectors, known[None], cache)[0, 0]
        told = condition(action, known)
        made = step(masked, told, *past.place(t))[0]
        torch.testing.assert_close(made, expected, atol=TOLERANCE, rtol=TOLERANCE)
        cache = dynamics.write(codes[None, t : t + 1], vectors, known[None], cache)
        new = write(codes[t], told, *past.place(t))
        for one, other in zip(new, step(codes[t], told, *past.place(t))[1:], strict=True):
            assert torch.equal(one, other)
        past.write(t, new)


@pytest.mark.parametrize("attention", ["factorised", "joint", "space"])
@torch.inference_mode()
def test_codes_and_pictures_equal_those_of_the_tokenizer(
    attention: Literal["factorised", "joint", "space"],
) -> None:
    _compare(tiny_genie.tokenizer(attention))


@torch.inference_mode()
def test_a_grid_of_codes_is_read_and_drawn_alike() -> None:
    tokenizer = TokenizerVQ(tiny_genie.tokenizer_config(quantizer=FSQConfig(levels=(3, 4))))
    perturb(tokenizer)
    _compare(tokenizer.eval())


def _compare(tokenizer: TokenizerVQ) -> None:
    encode, decode = EncodeCodes(tokenizer), DecodeCodes(tokenizer)
    seen, shown = Past(encode.run), Past(decode.run)
    images = torch.randint(
        256,
        (FRAMES, tiny_genie.HEIGHT, tiny_genie.WIDTH, 3),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(3),
    )
    pixels = images.permute(0, 3, 1, 2).float()[None] / 127.5 - 1.0
    codes = tokenizer.encode(pixels)[0]
    drawn = tokenizer.decode(codes[None])[0]
    for t in range(FRAMES):
        found, *new = encode(images[t], *seen.place(t))
        seen.write(t, tuple(new))
        assert torch.equal(found, codes[t])
        image, *new = decode(codes[t], *shown.place(t))
        shown.write(t, tuple(new))
        expected = ((drawn[t].permute(1, 2, 0) + 1.0) * 127.5).clamp(0, 255)
        assert (image.float() - expected).abs().max() < 0.51
