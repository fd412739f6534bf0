"""Latents kept beside the frames they were encoded from, under the hash of the tokenizer that made them.

    DATASET/latents/HASH/latents.json       format_version, tokenizer hash, shape of one frame's latents
    DATASET/latents/HASH/EPISODE.npy        float16 (t, z, h, w), or codes uint16 (t, h, w); row i is frame i

This file does NOT know tokenizers or torch; it stores arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.files import read_json, whole_file, write_json

from .clips import control_rows
from .reader import Dataset, EpisodeRef

FORMAT_VERSION = 1
"""Raised when the arrays change their meaning."""
LATENTS_FOLDER = "latents"


class LatentStore:
    """The latents of one dataset under one tokenizer.

    Args:
        dataset: whose frames were or will be encoded.
        tokenizer_hash: hash of the tokenizer's weights.
        shape: (z, h, w) of one frame's latents, or (h, w) of its codes.
        kind: numbers as float16, or codes as uint16.
    """

    def __init__(
        self,
        dataset: Dataset,
        tokenizer_hash: str,
        shape: tuple[int, ...],
        kind: Literal["float16", "uint16"] = "float16",
    ) -> None:
        self.folder = dataset.path / LATENTS_FOLDER / tokenizer_hash
        self.shape, self.kind = shape, kind
        file = self.folder / "latents.json"
        description = {"format_version": FORMAT_VERSION, "tokenizer": tokenizer_hash, "shape": list(shape)}
        if not file.exists():
            write_json(file, description)
        elif (found := read_json(file)) != description:
            raise DataError(
                f"{file} says {found}, expected {description}; delete {self.folder} and encode again"
            )

    def has(self, episode: EpisodeRef) -> bool:
        """Whether the latents of an episode are there."""
        return self._file(episode).is_file()

    def write(self, episode: EpisodeRef, latents: np.ndarray) -> None:
        """Store the latents of a whole episode, float (t, z, h, w), or its codes (t, h, w) below 65,536."""
        if latents.shape != (episode.num_frames, *self.shape):
            raise DataError(
                f"latents of shape {latents.shape} do not fit {episode.num_frames} frames of {self.shape}"
            )
        with whole_file(self._file(episode)) as temporary, temporary.open("wb") as file:
            np.save(file, latents.astype(self.kind))

    def read(self, episode: EpisodeRef) -> np.ndarray:
        """Return float16 (t, z, h, w), or uint16 (t, h, w).

        Raises:
            DataError: when it is missing, truncated or of another length than the episode.
        """
        path = self._file(episode)
        try:
            latents = np.load(path)
        except FileNotFoundError:
            raise DataError(f"{path} is missing; run the encode stage first") from None
        except (ValueError, OSError, EOFError) as error:
            raise DataError(
                f"{path} is corrupt or truncated ({error}); delete it and encode again"
            ) from error
        if latents.shape != (episode.num_frames, *self.shape):
            raise DataError(
                f"{path} is {latents.shape} for {episode.num_frames} frames of {self.shape}; "
                "delete it and encode again"
            )
        return latents

    def _file(self, episode: EpisodeRef) -> Path:
        return self.folder / f"{episode.name}.npy"


@dataclass(frozen=True, kw_only=True)
class LatentClips:
    """All latents and controls of some episodes in memory, cut into clips on demand."""

    latents: tuple[np.ndarray, ...]
    controls: tuple[np.ndarray, ...]

    @property
    def lengths(self) -> list[int]:
        """Frames of each episode."""
        return [len(part) for part in self.latents]

    def cut(self, places: Sequence[tuple[int, int]], clip_frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Cut clips.

        Args:
            places: (episode index, first frame) of each clip.
            clip_frames: t.

        Returns:
            Latents float16 (b, t, z, h, w) and the controls between them float32 (b, t - 1, a).
        """
        latents = np.stack([self.latents[episode][first : first + clip_frames] for episode, first in places])
        controls = np.stack(
            [self.controls[episode][first : first + clip_frames - 1] for episode, first in places]
        )
        return latents, controls


def read_latent_clips(store: LatentStore, episodes: Sequence[EpisodeRef]) -> LatentClips:
    """Read the latents and controls of episodes into memory."""
    return LatentClips(
        latents=tuple(store.read(episode) for episode in episodes),
        controls=tuple(control_rows(episode) for episode in episodes),
    )
