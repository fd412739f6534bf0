import json
import os

import pytest
from safetensors import SafetensorError

from paracosm.core.errors import DataError, MissingPackageError
from paracosm.core.extras import need
from paracosm.core.files import read_json, refuse_overlap, whole_file, whole_folder, write_json


def test_a_file_is_whole_or_absent(tmp_path):
    target = tmp_path / "deep" / "value.json"
    with pytest.raises(RuntimeError), whole_file(target) as temporary:
        _write_and_fail(temporary)
    assert list(target.parent.iterdir()) == []
    write_json(target, {"ä": [1, 2]})
    assert read_json(target) == {"ä": [1, 2]}
    with pytest.raises(RuntimeError), whole_file(target) as temporary:
        _write_and_fail(temporary)
    assert read_json(target) == {"ä": [1, 2]}


def _write_and_fail(file) -> None:
    file.write_text("half")
    raise RuntimeError("killed")


def test_a_folder_is_replaced_only_by_a_whole_one(tmp_path):
    target = tmp_path / "world"
    with whole_folder(target, "world.json") as temporary:
        write_json(temporary / "world.json", {"format_version": 1})
    with pytest.raises(RuntimeError), whole_folder(target, "world.json") as temporary:
        _write_and_fail(temporary / "new")
    assert [file.name for file in target.iterdir()] == ["world.json"]
    with whole_folder(target, "world.json") as temporary:
        (temporary / "new").write_text("2")
    assert [file.name for file in target.iterdir()] == ["new"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["world"]


@pytest.mark.parametrize("document", [None, {"architectures": ["WanModel"]}, [1], "no JSON"])
def test_a_folder_of_others_is_never_replaced(tmp_path, document):
    target = tmp_path / "photos"
    for name in ("a.png", "b.png", "c.png"):
        write_json(target / name, name)
    if document is not None:
        (target / "world.json").write_text(document if document == "no JSON" else json.dumps(document))
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    with (
        pytest.raises(
            DataError,
            match=r"photos holds a.png, b.png, c.png.* and no world.json of this project, so it is not "
            r"replaced; give a new or an empty folder, or delete it first",
        ),
        whole_folder(target, "world.json"),
    ):
        pytest.fail("nothing may be made for a folder that will not be written")
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    assert [folder.name for folder in tmp_path.iterdir()] == ["photos"]


def test_an_empty_folder_is_filled_and_a_file_in_its_place_stays(tmp_path):
    (tmp_path / "empty").mkdir()
    with whole_folder(tmp_path / "empty", "world.json") as temporary:
        (temporary / "new").write_text("2")
    assert [file.name for file in (tmp_path / "empty").iterdir()] == ["new"]
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(DataError, match=r"file could not be written \(Not a directory\)"),
        whole_folder(tmp_path / "file", "world.json"),
    ):
        pytest.fail("a file is no folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_linked_folder_is_replaced_where_it_lies(tmp_path):
    write_json(tmp_path / "real" / "world.json", {"format_version": 1})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with whole_folder(tmp_path / "link", "world.json") as temporary:
        (temporary / "new").write_text("2")
    assert [file.name for file in (tmp_path / "real").iterdir()] == ["new"]
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("out", "how"), [("hub/model", "is"), ("hub", "contains"), ("hub/model/deep/world", "lies inside")]
)
def test_a_folder_that_is_read_is_not_written(tmp_path, out, how):
    source = tmp_path / "hub" / "model"
    with pytest.raises(
        DataError, match=f"{out} {how} .*hub/model, which is read; write to a folder beside it"
    ):
        refuse_overlap(tmp_path / out, [tmp_path / "other", source])
    refuse_overlap(tmp_path / "hub" / "model2", [source])


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json is missing; check the folder name or make it anew"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"a": ')
    with pytest.raises(DataError, match=r"bad\.json is not valid JSON \(.*line 1.*\); restore it"):
        read_json(tmp_path / "bad.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_said_in_plain_words(tmp_path):
    with (
        pytest.raises(
            DataError, match=r"value could not be written \(No space left on device\); free some space"
        ),
        whole_file(tmp_path / "value") as temporary,
        open("/dev/full", "w") as full,
    ):
        _fill(full, temporary)


def test_a_disk_that_fills_while_tensors_are_written_is_said_in_plain_words(tmp_path):
    target = tmp_path / "step-1"
    with (
        pytest.raises(DataError, match=r"step-1 could not be written \(.*os error 28\)\); free some space"),
        whole_folder(target, "world.json"),
    ):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert not list(tmp_path.iterdir())


def _fill(full, temporary) -> None:
    temporary.write_text("")
    full.write("x")
    full.flush()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"value\.json could not be written .*choose another folder"):
        write_json(tmp_path / "file" / "value.json", 1)


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    assert need("json", "games") is not None
    with pytest.raises(
        MissingPackageError,
        match=r'no_such_package is not installed .*; run: pip install -e "\.\[games\]"',
    ):
        need("no_such_package", "games")


def test_a_file_nested_too_deeply_is_named(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(
        DataError, match=r"deep\.json is not valid JSON \(its brackets are nested too deeply\)"
    ):
        read_json(tmp_path / "deep.json")
