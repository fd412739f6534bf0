"""Which numbers a machine should play a streamed video world in, by memory and by the cost model.

Speeds are those of matrix products in each precision, measured here; what is told of frames a second is
counted operations over such a speed, and no weights are run. This file does NOT know how it is told.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from paracosm.core.figures import hardware

from .cost import DEVICES, HERE, find_device
from .matrix_game2 import VideoRecipe
from .video_cost import HALF, SINGLE, VideoCost

PRECISIONS: Mapping[str, tuple[torch.dtype, int]] = {
    "float32": (torch.float32, SINGLE),
    "bfloat16": (torch.bfloat16, HALF),
    "float16": (torch.float16, HALF),
}
"""Number types of ``paracosm play --dtype`` with their bytes: the most exact first, then the widest range."""
ALIKE = 0.9
"""Share of the best speed from which an earlier precision is taken in place of the fastest."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What plays.

    Attributes:
        name: e.g. "this processor".
        memory_gb: memory for weights and state.
        speeds: operations a second by precision; those that it cannot compute in are not named.
    """

    name: str
    memory_gb: float
    speeds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Way:
    """A recipe played in one precision.

    Attributes:
        memory_gb: what it needs.
        fits: whether the machine has that.
        frames_per_second: by the cost model.
    """

    memory_gb: float
    fits: bool
    frames_per_second: float


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a machine can run of a recipe.

    Attributes:
        ways: by precision.
        best: the precision to take; "" where none fits.
        decoder_share: share of the decoder in all operations of a block.
    """

    ways: Mapping[str, Way]
    best: str
    decoder_share: float


def judge(recipe: VideoRecipe, cost: VideoCost, machine: Machine) -> Judgement:
    """Judge each precision of a machine, and choose the fastest of those that fit.

    Of precisions that are as fast to a tenth the most exact is chosen, then the one of the widest range.
    """
    ways = {}
    for name, (_, number_bytes) in PRECISIONS.items():
        if name in machine.speeds:
            need_gb = cost.memory_bytes(recipe.height * recipe.width, number_bytes) / 1e9
            speed = cost.frames_per_second(machine.speeds[name])
            ways[name] = Way(memory_gb=need_gb, fits=need_gb <= machine.memory_gb, frames_per_second=speed)
    fitting = {name: way.frames_per_second for name, way in ways.items() if way.fits}
    enough = ALIKE * max(fitting.values(), default=0.0)
    best = next((name for name, speed in fitting.items() if speed >= enough), "")
    return Judgement(ways=ways, best=best, decoder_share=cost.decode_flops / cost.block_flops)


@functools.cache
def find_machine() -> Machine:
    """Measure the graphics card that torch sees, or the processor; some seconds, once a process."""
    if not torch.cuda.is_available():
        speeds = {"float32": find_device(HERE).flops_per_second}
        speeds |= {name: _measure_processor(PRECISIONS[name][0]) for name in PRECISIONS if name not in speeds}
        return Machine(name="this processor", memory_gb=float(hardware()["memory_gb"]), speeds=speeds)
    about = torch.cuda.get_device_properties(0)
    names = [name for name in PRECISIONS if name != "bfloat16" or torch.cuda.is_bf16_supported(False)]
    speeds = card_speeds(about.name, {name: _measure_card(PRECISIONS[name][0]) for name in names})
    return Machine(name=about.name, memory_gb=about.total_memory / 1e9, speeds=speeds)


def card_speeds(card: str, measured: Mapping[str, float]) -> dict[str, float]:
    """Bring measured speeds of a known card to what its entry in the table reaches in bfloat16.

    Args:
        card: its name as its driver tells it.
        measured: operations a second by precision.
    """
    known = [name for name in DEVICES if name.split("-")[-1] in card.lower()]
    scale = DEVICES[known[0]].flops_per_second / measured["bfloat16"] if known else 1.0
    return {name: scale * speed for name, speed in measured.items()}


def _measure_processor(kind: torch.dtype) -> float:
    """Operations a second of matrix products, as float32 is measured."""
    side = 768
    one = torch.ones(side, side, dtype=kind)
    torch.mm(one, one)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 0.5:
        torch.mm(one, one)
        count += 1
    return 2 * side**3 * count / (time.perf_counter() - began)


def _measure_card(kind: torch.dtype) -> float:
    """Operations a second of matrix products on the card, by its own clock."""
    side, count = 4096, 20
    one = torch.ones(side, side, device="cuda", dtype=kind)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.mm(one, one)
    begin.record()
    for _ in range(count):
        torch.mm(one, one)
    end.record()
    torch.cuda.synchronize()
    return 2 * side**3 * count / (begin.elapsed_time(end) / 1000)
