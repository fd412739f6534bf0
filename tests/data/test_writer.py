import dataclasses
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from paracosm.core.controls import Control
from paracosm.core.episode import Recipe
from paracosm.core.errors import ControlError, DataError
from paracosm.core.world import Frame
from paracosm.data import Dataset, EpisodeWriter, prepare_dataset

from .recordings import INFO, make_frames, write_episode

RECIPE = Recipe(world=INFO.name)


def leftovers(path: Path) -> list[str]:
    return [part.name for part in (path / "episodes").glob("*")]


def test_a_failed_episode_leaves_nothing(tmp_path: Path) -> None:
    prepare_dataset(tmp_path, INFO)

    def fail() -> None:
        with EpisodeWriter(tmp_path, "one", INFO, RECIPE) as writer:
            writer.begin(make_frames(1)[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert leftovers(tmp_path) == []


def test_a_discarded_episode_leaves_nothing(tmp_path: Path) -> None:
    prepare_dataset(tmp_path, INFO)
    writer = EpisodeWriter(tmp_path, "one", INFO, RECIPE, frames="ffv1", video=True)
    writer.begin(make_frames(1)[0])
    writer.discard()
    writer.discard()
    assert leftovers(tmp_path) == []


def test_a_full_disk_while_frames_are_written_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_episode(tmp_path, [Control()])
    writer = EpisodeWriter(tmp_path, "two", INFO, RECIPE)
    frames = make_frames(3)
    writer.begin(frames[0])

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer._frames, "add", fail)
    with pytest.raises(
        DataError, match=r"two could not be written .No space left on device.; free some space"
    ):
        writer.step(Control(), frames[1])
    assert leftovers(tmp_path) == ["episode-000000"]
    with pytest.raises(DataError, match=r"two is closed; open a new EpisodeWriter"):
        writer.step(Control(), frames[2])


def test_a_full_disk_while_the_table_is_written_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(DataError, match=r"could not be written .No space left on device.; free some space"):
        write_episode(tmp_path, [Control()])
    assert leftovers(tmp_path) == []


def test_a_control_that_is_not_offered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"keys .'fly'. are not offered"):
        write_episode(tmp_path, [Control({"fly"})])
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (
            Frame(image=np.zeros((5, 10, 3), np.uint8), index=0),
            r"has shape \(5, 10, 3\) and type uint8; game:test promises",
        ),
        (
            Frame(image=np.zeros((6, 10, 3), np.float32), index=0),
            "and type float32; game:test promises uint8",
        ),
        (
            Frame(image=np.zeros((6, 10, 3), np.uint8), index=2),
            "frame 2 came where frame 0 of .* was due; write every frame",
        ),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(tmp_path: Path, frame: Frame, text: str) -> None:
    prepare_dataset(tmp_path, INFO)
    with pytest.raises(DataError, match=text), EpisodeWriter(tmp_path, "one", INFO, RECIPE) as writer:
        writer.begin(frame)
    assert leftovers(tmp_path) == []


def test_calls_out_of_order_are_refused(tmp_path: Path) -> None:
    prepare_dataset(tmp_path, INFO)
    writer = EpisodeWriter(tmp_path, "one", INFO, RECIPE)
    frames = make_frames(2)
    with pytest.raises(DataError, match=r"has no first frame yet; call begin\(frame\) before step"):
        writer.step(Control(), frames[1])
    writer.begin(frames[0])
    with pytest.raises(DataError, match=r"has begun already; call step\(control, frame\)"):
        writer.begin(frames[0])
    with pytest.raises(DataError, match=r'was not opened for a person; set the recipe.s policy to "person"'):
        writer.add_input({"code": "KeyW"})
    writer.close()
    writer.close()
    assert leftovers(tmp_path) == ["one"]


def test_an_empty_episode_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    prepare_dataset(tmp_path, INFO)
    writer = EpisodeWriter(tmp_path, "one", INFO, RECIPE)
    with pytest.raises(DataError, match=r"one got no frame, so nothing was written"):
        writer.close()
    assert leftovers(tmp_path) == []


def test_a_name_is_taken_once_and_is_a_plain_name(tmp_path: Path) -> None:
    write_episode(tmp_path, [])
    with pytest.raises(
        DataError, match=r"episode-000000 exists already; choose another name or delete it first"
    ):
        write_episode(tmp_path, [])
    for name in ("", "../up", ".hidden"):
        with pytest.raises(DataError, match=r"is no plain folder name; use letters, digits and dashes"):
            EpisodeWriter(tmp_path, name, INFO, RECIPE)


def test_a_dataset_holds_one_world(tmp_path: Path) -> None:
    write_episode(tmp_path, [])
    other = dataclasses.replace(INFO, height=12)
    with pytest.raises(
        DataError, match=r"holds recordings whose height is 6, this world's is 12; record into another folder"
    ):
        prepare_dataset(tmp_path, other)
    prepare_dataset(tmp_path, dataclasses.replace(INFO, engine="test 2"))
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"dataset.json is missing though .* holds episodes"):
        prepare_dataset(tmp_path, INFO)


def test_raw_inputs_of_a_person_are_kept(tmp_path: Path) -> None:
    prepare_dataset(tmp_path, INFO)
    with EpisodeWriter(tmp_path, "one", INFO, dataclasses.replace(RECIPE, policy="person")) as writer:
        writer.begin(make_frames(1)[0])
        writer.add_input({"time_ms": 12.5, "code": "KeyW", "down": True})
    lines = (tmp_path / "episodes/one/inputs.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"time_ms": 12.5, "code": "KeyW", "down": True}]
    Dataset(tmp_path).episode("one").verify()


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "episodes").write_text("a file where a folder belongs")
    with pytest.raises(DataError, match=r"could not be written"):
        EpisodeWriter(tmp_path, "one", INFO, RECIPE)


def test_a_weight_is_kept_where_there_is_one_and_checked_when_read(tmp_path: Path) -> None:
    prepare_dataset(tmp_path, INFO)
    for name, weight in (("even", 1.0), ("rare", 2.5)):
        with EpisodeWriter(tmp_path, name, INFO, Recipe(world=INFO.name), weight=weight) as writer:
            writer.begin(make_frames(1)[0])
    assert [episode.weight for episode in Dataset(tmp_path).episodes] == [1.0, 2.5]
    file = tmp_path / "episodes" / "rare" / "episode.json"
    assert "weight" not in (tmp_path / "episodes" / "even" / "episode.json").read_text()
    for odd, said in ((0, "0"), ("a", "'a'"), (float("nan"), "nan")):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"weight": odd}))
        with pytest.raises(DataError, match=f"rare/episode.json weight is {said}, a number above 0 is due"):
            Dataset(tmp_path)
