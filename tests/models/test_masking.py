"""Masks: drawn a clip at a time, filled by confidence at temperature 1, never put back on settled tokens."""

import pytest
import torch

from paracosm.models.masking import MaskedFrame, corrupt, draw_mask, fill, remask

MASK, TOKENS = 5, 8


def test_each_clip_has_a_rate_of_its_own_in_the_range_and_first_frames_are_never_masked() -> None:
    mask = draw_mask((200, 5, 64), torch.Generator().manual_seed(0))
    assert not mask[:, 0].any()
    share = mask[:, 1:].float().mean((1, 2))
    assert 0.45 < float(share.min()) < 0.55
    assert 0.95 < float(share.max()) <= 1.0
    assert float(share.std()) == pytest.approx(0.5 / 12**0.5, abs=0.02)


def test_corruption_leaves_clips_alone_at_rate_nought_and_changes_some_above() -> None:
    codes = torch.zeros(50, 4, 16, dtype=torch.int64)
    assert torch.equal(corrupt(codes, 100, 0.0, torch.Generator().manual_seed(0)), codes)
    changed = (corrupt(codes, 100, 0.4, torch.Generator().manual_seed(0)) != 0).float().mean()
    assert 0.15 < float(changed) < 0.25


def begin(passes: int = 2, seed: int = 0) -> MaskedFrame:
    return MaskedFrame.begin(
        MASK, torch.rand(passes, 1, 1, TOKENS, generator=torch.Generator().manual_seed(seed))
    )


def test_sampling_follows_the_chances() -> None:
    chances = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25])
    draws = torch.rand(1, 1, 1, 20_000, generator=torch.Generator().manual_seed(0))
    frame = MaskedFrame.begin(MASK, draws)
    made = fill(frame, chances.log().expand(1, 1, 20_000, 5), 1.0)
    share = torch.bincount(made.codes.flatten(), minlength=5) / 20_000
    torch.testing.assert_close(share, chances, atol=0.01, rtol=0)


def test_confidence_is_that_of_temperature_1_whatever_the_sampling_takes() -> None:
    logits = torch.randn(1, 1, TOKENS, 5, generator=torch.Generator().manual_seed(1))
    for temperature in (0.0, 0.5, 2.0):
        made = fill(begin(), logits, temperature)
        expected = logits.log_softmax(-1).gather(-1, made.codes[..., None])[..., 0]
        torch.testing.assert_close(made.confidence, expected)


def test_the_least_confident_tokens_are_masked_again_and_settled_ones_stay() -> None:
    logits = torch.randn(1, 1, TOKENS, 5, generator=torch.Generator().manual_seed(1))
    first = begin(3)
    filled = fill(first, logits, 0.0)
    second = remask(MASK)(first, filled, 1.0, 0.6)
    assert int(second.masked.sum()) == 5  # 0.6 of 8 tokens, rounded up
    assert float(filled.confidence[second.masked].max()) <= float(filled.confidence[~second.masked].min())
    assert bool((second.codes[second.masked] == MASK).all())
    again = fill(second, -logits, 0.0)
    third = remask(MASK)(second, again, 0.6, 0.2)
    assert int(third.masked.sum()) == 2
    settled = ~second.masked
    assert torch.equal(third.codes[settled], filled.codes[settled])
    assert len(third.draws) == 1


def test_every_pass_settles_a_token_and_leaves_one_for_the_next() -> None:
    frame = begin(4)
    logits = torch.zeros(1, 1, TOKENS, 5)
    for level, lower, left in ((1.0, 0.99, 7), (0.99, 0.98, 6), (0.98, 0.001, 1)):
        frame = remask(MASK)(frame, fill(frame, logits, 1.0), level, lower)
        assert int(frame.masked.sum()) == left
