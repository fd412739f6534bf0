"""The video transformer: streamed equals masked, batches keep apart, controls act where they should."""

from dataclasses import replace

import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models import video_positions
from paracosm.models.action_module import window_rows
from paracosm.models.dynamics_video import VideoDynamics, streams_mask
from paracosm.models.video_positions import frame_table, token_table
from paracosm.models.video_stream import (
    StreamSettings,
    begin,
    drop_cache,
    next_block,
    rebuild_cache,
    warped_levels,
)
from paracosm.nn.rope import axial_pairs, pair_table
from tests import tiny_video
from tests.tiny import ungraded

EQUAL = 1e-10
"""In double precision: two orders of summation over some dozens of numbers."""
VARIANTS = {
    "universal": {},
    "window four": {"window": 4},
    "odd window": {"window": 5},
    "wide window": {"window": 12},
    "two keys": {"keys": 2},
    "seven keys, no mouse": {"keys": 7, "mouse": 0},
    "sink": {"window": 6, "sink": 1},
    "single latents": {"window": 4, "block": 1},
    "one frame a latent": {"block": 2, "frames_per_latent": 1},
}


def streamed(model: VideoDynamics, clean, noisy, given, level, batch=1):
    """Flows of noisy blocks, each streamed behind the clean blocks before it."""
    block = model.config.block
    cache, flows = model.empty_cache(*clean.shape[-2:], batch), []
    for first in range(0, clean.shape[1], block):
        frames = slice(first, first + block)
        inputs = tiny_video.part(given, frames)
        levels = torch.full((batch, block), level)
        flows.append(model.step(noisy[:, frames], levels, inputs, cache))
        cache = model.write(clean[:, frames], torch.zeros(batch, block), inputs, cache)
    return torch.cat(flows, 1)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@torch.inference_mode()
def test_streamed_blocks_equal_the_masked_whole(options):
    model = tiny_video.network(tiny_video.config(**options))
    config, count = model.config, 12
    batch = 2
    clean, given = tiny_video.clip_inputs(model, count, batch=batch)
    noisy = tiny_video.clip_inputs(model, count, batch=batch, seed=1)[0]
    flows = streamed(model, clean, noisy, given, 0.7, batch)
    seen = streams_mask(count, config.block, config.window, streams=2)
    if config.sink:
        # the sink is seen by all that come after it, at its own place only when counted from the start
        model.config = replace(config, positions="absolute")
        flows = streamed(model, clean, noisy, given, 0.7, batch)
        seen = with_sink(seen, count, config)
    twice = replace(
        given,
        condition=given.condition.repeat(1, 2, 1, 1, 1),
        keyboard=given.keyboard.repeat(1, 2, 1, 1),
        mouse=given.mouse.repeat(1, 2, 1, 1),
    )
    levels = torch.cat([torch.zeros(batch, count), torch.full((batch, count), 0.7)], 1)
    frames = [*range(count), *range(count)]
    whole = model(torch.cat([clean, noisy], 1), levels, twice, frames, seen)[:, count:]
    assert float((flows - whole).abs().max()) < EQUAL


def with_sink(seen, count, config):
    """The mask when the first latents stay and the window shrinks by as many."""
    block, room = config.block, config.window - config.block - config.sink
    mask = torch.zeros_like(seen)
    for i in range(count):
        first = i // block * block
        past = [j for j in range(first) if j < config.sink or j >= first - room]
        own = list(range(first, first + block))
        mask[i, past + own] = True
        mask[count + i, past] = True
        mask[count + i, [count + j for j in own]] = True
    return mask


@torch.inference_mode()
def test_positions_in_the_window_and_since_the_start_agree():
    model = tiny_video.network(tiny_video.config())
    clean, given = tiny_video.clip_inputs(model, 12)
    noisy = tiny_video.clip_inputs(model, 12, seed=1)[0]
    flows = streamed(model, clean, noisy, given, 0.5)
    model.config = replace(model.config, positions="absolute")
    assert float((flows - streamed(model, clean, noisy, given, 0.5)).abs().max()) < EQUAL


@torch.inference_mode()
def test_a_batch_is_its_rows():
    model = tiny_video.network(tiny_video.config())
    clean, given = tiny_video.clip_inputs(model, 9, batch=2)
    both = streamed(model, clean, clean.flip(-1), given, 0.5, batch=2)
    for row in range(2):
        alone = replace(
            tiny_video.part(given, slice(None)),
            condition=given.condition[row : row + 1],
            keyboard=given.keyboard[row : row + 1],
            mouse=given.mouse[row : row + 1],
            context=tuple((k[row : row + 1], v[row : row + 1]) for k, v in given.context),
        )
        single = streamed(model, clean[row : row + 1], clean.flip(-1)[row : row + 1], alone, 0.5)
        assert float((both[row : row + 1] - single).abs().max()) < EQUAL


