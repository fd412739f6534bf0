"""Without torch the same tokens are filled in and masked again."""

import numpy as np
import pytest
import torch

from paracosm.models import masking
from paracosm.models.mask_schedule import count_masked, mask_levels
from paracosm.play.backends import array_masking

TOKENS, CODES, PASSES = 12, 30, 4


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_numpy_and_torch_choose_the_same_codes_and_masks(temperature: float) -> None:
    draws = np.random.default_rng(1).random((PASSES, TOKENS), np.float32)
    logits = np.random.default_rng(2).normal(size=(PASSES, TOKENS, CODES)).astype(np.float32) * 3
    here = array_masking.Masked.begin(CODES, draws)
    there = masking.MaskedFrame.begin(CODES, torch.from_numpy(draws)[:, None, None])
    levels = mask_levels(PASSES)
    for i in range(PASSES):
        made = array_masking.fill(here, logits[i], temperature)
        known = masking.fill(there, torch.from_numpy(logits[i])[None, None], temperature)
        assert np.array_equal(made.codes, known.codes[0, 0].numpy())
        np.testing.assert_allclose(made.confidence, known.confidence[0, 0].numpy(), atol=1e-5)
        if i + 1 < PASSES:
            here = array_masking.remask(CODES)(here, made, levels[i], levels[i + 1])
            there = masking.remask(CODES)(there, known, levels[i], levels[i + 1])
            assert np.array_equal(here.masked, there.masked[0, 0].numpy())
            assert np.array_equal(here.codes, there.codes[0, 0].numpy())


def test_each_pass_settles_a_token_and_leaves_one() -> None:
    assert count_masked(0.99, 12, 12) == 11
    assert count_masked(0.01, 12, 2) == 1
