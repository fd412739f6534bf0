"""Ray as a third way to run the same stages: same tables, lost tasks told, a killed run goes on."""

import contextlib
import importlib.util
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from paracosm.core.errors import ConfigError, MissingPackageError, ParacosmError
from paracosm.curate import ray_pool
from paracosm.curate.footage import find_sources
from paracosm.curate.pipeline import run
from paracosm.curate.ray_pool import run_on_ray
from paracosm.curate.stages import CurateConfig
from tests.conftest import MUST_RUN
from tests.curate.conftest import CUTS
from tests.curate.made import pan, write_video
from tests.curate.test_pipeline import stamps, tables

# A cluster is ten processes, which a busy machine takes minutes to start.
on_a_cluster = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def cluster():
    """A real cluster of one core on this machine, which every run of this file joins."""
    need_ray()
    ray = importlib.import_module("ray")
    with ray_pool._cluster(ray, CurateConfig(folder=Path(), workers=1, on="ray")):
        yield ray


def need_ray() -> None:
    if importlib.util.find_spec("ray") is None:
        reason = 'ray is not installed; run: pip install -e ".[ray]"'
        if os.environ.get(MUST_RUN):
            pytest.fail(f"{reason} ({MUST_RUN} is set)")
        pytest.skip(reason)


class TestOnACluster:
    pytestmark = on_a_cluster

    def test_ray_finds_what_one_process_finds(self, cluster, curated_once, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # relative paths mean the same on every worker
        outcomes = run(
            CurateConfig(folder=curated_once.folder, out=Path("out"), workers=1, on="ray", cuts=CUTS)
        )
        assert [(outcome.source, outcome.status) for outcome in outcomes] == [
            ("game/a.mp4", "ok"),
            ("game/b.mp4", "ok"),
            ("other/c.mp4", "ok"),
        ]
        assert tables(tmp_path / "out") == tables(curated_once.out)

    def test_a_source_that_ends_its_worker_costs_only_itself(self, cluster, tmp_path):
        for name in "abc":
            (tmp_path / f"{name}.mp4").write_bytes(b"")

        def work(source, config):
            if source.name == "b.mp4":
                os._exit(1)
            return source.name

        config = CurateConfig(folder=tmp_path, workers=1, on="ray")
        assert sorted(run_on_ray(work, find_sources(tmp_path), config)) == ["a.mp4", "c.mp4"]

    def test_what_a_worker_lacks_is_told(self, cluster, tmp_path):
        (tmp_path / "a.mp4").write_bytes(b"")

        def work(source, config):
            raise MissingPackageError("cv2 is not installed there")

        with pytest.raises(MissingPackageError, match="cv2 is not installed there"):
            list(run_on_ray(work, find_sources(tmp_path), CurateConfig(folder=tmp_path, workers=1, on="ray")))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_killed_on_ray_takes_its_cluster_down_and_goes_on(curated_once, tmp_path):
    need_ray()
    out = tmp_path / "out"
    words = ["-c", "from paracosm.cli.main import main; import sys; main(sys.argv[1:])", "curate", "run"]
    options = ["--out", str(out), "--on", "ray", "--workers", "1"]
    lengths = ["--cuts.least-s", str(CUTS.least_s), "--cuts.most-s", str(CUTS.most_s)]
    process = subprocess.Popen(
        [sys.executable, *words, str(curated_once.folder), *options, *lengths],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not (before := stamps(out)) and process.poll() is None:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert before
    assert children
    deadline = time.monotonic() + 600
    while any(_lives(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(_lives(child) for child in children), "the cluster outlives the run that started it"
    before = stamps(out)
    run(CurateConfig(folder=curated_once.folder, out=out, workers=1, cuts=CUTS))
    assert {name: stamps(out)[name] for name in before} == before, "a finished table was lost or made again"
    assert tables(out) == tables(curated_once.out)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cluster_that_runs_already_is_joined_and_goes_on_running(curated_once, tmp_path):
    need_ray()
    port = free_port()
    options = ["--num-cpus=1", "--include-dashboard=false", f"--object-store-memory={80 * 2**20}", "--block"]
    head = subprocess.Popen(
        [Path(sys.executable).with_name("ray"), "start", "--head", f"--port={port}", *options],
        env={**os.environ, **ray_pool.SURROUNDINGS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that it can be ended without ending anyone else's cluster
    )
    try:
        deadline = time.monotonic() + 600
        while not listens(port) and head.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
        config = CurateConfig(
            folder=curated_once.folder,
            out=tmp_path / "out",
            workers=1,
            on="ray",
            ray_address=f"127.0.0.1:{port}",
            cuts=CUTS,
        )
        code = "import pickle; from paracosm.curate.pipeline import run; "
        code += f"run(pickle.loads({pickle.dumps(config)}))"
        # in a process of its own: one process is in one cluster
        subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
        assert tables(tmp_path / "out") == tables(curated_once.out)
        assert head.poll() is None
        assert listens(port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


def _lives(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class NoRay(SimpleNamespace):
    """Stands for the package: its clusters never start."""

    def __init__(self, error: Exception) -> None:
        super().__init__(asked=[], error=error)

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: object) -> None:
        self.asked.append((options, dict(os.environ)))
        raise self.error

    def shutdown(self) -> None:
        pass


def test_a_cluster_that_does_not_start_is_asked_again_and_then_told(monkeypatch):
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "7")
    before = dict(os.environ)
    ray = NoRay(Exception("the node timed out\nand more"))
    with (
        pytest.raises(
            ParacosmError, match=r"Ray did not start in 3 tries \(the node timed out\); curate with --on"
        ),
        ray_pool._cluster(ray, CurateConfig(folder=Path(), on="ray")),
    ):
        pass
    assert len(ray.asked) == 3
    surroundings = ray.asked[0][1]
    assert surroundings["RAY_USAGE_STATS_ENABLED"] == "0"
    assert surroundings["RAY_raylet_start_wait_time_s"] == "7", "what the user set stays"
    assert dict(os.environ) == before


def test_an_address_where_nobody_listens_is_told_at_once():
    ray = NoRay(AssertionError("Ray would ask for minutes"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = CurateConfig(folder=Path(), on="ray", ray_address=address)
        with (
            pytest.raises(
                ParacosmError, match=rf'no Ray cluster answers at "{address}" \(.*refused\); start'
            ),
            ray_pool._cluster(ray, config),
        ):
            pass
    assert ray.asked == []


def test_an_address_where_ray_finds_no_cluster_is_told():
    ray = NoRay(ConnectionError("nobody there"))
    config = CurateConfig(folder=Path(), on="ray", ray_address="auto")
    with (
        pytest.raises(ParacosmError, match=r'no Ray cluster answers at "auto" \(nobody there\); start'),
        ray_pool._cluster(ray, config),
    ):
        pass
    options, surroundings = ray.asked[0]
    assert "num_cpus" not in options, "a cluster that runs already has its own size"
    assert "RAY_gcs_server_request_timeout_seconds" not in surroundings, "who is not there is told soon"


def test_an_address_without_ray_is_refused():
    with pytest.raises(ConfigError, match='ray_address "auto" is joined by on "ray" alone, not by'):
        CurateConfig(folder=Path(), ray_address="auto")


def test_ray_that_is_not_installed_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    write_video(tmp_path / "videos" / "a.mp4", pan(0, 5))
    with pytest.raises(MissingPackageError, match=r'ray is not installed .* pip install -e ".\[ray\]"'):
        run(CurateConfig(folder=tmp_path / "videos", out=tmp_path / "out", on="ray"))


def test_a_lost_task_is_looked_into_here(tmp_path, monkeypatch):
    folder = tmp_path / "videos"
    for name in "ab":
        write_video(folder / f"{name}.mp4", pan(0, 5))
    from paracosm.curate import pipeline

    monkeypatch.setattr(pipeline, "run_on_ray", _all_but_the_first)
    monkeypatch.setattr(pipeline, "_run_pool", _broken)
    outcomes = {
        outcome.source: outcome
        for outcome in run(CurateConfig(folder=folder, out=tmp_path / "out", on="ray"))
    }
    assert outcomes["b.mp4"].status == "ok"
    assert "a.mp4 ended the process that read it, in the stage probe" in outcomes["a.mp4"].reason


def _all_but_the_first(work, sources, config):
    for source in sources[1:]:
        yield work(source, config)


def _broken(sources, config, workers):
    from concurrent.futures.process import BrokenProcessPool

    raise BrokenProcessPool("a child died")
    yield
