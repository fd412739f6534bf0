"""Stage: a streamed student of few passes learns on its own clips, by distribution matching.

Clips are made as in play, from one picture and by the same loop and cache, under recorded controls. Every
block of a step ends with the same pass, drawn at random: that pass has a gradient, those before it and the
pass that fills the cache have none. A critic learns what the student makes, several steps for each of the
student's. This file does NOT know codecs or recordings.

Source: Huang et al. 2506.08009 (Self Forcing); Yin et al. 2405.14867 (DMD2); Matrix-Game 2.0, 2508.13009.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.errors import AcceptanceError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Latents
from paracosm.models.dynamics_video import VideoDynamics, VideoDynamicsConfig
from paracosm.models.noise import mix
from paracosm.models.rollout import check_levels
from paracosm.models.video_clip import ClipPast, clip_flow, predict_clip, roll_clip
from paracosm.train.forcing import CRITIC, STUDENT, ForcingConfig, latent_motion
from paracosm.train.loop import MAY_CHANGE, train
from paracosm.train.matching import matching_target, shift_levels
from paracosm.train.video_batches import VideoBatch, VideoBatches, VideoData
from paracosm.train.video_weights import begin_video, load_judge


@dataclass(frozen=True, kw_only=True)
class VideoForcingStageConfig(ForcingConfig):
    """Who learns, and whose distribution is matched."""

    run: Path
    """run folder; the student lands in RUN/dynamics"""
    data: VideoData
    """recordings and their numbers"""
    student: Path
    """folder that the student begins with: what video_student left"""
    model: VideoDynamicsConfig
    """sizes of the student"""
    real: Path
    """folder of the real score; the critic begins with it, too"""
    levels: tuple[float, ...] = (1.0, 0.9375, 0.8333333)
    """noise levels of the student's passes, as it will play"""
    motion_share: tuple[float, float] = (0.0, 10.0)
    """motion of the student's latents as a share of true ones, mean over a line of the log, outside of which
    the run stops"""

    def __post_init__(self) -> None:
        """Refuse turns without a critic, and levels that do not fall."""
        super().__post_init__()
        check_levels(self.levels)


class VideoForcingStage:
    """Networks and loss of the stage."""

    def __init__(self, config: VideoForcingStageConfig) -> None:
        self.config, self.turns = config, config.turns
        device, seed = config.loop.device, config.loop.seed
        self.real = load_judge(config.real, device)
        student = begin_video(config.model, config.student, seed)
        critic = begin_video(self.real.config, config.real, seed)
        self.networks: dict[str, nn.Module] = {STUDENT: student, CRITIC: critic}
        self.blocks: Sequence[nn.Module] = (*critic.blocks, *self.real.blocks)
        self.batches = VideoBatches(config.data, config.model, seed, device)

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``; what is minimised depends on whose turn it is."""
        config, student = self.config, cast("VideoDynamics", self.networks[STUDENT])
        batch = self.batches.draw(step, part, config.batch_size)
        exit_index = int(torch.randint(len(config.levels), (), generator=generator))
        levels, learns = config.levels[: exit_index + 1], self.turns.learner(step) == STUDENT
        with torch.set_grad_enabled(learns):
            given = batch.given(student)
            made = roll_clip(student, given, levels, generator, gradient="last_pass" if learns else "none")
        past = ClipPast(latents=made.detach(), levels=made.new_zeros(made.shape[:2]))
        asked = self._levels(made, generator)
        noise = torch.randn(made.shape, generator=generator).to(made)
        if not learns:
            motion = latent_motion(made) / latent_motion(batch.latents).clamp_min(1e-6)
            return self._critic_loss(made, noise, asked, batch, past), {"rollout_motion": motion}
        noisy = mix(made.detach(), noise, asked)
        critic = cast("VideoDynamics", self.networks[CRITIC])
        with torch.no_grad():
            guidance = config.matching.guidance
            wanted = predict_clip(self.real, noisy, asked, batch.given(self.real), past, guidance)
            expected = predict_clip(critic, noisy, asked, batch.given(critic), past)
        target, gap = matching_target(made.detach(), wanted, expected)
        figures = {"score_gap": gap.mean(), "exit_step": torch.tensor(float(exit_index))}
        return 0.5 * (made - target).square().mean(), figures

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing."""
        return None

    def _levels(self, made: Latents, generator: torch.Generator) -> Tensor:
        """Draw levels (b, t) of the scores: one a block, or one a clip for scores of whole clips."""
        b, t = made.shape[:2]
        block = self.real.config.block if self.real.config.window else t
        drawn = torch.rand(b, t // block, generator=generator).repeat_interleave(block, 1)
        return shift_levels(drawn, self.config.matching).to(made)

    def _critic_loss(
        self, made: Latents, noise: Latents, levels: Tensor, batch: VideoBatch, past: ClipPast
    ) -> Tensor:
        critic = cast("VideoDynamics", self.networks[CRITIC])
        flow = clip_flow(critic, mix(made, noise, levels), levels, batch.given(critic), past)
        return (flow.float() - (noise - made)).square().mean()

    def watch(
        self, step: int, row: Mapping[str, float], averages: Mapping[str, nn.Module]
    ) -> dict[str, float]:
        """Stop a run whose student stands still or flickers; see :class:`paracosm.train.loop.Watch`.

        Raises:
            AcceptanceError: says the figure, the step, and what to try.
        """
        low, high = self.config.motion_share
        motion = row.get("rollout_motion")
        if motion is not None and not low <= motion <= high:
            raise AcceptanceError(
                f"{self.config.run} was stopped at step {step}: rollout_motion {motion:.3g} is outside "
                f"{low:g} to {high:g}; its checkpoints stay; begin a new run with a lower learning rate, or "
                "widen motion_share"
            )
        return {}


def main(config: VideoForcingStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the student and return its model folder; goes on where an earlier run stopped.

    Raises:
        AcceptanceError: when the student stands still or flickers; the checkpoints stay.
    """
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = VideoForcingStage(config)
        name = f"train {config.run.name}"
        averages = train(stage, config.loop, run, progress, name, config.turns, stage.watch)
        folder = config.run / "dynamics"
        cast("VideoDynamics", averages[STUDENT]).save(folder)
    return folder
