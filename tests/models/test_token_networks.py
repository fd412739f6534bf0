"""Tokenizer, latent actions, masked dynamics: causal, streamed equals whole, and every parameter learns."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models.latent_actions import LatentActions, PixelInput
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.nn.space_time import AnyAttention
from tests import tiny_genie
from tests.tiny import ungraded
from tests.tiny_genie import ACTION_WIDTH, COLUMNS, HEIGHT, ROWS, WIDTH, draw, draw_codes

ROUNDING = 2e-5
"""float32 sums of a few dozen products in another order, through two layers."""
FRAMES = 9
TOKENS = ROWS * COLUMNS
KNOWN = torch.arange(FRAMES)[None].expand(2, -1) > 0

attentions = pytest.mark.parametrize("attention", ["factorised", "joint", "space"])
conditionings = pytest.mark.parametrize("conditioning", ["add", "prepend", "film"])


@attentions
@torch.no_grad()
def test_a_streamed_tokenizer_equals_the_whole_clip_also_after_eviction(attention: AnyAttention) -> None:
    tokenizer = tiny_genie.tokenizer(attention)
    pixels = draw(0, 2, FRAMES, 3, HEIGHT, WIDTH)
    codes = tokenizer.encode(pixels)
    picture = tokenizer.decode(codes)
    encoder, decoder = tokenizer.encoder_cache(2), tokenizer.decoder_cache(2)
    for t in range(FRAMES):
        made, encoder = tokenizer.encode_frame(pixels[:, t : t + 1], encoder)
        assert torch.equal(made, codes[:, t : t + 1])
        shown, decoder = tokenizer.decode_frame(made, decoder)
        torch.testing.assert_close(shown, picture[:, t : t + 1], atol=ROUNDING, rtol=0)


@attentions
@torch.no_grad()
def test_no_frame_of_a_tokenizer_sees_a_later_one(attention: AnyAttention) -> None:
    tokenizer = tiny_genie.tokenizer(attention)
    pixels = draw(0, 1, FRAMES, 3, HEIGHT, WIDTH)
    other = torch.cat([pixels[:, :5], draw(1, 1, FRAMES - 5, 3, HEIGHT, WIDTH)], 1)
    torch.testing.assert_close(tokenizer(pixels)[0][:, :5], tokenizer(other)[0][:, :5], atol=ROUNDING, rtol=0)
    assert not torch.allclose(tokenizer(pixels)[0][:, 5:], tokenizer(other)[0][:, 5:])


@torch.no_grad()
def test_a_tokenizer_in_space_alone_keeps_frames_apart() -> None:
    pixels = draw(0, 1, 4, 3, HEIGHT, WIDTH)
    changed = pixels.clone()
    changed[:, 0] += 1.0
    codes = [tiny_genie.tokenizer("space").encode(x)[:, 1:] for x in (pixels, changed)]
    assert torch.equal(*codes)


def test_gradients_reach_every_parameter_of_the_tokenizer() -> None:
    tokenizer = tiny_genie.tokenizer()
    made, _, quantized = tokenizer(draw(0, 2, 5, 3, HEIGHT, WIDTH))
    (made.square().mean() + quantized.loss).backward()
    assert ungraded(tokenizer) == []


@pytest.mark.parametrize("kind", ["pixels", "codes"])
def test_gradients_reach_every_parameter_of_the_latent_actions(kind: Literal["pixels", "codes"]) -> None:
    model = tiny_genie.latent_actions(kind)
    frames = draw(0, 2, 5, 3, HEIGHT, WIDTH) if kind == "pixels" else draw_codes(0, 2, 5, TOKENS)
    made, vectors, quantized = model(frames)
    assert made.shape == ((2, 4, 3, HEIGHT, WIDTH) if kind == "pixels" else (2, 4, TOKENS, tiny_genie.CODES))
    assert vectors.shape == (2, 4, ACTION_WIDTH)
    (made.square().mean() + quantized.loss).backward()
    assert ungraded(model) == []


@pytest.mark.parametrize("kind", ["pixels", "codes"])
@torch.no_grad()
def test_a_latent_action_sees_the_next_frame_and_none_after(kind: Literal["pixels", "codes"]) -> None:
    model = tiny_genie.latent_actions(kind)
    shape = (1, FRAMES, 3, HEIGHT, WIDTH) if kind == "pixels" else (1, FRAMES, TOKENS)
    make = draw if kind == "pixels" else draw_codes
    frames, other = make(0, *shape), make(1, *shape)
    other[:, :6] = frames[:, :6]
    _, vectors, _ = model(frames)
    _, changed, _ = model(other)
    torch.testing.assert_close(vectors[:, :5], changed[:, :5], atol=ROUNDING, rtol=0)
    assert not torch.allclose(vectors[:, 5], changed[:, 5])


@torch.no_grad()
def test_the_drawn_frame_sees_the_past_and_its_action_and_not_the_frame_itself() -> None:
    model = tiny_genie.latent_actions()
    past, actions = draw(0, 1, 5, 3, HEIGHT, WIDTH), draw(1, 1, 5, ACTION_WIDTH)
    made = model.draw(past, actions)
    later, other = past.clone(), actions.clone()
    later[:, 3:] += 1.0
    other[:, 3:] += 1.0
    torch.testing.assert_close(model.draw(later, other)[:, :3], made[:, :3], atol=ROUNDING, rtol=0)
    assert not torch.allclose(model.draw(past, other)[:, 3], made[:, 3])


@pytest.mark.parametrize("changes", [False, True])
@torch.no_grad()
def test_an_action_of_three_steps_draws_the_third_frame_ahead_and_sees_none_after_it(changes: bool) -> None:
    model = tiny_genie.latent_actions(span=3, changes=changes)
    frames = draw(0, 1, FRAMES, 3, HEIGHT, WIDTH)
    made, vectors, quantized = model(frames)
    assert made.shape == (1, FRAMES - 3, 3, HEIGHT, WIDTH)
    other = torch.cat([frames[:, :6], draw(1, 1, FRAMES - 6, 3, HEIGHT, WIDTH)], 1)
    _, changed, _ = model(other)
    torch.testing.assert_close(vectors[:, :3], changed[:, :3], atol=ROUNDING, rtol=0)
    assert not torch.allclose(vectors[:, 3], changed[:, 3])
    found = model.infer(frames)
    assert found.shape == (1, FRAMES - 1)
    assert torch.equal(found[:, : FRAMES - 3], quantized.codes)
    assert (found[:, FRAMES - 3 :] == found[:, FRAMES - 4, None]).all()


@torch.no_grad()
def test_tokens_that_see_changes_tell_the_frame_before_apart_without_attention() -> None:
    model = tiny_genie.latent_actions(changes=True)
    frames = draw(0, 1, 2, 3, HEIGHT, WIDTH)
    other = torch.cat([frames[:, :1] + 1.0, frames[:, 1:]], 1)
    assert not torch.allclose(model.encoder_eye(frames)[:, 1], model.encoder_eye(other)[:, 1])
    still = frames[:, :1].expand(-1, 2, -1, -1, -1)
    assert torch.equal(*model.encoder_eye(still).unbind(1))


@conditionings
@pytest.mark.parametrize("past", ["masked", "clean"])
def test_gradients_reach_every_parameter_of_the_dynamics_and_none_the_actions(
    conditioning: Literal["add", "prepend", "film"], past: str
) -> None:
    dynamics = tiny_genie.dynamics(conditioning)
    codes = draw_codes(0, 2, FRAMES, TOKENS)
    masked = codes.masked_fill(draw(2, *codes.shape) > 0, dynamics.config.mask_code)
    actions = draw(1, 2, FRAMES, ACTION_WIDTH).requires_grad_()
    x = dynamics(masked, actions, KNOWN, codes if past == "clean" else None)
    assert x.shape == (2, FRAMES, TOKENS, 16)
    dynamics.head(x).square().mean().backward()
    assert ungraded(dynamics) == []
    assert actions.grad is None


@conditionings
@torch.no_grad()
def test_cached_masked_frames_equal_the_whole_pass_also_after_eviction(
    conditioning: Literal["add", "prepend", "film"],
) -> None:
    """Each masked frame sees the clean frames before it, as in play; whole clips do it by two streams."""
    dynamics = tiny_genie.dynamics(conditioning)
    codes, actions = draw_codes(0, 2, FRAMES, TOKENS), draw(1, 2, FRAMES, ACTION_WIDTH)
    masked = codes.masked_fill(draw(2, *codes.shape) > 0, dynamics.config.mask_code)
    whole = dynamics.head(dynamics(masked, actions, KNOWN, codes))
    cache = dynamics.empty_cache(2)
    for t in range(FRAMES):
        now = slice(t, t + 1)
        made = dynamics.step(masked[:, now], actions[:, now], KNOWN[:, now], cache)
        torch.testing.assert_close(made, whole[:, now], atol=ROUNDING, rtol=0)
        cache = dynamics.write(codes[:, now], actions[:, now], KNOWN[:, now], cache)
    assert cache.length == dynamics.config.window


@conditionings
@torch.no_grad()
def test_no_frame_of_the_dynamics_sees_a_later_frame_or_action(
    conditioning: Literal["add", "prepend", "film"],
) -> None:
    dynamics = tiny_genie.dynamics(conditioning)
    codes, actions = draw_codes(0, 2, FRAMES, TOKENS), draw(1, 2, FRAMES, ACTION_WIDTH)
    later, other = draw_codes(2, 2, FRAMES, TOKENS), draw(3, 2, FRAMES, ACTION_WIDTH)
    later[:, :5], other[:, :5] = codes[:, :5], actions[:, :5]
    before, after = dynamics(codes, actions, KNOWN), dynamics(later, other, KNOWN)
    torch.testing.assert_close(before[:, :5], after[:, :5], atol=ROUNDING, rtol=0)
    actions[:, 5] += 1.0
    moved = dynamics(codes, actions, KNOWN)
    assert not torch.allclose(moved[:, 5], before[:, 5])


@torch.no_grad()
def test_a_patch_that_does_not_divide_a_frame_repeats_its_edge() -> None:
    config = replace(tiny_genie.tokenizer_config(), patch=5)
    assert (config.rows, config.columns) == (4, 5)
    pixels = draw(0, 1, 2, 3, HEIGHT, WIDTH)
    assert TokenizerVQ(config)(pixels)[0].shape == pixels.shape
    actions = tiny_genie.latent_actions_config()
    eye = PixelInput(height=HEIGHT, width=WIDTH, patch=7)
    assert LatentActions(replace(actions, input=eye))(pixels)[0].shape == pixels[:, 1:].shape


def test_sizes_that_make_no_network_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 latent action cannot tell two controls apart; use at least 2"):
        tiny_genie.latent_actions_config(num_actions=1)
    with pytest.raises(ConfigError, match="span 0 leads to no later frame; use at least 1"):
        tiny_genie.latent_actions_config(span=0)
    with pytest.raises(ConfigError, match="1 latent action cannot tell two controls apart"):
        replace(tiny_genie.dynamics_config(), num_actions=1)
    with pytest.raises(ConfigError, match="patch 17 does not fit frames of 16 x 24; use 1 to 16, e"):
        replace(tiny_genie.tokenizer_config(), patch=17)
    with pytest.raises(ConfigError, match=r"encoder\.head_width 12 is no multiple of 8; use e\.g\. 32"):
        replace(tiny_genie.tokenizer_config(), encoder=replace(tiny_genie.STACK, head_width=12))
    with pytest.raises(ConfigError, match='draws "change" needs pixels'):
        replace(tiny_genie.latent_actions_config("codes"), draws="change")
    with pytest.raises(ConfigError, match="0 codes on a grid of 2 x 3"):
        replace(tiny_genie.dynamics_config(), num_codes=0)
