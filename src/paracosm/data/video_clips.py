"""Clips of recordings as latents of a codec that compresses time, kept beside the frames they were made from.

    DATASET/latents/NAME/latents.json           format_version and what the clips were made with
    DATASET/latents/NAME/EPISODE.safetensors    first int64 (n): frame that each clip begins with;
                                                latents, grey float16 (n, t, z, h, w);
                                                tokens float16 (n, l, d)

Each clip was encoded from its own first frame on, as play encodes what it begins with; a stretch out of a
longer encoding would be other latents. ``grey`` is the image condition. This file does NOT know codecs or
torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from paracosm.core.errors import DataError
from paracosm.core.files import read_json, whole_file, write_json

from .clips import control_rows
from .latents import LATENTS_FOLDER
from .reader import Dataset, EpisodeRef

FORMAT_VERSION = 1
"""Raised when the arrays change their meaning."""
ARRAYS = ("first", "latents", "grey", "tokens")


class VideoClipStore:
    """The encoded clips of one dataset under one codec and one length of clips.

    Args:
        dataset: whose frames were or will be encoded.
        name: folder under the dataset's latents.
        made_with: whatever the clips depend on; a folder made with something else is refused.
    """

    def __init__(self, dataset: Dataset, name: str, made_with: Mapping[str, str | int]) -> None:
        self.folder = dataset.path / LATENTS_FOLDER / name
        file = self.folder / "latents.json"
        description = {"format_version": FORMAT_VERSION, **made_with}
        if not file.exists():
            write_json(file, description)
        elif (found := read_json(file)) != description:
            raise DataError(
                f"{file} says {found}, expected {description}; delete {self.folder} and encode again"
            )

    def has(self, episode: EpisodeRef) -> bool:
        """Whether the clips of an episode are there."""
        return self._file(episode).is_file()

    def write(self, episode: EpisodeRef, arrays: Mapping[str, np.ndarray]) -> None:
        """Store the clips of an episode; an episode that is too short has none."""
        with whole_file(self._file(episode)) as temporary:
            save_file({name: np.ascontiguousarray(arrays[name]) for name in ARRAYS}, temporary)

    def read(self, episode: EpisodeRef) -> dict[str, np.ndarray]:
        """Return the arrays of an episode.

        Raises:
            DataError: when they are missing or damaged.
        """
        path = self._file(episode)
        if not path.is_file():
            raise DataError(f"{path} is missing; run the encode_video stage first")
        try:
            arrays = load_file(path)
            return {name: arrays[name] for name in ARRAYS}
        except (SafetensorError, OSError, KeyError) as error:
            raise DataError(
                f"{path} is corrupt or truncated ({error}); delete it and encode again"
            ) from error

    def _file(self, episode: EpisodeRef) -> Path:
        return self.folder / f"{episode.name}.safetensors"


@dataclass(frozen=True, kw_only=True)
class EncodedClips:
    """All encoded clips of some episodes in memory, with the controls between the frames of the episodes."""

    episodes: tuple[Mapping[str, np.ndarray], ...]
    controls: tuple[np.ndarray, ...]

    @property
    def lengths(self) -> list[int]:
        """Clips of each episode."""
        return [len(arrays["first"]) for arrays in self.episodes]

    def take(self, places: Sequence[tuple[int, int]], name: str) -> np.ndarray:
        """Stack one array of the clips at (episode, number of the clip), float32."""
        return np.stack([self.episodes[i][name][k] for i, k in places]).astype(np.float32)

    def rows(self, places: Sequence[tuple[int, int]], count: int) -> np.ndarray:
        """Controls float32 (b, count, a) from each clip's first frame on: row i acts after its frame i."""
        firsts = [int(self.episodes[i]["first"][k]) for i, k in places]
        return np.stack(
            [self.controls[i][first : first + count] for (i, _), first in zip(places, firsts, strict=True)]
        )


def read_encoded_clips(store: VideoClipStore, episodes: Sequence[EpisodeRef]) -> EncodedClips:
    """Read the clips and controls of episodes into memory."""
    return EncodedClips(
        episodes=tuple(store.read(episode) for episode in episodes),
        controls=tuple(control_rows(episode) for episode in episodes),
    )
