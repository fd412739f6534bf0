"""Stage: a student of few passes learns on its own frames, by distribution matching.

A clip begins with true frames and goes on as in play, by the same loop and cache, under recorded controls.
Every frame of a step ends with the same pass, drawn at random: that pass has a gradient, those before it and
the pass that fills the cache have none. A critic learns what the student makes, several steps for each of the
student's. This file does NOT know how scores are compared.

Source: Huang et al. 2506.08009 (Self Forcing); its turns, guidance and average follow the published code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Controls, Latents
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.flow_clip import Setting, predict_clips
from paracosm.models.flow_rollout import RolloutConfig, continue_clips
from paracosm.models.noise import mix
from paracosm.train.acceptance import Acceptance, AcceptanceConfig
from paracosm.train.clip_batches import ClipBatches, known_controls
from paracosm.train.forcing import CRITIC, STUDENT, ForcingConfig, latent_motion
from paracosm.train.loop import MAY_CHANGE, train
from paracosm.train.matching import critic_loss, matching_loss

from .distil_init import causal_copy, check_frames, load_frozen


@dataclass(frozen=True, kw_only=True)
class SelfForcingStageConfig(ForcingConfig):
    """Who learns, whose distribution is matched, and on which rollouts."""

    run: Path
    """run folder; the student lands in RUN/dynamics"""
    data: Path
    """dataset folder, encoded by the encode stage"""
    tokenizer: Path
    """tokenizer folder whose latents are used"""
    student: Path
    """dynamics folder that the student begins with: what distil_init left, or the teacher itself"""
    real: Path
    """dynamics folder of the real score, causal or bidirectional; the critic begins with it, too"""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """passes, window and sink of the student, as it will play"""
    anchor_weight: float = 0.0
    """weight of a regression to true frames at the student's own levels; 0 is none. It keeps a student near
    the data at the price of sharpness"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    start_frames: int = 4
    """true frames at the beginning of each clip"""
    horizon: int = 12
    """frames that the student makes in each clip"""
    acceptance: AcceptanceConfig = field(default_factory=AcceptanceConfig)
    """what stops a bad run"""

    def __post_init__(self) -> None:
        """Refuse turns without a critic and clips without frames to learn."""
        super().__post_init__()
        check_frames(self.start_frames, self.start_frames + self.horizon)


@dataclass(frozen=True, kw_only=True)
class MadeClips:
    """What a student made, as far as it is judged.

    Attributes:
        latents: (b, t, z, h, w); the start has no gradient.
        controls: (b, t, a), entry t leads to frame t.
        start: frames at the beginning that do not count.
    """

    latents: Latents
    controls: Controls
    start: int


