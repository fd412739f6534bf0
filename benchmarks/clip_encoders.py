"""Which frozen encoder of clips orders known faults by their strength, on recordings of a real game.

    python -m benchmarks.clip_encoders RECORDINGS/train RECORDINGS/held_out --other RECORDINGS/unseen
    python -m benchmarks.clip_encoders ... --clips 160 --encoders statistics --faults "blur, pixels"  # a look

Real clips are blurred, made noisy, frozen, shuffled in time, slowed, greyed, smeared, shifted in time, and
mixed with clips of another level; each set of 1,024 is held against 1,024 untouched real clips. Features are
kept in a file, and a run that was stopped goes on. About 15 s of one core for each of the 24 sets.
"""

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from paracosm.core.rng import stream
from paracosm.data.reader import Dataset
from paracosm.evaluate.metrics.clip_features import CLIP_FRAMES, clip_statistics
from paracosm.evaluate.metrics.distances import LEAST_CLIPS, frechet_distance, kernel_distance

LEAST_LOOK = 130
"""Fewest clips of a look: both spreads of 64 directions need twice as many."""
LAG = 4
CHANNELS = (24, 48, 64)
KERNELS = ((3, 5, 5), (3, 3, 3), (3, 3, 3))
STRIDES = ((1, 2, 2), (2, 2, 2), (2, 2, 2))

Fault = Callable[[np.ndarray], np.ndarray]
Encoder = Callable[[np.ndarray], np.ndarray]


