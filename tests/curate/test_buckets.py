"""Batches of one shape and about one cost, the same for the same seed, and nothing padded."""

import pytest

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.rng import stream
from paracosm.curate.buckets import (
    Bucket,
    BucketsConfig,
    ClipSize,
    gamegen_x_buckets,
    place,
    plan_epoch,
    size_of,
    small_buckets,
    tokens_of,
)

CLIPS = [
    ClipSize(name=f"{shape}-{number}", height=height, width=width, frames=20 + 13 * number, fps=15.0)
    for shape, (height, width) in {"wide": (360, 640), "square": (64, 64), "tiny": (36, 36)}.items()
    for number in range(12)
]


def test_batches_keep_to_the_budget_and_to_one_shape():
    config = small_buckets()
    for batch in plan_epoch(CLIPS, config, seed=1, epoch=0):
        one = tokens_of(batch.frames, batch.height, batch.width, config)
        assert batch.tokens == one * len(batch.samples)
        assert batch.tokens <= config.tokens_per_batch or len(batch.samples) == 1
        assert batch.height % config.patch == batch.width % config.patch == 0


def test_full_batches_of_all_shapes_cost_about_the_same():
    config = small_buckets()
    full = [config.tokens_per_batch // tokens_of(b.frames, b.height, b.width, config) *
            tokens_of(b.frames, b.height, b.width, config)
            for b in plan_epoch(CLIPS, config, seed=1, epoch=0)]  # fmt: skip
    assert min(full) > 0.6 * max(full)


def test_the_same_seed_plans_the_same_epoch_and_another_epoch_differs():
    config = small_buckets()
    assert plan_epoch(CLIPS, config, 3, 0) == plan_epoch(CLIPS, config, 3, 0)
    assert plan_epoch(CLIPS, config, 3, 0) != plan_epoch(CLIPS, config, 3, 1)


def test_samples_lie_inside_their_clips():
    config, frames = small_buckets(), {clip.name: clip for clip in CLIPS}
    for batch in plan_epoch(CLIPS, config, 5, 0):
        for sample in batch.samples:
            clip = frames[sample.clip]
            span = round((batch.frames - 1) * clip.fps / sample.fps) + 1
            assert 0 <= sample.start <= clip.frames - span
            assert sample.fps <= clip.fps * 1.01 or batch.frames == 1


def test_a_clip_that_is_not_kept_falls_to_the_next_smaller_entry():
    table = (Bucket(pixels=4096, frames=16, keep=0.0), Bucket(pixels=1024, frames=16, keep=1.0))
    config = BucketsConfig(buckets=table, tokens_per_batch=512, patch=8, fps=(15.0,))
    placed = place(CLIPS[0], config, stream(0, "test"))
    assert placed is not None
    assert placed[0][0] == 16
    assert placed[0][1] * placed[0][2] <= 1200


def test_shapes_are_kept_to_the_nearest_known_one():
    config = small_buckets()
    height, width = size_of(4096, 640 / 360, config)
    assert width > height
    assert size_of(4096, 1.0, config) == (64, 64)


def test_the_published_table_gives_the_published_shares():
    config = gamegen_x_buckets(200_000)
    clips = [
        ClipSize(name=str(number), height=2160, width=3840, frames=500, fps=24.0) for number in range(4000)
    ]
    counts: dict[tuple[int, int], int] = {}
    generator = stream(0, "shares")
    for clip in clips:
        placed = place(clip, config, generator)
        assert placed is not None
        frames, height, width = placed[0]
        counts[frames, round(height * width / 1e5)] = counts.get((frames, round(height * width / 1e5)), 0) + 1
    shares = {key: count / len(clips) * 100 for key, count in counts.items()}
    assert shares[102, 9] == pytest.approx(54.0, abs=3), "720p of 102 frames"
    assert shares[408, 4] == pytest.approx(18.0, abs=2.5), "480p of 408 frames"
    assert sum(shares.values()) == pytest.approx(100)


def test_weights_draw_clips_more_or_less_often():
    clips = [ClipSize(name="a", height=64, width=64, frames=40, fps=15, weight=3.0),
             ClipSize(name="b", height=64, width=64, frames=40, fps=15, weight=0.0)]  # fmt: skip
    config = BucketsConfig(
        buckets=(Bucket(pixels=4096, frames=8, keep=1.0),), tokens_per_batch=10_000, patch=8, fps=(15.0,)
    )
    drawn = [sample.clip for batch in plan_epoch(clips, config, 0, 0) for sample in batch.samples]
    assert drawn == ["a"] * 3


def test_clips_that_fit_nothing_and_tables_that_keep_nothing_are_refused():
    config = BucketsConfig(buckets=(Bucket(pixels=10**7, frames=9, keep=1.0),), tokens_per_batch=10)
    with pytest.raises(DataError, match="none of 36 clips fits a bucket"):
        plan_epoch(CLIPS, config, 0, 0)
    with pytest.raises(ConfigError, match="buckets, shapes and fps must not be empty"):
        BucketsConfig(buckets=(), tokens_per_batch=10)
    with pytest.raises(ConfigError, match="sizes must be above 0 and keep 0 to 1"):
        Bucket(pixels=1, frames=1, keep=2.0)
