"""Stage: what is told of every clip to token states beside the dataset, so that training runs no encoder.

Texts come from what the world knew, or from captions that were exported with the clips. This file does NOT
know networks but the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.curate.caption_truth import VERSION, TruthCaptionConfig, write_fields
from paracosm.curate.captions import FIELDS, GEN_FIELDS, INS_FIELDS, UNCHANGED
from paracosm.curate.export import CAPTIONS_LABEL, CAPTIONS_VERSION
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.data.text_store import TEXTS_FOLDER, TextKey, Texts, has_texts, write_texts
from paracosm.models.text import ENCODERS, EncoderName, make_encoder

TextSource = Literal["truth", "labels"]
SHOWN, CHANGES = "shown", "changes"
"""Further fields: all of what a clip shows, and all that changes in it, each as one free text."""
STORED_FIELDS = (*FIELDS, SHOWN, CHANGES)
TEXTS_AT_ONCE = 4096
"""Texts handed to the encoder together: enough of each length to fill a batch."""


@dataclass(frozen=True, kw_only=True)
class EncodeTextsStageConfig:
    """What is told of which clips, and which encoder reads it."""

    data: Path
    """dataset folder; the texts land in DATA/texts"""
    encoder: EncoderName
    """who turns words into token states; hashed_words is for toys"""
    clip_frames: int
    """frames of the clips that texts tell of; every frame begins one"""
    source: TextSource = "truth"
    """what the world knew, or the captions that were exported with the clips"""
    truth: TruthCaptionConfig = field(default_factory=TruthCaptionConfig)
    """how a world's knowledge becomes words"""

    def __post_init__(self) -> None:
        """Refuse clips in which nothing can change."""
        if self.clip_frames < 2:
            raise ConfigError(f"clip_frames {self.clip_frames} is too small; use 2 or more")


def text_key(encoder: EncoderName, source: TextSource, frames: int) -> TextKey:
    """Name the texts that a stage of this config leaves."""
    version = VERSION if source == "truth" else CAPTIONS_VERSION
    return TextKey(encoder=ENCODERS[encoder].name, source=f"{source}-v{version}", frames=frames)


def main(config: EncodeTextsStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Encode the texts of all clips; return their folder. What is there already stays."""
    dataset = Dataset(config.data)
    key = text_key(config.encoder, config.source, config.clip_frames)
    folder = dataset.path / TEXTS_FOLDER / key.folder
    if has_texts(dataset, key):
        return folder
    encoder = make_encoder(config.encoder)
    numbers: dict[str, int] = {}
    rows = {}
    line = progress("tell clips", len(dataset.episodes), unit="episode")
    for done, episode in enumerate(dataset.episodes, 1):
        rows[episode.name] = _tell(dataset, episode, config, numbers)
        line.update(done)
    line.close()
    texts = tuple(numbers) or ("",)
    states: list[np.ndarray] = []
    line = progress("encode texts", len(texts), unit="text")
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        part = encoder.encode(texts[first : first + TEXTS_AT_ONCE])
        states += [state.astype(np.float16) for state in part]
        line.update(len(states))
    line.close()
    write_texts(dataset, key, Texts(fields=STORED_FIELDS, texts=texts, states=tuple(states), rows=rows))
    return folder


def _tell(
    dataset: Dataset, episode: EpisodeRef, config: EncodeTextsStageConfig, numbers: dict[str, int]
) -> np.ndarray:
    """Number the texts of every clip of an episode, int32 (t, f)."""
    rows = np.full((episode.num_frames, len(STORED_FIELDS)), -1, np.int32)
    labels = None
    if config.source == "labels":
        table = dataset.read_labels(CAPTIONS_LABEL, CAPTIONS_VERSION, episode.name)
        labels = {name: table[name].to_pylist() for name in FIELDS}
    controls = episode.control_vectors if episode.has_controls else None
    for first in range(episode.num_frames - config.clip_frames + 1):
        last = first + config.clip_frames
        if labels is not None:
            fields = {name: column[first] for name, column in labels.items()}
        else:
            given = None if controls is None else controls[first : last - 1]
            table = episode.table.slice(first, config.clip_frames)
            fields = write_fields(episode.info, table, given, config.truth)
        told = {**fields, SHOWN: join(fields, GEN_FIELDS), CHANGES: join(fields, INS_FIELDS)}
        rows[first] = [numbers.setdefault(told[name], len(numbers)) for name in STORED_FIELDS]
    return rows


def join(fields: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Join fields to the one text that a person might have typed: what stays as it is is left out."""
    said = [fields[name].rstrip(".") for name in names if fields[name] != UNCHANGED]
    return ". ".join(said) or UNCHANGED
