import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from paracosm.core.controls import Control
from paracosm.core.errors import DataError
from paracosm.data import Dataset, EpisodeRef
from paracosm.data.writer import write_labels

from .recordings import write_episode


@pytest.fixture
def episode(tmp_path: Path) -> EpisodeRef:
    return write_episode(tmp_path / "set", [Control()] * 9)


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_truncated_frames_are_refused_by_name(episode: EpisodeRef) -> None:
    file = episode.path / "frames.npy"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(
        DataError, match=r"frames.npy is 1878 bytes long, 1928 were written; restore it or record"
    ):
        _ = episode.frames
    with pytest.raises(DataError, match=r"frames.npy is 1878 bytes long"):
        episode.read_frames(0, 1)


def test_missing_frames_are_refused_by_name(episode: EpisodeRef) -> None:
    (episode.path / "frames.npy").unlink()
    with pytest.raises(
        DataError, match=r"frames.npy is missing; restore it from a copy or record the episode anew"
    ):
        _ = episode.frames


def test_one_wrong_bit_is_found_by_verify(episode: EpisodeRef) -> None:
    file = episode.path / "frames.npy"
    content = bytearray(file.read_bytes())
    content[700] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"frames.npy is corrupt \(its hash changed\); restore it or record"):
        episode.verify()


def test_a_corrupt_table_is_refused_by_name(episode: EpisodeRef) -> None:
    file = episode.path / "steps.parquet"
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(DataError, match=r"steps.parquet is corrupt .*; restore it or make it anew"):
        _ = episode.control_vectors


def test_a_table_of_another_length_is_refused(episode: EpisodeRef) -> None:
    file = episode.path / "steps.parquet"
    pq.write_table(pq.read_table(file).slice(0, 5), file)
    stored = json.loads((episode.path / "episode.json").read_text())
    stored["files"]["steps.parquet"]["bytes"] = file.stat().st_size
    (episode.path / "episode.json").write_text(json.dumps(stored))
    changed = Dataset(episode.path.parent.parent).episode(0)
    with pytest.raises(
        DataError, match=r"steps.parquet has 5 rows for 10 frames; restore it or record the episode anew"
    ):
        _ = changed.table


def test_a_newer_format_is_refused(episode: EpisodeRef) -> None:
    edit(episode.path / "episode.json", format_version=99)
    with pytest.raises(
        DataError, match=r"episode.json has format version 99, this Paracosm reads up to 1; update"
    ):
        Dataset(episode.path.parent.parent)


def test_an_episode_without_its_json_is_refused(episode: EpisodeRef) -> None:
    (episode.path / "episode.json").unlink()
    with pytest.raises(DataError, match=r"episode.json is missing"):
        Dataset(episode.path.parent.parent)


def test_an_episode_that_lacks_a_part_is_refused(episode: EpisodeRef) -> None:
    stored = json.loads((episode.path / "episode.json").read_text())
    del stored["frames"]
    (episode.path / "episode.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match=r"lacks a part of an episode \('frames'\); restore it or record"):
        Dataset(episode.path.parent.parent)


def test_an_episode_that_does_not_fit_its_dataset_is_refused(episode: EpisodeRef) -> None:
    edit(episode.path / "episode.json", height=7)
    with pytest.raises(
        DataError, match=r"does not fit its dataset \(size \(7, 10\), frames raw, split train\)"
    ):
        Dataset(episode.path.parent.parent)


def test_a_folder_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing is no folder; give the folder of a recording"):
        Dataset(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"dataset.json is missing"):
        Dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match=r"has no format_version, so it is no Paracosm recording"):
        Dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"format_version": 1, "world": {}}')
    with pytest.raises(DataError, match=r"does not describe a world"):
        Dataset(tmp_path)


def test_a_half_written_episode_is_not_seen(episode: EpisodeRef) -> None:
    (episode.path.parent / ".partial-1-episode-000001").mkdir()
    assert len(Dataset(episode.path.parent.parent)) == 1


def test_episodes_are_found_by_number_and_by_name(episode: EpisodeRef) -> None:
    dataset = Dataset(episode.path.parent.parent)
    assert dataset.episode(0).name == dataset.episode("episode-000000").name
    with pytest.raises(DataError, match=r"has no episode 3; it has 1, counted from 0"):
        dataset.episode(3)
    with pytest.raises(DataError, match=r"has no episode dream; it has 1, such as episode-000000"):
        dataset.episode("dream")
    with pytest.raises(DataError, match=r"has frames 0 to 9; frames 8 to 10 are not among them"):
        episode.read_frames(8, 11)


def test_a_thousand_episodes_open_within_a_second(tmp_path: Path) -> None:
    import shutil

    episode = write_episode(tmp_path, [Control()])
    for index in range(1, 1000):
        shutil.copytree(episode.path, episode.path.with_name(f"episode-{index:06d}"))
    began = time.perf_counter()
    assert Dataset(tmp_path).num_frames == 2000
    assert time.perf_counter() - began < 1


def test_labels_have_a_row_for_each_frame_and_a_version(episode: EpisodeRef) -> None:
    folder = episode.path.parent.parent
    write_labels(folder, "motion", 1, episode.name, {"speed": [0.5] * 10})
    write_labels(folder, "motion", 2, episode.name, {"speed": [0.7] * 10})
    dataset = Dataset(folder)
    assert dataset.read_labels("motion", 1, episode.name)["speed"].to_pylist() == [0.5] * 10
    assert dataset.read_labels("motion", 2, episode.name)["frame"].to_pylist() == list(range(10))
    with pytest.raises(
        DataError, match=r"labels speed of episode-000000 have 3 rows, the episode has 10 frames"
    ):
        write_labels(folder, "motion", 3, episode.name, {"speed": [1, 2, 3]})
    with pytest.raises(DataError, match=r"motion/v9/episode-000000.parquet is missing"):
        dataset.read_labels("motion", 9, episode.name)
