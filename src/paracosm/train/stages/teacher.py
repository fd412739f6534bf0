"""Stage: latents and controls to the flow dynamics.

Two streams by default: the past is clean but lightly noised, at one level a clip (context corruption keeps
long play from drifting), and every noisy frame attends to that past. This file does NOT know pixels or
rollouts in play.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.rng import sub_seed
from paracosm.core.run_dir import RunDir
from paracosm.data.clips import ClipSampler, select_episodes
from paracosm.data.latents import read_latent_clips
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_flow import FlowDynamics, FlowDynamicsConfig, shift_controls
from paracosm.models.flow_clip import Setting, solve_clips
from paracosm.models.flow_rollout import RolloutConfig, continue_clips
from paracosm.models.noise import draw_levels, mix, velocity_weight
from paracosm.models.pixels import to_frames
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.first_weights import begin_with, first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.previews import contact_sheet
from paracosm.train.resampling import resample
from paracosm.train.state import load_average

from .encode import open_store

PREVIEW_CLIPS = 3
"""Clips in a preview picture; each has the true frames above the dreamt ones."""
PREVIEW_CONTEXT = 4
"""True frames that a previewed dream starts from."""


OTHER_WORLD = ("mask", "control_width", "look_limit", "latent_height", "latent_width")
"""What may be otherwise in the dynamics that a run begins with: it may have learnt another world."""
ANEW = ("control.enter.weight", "place")
"""Weights that begin anew where it has."""


@dataclass(frozen=True, kw_only=True)
class TeacherStageConfig:
    """What the dynamics is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/dynamics"""
    data: Path
    """dataset folder, encoded by the encode stage"""
    tokenizer: Path
    """tokenizer folder whose latents are used"""
    model: FlowDynamicsConfig
    """sizes of the dynamics"""
    loop: LoopConfig
    """length, optimiser, logging"""
    initial: Path | None = None
    """dynamics folder whose weights the run begins with, e.g. a bundled one; what belongs to other controls
    or another frame size begins anew; nothing begins from random weights"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    batch_size: int = 16
    """clips a batch"""
    clip_frames: int = 32
    """frames a clip"""
    past: Literal["two_streams", "independent", "whole_clip"] = "two_streams"
    """clean past beside noisy frames; one noise level a frame in a single stream; or, for a bidirectional
    mask, one level a clip whose first frames are clean (image to video)"""
    given_frames: int = 4
    """most clean frames at the beginning of a whole clip, drawn from 0 once a clip"""
    context_noise: float = 0.2
    """largest noise level of the clean past, drawn uniformly once a clip"""
    resampled_share: float = 0.0
    """share of a batch's clips, at two streams, whose past is as the network itself would make it: with such
    errors as it meets in play, which it so learns to mend; costs a third of a step for each of its passes"""
    resampled_rounds: int = 2
    """most passes that make it, drawn from 1 each step: over so many frames errors add up"""
    control_dropout: float = 0.1
    """share of noisy frames whose control is dropped, for guidance"""
    level_mean: float = 0.5
    """mean of the normal whose sigmoid is the noise level"""
    level_deviation: float = 1.2
    """standard deviation of that normal"""
    pure_share: float = 0.15
    """share of noisy frames at level 1"""
    preview_levels: tuple[float, ...] = (1.0, 0.5)
    """noise levels of the passes in previews"""

    def __post_init__(self) -> None:
        """Refuse a resampled past where no stream is the past, and shares that are none."""
        share, rounds = self.resampled_share, self.resampled_rounds
        if not 0 <= share <= 1 or rounds < 1 or (share and self.past != "two_streams"):
            raise ConfigError(
                f"resampled_share {share} must be in 0 to 1 and resampled_rounds {rounds} at least 1, and a "
                f'share above 0 asks for past "two_streams" (now "{self.past}")'
            )


