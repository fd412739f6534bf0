"""Texts of clips kept beside the frames they tell of, with the token states that an encoder made of them.

    DATASET/texts/KEY/texts.json      format_version, encoder, fields, frames, texts, lengths, episodes
    DATASET/texts/KEY/states.npy      float16 (l, w): the states of all texts, one after the other
    DATASET/texts/KEY/EPISODE.npy     int32 (t, f): row i is the clip of ``frames`` frames that begins at
                                      frame i: for each field the number of its text; -1 where no clip fits

A dataset has few different texts and many clips, so each text is encoded once. This file does NOT know
encoders, captions or torch; it stores arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.files import read_json, whole_folder, write_json

from .reader import Dataset, EpisodeRef

FORMAT_VERSION = 1
"""Raised when the arrays change their meaning."""
TEXTS_FOLDER, TEXTS_FILE, STATES_FILE = "texts", "texts.json", "states.npy"


@dataclass(frozen=True, kw_only=True)
class TextKey:
    """Which texts of a dataset.

    Attributes:
        encoder: name of the encoder, with its version.
        source: who wrote them, with version, e.g. "truth-v1".
        frames: length of the clips that they tell of.
    """

    encoder: str
    source: str
    frames: int

    @property
    def folder(self) -> str:
        """Name of the folder."""
        return f"{self.encoder}-{self.source}-{self.frames}"


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts of a dataset.

    Attributes:
        fields: names, in the order of the columns of ``rows``.
        texts: every different text.
        states: float16 (l, w) of each of them.
        rows: for each episode's name int32 (t, f).
    """

    fields: tuple[str, ...]
    texts: tuple[str, ...]
    states: tuple[np.ndarray, ...]
    rows: Mapping[str, np.ndarray]

    @property
    def width(self) -> int:
        """Numbers of a state."""
        return self.states[0].shape[1]

    def number(self, episode: str, first: int, field: str) -> int:
        """Return the number of a field's text for the clip that begins at frame ``first``.

        Raises:
            DataError: when no clip of the texts' length begins there, or there is no such field.
        """
        if field not in self.fields:
            raise DataError(f'the texts have no field "{field}"; they have {", ".join(self.fields)}')
        number = int(self.rows[episode][first, self.fields.index(field)])
        if number < 0:
            raise DataError(
                f"{episode} has no text for a clip from frame {first}; encode texts of shorter clips"
            )
        return number


def has_texts(dataset: Dataset, key: TextKey) -> bool:
    """Whether the texts of all episodes are there."""
    file = dataset.path / TEXTS_FOLDER / key.folder / TEXTS_FILE
    return file.is_file() and read_json(file).get("episodes") == [one.name for one in dataset.episodes]


def write_texts(dataset: Dataset, key: TextKey, texts: Texts) -> None:
    """Write the texts of all episodes; all of them or none.

    Raises:
        DataError: when an episode is missing or has another length, or the disk is full.
    """
    lengths = {episode.name: episode.num_frames for episode in dataset.episodes}
    given = {name: len(rows) for name, rows in texts.rows.items()}
    if given != lengths:
        raise DataError(f"texts of {len(given)} episodes do not fit the {len(lengths)} of {dataset.path}")
    with whole_folder(dataset.path / TEXTS_FOLDER / key.folder, TEXTS_FILE) as partial:
        np.save(partial / STATES_FILE, np.concatenate(texts.states).astype(np.float16))
        for name, rows in texts.rows.items():
            np.save(partial / f"{name}.npy", rows.astype(np.int32))
        description = {
            "format_version": FORMAT_VERSION,
            "encoder": key.encoder,
            "fields": list(texts.fields),
            "frames": key.frames,
            "texts": list(texts.texts),
            "lengths": [len(states) for states in texts.states],
            "episodes": list(lengths),
        }
        write_json(partial / TEXTS_FILE, description)


def read_texts(dataset: Dataset, key: TextKey, episodes: Sequence[EpisodeRef]) -> Texts:
    """Read the texts of some episodes.

    Raises:
        DataError: when they are missing, of another format or corrupt.
    """
    folder = dataset.path / TEXTS_FOLDER / key.folder
    if not (folder / TEXTS_FILE).is_file():
        raise DataError(f"{folder} is missing; run the encode_texts stage first")
    told = read_json(folder / TEXTS_FILE)
    if told.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{folder} has format_version {told.get('format_version')}, not {FORMAT_VERSION}; "
            "delete it and encode the texts again"
        )
    try:
        states = np.load(folder / STATES_FILE)
        rows = {episode.name: np.load(folder / f"{episode.name}.npy") for episode in episodes}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{folder} is corrupt ({error}); delete it and encode the texts again") from error
    ends = np.cumsum(told["lengths"])
    fits = all(len(rows[episode.name]) == episode.num_frames for episode in episodes)
    if not fits or len(states) != (ends[-1] if len(ends) else 0):
        raise DataError(f"{folder} does not fit its dataset; delete it and encode the texts again")
    return Texts(
        fields=tuple(told["fields"]),
        texts=tuple(told["texts"]),
        states=tuple(np.split(states, ends[:-1])),
        rows=rows,
    )
