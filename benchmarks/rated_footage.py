"""Footage as it is found, for ``rated_world``: play, and what else lies in a folder of gaming videos.

Every video is made of one recorded episode, so that what kind it is is known. This file does NOT rate it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from paracosm.core.rng import stream
from paracosm.data.reader import Dataset
from paracosm.evaluate.drawings import make_drawings

from .curate import write_video

SIDE, SECONDS, PLAY_SHARE = 192, 8, 0.4
"""Rows and columns of a video, its length, and the share of videos that are plain play."""

Frames = list[np.ndarray]
Spoil = Callable[[Frames, np.random.Generator], Frames]


def covered(frames: Frames, generator: np.random.Generator) -> Frames:
    """A commentator's picture and banner over a part of the play."""
    scene = generator.integers(0, 255, (6, 6, 3), np.uint8)
    picture = cv2.resize(scene, (104, 104), interpolation=cv2.INTER_CUBIC)
    top, left = (int(value) for value in generator.integers(0, SIDE - 104, 2))
    colour, made = generator.integers(0, 255, 3), []
    for image in frames:
        image = image.copy()
        image[top : top + 104, left : left + 104] = picture
        image[-40:] = colour
        made.append(image)
    return made


def paused(frames: Frames, generator: np.random.Generator) -> Frames:
    """A game that stands still behind its menu, but for a few steps."""
    still = (frames[0] // 2).astype(np.uint8)
    colour = tuple(int(value) for value in generator.integers(120, 255, 3))
    for line, word in enumerate(("PAUSED", "resume", "options", "quit")):
        cv2.putText(still, word, (36, 60 + 30 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, 2)
    begin = int(generator.integers(0, len(frames) // 4))
    return frames[:begin] + [still] * (len(frames) - begin)


def slides(frames: Frames, generator: np.random.Generator) -> Frames:
    """Drawings, one after another."""
    drawings = make_drawings(SIDE, SIDE, 40)
    order = generator.permutation(len(drawings))
    return [drawings[order[index // 75]].picture for index in range(len(frames))]


def dark(frames: Frames, generator: np.random.Generator) -> Frames:
    """Filmed in the dark, with noise."""
    noise = generator.integers(0, 6, (len(frames), 1, 1, 3))
    return [(image * 0.12 + speck).astype(np.uint8) for image, speck in zip(frames, noise, strict=True)]


def shaken(frames: Frames, generator: np.random.Generator) -> Frames:
    """Filmed off a screen by hand: shaken, out of focus."""
    made, place = [], np.zeros(2)
    for image in frames:
        place = 0.8 * place + generator.normal(0, 5, 2)
        shift = np.array([[1.1, 0.06, place[0]], [-0.06, 1.1, place[1]]], np.float32)
        moved = cv2.warpAffine(image, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        made.append(cv2.GaussianBlur(moved, (0, 0), 3))
    return made


SPOILS: Mapping[str, Spoil] = {
    "covered": covered,
    "paused": paused,
    "slides": slides,
    "dark": dark,
    "shaken": shaken,
}
"""Ways in which footage is no good, by name."""


def kinds(count: int, seed: int) -> Sequence[str]:
    """What each of so many videos is: "play", or the name of a spoil."""
    good = round(PLAY_SHARE * count)
    names = ["play"] * good + [list(SPOILS)[index % len(SPOILS)] for index in range(count - good)]
    return [names[index] for index in stream(seed, "kinds").permutation(count)]


def write_footage(recordings: Path, out: Path, count: int, seed: int = 0) -> dict[str, str]:
    """Write videos; those that are there stay.

    Args:
        recordings: episodes of a game, of which the first that are long enough are taken, one a video.
        out: folder of the videos.
        count: how many.
        seed: of what each becomes.

    Returns:
        Name of each file to what it is.

    Raises:
        ValueError: when there are fewer episodes.
    """
    dataset = Dataset(recordings)
    length = round(SECONDS * dataset.info.fps)
    episodes = [episode for episode in dataset.episodes if episode.num_frames >= length]
    if len(episodes) < count:
        raise ValueError(f"{recordings} has {len(episodes)} episodes of {length} frames, {count} are needed")
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    for index, kind in enumerate(kinds(count, seed)):
        name = f"{index:04d}.mp4"
        found[name] = kind
        if not (out / name).exists():
            frames = [
                cv2.resize(np.asarray(image), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
                for image in episodes[index].read_frames(0, length)
            ]
            if kind in SPOILS:
                frames = SPOILS[kind](frames, stream(seed, f"video {index}"))
            part = out / f"{name}.part.mp4"
            write_video(part, frames, SIDE, SIDE, dataset.info.fps)
            part.replace(out / name)
    return found