class TeacherStage:
    """Networks and loss of the stage."""

    def __init__(self, config: TeacherStageConfig) -> None:
        self.config = config
        with first_weights(config.loop.seed, "dynamics"):
            dynamics = FlowDynamics(config.model)
        if config.initial is not None:
            begin_with(dynamics, config.initial, OTHER_WORLD, ANEW)
        self.networks: dict[str, nn.Module] = {"dynamics": dynamics}
        self.blocks: Sequence[nn.Module] = tuple(dynamics.blocks)
        if dynamics.config.ahead and config.past != "whole_clip":
            raise ConfigError(
                f'past "{config.past}" does not fit a bidirectional mask, which would show a frame its own '
                'answer; use past "whole_clip"'
            )
        dataset = Dataset(config.data)
        _check_controls(dataset, config)
        episodes = select_episodes(dataset, config.split)
        self.clips = read_latent_clips(open_store(dataset, config.tokenizer), episodes)
        weights = [episode.weight for episode in episodes]
        self.sampler = ClipSampler(self.clips.lengths, config.clip_frames, config.loop.seed, weights=weights)
        self.tokenizer = TokenizerVAE.load(config.tokenizer)

    def batch(self, step: int, part: int, count: int) -> tuple[Tensor, Tensor]:
        """Return latents (b, t, z, h, w) and the controls that led to each frame (b, t, a)."""
        places = self.sampler.draw(step, part, count)
        latents, controls = self.clips.cut(places, self.config.clip_frames)
        device = self.config.loop.device
        moved = shift_controls(torch.from_numpy(controls).to(device))
        return torch.from_numpy(latents).float().to(device), moved

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config = self.config
        dynamics = self.networks["dynamics"]
        clean, controls = self.batch(step, part, config.batch_size)
        shape = clean.shape[:2]
        whole = config.past == "whole_clip"
        levels = draw_levels(
            (shape[0], 1) if whole else shape,
            generator,
            mean=config.level_mean,
            deviation=config.level_deviation,
            pure_share=config.pure_share,
        ).expand(shape)
        noise = torch.randn(clean.shape, generator=generator)
        known = torch.ones(shape, dtype=torch.bool)
        known[:, 0] = False
        kept = known & (torch.rand(shape, generator=generator) >= config.control_dropout)
        asked = known  # the first frame has no past: nothing to predict it from
        if whole:
            given = torch.randint(config.given_frames + 1, (shape[0], 1), generator=generator)
            asked = torch.arange(shape[1]) >= given
            levels = levels * asked
            # Dropped for the whole clip: a frame would read a missing control off its neighbours.
            kept = known & (kept[:, -1:] | ~asked)
        past = past_known = None
        if config.past == "two_streams":
            context_level = config.context_noise * torch.rand(shape[0], 1, generator=generator).expand(shape)
            context_noise = torch.randn(clean.shape, generator=generator)
            seen = self._as_played(clean, controls, generator)
            past = (mix(seen, context_noise.to(clean), context_level.to(clean)), context_level.to(clean))
            past_known = known.to(clean.device)
        levels, noise, kept = levels.to(clean), noise.to(clean), kept.to(clean.device)
        made = dynamics(mix(clean, noise, levels), levels, controls, kept, past, past_known)
        asked = asked.to(clean.device)
        error, levels = (made.float() - clean).square().mean((2, 3, 4))[asked], levels[asked]
        pure = levels == 1.0
        pure_error = error[pure].mean() if bool(pure.any()) else error.new_tensor(0.0)
        return (error * velocity_weight(levels)).mean(), {
            "clean_error": error.mean().detach(),
            "clean_error_from_noise": pure_error.detach(),
        }

    def _as_played(self, clean: Tensor, controls: Tensor, generator: torch.Generator) -> Tensor:
        """Clips as the past of play: the first of a batch, whose order means nothing, are resampled."""
        config = self.config
        count = round(config.resampled_share * len(clean))
        if not count:
            return clean
        made = resample(
            cast("FlowDynamics", self.networks["dynamics"]),
            clean[:count],
            controls[:count],
            generator,
            rounds=int(torch.randint(config.resampled_rounds, (), generator=generator)) + 1,
            mean=config.level_mean,
            deviation=config.level_deviation,
        )
        return torch.cat([made, clean[count:]])

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        """True clips above dreams that start from their first frames under the same controls."""
        dynamics = cast("FlowDynamics", averages["dynamics"])
        latents, controls = self.batch(0, 0, PREVIEW_CLIPS)
        look = dream_whole if dynamics.config.ahead else dream
        dreamt = look(dynamics, latents[:, :PREVIEW_CONTEXT], controls, self.config.preview_levels)
        real, made = (to_frames(self.tokenizer.decode(part.cpu())[0]).numpy() for part in (latents, dreamt))
        shown = slice(PREVIEW_CONTEXT - 1, None, 3)
        return contact_sheet([clip[i, shown] for i in range(PREVIEW_CLIPS) for clip in (real, made)], scale=2)


def _check_controls(dataset: Dataset, config: TeacherStageConfig) -> None:
    recorded = dataset.info.controls.width
    if recorded != config.model.control_width:
        raise ConfigError(
            f"{config.data} has {recorded} control numbers, the dynamics takes {config.model.control_width}; "
            "set model.control_width to the recording's: one for each key, then yaw and pitch"
        )


@torch.no_grad()
def dream(
    dynamics: FlowDynamics, start: Tensor, controls: Tensor, levels: tuple[float, ...], seed: int = 0
) -> Tensor:
    """Continue clips by the one rollout.

    Args:
        dynamics: in eval mode.
        start: latents (b, t0, z, h, w) to go on from.
        controls: (b, t, a), entry t leads to frame t; t >= t0.
        levels: noise levels of the passes of a frame.
        seed: of the noise.

    Returns:
        Latents (b, t, z, h, w), the start included.
    """
    generator = torch.Generator().manual_seed(sub_seed(seed, "dream"))
    return continue_clips(dynamics, start, controls, RolloutConfig(levels=levels), generator)


@torch.no_grad()
def dream_whole(
    dynamics: FlowDynamics, start: Tensor, controls: Tensor, levels: tuple[float, ...], seed: int = 0
) -> Tensor:
    """Make clips of a bidirectional network from their first frames; arguments as for :func:`dream`."""
    generator = torch.Generator().manual_seed(sub_seed(seed, "dream"))
    b, t = controls.shape[:2]
    noise = torch.randn((b, t, *start.shape[2:]), generator=generator).to(start)
    setting = Setting(
        past=start,
        past_levels=start.new_zeros(start.shape[:2]),
        controls=controls,
        known=(torch.arange(t, device=start.device) > 0).expand(b, t),
        start=start.shape[1],
    )
    made = solve_clips(dynamics, noise, setting, levels)[-1]
    return torch.cat([start, made[:, start.shape[1] :]], 1)


def save_average(config: TeacherStageConfig) -> Path:
    """Save the running average of the newest checkpoint as RUN/dynamics, while the training may still go on.

    Raises:
        DataError: when there is no checkpoint yet.
    """
    checkpoint = RunDir(config.run).latest_checkpoint()
    if checkpoint is None:
        raise DataError(f"{config.run} has no checkpoint yet; train it for some minutes first")
    folder = config.run / "dynamics"
    cast("FlowDynamics", load_average(checkpoint, "dynamics", FlowDynamics(config.model))).save(folder)
    return folder


def main(config: TeacherStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the dynamics and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = TeacherStage(config)
        averages = train(stage, config.loop, run, progress, "train dynamics")
        folder = config.run / "dynamics"
        cast("FlowDynamics", averages["dynamics"]).save(folder)
    return folder