@torch.inference_mode()
def test_any_even_grid_is_a_picture():
    model = tiny_video.network(tiny_video.config())
    for rows, columns in ((2, 2), (4, 10), (8, 6)):
        clean, given = tiny_video.clip_inputs(model, 3, rows=rows, columns=columns)
        assert model(clean, torch.zeros(1, 3), given).shape == clean.shape


def test_a_grid_that_the_patch_does_not_divide_is_refused():
    model = tiny_video.network(tiny_video.config())
    with pytest.raises(ConfigError, match=r"latent grid 3 x 4 does not divide by patch 2; choose a picture"):
        model.empty_cache(3, 4)


def test_a_network_of_whole_clips_is_not_streamed():
    model = tiny_video.network(tiny_video.config(window=-1))
    with pytest.raises(ConfigError, match="window 0 sees whole clips and cannot be played block by block"):
        model.empty_cache(4, 6)


def test_a_window_without_room_for_block_and_sink_is_refused():
    with pytest.raises(ConfigError, match="window 3 holds no block of 3 and sink of 1 latent frames"):
        tiny_video.config(window=3, sink=1)


@torch.inference_mode()
def test_a_row_of_controls_acts_on_the_frames_after_it():
    # row t leads to frame t + 1; latent n ends with frame 4 n; a block's latents see each other
    model = tiny_video.network(tiny_video.config(window=12))
    clean, given = tiny_video.clip_inputs(model, 12)
    mask = streams_mask(12, 3, 12, streams=1)
    rows = torch.randn(45, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    index = torch.tensor(window_rows(0, 12, 12, 4))

    def flows(changed: int | None):
        keys = rows.clone()
        if changed is not None:
            keys[changed] += 1.0
        return model(clean, torch.full((1, 12), 0.5), replace(given, keyboard=keys[index][None]), None, mask)

    plain = flows(None)
    for changed, first in ((0, 0), (7, 0), (8, 3), (19, 3), (20, 6), (31, 6), (32, 9), (43, 9), (44, 12)):
        differs = (flows(changed) - plain).abs().amax((0, 2, 3, 4)) > 0
        assert differs.tolist() == [n >= first for n in range(12)], changed


def test_a_latent_frame_sees_twelve_rows_up_to_the_one_before_its_end():
    assert window_rows(0, 3, 12, 4) == [[0] * 12, [0] * 9 + [1, 2, 3], [0] * 5 + [1, 2, 3, 4, 5, 6, 7]]
    assert window_rows(5, 1, 12, 4) == [list(range(8, 20))]


def test_gradients_reach_every_parameter():
    model = tiny_video.network(tiny_video.config())
    clean, _ = tiny_video.clip_inputs(model, 3)
    given = tiny_video.clip_inputs(model, 3)[1]
    model(clean, torch.full((1, 3), 0.5), given).square().sum().backward()
    assert not ungraded(model)


@torch.inference_mode()
def test_new_action_modules_change_nothing():
    config = tiny_video.config()
    plain = tiny_video.network(replace(config, action_layers=()))
    with_actions = VideoDynamics(config).double().eval()
    missing, unknown = with_actions.load_state_dict(plain.state_dict(), strict=False)
    assert not unknown
    assert all(".actions." in name for name in missing)
    clean, given = tiny_video.clip_inputs(plain, 6)
    levels = torch.full((1, 6), 0.5)
    assert torch.equal(plain(clean, levels, given), with_actions(clean, levels, given))


def test_published_steps_become_levels():
    assert warped_levels((1000, 500), 1.0) == (1.0, 0.5)
    assert [round(1000 * level, 1) for level in warped_levels((1000, 750, 500, 250), 5.0)] == [
        *(1000.0, 937.5, 833.3, 625.0)
    ]


def play(model, state, blocks, settings, first=0):
    made = []
    for block in range(first, first + blocks):
        noise, given = tiny_video.clip_inputs(model, 3, seed=block)
        clean, state = next_block(model, state, noise, given, settings, noise.roll)
        made.append(clean)
    return torch.cat(made, 1), state


@torch.inference_mode()
def test_a_rebuilt_cache_is_the_same_until_something_was_evicted():
    model, settings = tiny_video.network(tiny_video.config(window=9)), StreamSettings(levels=(1.0, 0.5))
    _, state = play(model, begin(model, 4, 6), 2, settings)
    again = rebuild_cache(model, state, settings)
    assert again.cache.plan == state.cache.plan
    pairs = zip(again.cache.keys + again.cache.values, state.cache.keys + state.cache.values, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@torch.inference_mode()
def test_a_dropped_cache_is_empty_and_goes_on():
    model, settings = tiny_video.network(tiny_video.config()), StreamSettings(levels=(1.0, 0.5))
    _, state = play(model, begin(model, 4, 6), 3, settings)
    dropped = drop_cache(state)
    assert dropped.cache.plan.held == ()
    assert dropped.written == state.written
    after, _ = play(model, dropped, 1, settings, first=3)
    fresh, _ = play(model, begin(model, 4, 6), 1, settings, first=3)
    assert float((after - fresh).abs().max()) < EQUAL


@torch.inference_mode()
def test_guidance_pushes_away_from_no_control():
    model = tiny_video.network(tiny_video.config())
    results = [
        play(model, begin(model, 4, 6), 1, StreamSettings(levels=(1.0,), guidance=guidance))[0]
        for guidance in (1.0, 2.0, 3.0)
    ]
    assert not torch.equal(results[0], results[1])
    assert float((results[2] - results[1] - (results[1] - results[0])).abs().max()) < EQUAL


@pytest.mark.parametrize(("idle", "keys", "mouse"), [(-1, 4, 2), (0, 7, 0)], ids=["universal", "templerun"])
@torch.inference_mode()
def test_guidance_does_not_move_a_player_who_touches_nothing(idle, keys, mouse):
    model = tiny_video.network(tiny_video.config(keys=keys, mouse=mouse))
    noise, given = tiny_video.clip_inputs(model, 3)
    row = torch.zeros(keys, dtype=noise.dtype)
    row[idle] = float(idle >= 0)
    still = replace(
        given,
        keyboard=row.expand_as(given.keyboard).clone(),
        mouse=torch.zeros_like(given.mouse),
        idle=idle,
    )

    def made(inputs, guidance):
        settings = StreamSettings(levels=(1.0, 0.5), guidance=guidance)
        return next_block(model, begin(model, 4, 6), noise, inputs, settings, noise.roll)[0]

    assert torch.equal(made(still, 3.0), made(still, 1.0))
    pressed = replace(still, keyboard=still.keyboard.roll(1, -1) + 0.5)
    assert not torch.equal(made(pressed, 3.0), made(pressed, 1.0))
    if idle >= 0:
        # numbers that never occur are no rest: away from them an idle player would be pushed
        assert not torch.equal(made(replace(still, idle=-1), 3.0), made(still, 1.0))


@torch.inference_mode()
def test_a_block_behind_a_full_window_makes_no_new_table():
    model, settings = tiny_video.network(tiny_video.config()), StreamSettings(levels=(1.0, 0.5), guidance=2.0)
    kept = (video_positions._kept_token_table, video_positions._kept_frame_table)
    for cache in kept:
        cache.cache_clear()
    _, state = play(model, begin(model, 4, 6), 2, settings)
    made = [cache.cache_info().misses for cache in kept]
    # of nothing, of the first three positions, new or past, and of the next three
    assert made == [3, 3]
    play(model, state, 3, settings, first=2)
    assert [cache.cache_info().misses for cache in kept] == made
    model.config = replace(model.config, positions="absolute")
    play(model, state, 20, replace(settings, guidance=1.0, levels=(1.0,)), first=2)
    assert all(cache.cache_info().currsize <= video_positions.MOST_TABLES for cache in kept)


def test_a_table_first_asked_for_in_play_serves_a_gradient():
    for cache in (video_positions._kept_token_table, video_positions._kept_frame_table):
        cache.cache_clear()
    model = tiny_video.network(tiny_video.config())
    clean, given = tiny_video.clip_inputs(model, 3)
    level = torch.full((1, 3), 0.5)
    with torch.inference_mode():
        played = model(clean, level, given)
    learnt = model(clean, level, tiny_video.clip_inputs(model, 3)[1])
    assert torch.equal(learnt, played)
    learnt.square().sum().backward()
    assert not ungraded(model)


def test_kept_tables_are_those_made_anew_to_the_bit_and_no_weights():
    model = tiny_video.network(tiny_video.config(), torch.bfloat16)
    device, frames, grid = torch.device("cpu"), [2, 0, 1], (2, 3)
    for _ in range(2):
        table = token_table(frames, grid, 12, torch.bfloat16, device)
        axes = torch.meshgrid(torch.tensor(frames), torch.arange(2), torch.arange(3), indexing="ij")
        expected = pair_table([axis.double().reshape(-1) for axis in axes], axial_pairs(12), 10_000.0)
        assert all(torch.equal(a, b.float()) for a, b in zip(table, expected, strict=True))
        table = frame_table(frames, 4, 256.0, torch.float64, device)
        expected = pair_table([torch.tensor(frames).double()], [4], 256.0)
        assert all(torch.equal(a, b) for a, b in zip(table, expected, strict=True))
    names = set(model.state_dict())
    clean, given = tiny_video.clip_inputs(model, 3)
    model(clean, torch.full((1, 3), 0.5), given)
    assert set(model.state_dict()) == names


@torch.inference_mode()
def test_a_stream_has_no_end_and_does_not_grow():
    model = tiny_video.network(tiny_video.config(), torch.float32)
    settings = StreamSettings(levels=(1.0,))
    noise, given = tiny_video.clip_inputs(model, 3, rows=2, columns=2)
    state, sizes = begin(model, 2, 2), set()
    for _ in range(380):  # 1,140 latent frames; the published tables end at 1,024
        clean, state = next_block(model, state, noise, given, settings, noise.roll)
        sizes.add((state.cache.num_bytes, len(state.blocks)))
    assert state.written == 1140
    assert len(sizes) == 1
    assert bool(clean.isfinite().all())
