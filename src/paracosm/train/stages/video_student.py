"""Stage: a streamed video network of many passes to the beginnings of a student of few, by regression.

The two kinds of ``distil_init`` for latents that compress time. *ode*: the teacher's flow is followed from
noise, and the student learns to jump from the levels at which it will play to where the flow ended.
*consistency*: the student's answers at two neighbouring places of one flow are made equal, one pass of the
teacher a step. A teacher with a window is asked under the true past of every block; with ode, one of whole
clips makes the clips that are then the student's past, as published. This file does NOT know rollouts.

Source: Yin et al. 2412.07772 (CausVid); Song et al. 2303.01469; Matrix-Game 2.0, 2508.13009.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Latents
from paracosm.models.dynamics_video import VideoDynamics, VideoDynamicsConfig
from paracosm.models.noise import mix
from paracosm.models.rollout import check_levels
from paracosm.models.video_clip import ClipPast, predict_clip, solve_clip
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.video_batches import VideoBatch, VideoBatches, VideoData
from paracosm.train.video_weights import begin_video, load_judge

from .video_teacher import noisy_past


@dataclass(frozen=True, kw_only=True)
class VideoStudentStageConfig:
    """Who teaches, and what the student learns."""

    run: Path
    """run folder; the student lands in RUN/dynamics"""
    data: VideoData
    """recordings and their numbers"""
    teacher: Path
    """folder of the network that teaches; it may see whole clips"""
    model: VideoDynamicsConfig
    """sizes of the student, which has a window; action modules of the teacher in other blocks are left out"""
    loop: LoopConfig
    """length, optimiser, logging"""
    kind: Literal["consistency", "ode"] = "consistency"
    """neighbouring places of a flow made equal, or jumps to its end, a pass for each of teacher_levels"""
    levels: tuple[float, ...] = (1.0, 0.9375, 0.8333333)
    """noise levels at which the student will play; ode learns these only"""
    teacher_levels: tuple[float, ...] = (1.0, 0.9375, 0.8333333, 0.625)
    """noise levels of the teacher's Euler steps; those of the student are among them"""
    guidance: float = 1.0
    """guidance of the teacher on controls, distilled into the student; 1 is plain, else its passes double"""
    context_noise: float = 0.1
    """largest noise level of the clean past, drawn once a clip"""
    batch_size: int = 8
    """clips a batch"""

    def __post_init__(self) -> None:
        """Refuse levels that do not meet, and a student that cannot play."""
        check_levels(self.levels)
        check_levels(self.teacher_levels)
        missing = [level for level in self.levels if level not in self.teacher_levels]
        if missing:
            raise ConfigError(
                f"levels {missing} are not among teacher_levels {list(self.teacher_levels)}; add them there"
            )
        if not self.model.window:
            raise ConfigError(
                "a student of window 0 sees whole clips and cannot play; give it a window, e.g. 6"
            )


class VideoStudentStage:
    """Networks and loss of the stage."""

    def __init__(self, config: VideoStudentStageConfig) -> None:
        self.config = config
        self.teacher = load_judge(config.teacher, config.loop.device)
        student = begin_video(config.model, config.teacher, config.loop.seed, may_lose="actions")
        self.networks: dict[str, nn.Module] = {"dynamics": student}
        self.blocks: Sequence[nn.Module] = (*student.blocks, *self.teacher.blocks)
        self.batches = VideoBatches(config.data, config.model, config.loop.seed, config.loop.device)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        batch = self.batches.draw(step, part, self.config.batch_size)
        past = noisy_past(batch.latents, self.config.context_noise, generator)
        noise = torch.randn(batch.latents.shape, generator=generator).to(batch.latents)
        follow = self._jump if self.config.kind == "ode" else self._agree
        with torch.no_grad():
            noisy, levels, target, past = follow(batch, noise, past, generator)
        made = predict_clip(self.student, noisy, levels, batch.given(self.student), past)
        error = (made - target).square().mean((2, 3, 4))
        first = levels == 1.0
        from_noise = error[first].mean() if bool(first.any()) else error.new_tensor(0.0)
        return error.mean(), {"error_from_noise": from_noise.detach()}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing."""
        return None

    @property
    def student(self) -> VideoDynamics:
        """The network that learns."""
        return cast("VideoDynamics", self.networks["dynamics"])

    def _choose(self, latents: Latents, count: int, generator: torch.Generator) -> Tensor:
        """Draw one of ``count`` places (b, t) for each block, or clip when the teacher sees whole ones."""
        b, t = latents.shape[:2]
        block = self.student.config.block if self.teacher.config.window else t
        return torch.randint(count, (b, t // block), generator=generator).repeat_interleave(block, 1)

    def _jump(
        self, batch: VideoBatch, noise: Latents, past: ClipPast, generator: torch.Generator
    ) -> tuple[Latents, Tensor, Latents, ClipPast]:
        """Places of the teacher's flow at the student's levels, and where the flow ended."""
        config, given = self.config, batch.given(self.teacher)
        trajectory = solve_clip(self.teacher, noise, given, past, config.teacher_levels, config.guidance)
        places = torch.tensor([config.teacher_levels.index(level) for level in config.levels])
        chosen = places[self._choose(noise, len(places), generator)]
        rows, columns = torch.arange(noise.shape[0])[:, None], torch.arange(noise.shape[1])[None]
        noisy = torch.stack(trajectory[:-1])[chosen, rows, columns]
        if not self.teacher.config.window:
            past = ClipPast(latents=trajectory[-1], levels=torch.zeros_like(past.levels))
        return noisy, torch.tensor(config.teacher_levels)[chosen].to(noise), trajectory[-1], past

    def _agree(
        self, batch: VideoBatch, noise: Latents, past: ClipPast, generator: torch.Generator
    ) -> tuple[Latents, Tensor, Latents, ClipPast]:
        """Places of true clips' flows, and what the student says one teacher step further down."""
        config = self.config
        grid = torch.tensor([*config.teacher_levels, 0.0])
        chosen = self._choose(noise, len(config.teacher_levels), generator)
        level, lower = grid[chosen].to(noise), grid[chosen + 1].to(noise)
        noisy = mix(batch.latents, noise, level)
        clean = predict_clip(self.teacher, noisy, level, batch.given(self.teacher), past, config.guidance)
        further = clean + (noisy - clean) * _wide(lower / level)
        made = predict_clip(self.student, further, lower, batch.given(self.student), past)
        # A flow that has ended is its own answer: this is what ties the student to the data.
        return noisy, level, torch.where(_wide(lower) == 0, further, made), past


def main(config: VideoStudentStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the student and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = VideoStudentStage(config)
        averages = train(stage, config.loop, run, progress, f"train {config.run.name}")
        folder = config.run / "dynamics"
        cast("VideoDynamics", averages["dynamics"]).save(folder)
    return folder


def _wide(levels: Tensor) -> Tensor:
    return levels[:, :, None, None, None]