class SelfForcingStage:
    """Networks and loss of the stage."""

    def __init__(self, config: SelfForcingStageConfig) -> None:
        self.config, self.turns = config, config.turns
        device = config.loop.device
        self.real = load_frozen(config.real, device)
        student, critic = causal_copy(load_frozen(config.student, device)), FlowDynamics(self.real.config)
        critic.load_state_dict(self.real.state_dict())
        self.networks: dict[str, nn.Module] = {STUDENT: student, CRITIC: critic}
        self.blocks: Sequence[nn.Module] = (*critic.blocks, *self.real.blocks)
        self.batches = ClipBatches(
            data=config.data,
            tokenizer=config.tokenizer,
            split=config.split,
            clip_frames=config.start_frames + config.horizon,
            seed=config.loop.seed,
            device=device,
        )
        self.batches.check(student)
        self.batches.check(self.real)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``; what is minimised depends on whose turn it is."""
        latents, controls = self.batches.draw(step, part, self.config.batch_size)
        levels = self.config.rollout.levels
        exit_index = int(torch.randint(len(levels), (), generator=generator))
        rollout = replace(self.config.rollout, levels=levels[: exit_index + 1])
        learns = self.turns.learner(step) == STUDENT
        made = self.make(step, part, latents, controls, rollout, generator, learns)
        if learns:
            loss, figures = self._teach_student(made, latents, controls, generator)
            gap = figures["score_gap"]
            figures |= {"exit_step": torch.tensor(float(exit_index)), f"score_gap_exit_{exit_index}": gap}
            return loss, figures
        setting = _setting(made)
        critic = cast("FlowDynamics", self.networks[CRITIC])
        loss = critic_loss(made.latents, setting, critic, self.config.matching, generator)
        return loss, {"rollout_motion": motion_of(made) / latent_motion(latents).clamp_min(1e-6)}

    def make(
        self,
        step: int,
        part: int,
        latents: Latents,
        controls: Controls,
        rollout: RolloutConfig,
        generator: torch.Generator,
        learns: bool,
    ) -> MadeClips:
        """Let the student continue the starts of true clips, by the loop of play.

        Args:
            step: of the run.
            part: of the step.
            latents: (b, t, z, h, w), true clips.
            controls: (b, t, a), theirs.
            rollout: passes up to the exit.
            generator: of noise.
            learns: whether the last pass of each frame has a gradient.
        """
        start = self.config.start_frames
        made = continue_clips(
            self.student,
            latents[:, :start],
            controls,
            rollout,
            generator,
            gradient="last_pass" if learns else "none",
        )
        return MadeClips(latents=made, controls=controls, start=start)

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing: the judge's figures stand in the log."""
        return None

    @property
    def student(self) -> FlowDynamics:
        """The network that will play."""
        return cast("FlowDynamics", self.networks[STUDENT])

    def _teach_student(
        self, made: MadeClips, latents: Latents, controls: Controls, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        critic = cast("FlowDynamics", self.networks[CRITIC])
        setting = _setting(made)
        loss, gap = matching_loss(made.latents, setting, self.real, critic, config.matching, generator)
        figures = {"score_gap": gap[:, made.start :].mean()}
        if config.anchor_weight > 0:
            anchor = self._anchor(latents, controls, generator)
            loss = loss + config.anchor_weight * anchor
            figures["anchor_error"] = anchor.detach()
        return loss, figures

    def _anchor(self, latents: Latents, controls: Controls, generator: torch.Generator) -> Tensor:
        """Error of true frames predicted at the student's levels, each under its true past."""
        b, t = latents.shape[:2]
        levels = torch.tensor(self.config.rollout.levels)
        level = levels[torch.randint(len(levels), (b, t), generator=generator)].to(latents)
        noisy = mix(latents, torch.randn(latents.shape, generator=generator).to(latents), level)
        setting = _setting(MadeClips(latents=latents, controls=controls, start=self.config.start_frames))
        made = predict_clips(self.student, noisy, level, setting).float()
        return (made - latents).square()[:, self.config.start_frames :].mean()


def run_stage(
    stage: SelfForcingStage, config: SelfForcingStageConfig, run: RunDir, progress: ProgressMaker, name: str
) -> Path:
    """Train a stage of turns under its acceptance checks and save the student."""
    watch = Acceptance(config.acceptance, run, stage.batches, config.rollout, stage.student)
    averages = train(stage, config.loop, run, progress, name, config.turns, watch)
    folder = config.run / "dynamics"
    cast("FlowDynamics", averages[STUDENT]).save(folder)
    return folder


def main(config: SelfForcingStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the student and return its model folder; goes on where an earlier run stopped.

    Raises:
        AcceptanceError: when a check finds the run to go bad; the checkpoints stay.
    """
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        return run_stage(SelfForcingStage(config), config, run, progress, "self forcing")


def motion_of(made: MadeClips) -> Tensor:
    """Mean absolute change of latents from frame to frame, the last of the start included."""
    return latent_motion(made.latents[:, made.start - 1 :])


def _setting(made: MadeClips) -> Setting:
    """The student's own frames are the past that both scores are asked under."""
    past = made.latents.detach()
    b, t = past.shape[:2]
    return Setting(
        past=past,
        past_levels=past.new_zeros(b, t),
        controls=made.controls,
        known=known_controls(b, t, past.device),
        start=made.start,
    )
