"""Recordings on disk: the episode format, its writer and its reader. ``README.md`` beside this file is the specification."""

from paracosm.data.format import FORMAT_VERSION
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.data.writer import EpisodeWriter, prepare_dataset

__all__ = ["FORMAT_VERSION", "Dataset", "EpisodeRef", "EpisodeWriter", "prepare_dataset"]
