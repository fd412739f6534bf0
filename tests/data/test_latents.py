"""Latents beside a dataset: kept under the tokenizer's hash, checked when read."""

from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.data.latents import LatentStore, read_latent_clips
from tests.train.datasets import record_counting

SHAPE = (4, 2, 3)


def test_what_was_written_is_read_back_in_half_precision(tmp_path: Path) -> None:
    dataset = record_counting(tmp_path, num_episodes=2)
    store = LatentStore(dataset, "abc", SHAPE)
    latents = [np.random.default_rng(i).standard_normal((13, *SHAPE)).astype(np.float32) for i in range(2)]
    for episode, part in zip(dataset.episodes, latents, strict=True):
        store.write(episode, part)
    clips = read_latent_clips(store, dataset.episodes)
    cut, controls = clips.cut([(1, 3)], 5)
    assert np.array_equal(cut[0], latents[1][3:8].astype(np.float16))
    assert np.array_equal(controls[0], dataset.episodes[1].control_vectors[3:7])


def test_wrong_lengths_missing_and_truncated_files_are_refused(tmp_path: Path) -> None:
    dataset = record_counting(tmp_path, num_episodes=1)
    store, episode = LatentStore(dataset, "abc", SHAPE), dataset.episodes[0]
    with pytest.raises(DataError, match="do not fit 13 frames"):
        store.write(episode, np.zeros((5, *SHAPE)))
    with pytest.raises(DataError, match="run the encode stage first"):
        store.read(episode)
    store.write(episode, np.zeros((13, *SHAPE)))
    file = store.folder / f"{episode.name}.npy"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"corrupt or truncated.*delete it and encode again"):
        store.read(episode)


def test_latents_of_another_shape_under_one_hash_are_refused(tmp_path: Path) -> None:
    dataset = record_counting(tmp_path, num_episodes=1)
    LatentStore(dataset, "abc", SHAPE)
    with pytest.raises(DataError, match=r"delete .* and encode again"):
        LatentStore(dataset, "abc", (8, 2, 3))
