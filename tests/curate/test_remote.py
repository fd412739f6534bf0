"""Folders in object stores: what was curated is there, and another machine goes on from it."""

import json
import os
import uuid
from pathlib import Path

import pytest

from paracosm.core.errors import DataError
from paracosm.curate.captions import append_line, read_lines
from paracosm.curate.pipeline import run
from paracosm.curate.ratings import Rating, add_rating, read_ratings
from paracosm.curate.remote import RemoteFolder
from paracosm.curate.stages import CurateConfig
from tests.curate.conftest import CUTS
from tests.curate.made import pan, write_video

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(params=["memory", "file"])
def address(request, tmp_path) -> str:
    name = uuid.uuid4().hex
    return f"memory://{name}/set" if request.param == "memory" else f"file://{tmp_path}/store/set"


def test_what_is_missing_is_copied_and_nothing_twice(address, tmp_path):
    here, there = tmp_path / "here", RemoteFolder(address)
    (here / "a").mkdir(parents=True)
    (here / "a" / "one.bin").write_bytes(b"12345")
    (here / "lock").write_text("4711")
    (here / ".partial-7-two.bin").write_bytes(b"half")
    assert (there.put(here), there.put(here)) == (1, 0)
    assert (there.fetch(tmp_path / "back"), there.fetch(tmp_path / "back")) == (1, 0)
    assert [file.name for file in sorted((tmp_path / "back").rglob("*")) if file.is_file()] == ["one.bin"]
    assert (tmp_path / "back" / "a" / "one.bin").read_bytes() == b"12345"
    (here / "a" / "one.bin").write_bytes(b"123456")  # another size
    assert there.put(here) == 1


def test_a_file_that_is_here_stays_and_a_newer_one_there_is_told(address, tmp_path, caplog):
    here, there = tmp_path / "here", RemoteFolder(address)
    here.mkdir()
    (here / "one.bin").write_bytes(b"theirs")
    there.put(here)
    (here / "one.bin").write_bytes(b"mine!!!")
    os.utime(here / "one.bin", (1e9, 1e9))
    assert there.fetch(here, remade=["one.bin"]) == 0
    assert caplog.text == ""
    assert there.fetch(here) == 0
    assert (here / "one.bin").read_bytes() == b"mine!!!"
    assert f"one.bin stays as it is, though {address} has a newer one; delete it here" in caplog.text


def test_lines_of_both_sides_are_kept_on_both(address, tmp_path):
    there, lines = RemoteFolder(address, joined=".jsonl"), {}
    for machine, line in (("one", "a\n"), ("two", "b\nc\n")):
        (tmp_path / machine).mkdir()
        (tmp_path / machine / "x.jsonl").write_text(line)
        there.put(tmp_path / machine)
    there.fetch(tmp_path / "one")
    there.fetch(tmp_path / "three")
    for machine in ("one", "two", "three"):
        lines[machine] = (tmp_path / machine / "x.jsonl").read_text().splitlines()
    assert {machine: sorted(found) for machine, found in lines.items()} == {
        machine: ["a", "b", "c"] for machine in lines
    }
    assert there.fetch(tmp_path / "one") == 0


def test_ratings_and_captions_made_between_two_runs_are_kept_here_and_put_there(tmp_path):
    name = uuid.uuid4().hex
    write_video(tmp_path / "videos" / "walk.mp4", pan(1, 30))
    config = CurateConfig(
        folder=tmp_path / "videos", out=tmp_path / "out", workers=1, cuts=CUTS, mirror=f"memory://{name}"
    )
    config.out.mkdir()
    add_rating(config.out, Rating(clip="walk.mp4#0-30", keep=True))
    run(config)
    add_rating(config.out, Rating(clip="walk.mp4#0-30", keep=False))
    append_line(config.out, {"clip": "walk.mp4#0-30", "made_by": "a model that costs", "fields": {}})
    run(config)
    RemoteFolder(config.mirror).fetch(tmp_path / "back")
    for out in (config.out, tmp_path / "back"):
        assert not read_ratings(out)["walk.mp4#0-30"].keep
        assert [row["made_by"] for row in read_lines(out)] == ["a model that costs"]


def test_the_last_rating_by_time_counts_whichever_line_stands_first(tmp_path):
    row = {"clip": "a", "score": None, "caption": ""}
    said = [row | {"time": 20.0, "keep": True}, row | {"time": 10.0, "keep": False}]
    (tmp_path / "ratings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in said))
    assert read_ratings(tmp_path)["a"].keep


def test_an_address_that_leads_nowhere_is_told(tmp_path):
    with pytest.raises(DataError, match="nowhere://x is no address that fsspec opens here"):
        RemoteFolder("nowhere://x")
    assert RemoteFolder("memory://nothing-there").fetch(tmp_path / "back") == 0


def test_a_run_reads_and_writes_a_store_and_another_machine_goes_on(tmp_path):
    name = uuid.uuid4().hex
    write_video(tmp_path / "videos" / "walk.mp4", pan(1, 30))
    RemoteFolder(f"memory://{name}/videos").put(tmp_path / "videos")

    def machine(number: int) -> CurateConfig:
        base: Path = tmp_path / f"machine-{number}"
        return CurateConfig(
            folder=base / "videos", out=base / "out", workers=1, cuts=CUTS,
            origin=f"memory://{name}/videos", mirror=f"memory://{name}/scores",
        )  # fmt: skip

    first = run(machine(1))
    assert [(outcome.status, bool(outcome.seconds)) for outcome in first] == [("ok", True)]
    second = run(machine(2))
    assert [(outcome.status, outcome.seconds) for outcome in second] == [("ok", {})]
    tables = [sorted(p.name for p in (machine(n).out / "scores").rglob("*.parquet")) for n in (1, 2)]
    assert tables[0] == tables[1] != []
