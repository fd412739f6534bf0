"""Checks that stop a student's run early when it goes bad, and what they saw, in every line of the log.

Collapse shows in control and motion before it shows in pictures: a student that stands still has the finest
frames. So a run is held against what its student could do before the first step. This file does NOT know how
students learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import nn

from paracosm.core.errors import AcceptanceError
from paracosm.core.run_dir import RunDir
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.flow_rollout import RolloutConfig
from paracosm.models.inverse_dynamics import InverseDynamics

from .clip_batches import ClipBatches
from .judge import JudgedClips, dream_clips, judge_dream, judged_clips, show_frames

JUDGED_START = 4
"""Frames that a judged dream is given."""


@dataclass(frozen=True, kw_only=True)
class AcceptanceConfig:
    """When a run is stopped. Every limit is checked at each line of the log that has its figure."""

    reader: Path | None = None
    """inverse dynamics of the world; without it control is not judged"""
    judge_steps: int = 100
    """steps between judged dreams of the running average, a multiple of log_every; 0 judges none"""
    judge_clips: int = 8
    """clips dreamt for a judgement"""
    largest_gradient: float = 100.0
    """norm of the gradient, mean over a line, above which the run stops"""
    critic_growth: float = 3.0
    """the critic's loss may not exceed its smallest line by this factor"""
    motion_share: tuple[float, float] = (0.4, 2.5)
    """motion of dreams as a share of real motion: below it stands still, above it flickers"""
    smallest_sharpness: float = 0.5
    """sharpness of dreams as a share of real sharpness"""
    control_kept: float = 0.7
    """share of its first control_f1 that the student must keep"""


class Acceptance:
    """Watches a run; see :class:`paracosm.train.loop.Watch`.

    Args:
        config: limits.
        run: the run folder, whose log says what was seen before.
        batches: where judged clips come from.
        rollout: how the student plays: passes, window, sink and what lies between passes.
        before: the student as it begins.
    """

    def __init__(
        self,
        config: AcceptanceConfig,
        run: RunDir,
        batches: ClipBatches,
        rollout: RolloutConfig,
        before: FlowDynamics,
    ) -> None:
        self.config, self._run = config, run
        self._rollout = rollout
        self._reader = InverseDynamics.load(config.reader) if config.reader is not None else None
        self._tokenizer = batches.tokenizer
        self._clips: JudgedClips | None = None
        self._before: Mapping[str, float] = {}
        if config.judge_steps:
            # Drawn where no step draws, so that judged clips are none of the first batches.
            latents, controls = batches.draw(-1, 0, config.judge_clips)
            self._clips = judged_clips(latents, controls, JUDGED_START, self._tokenizer)
            self._before = self.judge(before)

    def judge(self, dynamics: FlowDynamics) -> dict[str, float]:
        """Let a network dream the judged clips and measure them."""
        assert self._clips is not None
        was_training = dynamics.training
        made = dream_clips(dynamics.eval(), self._clips, self._rollout)
        dynamics.train(was_training)
        return judge_dream(show_frames(made, self._tokenizer), self._clips, self._reader)

    def __call__(
        self, step: int, row: Mapping[str, float], averages: Mapping[str, nn.Module]
    ) -> Mapping[str, float]:
        """Judge when it is time, and stop a run that went bad.

        Raises:
            AcceptanceError: says which figure left its bounds, at which step, and what to try.
        """
        figures: dict[str, float] = {}
        if self._clips is not None and step % self.config.judge_steps == 0:
            figures = self.judge(cast("FlowDynamics", averages["dynamics"]))
            figures |= {f"{key}_before": value for key, value in self._before.items()}
        reason = self._find_fault({**row, **figures})
        if reason:
            self._run.log(step, {**row, **figures, "stopped": reason})
            raise AcceptanceError(
                f"{self._run.path} was stopped at step {step}: {reason}; its checkpoints stay; "
                "begin a new run with a lower learning rate, or widen that bound in acceptance"
            )
        return figures

    def _find_fault(self, row: Mapping[str, float]) -> str:
        """Say what is wrong with a line, or ""."""
        config = self.config
        for name, value in row.items():
            if name.startswith("gradient_norm") and value > config.largest_gradient:
                return f"{name} {value:.3g} is above {config.largest_gradient:g}"
        critic = row.get("loss_critic")
        if critic is not None:
            seen = [line["loss_critic"] for line in self._run.read_log() if "loss_critic" in line]
            if seen and critic > config.critic_growth * min(seen):
                return f"loss_critic {critic:.3g} is {config.critic_growth:g} times its least {min(seen):.3g}"
        low, high = config.motion_share
        motion = row.get("motion_share")
        if motion is not None and not low <= motion <= high:
            return f"motion_share {motion:.3g} is outside {low:g} to {high:g}"
        sharp = row.get("sharpness_share")
        if sharp is not None and sharp < config.smallest_sharpness:
            return f"sharpness_share {sharp:.3g} is below {config.smallest_sharpness:g}"
        control = row.get("control_f1")
        if control is not None and control < config.control_kept * row["control_f1_before"]:
            return (
                f"control_f1 {control:.3g} is below {config.control_kept:g} of the "
                f"{row['control_f1_before']:.3g} that the student began with"
            )
        return ""
