"""Settings of Matrix-Game 2.0's sampler that its weights do not tell, from a pipeline.json beside them.

This file does NOT know which variant has which steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paracosm.core.errors import ConfigError
from paracosm.core.files import read_json
from paracosm.models.video_stream import NUM_STEPS, warped_levels

from .published import Settings

FILE = "pipeline.json"
LATENTS_PER_BLOCK = 3
"""Latent frames made at once, by all published variants."""
SHIFT = 5.0
"""Shift of the schedule of noise levels, of all variants."""
LARGEST_SHIFT = 1000.0
"""Up to it float32 tells the levels of neighbouring steps apart."""
KEYS = (
    "denoising_step_list",
    "warp_denoising_step",
    "timestep_shift",
    "num_frame_per_block",
    "context_noise",
    "num_train_timesteps",
)
"""Settings that are read; any other is told as not used."""


@dataclass(frozen=True, kw_only=True)
class PublishedSampler:
    """How blocks are denoised, as published."""

    steps: tuple[int, ...] = ()
    """denoising steps of 1,000, falling from 1000; () takes the variant's own"""
    shift: float = SHIFT
    """how far steps are pushed towards noise; 1 leaves them"""
    block: int = LATENTS_PER_BLOCK
    """latent frames made at once"""
    context_noise: float = 0.0
    """step of 1,000 that the network is told for clean latents"""

    def __post_init__(self) -> None:
        """Refuse steps that do not fall."""
        if self.steps:
            self.levels(self.steps)

    def levels(self, own: Sequence[int]) -> tuple[float, ...]:
        """Noise levels of the passes of a block.

        Args:
            own: steps of the variant, taken when nothing else is said.

        Raises:
            ConfigError: when steps do not fall from 1000 to at least 1.
        """
        return warped_levels(self.steps or own, self.shift)

    @property
    def context_level(self) -> float:
        """Noise level that the network is told for clean latents."""
        return self.context_noise / NUM_STEPS


def read_sampler(folder: Path) -> PublishedSampler:
    """Read the settings of a folder; what its pipeline.json leaves out, or all without one, is as published.

    Raises:
        DataError: when the file cannot be read.
        ConfigError: when it holds a setting of another type or out of range; names it.
    """
    path = folder / FILE
    if not path.exists():
        return PublishedSampler()
    document = read_json(path)
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no object of settings; delete it to take the variant's own")
    settings = Settings(
        file=str(path), values=document, advice="change it, or leave it out to take the variant's own"
    )
    settings.fixed({"num_train_timesteps": NUM_STEPS})
    settings.tell_unknown(KEYS)
    shift = settings.real("timestep_shift", 1.0, LARGEST_SHIFT, default=SHIFT)
    return PublishedSampler(
        steps=settings.wholes("denoising_step_list", 1) if "denoising_step_list" in document else (),
        shift=shift if settings.truth("warp_denoising_step", default=True) else 1.0,
        block=settings.whole("num_frame_per_block", default=LATENTS_PER_BLOCK),
        context_noise=settings.real("context_noise", 0.0, float(NUM_STEPS), default=0.0),
    )
