"""Same seed, same controls, same bytes: across processes, after a restore, and on a branch.

Imports no torch. This file does NOT know what the frames show.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.figures import Figure
from paracosm.core.world import World

from .rollouts import Rollout, Subject, begin, fresh_process

LEAD_STEPS = 16
"""Steps before the snapshot, so that caches hold generated frames too."""
TAIL_STEPS = 16
"""Steps after it."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Hashes of what one process saw.

    Attributes:
        lead: of the frames up to the snapshot.
        straight: of the frames after it.
        restored: of the same steps after a restore.
        branch: of other controls after a restore.
        returned: of the first steps again, after the branch.
    """

    lead: str
    straight: str
    restored: str
    branch: str
    returned: str


def trace_world(subject: Subject, rollouts: Sequence[Rollout]) -> list[Trace]:
    """Play each rollout with a snapshot, a restore and a branch; called in a fresh process."""
    with contextlib.closing(subject.open()) as world:
        return [_trace(world, rollout) for rollout in rollouts]


def measure_determinism(subject: Subject, rollouts: Sequence[Rollout]) -> dict[str, Figure]:
    """Compare two processes, and within one the straight run with restored and branched ones.

    Args:
        subject: the world.
        rollouts: starts, each with at least LEAD_STEPS + TAIL_STEPS controls.
    """
    traces = []
    for _ in range(2):
        with fresh_process() as pool:
            traces.append(pool.submit(trace_world, subject, tuple(rollouts)).result())
    return determinism_figures(*traces)


def determinism_figures(first: Sequence[Trace], second: Sequence[Trace]) -> dict[str, Figure]:
    """Share of rollouts whose bytes agree in each way; anything below 1 breaks the law."""
    checks = {
        "two_processes": [one == two for one, two in zip(first, second, strict=True)],
        "restore": [trace.restored == trace.straight for trace in first],
        "branch": [trace.returned == trace.straight for trace in first],
    }
    return {
        f"determinism.{name}": Figure(value=float(np.mean(agree)), unit="share", n=len(agree))
        for name, agree in checks.items()
    }


def _trace(world: World, rollout: Rollout) -> Trace:
    lead, tail = rollout.controls[:LEAD_STEPS], rollout.controls[LEAD_STEPS : LEAD_STEPS + TAIL_STEPS]
    begin(world, rollout)
    lead_hash = _play(world, lead)
    snapshot = world.snapshot()
    hashes = [lead_hash, _play(world, tail)]
    for controls in (tail, (IDLE,) * len(tail), tail):
        world.restore(snapshot)
        hashes.append(_play(world, controls))
    return Trace(lead=hashes[0], straight=hashes[1], restored=hashes[2], branch=hashes[3], returned=hashes[4])


def _play(world: World, controls: Sequence[Control]) -> str:
    digest = hashlib.sha256()
    for control in controls:
        digest.update(world.step(control).image.tobytes())
    return digest.hexdigest()
