"""Without torch the same tokens are filled in and masked again."""

import numpy as np
import pytest
import torch

from paracosm.models import masking
from paracosm.models.mask_schedule import count_masked, mask_levels
from paracosm.play.backends import array_masking

TOKENS, PASSES = 12, 4


@pytest.mark.parametrize("num_codes", [2, 30, 100, 1024])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 2.0])
def test_numpy_and_torch_choose_the_same_codes_and_masks(temperature: float, num_codes: int) -> None:
    draws = np.random.default_rng(1).random((PASSES, TOKENS), np.float32)
    logits = np.random.default_rng(2).normal(size=(PASSES, TOKENS, num_codes)).astype(np.float32) * 3
    here = array_masking.Masked.begin(num_codes, draws)
    there = masking.MaskedFrame.begin(num_codes, torch.from_numpy(draws)[:, None, None])
    levels = mask_levels(PASSES)
    for i in range(PASSES):
        made = array_masking.fill(here, logits[i], temperature)
        known = masking.fill(there, torch.from_numpy(logits[i])[None, None], temperature)
        assert np.array_equal(made.codes, known.codes[0, 0].numpy())
        np.testing.assert_allclose(made.confidence, known.confidence[0, 0].numpy(), atol=1e-5)
        if i + 1 < PASSES:
            here = array_masking.remask(num_codes)(here, made, levels[i], levels[i + 1])
            there = masking.remask(num_codes)(there, known, levels[i], levels[i + 1])
            assert np.array_equal(here.masked, there.masked[0, 0].numpy())
            assert np.array_equal(here.codes, there.codes[0, 0].numpy())


@pytest.mark.parametrize("num_codes", [1, 31, 32, 33, 700])
def test_a_code_is_drawn_as_a_running_sum_over_all_of_them_draws_it(num_codes: int) -> None:
    rng = np.random.default_rng(num_codes)
    weights = rng.random((200, num_codes)).astype(np.float32) ** 8
    weights[::3, : num_codes // 2] = 0  # whole runs of nothing
    weights[:, -1] += 1e-3
    draws = np.concatenate([[0.0, 1 - 2**-24], rng.random(198)])
    sums = weights.astype(np.float64).cumsum(1)
    expected = (sums <= (draws * sums[:, -1])[:, None]).sum(1)
    assert np.array_equal(array_masking.pick(weights, draws), expected)


def test_each_pass_settles_a_token_and_leaves_one() -> None:
    assert count_masked(0.99, 12, 12) == 11
    assert count_masked(0.01, 12, 2) == 1
