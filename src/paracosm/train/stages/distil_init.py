"""Stage: a dynamics of many passes to the beginnings of a student of few, by regression.

Two kinds. *ode*: the teacher's flow is followed from noise, and the student learns to jump from the levels at
which it will play to where the flow ended. *consistency*: the student's answers at two neighbouring places of
one flow are made equal, so that nothing but one pass of the teacher is needed a step. A causal teacher is
asked under the true past of every frame; a bidirectional one makes whole clips, which are then the student's
past (as published; later work found its flow to hold what a causal student cannot know).

This file does NOT know rollouts: what the student does on its own frames is the next stage's matter.

Source: ODE regression as initialisation: Yin et al. 2412.07772 (CausVid); from a causal teacher: 2602.02214;
consistency: Song et al. 2303.01469, without a target network as in Song and Dhariwal 2310.14189.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.flow_clip import Setting, predict_clips, solve_clips
from paracosm.models.flow_rollout import RolloutConfig
from paracosm.models.noise import mix
from paracosm.models.rollout import check_levels
from paracosm.train.acceptance import Acceptance, AcceptanceConfig
from paracosm.train.clip_batches import ClipBatches, known_controls
from paracosm.train.first_weights import begin_with
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train


@dataclass(frozen=True, kw_only=True)
class DistilInitStageConfig:
    """Who teaches, and what the student learns."""

    run: Path
    """run folder; the student lands in RUN/dynamics"""
    data: Path
    """dataset folder, encoded by the encode stage"""
    tokenizer: Path
    """tokenizer folder whose latents are used"""
    teacher: Path
    """dynamics folder; it may be bidirectional, the student is causal"""
    loop: LoopConfig
    """length, optimiser, logging"""
    initial: Path | None = None
    """dynamics folder whose weights the student begins with; nothing takes the teacher's"""
    kind: Literal["consistency", "ode"] = "consistency"
    """neighbouring places of a flow made equal, or jumps to its end, a pass for each of teacher_levels"""
    levels: tuple[float, ...] = (1.0, 0.5)
    """noise levels at which the student will play; ode learns these only"""
    teacher_levels: tuple[float, ...] = (1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)
    """noise levels of the teacher's Euler steps; those of the student are among them"""
    guidance: float = 1.0
    """guidance of the teacher on controls, distilled into the student; 1 is plain, else its passes double"""
    context_noise: float = 0.1
    """largest noise level of the clean past of a causal teacher and its student, drawn once a clip"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    batch_size: int = 4
    """clips a batch"""
    clip_frames: int = 24
    """frames a clip"""
    start_frames: int = 4
    """frames given at the beginning of a clip, which do not count"""
    acceptance: AcceptanceConfig = field(default_factory=AcceptanceConfig)
    """what stops a bad run"""

    def __post_init__(self) -> None:
        """Refuse levels that do not meet, and clips without frames to learn."""
        check_levels(self.levels)
        check_levels(self.teacher_levels)
        missing = [level for level in self.levels if level not in self.teacher_levels]
        if missing:
            raise ConfigError(
                f"levels {missing} are not among teacher_levels {list(self.teacher_levels)}; add them there"
            )
        check_frames(self.start_frames, self.clip_frames)


class DistilInitStage:
    """Networks and loss of the stage."""

    def __init__(self, config: DistilInitStageConfig) -> None:
        self.config = config
        self.teacher = load_frozen(config.teacher, config.loop.device)
        student = causal_copy(self.teacher)
        if config.initial is not None:
            begin_with(student, config.initial, ("mask",))
        self.networks: dict[str, nn.Module] = {"dynamics": student}
        self.blocks: Sequence[nn.Module] = (*student.blocks, *self.teacher.blocks)
        self.batches = ClipBatches(
            data=config.data,
            tokenizer=config.tokenizer,
            split=config.split,
            clip_frames=config.clip_frames,
            seed=config.loop.seed,
            device=config.loop.device,
        )
        self.batches.check(student)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config = self.config
        latents, controls = self.batches.draw(step, part, config.batch_size)
        b, t = latents.shape[:2]
        level = config.context_noise * torch.rand(b, 1, generator=generator).expand(b, t).to(latents)
        past = mix(latents, torch.randn(latents.shape, generator=generator).to(latents), level)
        setting = Setting(
            past=past,
            past_levels=level,
            controls=controls,
            known=known_controls(b, t, latents.device),
            start=config.start_frames,
        )
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        follow = self._jump if config.kind == "ode" else self._agree
        with torch.no_grad():
            if self.teacher.config.ahead:
                setting = replace(setting, past=latents, past_levels=torch.zeros_like(level))
            noisy, levels, target, setting = follow(latents, noise, setting, generator)
        made = predict_clips(self.student, noisy, levels, setting).float()
        error = (made - target).square().mean((2, 3, 4))[:, config.start_frames :]
        first = (levels == 1.0)[:, config.start_frames :]
        from_noise = error[first].mean() if bool(first.any()) else error.new_tensor(0.0)
        return error.mean(), {"error_from_noise": from_noise.detach()}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing: the judge's figures stand in the log."""
        return None

    @property
    def student(self) -> FlowDynamics:
        """The network that learns."""
        return cast("FlowDynamics", self.networks["dynamics"])

    def _jump(
        self, latents: Tensor, noise: Tensor, setting: Setting, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Setting]:
        """Places of the teacher's flow at the student's levels, and where the flow ended."""
        config = self.config
        trajectory = solve_clips(self.teacher, noise, setting, config.teacher_levels, config.guidance)
        end = torch.cat([latents[:, : setting.start], trajectory[-1][:, setting.start :]], 1)
        places = torch.tensor([config.teacher_levels.index(level) for level in config.levels])
        chosen = places[torch.randint(len(places), latents.shape[:2], generator=generator)]
        if self.teacher.config.ahead:
            setting = replace(setting, past=end)
        return *_pick(trajectory, config.teacher_levels, chosen), end, setting

    def _agree(
        self, latents: Tensor, noise: Tensor, setting: Setting, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Setting]:
        """Places of true frames' flows, and what the student says one teacher step further down."""
        config = self.config
        grid = torch.tensor([*config.teacher_levels, 0.0])
        # A bidirectional teacher knows one level a clip.
        shape = (latents.shape[0], 1) if self.teacher.config.ahead else latents.shape[:2]
        chosen = torch.randint(len(config.teacher_levels), shape, generator=generator)
        chosen = chosen.expand(latents.shape[:2])
        level, lower = grid[chosen].to(latents), grid[chosen + 1].to(latents)
        noisy = mix(latents, noise, level)
        clean = predict_clips(self.teacher, noisy, level, setting, config.guidance).float()
        further = clean + (noisy - clean) * _wide(lower / level)  # one Euler step, at a level for each frame
        made = predict_clips(self.student, further, lower, setting).float()
        # A flow that has ended is its own answer: this is what ties the student to the data.
        return noisy, level, torch.where(_wide(lower) == 0, further, made), setting


