"""Clips of many sizes and lengths in batches of one shape each, all of about equal cost.

A table says for each resolution and number of frames how likely a clip that fits is kept there; one that is
not falls to the next smaller entry, so nothing is padded. Each entry's batch is as large as the budget of
tokens allows. Frame rate, shape and length go along as conditions. This file does NOT read pictures.

Source: Open-Sora 1.2, report 3 and configs (bucket table); GameGen-X (2411.00769), table 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.rng import stream


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One entry of the table.

    Attributes:
        pixels: height times width of its frames; each clip keeps about its own shape.
        frames: frames of a sample; 1 for single pictures.
        keep: probability that a clip that fits is kept here, else it falls to the next smaller entry.
    """

    pixels: int
    frames: int
    keep: float

    def __post_init__(self) -> None:
        if self.pixels < 1 or self.frames < 1 or not 0 <= self.keep <= 1:
            raise ConfigError(
                f"a bucket of {self.pixels} pixels, {self.frames} frames and keep {self.keep:g} is none; "
                "sizes must be above 0 and keep 0 to 1"
            )


@dataclass(frozen=True, kw_only=True)
class BucketsConfig:
    """How clips are gathered into batches."""

    buckets: tuple[Bucket, ...]
    """The table, in any order; it is tried from the most pixels and frames down."""
    tokens_per_batch: int
    """Budget of tokens of one batch: each batch is as large as it allows, and holds one sample at least."""
    patch: int = 16
    """Pixels along the side of a token's patch."""
    frames_per_latent: int = 1
    """Frames that share a latent frame."""
    shapes: tuple[float, ...] = (9 / 16, 3 / 4, 1.0, 4 / 3, 16 / 9)
    """Widths over heights that are told apart; a clip goes to the nearest."""
    fps: tuple[float, ...] = (8.0, 12.0, 15.0, 24.0, 30.0)
    """Frame rates to sample at; each sample draws one that its clip's own rate and length allow."""

    def __post_init__(self) -> None:
        """Refuse tables that keep nothing."""
        if not self.buckets or self.tokens_per_batch < 1 or not self.shapes or not self.fps:
            raise ConfigError("buckets, shapes and fps must not be empty and tokens_per_batch be above 0")


@dataclass(frozen=True, kw_only=True)
class ClipSize:
    """What buckets know of a clip; ``weight`` is how often it is drawn in an epoch, on average."""

    name: str
    height: int
    width: int
    frames: int
    fps: float
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample of a batch.

    Attributes:
        clip: its name.
        start: first frame, counted at the clip's own rate.
        fps: rate at which it is sampled; a condition of the model.
        shape: width over height of the clip before it was cut; a condition of the model.
        length_s: length of the sample in seconds; a condition of the model.
    """

    clip: str
    start: int
    fps: float
    shape: float
    length_s: float


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples of one size: (len(samples), frames, height, width)."""

    frames: int
    height: int
    width: int
    tokens: int
    samples: tuple[Sample, ...]


def gamegen_x_buckets(tokens_per_batch: int) -> BucketsConfig:
    """Return GameGen-X's published table: sampling shares by resolution and frames, which sum to 100 %.

    The shares become chances to be kept on the way down: an entry keeps its share of what is left for it and
    the smaller ones. 2 x 2 patches over an 8-fold autoencoder make 16 pixels, four frames share a latent.

    Source: GameGen-X (2411.00769v3), table 6 and C.2.
    """
    pixels = {"1024": 1024 * 1024, "720p": 1280 * 720, "512": 512 * 512, "480p": 854 * 480}
    shares = [
        ("1024", 102, 8.00), ("1024", 51, 1.80), ("1024", 1, 2.00), ("720p", 102, 54.00),
        ("480p", 408, 18.00), ("480p", 204, 6.48), ("480p", 89, 6.48), ("512", 51, 3.24),
    ]  # fmt: skip
    left, table = 100.0, []
    for name, frames, share in sorted(shares, key=lambda entry: (-pixels[entry[0]], -entry[1])):
        table.append(Bucket(pixels=pixels[name], frames=frames, keep=min(1.0, share / left)))
        left -= share
    return BucketsConfig(
        buckets=tuple(table), tokens_per_batch=tokens_per_batch, patch=16, frames_per_latent=4, fps=(24.0,)
    )


