"""Recordings on disk: episode format, writer and reader; ``README.md`` beside this file specifies it."""

from .format import FORMAT_VERSION
from .reader import Dataset, EpisodeRef
from .writer import EpisodeWriter, prepare_dataset

__all__ = ["FORMAT_VERSION", "Dataset", "EpisodeRef", "EpisodeWriter", "prepare_dataset"]
