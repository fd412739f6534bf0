"""Folders in object stores: what was curated is there, and another machine goes on from it."""

import uuid
from pathlib import Path

import pytest

from paracosm.core.errors import DataError
from paracosm.curate.pipeline import run
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
    assert (there.put(here), there.fetch(tmp_path / "back")) == (1, 1)


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