def small_buckets() -> BucketsConfig:
    """Return a table for two processor cores: 64-pixel worlds, up to 32 frames."""
    table = (
        Bucket(pixels=64 * 64, frames=32, keep=0.4),
        Bucket(pixels=64 * 64, frames=16, keep=0.5),
        Bucket(pixels=64 * 48, frames=16, keep=0.6),
        Bucket(pixels=32 * 32, frames=16, keep=0.8),
        Bucket(pixels=32 * 32, frames=1, keep=1.0),
    )
    return BucketsConfig(buckets=table, tokens_per_batch=8192, patch=8, fps=(7.5, 15.0, 17.5))


def plan_epoch(clips: Sequence[ClipSize], config: BucketsConfig, seed: int, epoch: int) -> list[Batch]:
    """Plan the batches of one epoch; the same seed and epoch give the same batches.

    Args:
        clips: what there is.
        config: the table.
        seed: seed of the run.
        epoch: number of the epoch.

    Raises:
        DataError: when no clip fits any entry.
    """
    generator = stream(seed, "buckets", epoch)
    gathered: dict[tuple[int, int, int], list[Sample]] = {}
    for clip in _draws(clips, generator):
        placed = place(clip, config, generator)
        if placed is not None:
            size, sample = placed
            gathered.setdefault(size, []).append(sample)
    if not gathered:
        raise DataError(f"none of {len(clips)} clips fits a bucket; add smaller or shorter buckets")
    batches = []
    for (frames, height, width), samples in gathered.items():
        tokens = tokens_of(frames, height, width, config)
        count = max(1, config.tokens_per_batch // tokens)
        batches += [
            Batch(frames=frames, height=height, width=width, tokens=tokens * len(part), samples=tuple(part))
            for part in (samples[start : start + count] for start in range(0, len(samples), count))
        ]
    return [batches[index] for index in generator.permutation(len(batches))]


def place(
    clip: ClipSize, config: BucketsConfig, generator: np.random.Generator
) -> tuple[tuple[int, int, int], Sample] | None:
    """Find the entry of one clip, from the largest down; None when it is kept by none.

    Returns:
        (frames, height, width) and the sample.
    """
    order = sorted(config.buckets, key=lambda bucket: (-bucket.pixels, -bucket.frames))
    for bucket in order:
        rates = [
            rate
            for rate in config.fps
            if rate <= clip.fps * 1.01 and _needed(bucket, rate, clip) <= clip.frames
        ]
        if not rates and bucket.frames == 1:
            rates = [clip.fps]
        if bucket.pixels > clip.height * clip.width * 1.01 or not rates or generator.random() >= bucket.keep:
            continue
        rate = float(rates[generator.integers(len(rates))])
        span = _needed(bucket, rate, clip)
        sample = Sample(
            clip=clip.name,
            start=int(generator.integers(clip.frames - span + 1)),
            fps=rate,
            shape=clip.width / clip.height,
            length_s=bucket.frames / rate,
        )
        return (bucket.frames, *size_of(bucket.pixels, clip.width / clip.height, config)), sample
    return None


def size_of(pixels: int, shape: float, config: BucketsConfig) -> tuple[int, int]:
    """Return height and width of about so many pixels in the nearest known shape, whole patches each way."""
    nearest = min(config.shapes, key=lambda known: abs(math.log(known / shape)))
    height = max(1, round(math.sqrt(pixels / nearest) / config.patch)) * config.patch
    width = max(1, round(math.sqrt(pixels * nearest) / config.patch)) * config.patch
    return height, width


def tokens_of(frames: int, height: int, width: int, config: BucketsConfig) -> int:
    """Return the tokens of one sample."""
    latents = -(-frames // config.frames_per_latent)
    return latents * (height // config.patch) * (width // config.patch)


def _needed(bucket: Bucket, rate: float, clip: ClipSize) -> int:
    """Frames of the clip that a sample at this rate spans."""
    return round((bucket.frames - 1) * clip.fps / rate) + 1


def _draws(clips: Sequence[ClipSize], generator: np.random.Generator) -> Iterator[ClipSize]:
    """Yield each clip as often as its weight says; the part behind the point is drawn."""
    for clip in clips:
        whole = math.floor(clip.weight)
        for _ in range(whole + int(generator.random() < clip.weight - whole)):
            yield clip
