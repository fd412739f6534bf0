"""The same stages on a Ray cluster: each source is one row of a Ray Data set, each row one task.

Workers write their tables themselves, whole or not at all, so that a run that was killed goes on as on one
machine; what comes back is only what became of each source. Every worker must reach the folders of sources
and scores, by a shared file system. This file does NOT know any stage: it is handed the function that runs
them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from paracosm.core.errors import MissingPackageError, ParacosmError
from paracosm.core.extras import need

from .footage import Source
from .stages import CurateConfig

Outcome = TypeVar("Outcome")

OBJECT_STORE_BYTES = 256 * 2**20
"""Memory for what workers hand back, which are a few words for each source."""

TRIES = 3
"""How often a cluster is asked to start: Ray gives its node 30 s, which a busy machine may not keep."""

SURROUNDINGS = {
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_gcs_server_request_timeout_seconds": "300",
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Set while a cluster starts, unless the user set them: time enough on a busy machine, workers that need not
wait behind everything else (Ray's own niceness is 15), and no reports of use sent to anyone."""


def run_on_ray(
    work: Callable[[Source, CurateConfig], Outcome], sources: Sequence[Source], config: CurateConfig
) -> Iterator[Outcome]:
    """Do the work on every source, each in a task of its own, as many at a time as there are workers.

    Args:
        work: what is done; a function of a module that the workers can import.
        sources: on what.
        config: is handed to the work; ``workers`` and ``ray_address`` say where and how many at a time.

    Yields:
        What the work returned, in the order of becoming finished. A source whose task did not outlive its
        work has no result; the others have.

    Raises:
        MissingPackageError: when Ray or what a stage needs is not installed, here or where the work is done.
        ParacosmError: when no cluster starts or answers, or it is lost.
    """
    with _surroundings(config):
        ray, data = need("ray", "ray"), need("ray.data", "ray")
    if not sources:
        return
    with _cluster(ray, config), _quiet(data):
        rows = [{"source": pickle.dumps(_anywhere(source, "path"))} for source in sources]
        scored = data.from_items(rows, override_num_blocks=len(rows)).map(
            _do,
            fn_kwargs={"work": work, "config": pickle.dumps(_anywhere(config, "folder", "out"))},
            concurrency=config.workers,
            num_cpus=1,
            max_retries=0,  # a file that ends its worker would end every other one too
        )
        for result in _results(ray, scored):
            if isinstance(result, MissingPackageError):
                raise result
            yield result


def _results(ray: Any, scored: Any) -> Iterator[Any]:
    try:
        for row in scored.iter_rows():
            yield pickle.loads(row["result"])
    except ray.exceptions.RayError as error:
        raise ParacosmError(
            f"the Ray cluster was lost ({_first_line(error)}); run again: what is finished is kept"
        ) from error


def _do(row: dict[str, Any], work: Callable[[Source, CurateConfig], Any], config: bytes) -> dict[str, Any]:
    """Do the work in a worker; what is not installed there is told and not raised, since Ray would go on."""
    try:
        result: Any = work(pickle.loads(row["source"]), pickle.loads(config))
    except MissingPackageError as error:
        result = error
    return {"result": pickle.dumps(result)}


def _anywhere(given: Any, *names: str) -> Any:
    """Make paths absolute: a worker stands in a folder of its own."""
    return dataclasses.replace(given, **{name: getattr(given, name).absolute() for name in names})


@contextlib.contextmanager
def _cluster(ray: Any, config: CurateConfig) -> Iterator[None]:
    """Be in a cluster: the one that this process is in already, the one named, or one started for the run."""
    if ray.is_initialized():
        yield
        return
    with _surroundings(config):
        if config.ray_address:
            _join(ray, config.ray_address)
        else:
            _start(ray, config.workers)
    try:
        yield
    finally:
        ray.shutdown()


def _join(ray: Any, address: str) -> None:
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        ray.shutdown()
        raise ParacosmError(
            f'no Ray cluster answers at "{address}" ({_first_line(error)}); start one with ray start --head, '
            "or leave --ray-address out to start one on this machine"
        ) from error


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would go on asking for ten minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10.0).close()


def _start(ray: Any, workers: int) -> None:
    reason: Exception | None = None
    for _ in range(TRIES):
        try:
            ray.init(
                address="local",
                num_cpus=workers,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # Ray raises plain Exception when its node is late
            ray.shutdown()
            reason = error
        else:
            return
    raise ParacosmError(
        f"Ray did not start in {TRIES} tries ({_first_line(reason)}); curate with --on processes, or "
        "when the machine has less to do"
    ) from reason


@contextlib.contextmanager
def _surroundings(config: CurateConfig) -> Iterator[None]:
    """Set what Ray reads from the environment as it starts a cluster, and put back what was there."""
    wanted = {} if config.ray_address else SURROUNDINGS
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _quiet(data: Any) -> Iterator[None]:
    """Let a lost task cost only its own result, and leave the screen to the run's own progress line."""
    context, log = data.DataContext.get_current(), logging.getLogger("ray.data")
    wanted = {"max_errored_blocks": -1, "enable_progress_bars": False, "print_on_execution_start": False}
    before, level = {name: getattr(context, name) for name in wanted}, log.level
    for name, value in wanted.items():
        setattr(context, name, value)
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
