"""The one training loop: accumulate, clip, average, log, preview, checkpoint, resume.

A stage brings its networks and ``loss``; everything else happens here. Batches and noise are drawn from
streams named by the step, so a run that was killed and resumed computes the same bits as one that was not.
Networks learn together by one optimiser, or in turn by one each, as a student and its critic do.
"""

from __future__ import annotations

import copy
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.files import whole_file
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import sub_seed
from paracosm.core.run_dir import RunDir

from .optim import OptimConfig, learning_rate, make_optimizer, update_average
from .precision import Precision, autocast, choose_precision
from .state import load_state, save_state
from .stops import StopRequest

logger = logging.getLogger(__name__)

MAY_CHANGE = frozenset(
    f"loop.{name}"
    for name in ("num_steps", "num_threads", "log_every", "preview_every", "checkpoint_minutes", "keep")
) | {"loop.optim.decay_steps", "loop.log_to", "loop.compile"}
"""What a run may change when it goes on: nothing that alters the steps already done."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how a stage trains."""

    num_steps: int
    """optimiser steps in all"""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """optimiser and schedule"""
    accumulate: int = 1
    """batches whose gradients make one step"""
    precision: Precision = "auto"
    """type of matrix products; auto is bf16 where the device has it in hardware, else fp32; weights and sums
    stay float32"""
    device: str = "cpu"
    """torch device; "cuda" is written but not yet run on a GPU"""
    num_threads: int = 0
    """torch threads; 0 leaves them as they are"""
    seed: int = 0
    """seed of weights, batches and noise"""
    log_every: int = 20
    """steps between lines of log.jsonl; each line averages the steps since the last"""
    preview_every: int = 500
    """steps between preview pictures; 0 draws none"""
    checkpoint_minutes: float = 5.0
    """minutes between checkpoints; one is always written at the end"""
    keep: int = 2
    """checkpoints that stay"""
    compile: Literal["off", "blocks"] = "off"
    """compile the repeated blocks of a stage: minutes at the start, then about twice the speed on a CPU"""
    log_to: Literal["jsonl", "jsonl+tensorboard"] = "jsonl"
    """where metrics go; TensorBoard needs the tensorboard package"""

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        if self.num_steps < 1 or self.accumulate < 1 or self.log_every < 1:
            raise ConfigError(
                f"num_steps {self.num_steps}, accumulate {self.accumulate} and log_every {self.log_every} "
                "must all be at least 1"
            )


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Networks that learn in turn: one in each step, each by an optimiser of its own."""

    cycle: tuple[str, ...]
    """network that learns in each step, over and over, e.g. five times the critic, then the student"""
    optims: Mapping[str, OptimConfig]
    """optimiser of each network of the cycle; schedules count the steps of the run"""

    @property
    def names(self) -> tuple[str, ...]:
        """Networks that learn, each once."""
        return tuple(dict.fromkeys(self.cycle))

    def learner(self, step: int) -> str:
        """Name the network that learns in a step."""
        return self.cycle[step % len(self.cycle)]


class Watch(Protocol):
    """Looks at a run whenever it writes a line of its log."""

    def __call__(
        self, step: int, row: Mapping[str, float], averages: Mapping[str, nn.Module]
    ) -> Mapping[str, float]:
        """Return more figures for this line, or raise to stop the run; change neither networks nor draws."""
        ...


class Stage(Protocol):
    """What the loop needs of a stage."""

    networks: dict[str, nn.Module]
    """what is trained, by name"""
    blocks: Sequence[nn.Module]
    """repeated parts of the networks that are worth compiling; may be empty"""

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Draw the batch of one step and return its loss and metrics (detached scalars).

        Args:
            step: the step, from which the batch is drawn: the same step gives the same batch.
            part: which of the accumulated batches of this step.
            generator: for noise; seeded by run seed, step and part.
        """
        ...

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw a picture uint8 (h, w, 3) of what the averaged networks can do, or None."""
        ...


def train(
    stage: Stage,
    config: LoopConfig,
    run: RunDir,
    progress: ProgressMaker = no_progress,
    name: str = "train",
    turns: Turns | None = None,
    watch: Watch | None = None,
) -> dict[str, nn.Module]:
    """Train a stage to its last step, going on from the newest checkpoint of the run when there is one.

    A request to stop (Ctrl+C, SIGTERM) is obeyed after the step that is being taken and a checkpoint.

    Args:
        stage: networks and loss.
        config: length, optimiser, logging.
        run: an opened run folder; the caller has compared its config.
        progress: begins a progress line.
        name: what the progress line says.
        turns: which network learns when; None lets all learn in every step, by ``config.optim``.
        watch: looks at every line of the log, and may stop the run.

    Returns:
        The averaged networks, in eval mode, by name.

    Raises:
        DataError: when a checkpoint cannot be read or the disk is full.
        FloatingPointError: when the loss is not finite; the last checkpoint stays.
    """
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    networks = {key: network.to(config.device).train() for key, network in stage.networks.items()}
    averages = {key: copy.deepcopy(network).eval().requires_grad_(False) for key, network in networks.items()}
    learners = _learners(networks, averages, config, turns)
    optimizers = {key: learner.optimizer for key, learner in learners.items()}
    if config.compile == "blocks":
        for block in stage.blocks:
            block.compile(dynamic=False)
    step = _resume(run, networks, averages, optimizers)
    logger.info("%s multiplies in %s", run.path, choose_precision(config.precision, config.device))
    line = progress(name, config.num_steps, start=step)
    sink = _Sink(run, config, watch, averages)
    saved_at = time.monotonic()
    with StopRequest() as stop:
        while step < config.num_steps:
            learner = learners["" if turns is None else turns.learner(step)]
            metrics = _take_step(stage, config, learner, step)
            step += 1
            shown = sink.add(step, metrics)
            line.update(step, shown)
            if config.preview_every and step % config.preview_every == 0:
                _save_preview(stage, averages, run, step)
            due = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
            if step == config.num_steps or due or stop.asked:
                with run.checkpoint(step) as folder:
                    save_state(folder, step, networks, averages, optimizers)
                run.prune(config.keep)
                saved_at = time.monotonic()
            stop.go()
    line.close()
    return averages


def _resume(
    run: RunDir,
    networks: dict[str, nn.Module],
    averages: dict[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> int:
    folder = run.latest_checkpoint()
    if folder is None:
        run.cut_log_after(0)
        return 0
    step = load_state(folder, networks, averages, optimizers)
    run.cut_log_after(step)
    logger.info("%s goes on after step %d", run.path, step)
    return step


@dataclass(frozen=True, kw_only=True)
class _Learner:
    """Networks that learn in one step, and what makes them."""

    suffix: str
    optim: OptimConfig
    optimizer: torch.optim.Optimizer
    networks: Mapping[str, nn.Module]
    averages: Mapping[str, nn.Module]


def _learners(
    networks: Mapping[str, nn.Module],
    averages: Mapping[str, nn.Module],
    config: LoopConfig,
    turns: Turns | None,
) -> dict[str, _Learner]:
    """All networks under the name "", or each network of the cycle under its own."""
    chosen = {"": config.optim} if turns is None else {key: turns.optims[key] for key in turns.names}
    made = {}
    for key, optim in chosen.items():
        own = networks if turns is None else {key: networks[key]}
        made[key] = _Learner(
            suffix=f"_{key}" if key else "",
            optim=optim,
            optimizer=make_optimizer(own.values(), optim),
            networks=own,
            averages={name: averages[name] for name in own},
        )
    return made


def _take_step(stage: Stage, config: LoopConfig, learner: _Learner, step: int) -> dict[str, Tensor]:
    optim, optimizer = learner.optim, learner.optimizer
    rate = learning_rate(optim, step, config.num_steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    sums: dict[str, Tensor] = {}
    for part in range(config.accumulate):
        generator = torch.Generator().manual_seed(sub_seed(config.seed, "noise", step, part))
        with autocast(config.precision, config.device):
            loss, metrics = stage.loss(step, part, generator)
        (loss / config.accumulate).backward()
        for key, value in {f"loss{learner.suffix}": loss.detach(), **metrics}.items():
            sums[key] = sums.get(key, 0.0) + value / config.accumulate
    parameters = [parameter for network in learner.networks.values() for parameter in network.parameters()]
    norm = torch.nn.utils.clip_grad_norm_(parameters, optim.clip_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(
            f"the gradient of step {step} is not finite (loss {float(sums[f'loss{learner.suffix}'])}); "
            "lower learning_rate and resume"
        )
    optimizer.step()
    optimizer.zero_grad()
    for key, network in learner.networks.items():
        average = learner.averages[key]
        # The average starts fast, so that short runs do not remember their random first weights.
        decay = min(optim.ema_decay, (1 + step) / (10 + step))
        update_average(average.parameters(), network.parameters(), decay)
        for kept, current in zip(average.buffers(), network.buffers(), strict=True):
            kept.copy_(current)
    return {
        **sums,
        f"gradient_norm{learner.suffix}": norm.detach(),
        f"learning_rate{learner.suffix}": torch.tensor(rate),
    }


class _Sink:
    """Averages metrics between log lines, each over the steps that had it, and writes them."""

    def __init__(
        self, run: RunDir, config: LoopConfig, watch: Watch | None, averages: Mapping[str, nn.Module]
    ) -> None:
        self._run, self._every = run, config.log_every
        self._watch, self._averages = watch, averages
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()
        self._steps, self._began = 0, time.monotonic()
        self._latest: dict[str, float] = {}
        self._board = None
        if config.log_to == "jsonl+tensorboard":
            from paracosm.core.extras import need

            self._board = need("torch.utils.tensorboard", "tensorboard").SummaryWriter(
                str(run.path / "tensorboard")
            )

    def add(self, step: int, metrics: Mapping[str, Tensor]) -> dict[str, float]:
        """Take the metrics of a step; return what to show now."""
        for key, value in metrics.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._counts[key] += 1
        self._steps += 1
        if step % self._every == 0:
            row = {key: float(value) / self._counts[key] for key, value in self._sums.items()}
            row["steps_per_second"] = self._steps / (time.monotonic() - self._began)
            if self._watch is not None:
                with torch.no_grad():
                    row |= self._watch(step, row, self._averages)
            self._run.log(step, {key: float(f"{value:.6g}") for key, value in row.items()})
            if self._board is not None:
                for key, value in row.items():
                    self._board.add_scalar(key, value, step)
            self._latest = {key: value for key, value in row.items() if key.startswith("loss")}
            self._sums, self._counts = {}, Counter()
            self._steps, self._began = 0, time.monotonic()
        return self._latest


def _save_preview(stage: Stage, averages: Mapping[str, nn.Module], run: RunDir, step: int) -> None:
    with torch.no_grad():
        picture = stage.preview(averages)
    if picture is not None:
        with whole_file(run.previews / f"step-{step:08d}.png") as temporary:
            Image.fromarray(picture).save(temporary, "png")
