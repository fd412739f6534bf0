"""Law 3 for masked tokens: the cached rollout, the re-run window, and what both cost."""

import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.mask_schedule import SamplerConfig, mask_levels
from paracosm.models.masking import MaskedFrame, fill, remask
from paracosm.models.rollout import check_levels, next_frame
from paracosm.models.token_rollout import draw_frame, dream_codes, stream_codes
from tests import tiny_genie
from tests.tiny_genie import ACTION_WIDTH, COLUMNS, ROWS, draw, draw_codes

TOKENS = ROWS * COLUMNS
ROUNDING = 2e-5
"""float32 sums of a few dozen products in another order, through two layers."""


class WindowRerun:
    """What other projects do: every pass runs the last ``window`` frames and the new one from nothing."""

    def __init__(self, dynamics: MaskGITDynamics) -> None:
        self.dynamics, self.frame_passes = dynamics, 0
        self.logits: list[torch.Tensor] = []

    def denoise(self, x: MaskedFrame, level: float, control: torch.Tensor, cache: list) -> object:
        window = cache[-self.dynamics.config.window :]
        codes = torch.cat([*(past for past, _ in window), x.codes], 1)
        actions = torch.cat([*(action for _, action in window), control], 1)
        known = torch.ones(codes.shape[:2], dtype=torch.bool)
        self.frame_passes += codes.shape[1]
        features = self.dynamics(codes, actions, known, codes)
        # the past is clean either way: in one causal stream it is the past of the new frame too
        self.logits.append(self.dynamics.head(features)[:, -1:])
        return fill(x, self.logits[-1], 0.0)

    def write(self, clean: object, control: torch.Tensor, cache: list) -> list:
        return [*cache, (clean.codes, control)]  # pyright: ignore[reportAttributeAccessIssue]


def rerun(dynamics: MaskGITDynamics, start: torch.Tensor, actions: torch.Tensor, passes: int) -> tuple:
    """Dream by re-running the window; codes, and how many frames went through the network."""
    loop = WindowRerun(dynamics)
    mask_code, cache, frames = dynamics.config.mask_code, [(start, actions[:, :1])], [start]
    for t in range(1, actions.shape[1]):
        begin = MaskedFrame.begin(mask_code, draw_frame(0, t, (passes, 1, 1, TOKENS)))
        clean, cache = next_frame(
            loop.denoise,
            loop.write,
            begin,
            mask_levels(passes),
            actions[:, t : t + 1],
            cache,
            renoise=remask(mask_code),
        )
        frames.append(clean.codes)
    return torch.cat(frames, 1), loop


@pytest.mark.parametrize("window", [2, 5])
@torch.no_grad()
def test_the_cached_rollout_equals_the_re_run_window_until_the_first_eviction(window: int) -> None:
    dynamics = tiny_genie.dynamics(window=window)
    start, actions = draw_codes(0, 1, 1, TOKENS), draw(1, 1, window + 4, ACTION_WIDTH)
    known = [True] * actions.shape[1]
    sampler = SamplerConfig(num_passes=3, temperature=0.0)
    cached = torch.cat(list(stream_codes(dynamics, start, actions, sampler, known=known)), 1)
    again, _ = rerun(dynamics, start, actions, 3)
    same = window + 1  # frame 0 leaves the cache when frame ``window`` is written
    assert torch.equal(cached[:, :same], again[:, :same])


@torch.no_grad()
def test_after_eviction_the_cache_still_equals_the_whole_pass_and_the_re_run_window_does_not() -> None:
    """A cached frame remembers, in deeper layers, what its own window saw; a re-run window forgets it."""
    dynamics = tiny_genie.dynamics(window=2)
    codes, actions = draw_codes(0, 1, 8, TOKENS), draw(1, 1, 8, ACTION_WIDTH)
    known = torch.ones(1, 8, dtype=torch.bool)
    whole = dynamics.head(dynamics(codes, actions, known, codes))[:, -1:]
    cache = dynamics.empty_cache()
    for t in range(7):
        now = slice(t, t + 1)
        cache = dynamics.write(codes[:, now], actions[:, now], known[:, now], cache)
    cached = dynamics.step(codes[:, 7:], actions[:, 7:], known[:, 7:], cache)
    torch.testing.assert_close(cached, whole, atol=ROUNDING, rtol=0)
    cut = slice(5, 8)
    window = dynamics.head(dynamics(codes[:, cut], actions[:, cut], known[:, cut], codes[:, cut]))[:, -1:]
    gap = (window - whole).abs().max()
    assert ROUNDING < float(gap) < float(whole.abs().max())


@torch.no_grad()
def test_a_frame_costs_its_passes_and_one_write_not_a_window_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's setting: 25 passes over 16 frames are 400 frame-passes re-run, and 26 cached."""
    dynamics = tiny_genie.dynamics(window=15)
    passes = 6
    counted, step = [], dynamics.stack.step

    def count(x: torch.Tensor, *rest: object) -> object:
        counted.append(x.shape[1])
        return step(x, *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(dynamics.stack, "step", count)
    start, actions = draw_codes(0, 1, 1, TOKENS), draw(1, 1, 18, ACTION_WIDTH)
    dream_codes(dynamics, start, actions, SamplerConfig(num_passes=passes))
    assert sum(counted) == 1 + 17 * (passes + 1)
    _, loop = rerun(dynamics, start, actions, passes)
    full = loop.frame_passes - sum(passes * (t + 1) for t in range(1, 15))
    assert full == 3 * passes * 16  # the last three frames have a full window
    # with the paper's 25 passes: 25 * 16 = 400 against 25 + 1 = 26
    assert (25 * 16) / (25 + 1) > 14


@torch.no_grad()
def test_same_seed_same_codes_and_another_seed_others() -> None:
    dynamics = tiny_genie.dynamics()
    start, actions = draw_codes(0, 1, 2, TOKENS), draw(1, 1, 8, ACTION_WIDTH)
    sampler = SamplerConfig(num_passes=2, temperature=2.0)
    one, two, other = (dream_codes(dynamics, start, actions, sampler, seed) for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(one[:, :2], start)
    assert int(one.max()) < dynamics.config.num_codes


@torch.no_grad()
def test_nothing_after_a_frame_changes_it() -> None:
    dynamics = tiny_genie.dynamics()
    start, actions = draw_codes(0, 1, 1, TOKENS), draw(1, 1, 8, ACTION_WIDTH)
    changed = actions.clone()
    changed[:, 5:] += 2.0
    sampler = SamplerConfig(num_passes=2, temperature=1.0)
    one, two = (dream_codes(dynamics, start, x, sampler) for x in (actions, changed))
    assert torch.equal(one[:, :5], two[:, :5])
    assert not torch.equal(one[:, 5:], two[:, 5:])


def test_mask_levels_are_levels_of_the_rollout() -> None:
    for passes in (1, 2, 8, 25):
        levels = mask_levels(passes)
        check_levels(levels)
        assert len(levels) == passes


def test_more_passes_than_tokens_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_passes 7 is more than the 6 tokens of a frame"):
        dream_codes(
            tiny_genie.dynamics(),
            draw_codes(0, 1, 1, TOKENS),
            draw(1, 1, 2, ACTION_WIDTH),
            SamplerConfig(num_passes=7),
        )
    with pytest.raises(ConfigError, match="0 passes at temperature 1 fill nothing in"):
        SamplerConfig(num_passes=0)