def cut_clips(path: Path, count: int, name: str) -> np.ndarray:
    """Clips from all episodes in turn, with LAG further frames each."""
    generator = stream(0, name)
    frames = CLIP_FRAMES + LAG
    episodes = [one for one in Dataset(path).episodes if one.num_frames >= frames]
    each = -(-count // len(episodes))
    clips = []
    for index in generator.permutation(len(episodes)):
        episode = episodes[index]
        places = np.sort(generator.permutation(episode.num_frames - frames + 1)[:each])
        clips += [episode.read_frames(int(first), int(first) + frames) for first in places]
    if len(clips) < count:
        raise SystemExit(
            f"{path} holds {len(clips)} clips of {frames} frames, {count} are needed; record more"
        )
    return np.stack(clips[:count])


def blur(sigma: float) -> Fault:
    """Gaussian blur of each picture."""
    place = np.arange(-4, 5)
    weight = np.exp(-(place**2) / (2 * sigma**2))
    weight = (weight / weight.sum()).astype(np.float32)

    def apply(clips: np.ndarray) -> np.ndarray:
        out = np.empty_like(clips)
        for clip, into in zip(clips, out, strict=True):
            padded = np.pad(clip.astype(np.float32), ((0, 0), (4, 4), (4, 4), (0, 0)), mode="edge")
            rows = np.lib.stride_tricks.sliding_window_view(padded, 9, axis=1) @ weight
            into[:] = np.round(np.lib.stride_tricks.sliding_window_view(rows, 9, axis=2) @ weight)
        return out

    return apply


def noise(level: float) -> Fault:
    """Independent noise in every pixel and colour, in grey levels."""

    def apply(clips: np.ndarray) -> np.ndarray:
        generator = stream(1, "noise", int(level))
        noisy = [clip + level * generator.standard_normal(clip.shape, np.float32) for clip in clips]
        return np.clip(np.round(np.stack(noisy)), 0, 255).astype(np.uint8)

    return apply


def freeze(moving: int) -> Fault:
    """The picture stands still after some frames."""

    def apply(clips: np.ndarray) -> np.ndarray:
        frozen = clips.copy()
        frozen[:, moving:] = frozen[:, moving - 1 : moving]
        return frozen

    return apply


def shuffle(window: int) -> Fault:
    """Frames in wrong order within windows."""

    def apply(clips: np.ndarray) -> np.ndarray:
        generator, mixed = stream(2, "shuffle", window), clips.copy()
        for clip in mixed:
            for first in range(0, CLIP_FRAMES, window):
                clip[first : first + window] = clip[first : first + window][generator.permutation(window)]
        return mixed

    return apply


def slow(times: int) -> Fault:
    """Every frame shown several times."""
    return lambda clips: np.repeat(clips[:, ::times], times, axis=1)[:, :CLIP_FRAMES]


def grey(share: float) -> Fault:
    """Fading to the mean brightness of each frame."""
    return lambda clips: np.round(
        clips * (1 - share) + clips.mean(axis=(2, 3, 4), keepdims=True) * share
    ).astype(np.uint8)


def smear(share: float) -> Fault:
    """Each frame holds a share of the one shown before."""

    def apply(clips: np.ndarray) -> np.ndarray:
        shown = clips.astype(np.float32)
        for index in range(1, CLIP_FRAMES):
            shown[:, index] = share * shown[:, index - 1] + (1 - share) * shown[:, index]
        return np.round(shown).astype(np.uint8)

    return apply


FAULTS: dict[str, dict[str, Fault]] = {
    "blur, pixels": {"0.4": blur(0.4), "0.7": blur(0.7), "1.2": blur(1.2)},
    "noise, grey levels": {"2": noise(2), "5": noise(5), "12": noise(12)},
    "frozen after frames": {"4": freeze(4), "1": freeze(1)},
    "shuffled within frames": {"2": shuffle(2), "8": shuffle(8)},
    "each frame shown times": {"2": slow(2), "4": slow(4)},
    "greyed, share": {"0.25": grey(0.25), "0.6": grey(0.6)},
    "smeared, share": {"0.4": smear(0.4), "0.7": smear(0.7)},
}


def random_convolutions(clips: np.ndarray) -> np.ndarray:
    """Three layers of seeded random space-time filters: mean and spread of each, a coarse map of the last."""
    weights = _random_weights()
    found = []
    with torch.inference_mode():
        for first in range(0, len(clips), 64):
            x = torch.from_numpy(clips[first : first + 64]).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
            parts = []
            for weight, stride in zip(weights, STRIDES, strict=True):
                padding = [size // 2 for size in weight.shape[2:]]
                x = torch.relu(functional.conv3d(x, weight, stride=stride, padding=padding))
                parts += [x.mean((2, 3, 4)), x.std((2, 3, 4)), x.mean((3, 4)).std(2)]
            parts.append(functional.adaptive_avg_pool3d(x, (1, 2, 2)).flatten(1))
            found.append(torch.cat(parts, 1).numpy())
    return np.concatenate(found)


def _random_weights() -> list[torch.Tensor]:
    generator, weights, before = stream(0, "clip encoder"), [], 3
    for index, (channels, kernel) in enumerate(zip(CHANNELS, KERNELS, strict=True)):
        weight = generator.normal(0, 1, (channels, before, *kernel)).astype(np.float32)
        if index == 0:  # half answer to contrast only, a quarter to change only
            half, quarter = channels // 2, channels // 4
            weight[:half] -= weight[:half].mean(axis=(1, 2, 3, 4), keepdims=True)
            weight[quarter:half] -= weight[quarter:half].mean(axis=2, keepdims=True)
        weights.append(torch.from_numpy(weight / np.sqrt(np.square(weight).sum((1, 2, 3, 4), keepdims=True))))
        before = channels
    return weights


def small_pixels(clips: np.ndarray) -> np.ndarray:
    """Pixels of 4 moments of 6 x 8."""
    x = torch.from_numpy(clips).permute(0, 4, 1, 2, 3).float() / 255
    return functional.adaptive_avg_pool3d(x, (4, 6, 8)).flatten(1).numpy()


ENCODERS: dict[str, Encoder] = {
    "statistics": clip_statistics,
    "random convolutions": random_convolutions,
    "pixels": small_pixels,
}


def principal(fit: np.ndarray, width: int = 64) -> Encoder:
    """Principal directions of standardised real features, of unit variance on average."""
    fit = fit.astype(np.float64)
    mean, scale = fit.mean(axis=0), 1 / np.maximum(fit.std(axis=0), 1e-6)
    _, strengths, axes = np.linalg.svd((fit - mean) * scale, full_matrices=False)
    unit = np.sqrt((strengths[:width] ** 2 / len(fit)).mean())
    return lambda features: ((features.astype(np.float64) - mean) * scale) @ axes[:width].T / unit


def random_directions(fit: np.ndarray, width: int = 64) -> Encoder:
    """Seeded random directions of standardised features, of unit variance on average."""
    fit = fit.astype(np.float64)
    mean, scale = fit.mean(axis=0), 1 / np.maximum(fit.std(axis=0), 1e-6)
    axes = np.linalg.qr(stream(0, "directions").normal(size=(fit.shape[1], width)))[0]
    unit = np.sqrt(np.square(((fit - mean) * scale) @ axes).mean())
    return lambda features: ((features.astype(np.float64) - mean) * scale) @ axes / unit


def table(features: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """Rows: for each encoder, projection and fault both distances by strength, and whether they rise."""
    lines = [
        "| encoder | directions | fault | Fréchet, in floors | kernel | rises |",
        "|---|---|---|---|---|---|",
    ]
    for name, sets in features.items():
        for kind, make in (("principal", principal), ("random", random_directions)):
            lines += [f"| {name} | {kind} | {row}" for row in _rows(sets, make(sets["fit"]))]
    return lines


def _rows(sets: dict[str, np.ndarray], project: Encoder) -> list[str]:
    reference = project(sets["reference"])
    count = len(reference)

    def distances(values: np.ndarray) -> tuple[float, float]:
        one = project(values)
        return (
            frechet_distance(one, reference, least_clips=count),
            kernel_distance(one, reference, least_clips=count),
        )

    floor, least = distances(sets["real"])
    lines = [f"none (floor) | 1.00 = {floor:.3f} | {least:.4f} | |"]
    faults: dict[str, list[tuple[str, float, float]]] = {}
    for key, values in _mixed(sets).items():
        fault, _, strength = key.partition(":")
        far, kernel = distances(values)
        faults.setdefault(fault, []).append((strength, far / floor, kernel))
    for fault, rows in faults.items():
        strengths = " / ".join(row[0] for row in rows)
        far = " / ".join(f"{row[1]:.2f}" for row in rows)
        kernel = " / ".join(f"{row[2]:.4f}" for row in rows)
        rises = _rises([1.0, *(row[1] for row in rows)]) and _rises([least, *(row[2] for row in rows)])
        lines.append(f"{fault}: {strengths} | {far} | {kernel} | {'yes' if rises else 'no'} |")
    return lines


def _rises(values: list[float]) -> bool:
    return all(after > before for before, after in itertools.pairwise(values))


def _mixed(sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Faulty sets, and mixtures of the real clips with those of another level."""
    faulty = {key: values for key, values in sets.items() if ":" in key}
    if "other" in sets:
        for share in (0.25, 0.5, 1.0):
            count = int(share * len(sets["other"]))
            faulty[f"another level, share:{share:g}"] = np.concatenate(
                [sets["other"][:count], sets["real"][count:]]
            )
    return faulty


def sets_of(arguments: argparse.Namespace) -> dict[str, Callable[[], np.ndarray]]:
    """Every set of clips by name, cut when it is asked for; the real ones are read at once."""
    count = arguments.clips
    real = cut_clips(arguments.reference, 2 * count, "reference")
    held_out = cut_clips(arguments.held_out, count, "held out")
    sets: dict[str, Callable[[], np.ndarray]] = {
        "reference": lambda: real[:count, :CLIP_FRAMES],
        "fit": lambda: real[count:, :CLIP_FRAMES],
        "real": lambda: held_out[:, :CLIP_FRAMES],
        f"late by frames:{LAG}": lambda: held_out[:, LAG:],
    }
    if arguments.other:
        sets["other"] = lambda: cut_clips(arguments.other, count, "other")[:, :CLIP_FRAMES]
    for fault in arguments.faults:
        for strength, make in FAULTS[fault].items():
            sets[f"{fault}:{strength}"] = lambda make=make: make(held_out[:, :CLIP_FRAMES])
    return sets


def encode(arguments: argparse.Namespace) -> dict[str, dict[str, np.ndarray]]:
    """Features of every set by encoder; those that were kept are not made again."""
    kept = dict(np.load(arguments.features)) if arguments.features.exists() else {}
    if any(len(values) != arguments.clips for values in kept.values()):
        raise SystemExit(f"{arguments.features} holds features of another number of clips; name another file")
    features: dict[str, dict[str, np.ndarray]] = {encoder: {} for encoder in arguments.encoders}
    for name, clips in sets_of(arguments).items():
        missing = [encoder for encoder in arguments.encoders if f"{encoder}|{name}" not in kept]
        if missing:
            cut = clips()
            kept |= {f"{encoder}|{name}": ENCODERS[encoder](cut) for encoder in missing}
            np.savez_compressed(arguments.features, **kept)
            print(name, flush=True)
        for encoder in arguments.encoders:
            features[encoder][name] = kept[f"{encoder}|{name}"]
    return features


def main(words: list[str] | None = None) -> None:
    """Encode, compare, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path, help="recordings for the reference and the directions")
    parser.add_argument("held_out", type=Path, help="recordings that are made faulty")
    parser.add_argument("--other", type=Path, help="recordings of another level, of the same frame size")
    parser.add_argument("--features", type=Path, default=Path("clip_features.npz"), help="kept features")
    parser.add_argument("--clips", type=int, default=LEAST_CLIPS, help="clips of each set; fewer for a look")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    arguments = parser.parse_args(words)
    if arguments.clips < LEAST_LOOK:
        parser.error(f"{arguments.clips} clips are too few even for a look; give {LEAST_LOOK} or more")
    torch.set_num_threads(1)
    print("\n".join(table(encode(arguments))))
    if arguments.clips < LEAST_CLIPS:
        print(f"\n{arguments.clips} clips: a look; {LEAST_CLIPS} are needed to cite a distance")


if __name__ == "__main__":
    main()
