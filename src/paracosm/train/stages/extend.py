"""Stage: a student learns to stay good for long, tuned on a window at the end of rollouts of random length.

As in self forcing, but before the window that is judged the student has played up to minutes of its own
frames, without a gradient. No recording is that long: controls are those of several recorded clips in a row.
Every step begins anew from a true start, so a resumed run needs no cache of the one before.

This file does NOT know scores or turns; see ``self_forcing``.

Source: windows at random places of long self-rollouts: Cui et al. 2510.02283 (Self-Forcing++).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.core.shapes import Controls, Latents
from paracosm.models.flow_rollout import RolloutConfig, continue_clips
from paracosm.train.loop import MAY_CHANGE

from .self_forcing import MadeClips, SelfForcingStage, SelfForcingStageConfig, run_stage


@dataclass(frozen=True, kw_only=True)
class ExtendStageConfig(SelfForcingStageConfig):
    """As for self forcing, and how long the student plays before it is judged."""

    longest_lead: int = 120
    """most frames that the student makes before the judged window; drawn uniformly from 0 each step"""
    overlap: int = 4
    """frames before the window that the scores are given as its past"""

    def __post_init__(self) -> None:
        """Refuse windows that begin before the rollout."""
        super().__post_init__()
        if self.longest_lead < 0 or not 1 <= self.overlap <= self.start_frames:
            raise ConfigError(
                f"longest_lead {self.longest_lead} must be at least 0 and overlap {self.overlap} in 1 to "
                f"start_frames {self.start_frames}"
            )


class ExtendStage(SelfForcingStage):
    """Networks and loss of the stage."""

    config: ExtendStageConfig

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
        """See :meth:`SelfForcingStage.make`; only the window at the end is returned."""
        config = self.config
        lead = int(torch.randint(config.longest_lead + 1, (), generator=generator))
        coming = self.batches.draw_controls(step, part, len(latents), lead + config.horizon)
        start = config.start_frames
        led_by = torch.cat([controls[:, :start], coming], 1)
        made = continue_clips(
            self.student,
            latents[:, :start],
            led_by,
            rollout,
            generator,
            gradient="last_pass" if learns else "none",
            gradient_from=start + lead,
        )
        window = slice(start + lead - config.overlap, None)
        return MadeClips(latents=made[:, window], controls=led_by[:, window], start=config.overlap)


def main(config: ExtendStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the student and return its model folder; goes on where an earlier run stopped.

    Raises:
        AcceptanceError: when a check finds the run to go bad; the checkpoints stay.
    """
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        return run_stage(ExtendStage(config), config, run, progress, "extend")