def main(config: DistilInitStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the student and return its model folder; goes on where an earlier run stopped.

    Raises:
        AcceptanceError: when a check finds the run to go bad; the checkpoints stay.
    """
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = DistilInitStage(config)
        rollout = RolloutConfig(levels=config.levels)
        watch = Acceptance(config.acceptance, run, stage.batches, rollout, stage.student)
        averages = train(stage, config.loop, run, progress, "distil init", watch=watch)
        folder = config.run / "dynamics"
        cast("FlowDynamics", averages["dynamics"]).save(folder)
    return folder


def load_frozen(folder: Path, device: str) -> FlowDynamics:
    """Load a dynamics that is asked and never learns."""
    return FlowDynamics.load(folder).to(device).requires_grad_(False)


def causal_copy(dynamics: FlowDynamics) -> FlowDynamics:
    """Copy a dynamics into a causal network that learns: the weights are of the same shapes."""
    student = FlowDynamics(replace(dynamics.config, mask="causal"))
    student.load_state_dict(dynamics.state_dict())
    return student.to(dynamics.place.device)


def check_frames(start_frames: int, clip_frames: int) -> None:
    """Refuse clips that leave nothing to learn.

    Raises:
        ConfigError: unless 1 <= start_frames < clip_frames.
    """
    if not 1 <= start_frames < clip_frames:
        raise ConfigError(
            f"start_frames {start_frames} of {clip_frames} leaves nothing to begin with or nothing to learn; "
            "use at least 1 and fewer than the frames of a clip"
        )


def _pick(trajectory: list[Tensor], levels: Sequence[float], chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Frames of a trajectory at chosen places (b, t), and their levels."""
    stacked = torch.stack(trajectory[:-1])
    device = stacked.device
    rows = torch.arange(chosen.shape[0], device=device)[:, None]
    columns = torch.arange(chosen.shape[1], device=device)[None]
    return stacked[chosen.to(device), rows, columns], torch.tensor(levels)[chosen].to(stacked)


def _wide(levels: Tensor) -> Tensor:
    return levels[:, :, None, None, None]
